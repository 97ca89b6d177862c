#ifndef FREQUENCIES_FIT_HPP
#define FREQUENCIES_FIT_HPP

/// @file
/// Whether counts may come from a law: the G-test (likelihood ratio), its tails, and what chance alone does.

#include <cstddef>
#include <cstdint>
#include <span>

namespace frequencies {

/// The regularised incomplete gamma functions P(a, x) and Q(a, x) = 1 - P: how likely a chi-square of 2 a degrees of
/// freedom is below 2 x, and above. Each has its own relative precision, of 1e-9 or better for a up to 10^5.
/// Preconditions: a > 0, x >= 0. O(sqrt(a)) terms.
struct gamma_tails {
  double below = 0;
  double above = 1;
};
[[nodiscard]] gamma_tails regularised_gamma(double a, double x);

/// What a test says of some counts.
struct fit {
  double statistic = 0;     ///< G, with Williams' correction
  std::size_t degrees = 0;  ///< of freedom
  double too_far = 1;       ///< how likely chance alone is as far from the law, or farther
  double too_near = 1;      ///< how likely chance alone is as near to it, or nearer
  bool impossible = false;  ///< something was counted that the law forbids

  /// How likely chance alone is as odd as this, on either side. 0 for what is impossible.
  [[nodiscard]] double p() const noexcept;
};

/// Adds up the evidence of multinomial counts, each with its law: of one law, or of one behind every context.
///
/// G = 2 sum O ln(O / E) has a chi-square law as counts grow (Wilks 1938). Cells that expect fewer than ten are put
/// together, the smallest first, which depends on the law and the number of counts alone; and G is divided by
/// Williams' factor (1976), which corrects its mean to terms in 1/n. Counts of a Markov chain's steps, context by
/// context, may be added as if each context's were independent (Billingsley 1961).
class g_test {
 public:
  /// `counts` and `law` have one entry for each cell; the law's sum is 1.
  void add(std::span<const std::uint64_t> counts, std::span<const double> law);

  [[nodiscard]] fit result() const;

 private:
  double g_ = 0;
  double excess_ = 0;  ///< how far the mean of G is above the degrees of freedom
  std::size_t degrees_ = 0;
  bool impossible_ = false;
};

/// Half the sum of |share - probability|.
[[nodiscard]] double total_variation(std::span<const std::uint64_t> counts, std::span<const double> law);

/// What that is on average for `count` draws from the law itself: half the sum of the cells' mean deviations
/// (De Moivre 1730: 2 v C(n, v) p^v (1-p)^(n-v+1) / n, v = floor(n p) + 1).
[[nodiscard]] double total_variation_by_chance(std::uint64_t count, std::span<const double> law);

/// The least relative bias of a law's probabilities, each off by plus or minus so much, that a G-test over `degrees` of
/// freedom with `count` counts finds in 99 runs of 100, if it calls an alarm below `level`. Uses the mean and variance
/// of the noncentral chi-square (lambda = count * bias^2) and the normal law, which is 0.1 in the 2.33 standard
/// deviations off, or 3 % of the bias, for 48 degrees of freedom or more.
[[nodiscard]] double least_bias_found(double count, std::size_t degrees, double level);

}  // namespace frequencies

#endif  // FREQUENCIES_FIT_HPP
