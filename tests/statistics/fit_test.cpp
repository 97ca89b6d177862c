// The tests that judge the counts, judged themselves.

#include "fit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace {

using frequencies::fit;
using frequencies::g_test;
using frequencies::gamma_tails;
using frequencies::regularised_gamma;

void expect_tails(double degrees, double statistic, double above, double precision = 1e-9) {
  const gamma_tails found = regularised_gamma(degrees / 2, statistic / 2);
  EXPECT_NEAR(found.above, above, precision * above) << degrees << " " << statistic;
  EXPECT_NEAR(found.below, 1 - above, precision) << degrees << " " << statistic;
}

TEST(fit, tails_of_one_and_two_degrees_are_in_closed_form) {
  for (const double x : {0.001, 0.5, 1.0, 3.0, 10.0, 60.0, 200.0}) {
    expect_tails(1, x, std::erfc(std::sqrt(x / 2)));
    expect_tails(2, x, std::exp(-x / 2));
  }
}

TEST(fit, tails_of_many_degrees_are_sums_of_the_poisson_law) {
  // Q(n, x) = sum over k < n of x^k e^-x / k!.
  for (const int n : {5, 50, 500, 1500}) {
    for (const double sigmas : {-6.0, -1.0, 0.0, 1.0, 6.0}) {
      const double x = n + sigmas * std::sqrt(n);
      double above = 0;
      for (int k = 0; k < n; ++k) above += std::exp(k * std::log(x) - x - std::lgamma(k + 1.0));
      if (x > 0) expect_tails(2 * n, 2 * x, above, 1e-8);
    }
  }
}

TEST(fit, a_statistic_can_be_worked_out_by_hand) {
  g_test test;
  test.add(std::vector<std::uint64_t>{60, 40}, std::vector<double>{0.5, 0.5});
  const fit found = test.result();
  const double g = 2 * (60 * std::log(1.2) + 40 * std::log(0.8));
  EXPECT_NEAR(found.statistic, g / (1 + (2 + 2 - 1) / 600.0), 1e-12);
  EXPECT_EQ(found.degrees, 1U);
  EXPECT_NEAR(found.too_far, std::erfc(std::sqrt(found.statistic / 2)), 1e-9);
  EXPECT_NEAR(found.p(), 2 * found.too_far, 1e-12);
}

TEST(fit, what_the_law_forbids_is_impossible_however_seldom) {
  g_test test;
  test.add(std::vector<std::uint64_t>{500'000, 500'000, 1}, std::vector<double>{0.5, 0.5, 0});
  EXPECT_TRUE(test.result().impossible);
  EXPECT_EQ(test.result().p(), 0);
}

TEST(fit, small_cells_are_put_together) {
  g_test test;
  // 3, 5 and 7 are expected in the small ones: 15 in one cell.
  test.add(std::vector<std::uint64_t>{985, 3, 5, 7}, std::vector<double>{0.985, 0.003, 0.005, 0.007});
  EXPECT_EQ(test.result().degrees, 1U);
  EXPECT_NEAR(test.result().statistic, 0, 1e-12);
  g_test alone;
  alone.add(std::vector<std::uint64_t>{995, 5}, std::vector<double>{0.995, 0.005});
  EXPECT_EQ(alone.result().degrees, 0U);
  EXPECT_EQ(alone.result().p(), 1);
}

/// Laws as uneven as those of texts.
std::vector<double> uneven_law(std::size_t cells) {
  std::vector<double> law(cells);
  for (std::size_t i = 0; i < cells; ++i) law[i] = std::exp(4 * std::sin(static_cast<double>(i * i)));
  const double sum = std::accumulate(law.begin(), law.end(), 0.0);
  for (double& p : law) p /= sum;
  return law;
}

/// Counts of draws by inverse transform, with a generator that is not the library's.
std::vector<std::uint64_t> drawn(const std::vector<double>& law, std::size_t count, std::mt19937_64& random) {
  std::vector<double> sums(law.size());
  std::partial_sum(law.begin(), law.end(), sums.begin());
  std::vector<std::uint64_t> counts(law.size());
  for (std::size_t i = 0; i < count; ++i) {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    const auto at = std::upper_bound(sums.begin(), sums.end() - 1, u);
    ++counts[static_cast<std::size_t>(at - sums.begin())];
  }
  return counts;
}

/// Even where many cells expect hardly ten counts, p is uniform: the false-alarm rate is what is said.
TEST(fit, chance_alone_gives_every_p_alike) {
  constexpr std::size_t runs = 300;
  std::mt19937_64 random(5);
  const auto law = uneven_law(1000);
  std::vector<double> far;
  for (std::size_t run = 0; run < runs; ++run) {
    g_test test;
    test.add(drawn(law, 40'000, random), law);
    far.push_back(test.result().too_far);
  }
  std::sort(far.begin(), far.end());
  double furthest = 0;
  for (std::size_t i = 0; i < runs; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / runs;
    furthest = std::max(furthest, std::abs(far[i] - share));
  }
  // Kolmogorov: one uniform sample in a thousand is further off than 1.95 / sqrt(runs).
  EXPECT_LT(furthest, 1.95 / std::sqrt(runs));
}

TEST(fit, the_bias_that_is_found_is_found) {
  constexpr double level = 1e-6;
  constexpr std::size_t count = 20'000, runs = 200;
  constexpr std::size_t cells = 100;
  const double bias = frequencies::least_bias_found(count, cells - 1, level);
  const std::vector<double> law(cells, 1.0 / cells);
  std::vector<double> biased = law;
  for (std::size_t i = 0; i < cells; ++i) biased[i] *= i % 2 == 0 ? 1 + bias : 1 - bias;
  std::mt19937_64 random(6);
  std::size_t found = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    g_test test;
    test.add(drawn(biased, count, random), law);
    found += test.result().p() < level ? 1 : 0;
  }
  EXPECT_GE(found, runs * 97 / 100);
}

TEST(fit, total_variation_by_chance_is_what_chance_does) {
  constexpr std::size_t count = 5000, runs = 400;
  const auto law = uneven_law(200);
  std::mt19937_64 random(7);
  double sum = 0;
  for (std::size_t run = 0; run < runs; ++run) sum += frequencies::total_variation(drawn(law, count, random), law);
  const double expected = frequencies::total_variation_by_chance(count, law);
  EXPECT_NEAR(sum / runs, expected, 0.01 * expected);
  EXPECT_NEAR(frequencies::total_variation(std::vector<std::uint64_t>{3, 1}, std::vector<double>{0.5, 0.5}), 0.25, 0);
}

}  // namespace
