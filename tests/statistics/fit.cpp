#include "fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace frequencies {
namespace {

constexpr double precise = 1e-15;

/// x^a e^-x / Gamma(a), the scale of both tails.
double scale_of(double a, double x) { return std::exp(a * std::log(x) - x - std::lgamma(a)); }

/// P(a, x) by its power series, for x below a + 1.
double lower_series(double a, double x) {
  double term = 1 / a;
  double sum = term;
  for (double n = a + 1; term > sum * precise; ++n) {
    term *= x / n;
    sum += term;
  }
  return sum * scale_of(a, x);
}

/// Q(a, x) by Legendre's continued fraction, evaluated from the front (Lentz's algorithm), for x from a + 1 up.
double upper_fraction(double a, double x) {
  constexpr double tiny = std::numeric_limits<double>::min() / precise;
  const auto away_from_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double b = x + 1 - a;
  double c = 1 / tiny;
  double d = 1 / away_from_zero(b);
  double value = d;
  for (double i = 1;; ++i) {
    const double coefficient = -i * (i - a);
    b += 2;
    d = 1 / away_from_zero(coefficient * d + b);
    c = away_from_zero(b + coefficient / c);
    value *= c * d;
    if (std::abs(c * d - 1) < precise) return value * scale_of(a, x);
  }
}

}  // namespace

gamma_tails regularised_gamma(double a, double x) {
  if (x <= 0) return {0, 1};
  if (x < a + 1) {
    const double below = std::min(1.0, lower_series(a, x));
    return {below, 1 - below};
  }
  const double above = std::min(1.0, upper_fraction(a, x));
  return {1 - above, above};
}

double fit::p() const noexcept { return impossible ? 0 : std::min(1.0, 2 * std::min(too_far, too_near)); }

void g_test::add(std::span<const std::uint64_t> counts, std::span<const double> law) {
  constexpr double least_expected = 10;
  const double count = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  if (count == 0) return;
  std::vector<std::size_t> cells;
  for (std::size_t i = 0; i < law.size(); ++i) {
    if (law[i] > 0) {
      cells.push_back(i);
    } else if (counts[i] > 0) {
      impossible_ = true;
    }
  }
  std::stable_sort(cells.begin(), cells.end(), [&](std::size_t a, std::size_t b) { return law[a] < law[b]; });

  double observed = 0;
  double share = 0;
  double reciprocals = 0;
  std::size_t tested = 0;
  double expected_left =
      count * std::accumulate(cells.begin(), cells.end(), 0.0, [&](double sum, std::size_t i) { return sum + law[i]; });
  for (std::size_t i = 0; i < cells.size(); ++i) {
    observed += static_cast<double>(counts[cells[i]]);
    share += law[cells[i]];
    expected_left -= count * law[cells[i]];
    const bool last = i + 1 == cells.size();
    // What is too small goes on growing; what would be left behind too small is taken along.
    if (!last && (count * share < least_expected || expected_left < least_expected)) continue;
    if (observed > 0) g_ += 2 * observed * std::log(observed / (count * share));
    reciprocals += 1 / share;
    ++tested;
    observed = share = 0;
  }
  degrees_ += tested - 1;
  excess_ += (reciprocals - 1) / (6 * count);
}

fit g_test::result() const {
  fit found{.degrees = degrees_, .impossible = impossible_};
  if (degrees_ == 0) return found;
  const double degrees = static_cast<double>(degrees_);
  found.statistic = g_ / (1 + excess_ / degrees);
  const gamma_tails tails = regularised_gamma(degrees / 2, found.statistic / 2);
  found.too_far = tails.above;
  found.too_near = tails.below;
  return found;
}

double total_variation(std::span<const std::uint64_t> counts, std::span<const double> law) {
  const double count = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) sum += std::abs(static_cast<double>(counts[i]) / count - law[i]);
  return sum / 2;
}

double total_variation_by_chance(std::uint64_t count, std::span<const double> law) {
  const double n = static_cast<double>(count);
  double sum = 0;
  for (const double p : law) {
    if (!(p > 0 && p < 1)) continue;
    const double v = std::floor(n * p) + 1;
    const double ways = std::lgamma(n + 1) - std::lgamma(v + 1) - std::lgamma(n - v + 1);
    sum += 2 * v / n * std::exp(ways + v * std::log(p) + (n - v + 1) * std::log1p(-p));
  }
  return sum / 2;
}

double least_bias_found(double count, std::size_t degrees, double level) {
  constexpr double all_but_one_in_100 = 2.326;
  const double df = static_cast<double>(degrees);
  const auto bisect = [](double low, double high, const auto& is_beyond) {
    while (high - low > 1e-9 * high) (is_beyond((low + high) / 2) ? high : low) = (low + high) / 2;
    return high;
  };
  const double critical =
      bisect(df, 10 * df + 1000, [&](double g) { return regularised_gamma(df / 2, g / 2).above < level / 2; });
  const double lambda = bisect(0, 10 * critical, [&](double trial) {
    return df + trial - all_but_one_in_100 * std::sqrt(2 * (df + 2 * trial)) > critical;
  });
  return std::sqrt(lambda / count);
}

}  // namespace frequencies
