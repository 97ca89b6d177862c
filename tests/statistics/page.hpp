#ifndef FREQUENCIES_PAGE_HPP
#define FREQUENCIES_PAGE_HPP

/// @file
/// What counts say of the rules.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cases.hpp"
#include "fit.hpp"
#include "tally.hpp"

namespace frequencies {

/// How often a page of right rules calls an alarm.
inline constexpr double false_alarm_rate = 1e-4;
/// How many tests a page of all lossless rules makes: two for every case, and one for every rule. Each calls an alarm
/// at an equal part of the rate (Bonferroni).
[[nodiscard]] std::size_t test_count();
[[nodiscard]] inline double level() { return false_alarm_rate / static_cast<double>(test_count()); }

/// What the counts of a case say.
struct finding {
  const generation_case* of = nullptr;
  std::uint64_t tokens = 0;
  fit texts = {};              ///< against the joint law of a text's tokens
  fit each = {};               ///< each token against its law behind the two before it
  double total_variation = 0;  ///< of the texts' law
  double by_chance = 0;        ///< what that is on average for a right rule

  [[nodiscard]] double p() const noexcept { return texts.p() < each.p() ? texts.p() : each.p(); }
  [[nodiscard]] bool alarms() const { return p() < level(); }
};

/// What the counts of all cases of a rule say together, each token against its law behind the two before it.
struct rule_finding {
  std::string rule;
  std::uint64_t tokens = 0;
  fit each = {};

  [[nodiscard]] bool alarms() const { return each.p() < level(); }
};

/// Everything that was found.
struct findings {
  std::vector<finding> cases;       ///< those for which anything was counted
  std::vector<rule_finding> rules;  ///< the lossless ones

  /// Whether no right rule calls an alarm, and every mistake does for which tokens enough were counted.
  [[nodiscard]] bool are_as_they_should() const;
};

/// Examines what was counted. The findings refer to the cases.
[[nodiscard]] findings examine(std::span<const generation_case> cases, const tallies& counted);

/// The page: a line for every case and for every rule, the verdict, and how small a bias would have been found.
[[nodiscard]] std::string page_of(const findings& found);

}  // namespace frequencies

#endif  // FREQUENCIES_PAGE_HPP
