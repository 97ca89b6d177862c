#include "thread_pool.hpp"

#include <algorithm>

namespace toy {
namespace {

// About 20 microseconds: longer than the gap between two loops of one token, far shorter than a time slice.
constexpr int spins = 512;
constexpr std::size_t most_pieces = 0xffff;
constexpr unsigned most_threads = 256;

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

std::uint64_t share_word(std::uint32_t epoch, std::size_t first, std::size_t last) noexcept {
  return std::uint64_t{epoch} << 32 | std::uint64_t{first} << 16 | std::uint64_t{last};
}

}  // namespace

thread_pool::thread_pool(unsigned threads) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  threads = std::min(threads, most_threads);
  threads_ = threads;
  shares_ = std::make_unique<share[]>(threads);
  helpers_.reserve(threads - 1);
  unfinished_.store(threads - 1, std::memory_order_relaxed);
  try {
    for (unsigned i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
  } catch (...) {
    stop();
    throw;
  }
  wait();
}

thread_pool::~thread_pool() { stop(); }

void thread_pool::stop() noexcept {
  stopping_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void thread_pool::run_erased(std::size_t pieces, piece_function function, const void* context) noexcept {
  std::unique_lock lock(busy_, std::defer_lock);
  if (pieces <= 1 || pieces > most_pieces || helpers_.empty() || !lock.try_lock()) {
    for (std::size_t piece = 0; piece < pieces; ++piece) function(context, piece);
    return;
  }
  // A share is published only after the loop it belongs to, and no loop ends before its last claimed piece: whoever
  // claims a piece, however late it comes, reads the loop that the piece is of.
  function_ = function;
  context_ = context;
  unfinished_.store(static_cast<std::uint32_t>(pieces), std::memory_order_relaxed);
  const std::uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
  const std::size_t threads = threads_;
  for (std::size_t i = 0; i < threads; ++i)
    shares_[i].word.store(share_word(epoch, pieces * i / threads, pieces * (i + 1) / threads),
                          std::memory_order_release);
  // Sequentially consistent with the sleepers' count: either the helper sees the epoch or this sees the sleeper.
  epoch_.store(epoch);
  if (asleep_.load() != 0) epoch_.notify_all();
  take_all(0);
  wait();
}

void thread_pool::wait() const noexcept {
  for (int i = 0; unfinished_.load(std::memory_order_acquire) != 0; ++i) {
    if (i < spins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void thread_pool::take_all(std::size_t self) noexcept {
  const std::size_t threads = threads_;
  for (std::size_t i = 0; i < threads; ++i) {
    std::atomic<std::uint64_t>& word = shares_[(self + i) % threads].word;
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while ((seen >> 16 & 0xffff) < (seen & 0xffff)) {
      if (!word.compare_exchange_weak(seen, seen + (1u << 16), std::memory_order_acquire, std::memory_order_relaxed))
        continue;
      function_(context_, seen >> 16 & 0xffff);
      unfinished_.fetch_sub(1, std::memory_order_release);
      seen = word.load(std::memory_order_relaxed);
    }
  }
}

void thread_pool::help(std::size_t self) noexcept {
  std::uint32_t seen = 0;
  unfinished_.fetch_sub(1, std::memory_order_release);
  for (;;) {
    for (int i = 0; i < spins && epoch_.load(std::memory_order_relaxed) == seen; ++i) pause();
    if (epoch_.load(std::memory_order_acquire) == seen) {
      asleep_.fetch_add(1);
      epoch_.wait(seen);
      asleep_.fetch_sub(1);
    }
    seen = epoch_.load(std::memory_order_acquire);
    if (stopping_.load()) return;
    take_all(self);
  }
}

}  // namespace toy
