#ifndef MEASUREMENT_COSTS_HPP
#define MEASUREMENT_COSTS_HPP

/// @file
/// What the parts of a round cost, and how much of a draft survives.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <specdec/specdec.hpp>

#include "generator.hpp"

namespace measurement {

/// The median; of an even number of values, the upper one. Precondition: there is one.
[[nodiscard]] double median(std::vector<double> values);

/// The share of rounds that accepted the first 1, 2, .. gamma drafted tokens, as `specdec::theory` takes it.
[[nodiscard]] std::vector<double> survival_of(const specdec::statistics& stats, std::size_t gamma);

/// What a round spends on planning, verification and commit, in seconds; 0 if there was none.
[[nodiscard]] double verification_of(const specdec::statistics& stats);

/// What the parts of a round cost, in seconds.
struct costs {
  double draft_token = 0;
  /// target_call[n-1]: the target scores n tokens.
  std::vector<double> target_call;
};

/// Measures the parts of a round one by one, at places along a text, with any drafter.
class cost_meter {
 public:
  /// Calls of the target are measured for these numbers of tokens, ascending, the first being 1.
  explicit cost_meter(std::span<const std::size_t> sizes) : sizes_(sizes.begin(), sizes.end()), calls_(sizes.size()) {}

  /// Measures at some places of the text that the generator has just made, if it is long enough and the user does
  /// not interrupt it. Leaves the contexts shorter.
  void measure(generator& generator);

  /// Medians so far, for all numbers of tokens up to the last of `sizes`, interpolated between them; nothing if no text
  /// was long enough.
  [[nodiscard]] std::optional<costs> result() const;

 private:
  std::vector<std::size_t> sizes_;
  std::vector<double> drafting_;
  std::vector<std::vector<double>> calls_;
};

}  // namespace measurement

#endif  // MEASUREMENT_COSTS_HPP
