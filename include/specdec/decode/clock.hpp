#ifndef SPECDEC_DECODE_CLOCK_HPP
#define SPECDEC_DECODE_CLOCK_HPP

/// @file
/// The time, for statistics.

#include "../config.hpp"

// The standard's own header for clocks costs whoever includes this library 0.3 s of compilation.
#if defined(__unix__) || defined(__APPLE__)
#include <time.h>
#else
#include <chrono>
#endif

namespace specdec::inline SPECDEC_ABI {

/// Seconds on a clock that never goes back, from an arbitrary moment on.
[[nodiscard]] inline double seconds_now() noexcept {
#if defined(__unix__) || defined(__APPLE__)
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_CLOCK_HPP
