#ifndef DOCTOR_COST_CURVE_HPP
#define DOCTOR_COST_CURVE_HPP

/// @file
/// From rounds timed on a machine that others disturb to what a round costs.

#include <cstddef>
#include <span>
#include <vector>

#include "recording.hpp"

namespace doctor {

/// Seconds of a round that drafts gamma tokens, by its parts: part[gamma].
struct cost_curve {
  std::vector<double> draft, target, verify;
};

/// The typical row value of a table of positive times whose columns were taken at different moments: a median polish
/// of the logarithms. A column that was slow as a whole counts for no more than one that was fast, and single slow
/// cells for nothing. `times[column][row]`; every column has as many rows. Source: Tukey 1977, Exploratory Data
/// Analysis, chapter 11.
[[nodiscard]] std::vector<double> typical_rows(std::span<const std::vector<double>> times);

/// The nearest values, in the sense of least squares, that nowhere fall: pool adjacent violators.
[[nodiscard]] std::vector<double> rising(std::vector<double> values);

/// Scoring or verifying more tokens never costs less, and drafting one more always costs the same. Precondition: there
/// is a cycle, and all have as many rounds.
[[nodiscard]] cost_curve cost_curve_of(std::span<const cycle> cycles);

}  // namespace doctor

#endif  // DOCTOR_COST_CURVE_HPP
