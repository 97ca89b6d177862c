#ifndef DOCTOR_CHECK_HPP
#define DOCTOR_CHECK_HPP

/// @file
/// The advice, put to the test: whole texts with every gamma.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "advice.hpp"
#include "allotted_time.hpp"
#include "alternatives.hpp"
#include "patient.hpp"

namespace doctor {

/// What one gamma did, end to end.
struct measured_speed {
  std::size_t gamma = 0;
  double tokens_per_second = 0;
  /// Over gamma 0, with the bounds of a bootstrap over texts that hold it with a probability of 90 %.
  double speedup = 1, low = 1, high = 1;
};

struct check_result {
  /// Of gamma 0 .. longest_draft.
  std::vector<measured_speed> speeds;
  std::size_t texts = 0;
  /// The gamma that was fastest, and how much of its speed the advised one reached.
  std::size_t fastest = 0;
  double share_of_fastest = 1;
};

/// Sums up runs[text][gamma]. Precondition: there is a text, and every run has a round.
[[nodiscard]] check_result sum_up(const runs_of_texts& runs, std::size_t advised, std::uint64_t seed);

/// Generates behind every prompt with every gamma, in random order, until the time is over, but three texts at least; a
/// text that was begun is generated with all of them. Returns no texts if the user interrupts it before the third.
[[nodiscard]] check_result check(patient& pair, const advice& given, allotted_time& time, std::uint64_t seed);

}  // namespace doctor

#endif  // DOCTOR_CHECK_HPP
