#ifndef DOCTOR_QUANTILE_HPP
#define DOCTOR_QUANTILE_HPP

/// @file
/// Quantiles of a sample.

#include <algorithm>
#include <cstddef>
#include <vector>

namespace doctor {

/// The value below which this share of the sample lies: the nearest of its own. Precondition: there is one; 0 <= share
/// <= 1.
[[nodiscard]] inline double quantile(std::vector<double> sample, double share) {
  const auto at = sample.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(sample.size() - 1) + 0.5);
  std::nth_element(sample.begin(), at, sample.end());
  return *at;
}

}  // namespace doctor

#endif  // DOCTOR_QUANTILE_HPP
