#ifndef MEASUREMENT_STOPWATCH_HPP
#define MEASUREMENT_STOPWATCH_HPP

/// @file
/// How long something takes.

#include <specdec/decode/clock.hpp>

namespace measurement {

/// The seconds that `work()` takes.
template <class Work>
[[nodiscard]] double seconds_of(Work&& work) {
  const double start = specdec::seconds_now();
  work();
  return specdec::seconds_now() - start;
}

}  // namespace measurement

#endif  // MEASUREMENT_STOPWATCH_HPP
