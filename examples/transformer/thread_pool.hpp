#ifndef TOY_THREAD_POOL_HPP
#define TOY_THREAD_POOL_HPP

/// @file
/// Fork and join for loops of a few microseconds.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace toy {

/// Runs the pieces of a loop on the caller and a fixed set of helpers.
///
/// Every thread starts with its own share of the pieces, the same for the same loop, so that its part of the weights
/// stays in its own cache, and then takes what others left: a helper that the system has not scheduled delays nobody.
/// Idle helpers spin for some microseconds and then sleep.
class thread_pool {
 public:
  /// `threads` counts the caller; 0 is one per hardware thread. Returns when all run, so that what a thread costs to
  /// start is no part of the first loop. Throws `std::system_error` if one cannot be started.
  explicit thread_pool(unsigned threads);
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  /// The number of threads, the caller among them.
  [[nodiscard]] std::size_t size() const noexcept { return threads_; }

  /// Calls body(piece) for every piece in [0, pieces), in no order, and returns when all have returned. Bodies must not
  /// throw, and not call `run`. If another thread is inside `run`, all pieces run on the caller: concurrent callers
  /// already use the machine. Does not allocate.
  template <class Body>
  void run(std::size_t pieces, const Body& body) noexcept {
    run_erased(
        pieces, [](const void* context, std::size_t piece) { (*static_cast<const Body*>(context))(piece); }, &body);
  }

 private:
  using piece_function = void (*)(const void* context, std::size_t piece);

  // One thread's share, in one word so that it is claimed or replaced at once: epoch (32 bits), the number of the
  // first piece not yet claimed (16) and the end of the share (16). On its own cache line.
  struct alignas(64) share {
    std::atomic<std::uint64_t> word{0};
  };

  void run_erased(std::size_t pieces, piece_function function, const void* context) noexcept;
  void help(std::size_t self) noexcept;
  void take_all(std::size_t self) noexcept;
  void wait() const noexcept;
  void stop() noexcept;

  std::size_t threads_ = 1;
  std::mutex busy_;
  std::unique_ptr<share[]> shares_;
  piece_function function_ = nullptr;
  const void* context_ = nullptr;
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};  // pieces of a loop; before the first, starts of helpers
  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  std::atomic<std::uint32_t> asleep_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> helpers_;
};

}  // namespace toy

#endif  // TOY_THREAD_POOL_HPP
