#ifndef SPECDEC_ADAPTERS_BACKGROUND_THREAD_HPP
#define SPECDEC_ADAPTERS_BACKGROUND_THREAD_HPP

/// @file
/// A second thread for `overlapped_generate`. Opt-in: the standard's headers for threads cost 0.3 s of compilation.

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

#include "../config.hpp"
#include "../failure.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A thread that drafts while the caller's scores. It sleeps between rounds, and ends with this object. Neither copied
/// nor moved; used by one thread at a time. A round allocates nothing.
class background_thread {
 public:
  /// What the two sides say to each other; see `RoundLink`.
  class link {
   public:
    explicit link(background_thread& owner) noexcept : owner_(&owner) {}

    void announce() {
      const std::lock_guard lock(owner_->mutex_);
      owner_->announced_ = true;
      owner_->changed_.notify_all();
    }
    void await() {
      std::unique_lock lock(owner_->mutex_);
      owner_->changed_.wait(lock, [&] { return owner_->announced_ || owner_->job_ == nullptr; });
    }
    void cancel() noexcept { owner_->cancelled_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool cancelled() const noexcept { return owner_->cancelled_.load(std::memory_order_relaxed); }

   private:
    background_thread* owner_;
  };

  /// Throws std::system_error if there is no thread to be had.
  background_thread() : thread_([this] { work(); }) {}
  background_thread(const background_thread&) = delete;
  background_thread& operator=(const background_thread&) = delete;
  ~background_thread() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  /// Runs `drafting` in the other thread and `scoring` in this one. See `Executor`.
  template <class Drafting, class Scoring>
  void run(Drafting&& drafting, Scoring&& scoring) {
    link between(*this);
    start(
        [](background_thread& self, void* side) {
          link there(self);
          (*static_cast<std::remove_reference_t<Drafting>*>(side))(there);
        },
        &drafting);
    cleaning_up([&] { scoring(between); },
                [&] {
                  between.cancel();
                  (void)finish();
                });
    if (const std::exception_ptr thrown = finish()) std::rethrow_exception(thrown);
  }

 private:
  using job = void (*)(background_thread&, void*);

  void start(job what, void* with) {
    const std::lock_guard lock(mutex_);
    announced_ = false;
    cancelled_.store(false, std::memory_order_relaxed);
    argument_ = with;
    job_ = what;
    changed_.notify_all();
  }

  /// Waits for the other side's end; returns what it threw.
  std::exception_ptr finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return job_ == nullptr; });
    return std::exchange(thrown_, nullptr);
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return job_ != nullptr || ends_; });
      if (job_ == nullptr) return;
      const job what = job_;
      void* const with = argument_;
      lock.unlock();
      std::exception_ptr thrown = thrown_by([&] { what(*this, with); });
      lock.lock();
      thrown_ = std::move(thrown);
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  job job_ = nullptr;  ///< null if the other thread has nothing to do
  void* argument_ = nullptr;
  std::exception_ptr thrown_;
  bool announced_ = false;
  bool ends_ = false;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;  ///< the last, so that all else is there when it begins
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_ADAPTERS_BACKGROUND_THREAD_HPP
