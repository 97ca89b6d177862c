#include "counting.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace frequencies {
namespace {

/// Cases share no noise: each has seeds of its own.
std::uint64_t seed_of(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash + (seed << 32);
}

/// The blocks that are left, handed out case by case, and what came of them. Blocks come back in any order; what is
/// kept are always the first ones of a case.
class work {
 public:
  work(std::span<const generation_case> cases, const counting& how, tallies before)
      : cases_(cases), how_(how), counted_(std::move(before)), helpers_(how.threads) {
    for (const generation_case& one : cases_) {
      tally& found = counted_[one.name()];
      found.texts.resize(text_count);
      next_.push_back(found.blocks);
      waiting_.emplace_back();
    }
  }

  /// Counts blocks until there are none left; what one throws ends all.
  void help() {
    std::vector<std::uint64_t> texts;
    std::unique_lock lock(mutex_);
    while (const generation_case* one = take()) {
      const std::size_t index = at_;
      const std::size_t block = next_[index]++;
      lock.unlock();
      texts.assign(text_count, 0);
      std::exception_ptr failure;
      try {
        one->count(seed_of(how_.seed, one->name()), block, texts);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure) {
        failure_ = failure;
      } else {
        add(index, block, texts);
      }
    }
    --helpers_;
    changed_.notify_all();
  }

  /// Reports now and then until all have ended.
  void watch() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::milliseconds(200), [&] { return helpers_ == 0; })) report();
    report();
  }

  /// No further block is begun.
  void cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }

  /// What was counted. Throws what a block threw. Precondition: all have ended.
  tallies result() && {
    if (failure_) std::rethrow_exception(failure_);
    return std::move(counted_);
  }

 private:
  const generation_case* take() {
    if (failure_ || cancelled_ || how_.stops()) return nullptr;
    while (at_ < cases_.size() && next_[at_] >= how_.blocks[at_]) ++at_;
    return at_ < cases_.size() ? &cases_[at_] : nullptr;
  }

  void add(std::size_t index, std::size_t block, std::vector<std::uint64_t>& texts) {
    tally& found = counted_.at(cases_[index].name());
    auto& waiting = waiting_[index];
    waiting.emplace(block, std::move(texts));
    for (auto next = waiting.find(found.blocks); next != waiting.end(); next = waiting.find(found.blocks)) {
      for (std::size_t i = 0; i < text_count; ++i) found.texts[i] += next->second[i];
      waiting.erase(next);
      ++found.blocks;
      ++done_;
    }
  }

  void report() {
    if (!how_.report || cases_.empty()) return;
    how_.report(cases_[std::min(at_, cases_.size() - 1)].name(), done_, counted_);
  }

  std::span<const generation_case> cases_;
  const counting& how_;
  std::mutex mutex_;
  std::condition_variable changed_;
  tallies counted_;
  std::vector<std::size_t> next_;
  std::vector<std::map<std::size_t, std::vector<std::uint64_t>>> waiting_;
  std::size_t at_ = 0;
  std::size_t done_ = 0;
  std::size_t helpers_;
  bool cancelled_ = false;
  std::exception_ptr failure_;
};

}  // namespace

std::size_t blocks_left(std::span<const generation_case> cases, std::span<const std::size_t> blocks,
                        const tallies& before) {
  std::size_t left = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto found = before.find(cases[i].name());
    const std::size_t done = found == before.end() ? 0 : found->second.blocks;
    left += blocks[i] - std::min(blocks[i], done);
  }
  return left;
}

tallies count(std::span<const generation_case> cases, const counting& how, tallies before) {
  work all(cases, how, std::move(before));
  std::vector<std::thread> threads;
  std::exception_ptr failure;
  try {
    for (std::size_t i = 0; i < how.threads; ++i) threads.emplace_back([&all] { all.help(); });
    all.watch();
  } catch (...) {
    failure = std::current_exception();
    all.cancel();
  }
  for (std::thread& one : threads) one.join();
  if (failure) std::rethrow_exception(failure);
  return std::move(all).result();
}

}  // namespace frequencies
