#include "interruption.hpp"

#include <atomic>
#include <csignal>

namespace program {
namespace {

std::atomic<bool> requested = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait");

extern "C" void take_signal(int) { requested.store(true, std::memory_order_relaxed); }

}  // namespace

void interruption::listen() {
  struct sigaction now = {};
  if (sigaction(SIGINT, nullptr, &now) != 0 || now.sa_handler == SIG_IGN) return;
  now = {};
  now.sa_handler = take_signal;
  // Writing goes on behind the signal, so that no text is lost.
  now.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigemptyset(&now.sa_mask);
  sigaction(SIGINT, &now, nullptr);
}

bool interruption::stop_requested() noexcept { return requested.load(std::memory_order_relaxed); }

}  // namespace program
