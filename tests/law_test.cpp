#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <specdec/sampling/law.hpp>
#include <specdec/sampling/residual.hpp>
#include <vector>

namespace {

using specdec::law;
using specdec::logits_row;
using specdec::proposal;
using specdec::row_fault;
using specdec::token_id;

constexpr float infinity = std::numeric_limits<float>::infinity();

template <class Real>
std::vector<Real> random_logits(std::size_t size, std::uint32_t seed, double spread = 3) {
  std::mt19937 engine(seed);
  std::vector<Real> logits(size);
  for (Real& x : logits) {
    // Own Box-Muller: std::normal_distribution differs between standard libraries.
    const double u = (static_cast<double>(engine()) + 0.5) / 4294967296.0;
    const double v = (static_cast<double>(engine()) + 0.5) / 4294967296.0;
    x = static_cast<Real>(spread * std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v));
  }
  return logits;
}

template <class Real>
std::vector<long double> reference(const std::vector<Real>& logits, double temperature) {
  long double maximum = -std::numeric_limits<long double>::infinity();
  for (const Real x : logits) maximum = std::max(maximum, static_cast<long double>(x));
  std::vector<long double> p;
  long double total = 0;
  for (const Real x : logits) {
    p.push_back(std::exp((static_cast<long double>(x) - maximum) / static_cast<long double>(temperature)));
    total += p.back();
  }
  for (long double& x : p) x /= total;
  return p;
}

template <class Law>
double total_variation(const Law& got, const std::vector<long double>& expected) {
  long double sum = 0;
  for (std::size_t t = 0; t < expected.size(); ++t) {
    sum += std::abs(static_cast<long double>(got.probability(static_cast<token_id>(t))) - expected[t]);
  }
  return static_cast<double>(sum / 2);
}

std::vector<std::size_t> interesting_sizes() {
  std::vector<std::size_t> sizes;
  for (std::size_t n = 1; n <= 67; ++n) sizes.push_back(n);
  for (const std::size_t n : {1000U, 1023U, 1024U, 1025U, 1040U, 2047U, 2049U, 4096U, 32000U, 128256U})
    sizes.push_back(n);
  return sizes;
}

TEST(law, float_rows_are_within_1e6_of_the_exact_law) {
  for (const std::size_t size : interesting_sizes()) {
    const auto logits = random_logits<float>(size, static_cast<std::uint32_t>(size));
    for (const double temperature : {0.3, 1.0, 2.5}) {
      law pipeline(size, {temperature});
      const auto p = pipeline.of(logits_row<float>(logits.data(), size));
      ASSERT_TRUE(p.valid());
      EXPECT_LT(total_variation(p, reference(logits, temperature)), 1e-6) << size << " at " << temperature;
    }
  }
}

TEST(law, double_rows_are_within_1e14_of_the_exact_law) {
  for (const std::size_t size : interesting_sizes()) {
    const auto logits = random_logits<double>(size, static_cast<std::uint32_t>(size));
    law pipeline(size, {0.7});
    EXPECT_LT(total_variation(pipeline.of(logits_row<double>(logits.data(), size)), reference(logits, 0.7)), 1e-14);
  }
}

TEST(law, log_probabilities_are_those_of_the_exact_law) {
  const auto logits = random_logits<float>(5000, 1, 30);
  const auto expected = reference(logits, 1);
  law pipeline(5000, {});
  const auto p = pipeline.of(logits_row<float>(logits.data(), 5000));
  for (token_id t = 0; t < 5000; ++t) {
    const auto e = static_cast<double>(std::log(expected[static_cast<std::size_t>(t)]));
    EXPECT_NEAR(p.log_probability(t), e, 1e-6 * (1 + std::abs(e)));
  }
}

TEST(law, a_strided_row_has_the_bits_of_a_contiguous_one) {
  const auto logits = random_logits<float>(2500, 2);
  std::vector<float> spread(2500 * 3, 99.0F);
  for (std::size_t i = 0; i < 2500; ++i) spread[i * 3] = logits[i];
  law pipeline(2500, {0.9});
  const auto a = pipeline.of(logits_row<float>(logits.data(), 2500));
  const auto b = pipeline.of(logits_row<float>(spread.data(), 2500, 3));
  EXPECT_EQ(a.total(), b.total());
  for (token_id t = 0; t < 2500; ++t) EXPECT_EQ(a.probability(t), b.probability(t));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.draw(i / 100.0), b.draw(i / 100.0));
}

// A sum in another order, a fused multiply-add or another exponential would change these bits. They are the same for
// every compiler and every flag.
TEST(law, has_the_same_bits_everywhere) {
  std::uint64_t hash = 1469598103934665603U;
  for (const std::size_t size : {1U, 15U, 16U, 17U, 1000U, 4096U}) {
    std::vector<float> logits(size);
    std::uint32_t state = 12345;
    for (float& x : logits) {
      state = state * 1664525U + 1013904223U;
      x = static_cast<float>(state >> 8) / 1048576.0F - 8.0F;
    }
    for (const double temperature : {0.5, 1.0, 1.25}) {
      law pipeline(size, {temperature});
      const auto p = pipeline.of(logits_row<float>(logits.data(), size));
      hash = (hash ^ std::bit_cast<std::uint64_t>(p.total())) * 1099511628211U;
      for (std::size_t t = 0; t < size; t += 7) {
        hash = (hash ^ std::bit_cast<std::uint64_t>(p.probability(static_cast<token_id>(t)))) * 1099511628211U;
      }
      hash = (hash ^ static_cast<std::uint64_t>(p.draw(0.625))) * 1099511628211U;
    }
  }
  EXPECT_EQ(hash, 0x386442877ea11e23U) << std::hex << hash;
}

TEST(law, greedy_takes_the_lowest_of_equal_maxima) {
  std::vector<float> logits(3000, 1.0F);
  logits[1500] = 2.0F;
  logits[2500] = 2.0F;
  law pipeline(3000, {0.0});
  const auto p = pipeline.of(logits_row<float>(logits.data(), 3000));
  EXPECT_EQ(p.mode(), 1500);
  EXPECT_EQ(p.probability(1500), 1.0);
  EXPECT_EQ(p.probability(2500), 0.0);
  EXPECT_EQ(p.draw(0.999), 1500);
  EXPECT_EQ(p.log_probability(1500), 0.0);
  EXPECT_EQ(p.log_probability(0), -static_cast<double>(infinity));
}

TEST(law, names_what_is_wrong_with_a_row) {
  law pipeline(40, {});
  std::vector<float> logits(40, 0.5F);
  const auto fault = [&] { return pipeline.of(logits_row<float>(logits.data(), logits.size())).fault(); };
  EXPECT_EQ(fault(), row_fault::none);
  logits[39] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(fault(), row_fault::nan);
  logits[39] = infinity;
  EXPECT_EQ(fault(), row_fault::positive_infinity);
  logits[39] = -infinity;
  EXPECT_EQ(fault(), row_fault::none);
  logits.assign(40, -infinity);
  EXPECT_EQ(fault(), row_fault::all_negative_infinity);
  logits.resize(39);
  EXPECT_EQ(fault(), row_fault::wrong_width);
}

TEST(law, impossible_tokens_are_never_drawn) {
  std::vector<float> logits(100, -infinity);
  logits[3] = 0;
  logits[97] = 0;
  law pipeline(100, {});
  const auto p = pipeline.of(logits_row<float>(logits.data(), 100));
  EXPECT_EQ(p.draw(0), 3);
  EXPECT_EQ(p.draw(0.4999), 3);
  EXPECT_EQ(p.draw(0.5), 97);
  EXPECT_EQ(p.draw(0x1.fffffffffffffp-1), 97);
}

TEST(law, bad_parameters_are_refused) {
  EXPECT_THROW(law(0, {}), std::invalid_argument);
  for (const double t : {-1.0, 1e-9, 1e31, std::numeric_limits<double>::quiet_NaN(), static_cast<double>(infinity)}) {
    EXPECT_THROW(law(2, {t}), std::invalid_argument) << t;
  }
  EXPECT_THROW(law(2, {}, {.tokens = {2}, .min_tokens = 1}), std::invalid_argument);
  EXPECT_THROW(law(2, {}, {.tokens = {-1}}), std::invalid_argument);
}

TEST(law, reads_a_row_once_a_round) {
  struct counting_rows {
    mutable std::vector<int> reads = std::vector<int>(3);
    std::vector<double> logits{0, 1, 2};
    std::size_t size() const { return 3; }
    logits_row<double> row(std::size_t i) const {
      ++reads[i];
      return {logits.data(), 3};
    }
  } rows;
  law pipeline(3, {});
  const std::vector<token_id> context{0};
  const specdec::philox chance;
  specdec::draft drafted;
  drafted.begin({.context = context});
  drafted.extend(drafted.extend(specdec::root, proposal::point_mass(3, 1), chance), proposal::point_mass(3, 2), chance);
  pipeline.begin_round(context, 1, drafted);
  const auto first = pipeline.at(rows, 1);
  rows.logits = {5, 5, 5};  // what was read is remembered
  EXPECT_EQ(pipeline.at(rows, 1).total(), first.total());
  EXPECT_EQ(rows.reads[0], 0);
  EXPECT_EQ(rows.reads[2], 0);
}

/// For every token of positive probability: the u in the middle of its interval draws it. Covers every branch point of
/// the inverse transform.
template <class Law>
void expect_draws_follow(const Law& p, double slack) {
  double running = 0;
  for (std::size_t t = 0; t < p.vocab_size(); ++t) {
    const double share = p.probability(static_cast<token_id>(t));
    if (share > 2 * slack) {
      EXPECT_EQ(p.draw(running + slack), static_cast<token_id>(t));
      EXPECT_EQ(p.draw(running + share / 2), static_cast<token_id>(t));
      EXPECT_EQ(p.draw(running + share - slack), static_cast<token_id>(t));
    }
    running += share;
  }
  EXPECT_NEAR(running, 1, slack);
  EXPECT_GT(p.probability(p.draw(0)), 0);
  EXPECT_GT(p.probability(p.draw(0x1.fffffffffffffp-1)), 0);
}

TEST(draws, follow_the_law) {
  for (const std::size_t size : {1U, 2U, 17U, 1024U, 1500U, 5000U}) {
    const auto logits = random_logits<float>(size, 3);
    law pipeline(size, {1.1});
    expect_draws_follow(pipeline.of(logits_row<float>(logits.data(), size)), 5e-7);
    const auto exact = random_logits<double>(size, 4);
    expect_draws_follow(pipeline.of(logits_row<double>(exact.data(), size)), 1e-12);
  }
}

TEST(draws, follow_a_proposal) {
  const std::vector<token_id> ids{1, 5, 1023, 1024, 3000};
  const std::vector<float> weights{2, 0, 1, 4, 0.5F};
  expect_draws_follow(proposal::sparse(3001, ids, weights), 1e-12);
  std::vector<float> all(3001, 0.0F);
  for (std::size_t i = 0; i < ids.size(); ++i) all[static_cast<std::size_t>(ids[i])] = weights[i];
  expect_draws_follow(proposal::dense(all), 1e-12);
  expect_draws_follow(proposal::point_mass(3001, 7), 1e-12);
}

TEST(draws, follow_a_residual) {
  constexpr std::size_t size = 2600;
  const auto target = random_logits<double>(size, 5);
  const auto drafted = random_logits<float>(size, 6);
  law pipeline(size, {});
  law draft_pipeline(size, {});
  const auto p = pipeline.of(logits_row<double>(target.data(), size));
  const auto draft_law = draft_pipeline.of(logits_row<float>(drafted.data(), size));
  std::vector<float> weights(size);
  std::vector<token_id> ids(40);
  std::vector<float> top(40);
  const proposal laws[] = {draft_law.propose_all(weights), draft_law.propose_top(ids, top),
                           proposal::point_mass(size, p.mode())};
  const auto exact = reference(target, 1);
  for (const proposal& q : laws) {
    const specdec::residual left(p, q);
    long double mass = 0;
    std::vector<long double> expected(size);
    for (std::size_t t = 0; t < size; ++t) {
      const long double share = exact[t] - static_cast<long double>(q.probability(static_cast<token_id>(t)));
      expected[t] = std::max(0.0L, share);
      mass += expected[t];
    }
    for (long double& x : expected) x /= mass;
    EXPECT_NEAR(left.mass(), static_cast<double>(mass), 1e-13);
    EXPECT_LT(total_variation(left, expected), 1e-12);
    EXPECT_FALSE(left.fell_back());
    expect_draws_follow(left, 1e-11);
  }
}

TEST(residual, does_not_depend_on_the_unit_of_the_drafts_weights) {
  constexpr std::size_t size = 100000;
  const std::vector<float> logits(size, 0.0F);
  law pipeline(size, {});
  const auto p = pipeline.of(logits_row<float>(logits.data(), size));
  const std::vector<token_id> ids{5, 90000};
  for (const double share : {1.0, 1e-3, 1e-5, 1e-9}) {
    for (const float unit : {2e-30F, 1.0F, 2e29F}) {
      const std::vector<float> weights{unit, 2 * unit};
      std::vector<float> all(size, 0.0F);
      all[5] = weights[0];
      all[90000] = weights[1];
      for (const proposal& q : {proposal::sparse(size, ids, weights), proposal::dense(all)}) {
        const specdec::residual left(p, q, share);
        EXPECT_NEAR(left.mass() / share, 1 - 2.0 / size, 1e-6) << share << ' ' << unit;
        EXPECT_EQ(left.probability(5), 0);
        EXPECT_NEAR(left.probability(6) * (size - 2), 1, 1e-6);
        EXPECT_EQ(left.draw(4.5 / (size - 2)), 4);
        EXPECT_EQ(left.draw(5.5 / (size - 2)), 6);
      }
    }
  }
}

TEST(residual, that_vanishes_is_the_target_and_says_so) {
  const std::vector<double> logits(4, 0.0);
  law pipeline(4, {});
  const auto p = pipeline.of(logits_row<double>(logits.data(), 4));
  const std::vector<float> same(4, 1.0F);
  const specdec::residual left(p, proposal::dense(same));
  EXPECT_TRUE(left.fell_back());
  EXPECT_EQ(left.probability(2), 0.25);
  EXPECT_EQ(left.draw(0.3), 1);
}

TEST(proposal, top_keeps_the_most_probable_and_ties_go_to_lower_ids) {
  const std::vector<float> logits{0, 3, -infinity, 3, 2, 3, 1};
  law pipeline(7, {});
  const auto q = pipeline.of(logits_row<float>(logits.data(), 7));
  std::vector<token_id> ids(2);
  std::vector<float> weights(2);
  const proposal two = q.propose_top(ids, weights);
  EXPECT_EQ(ids, (std::vector<token_id>{1, 3}));
  EXPECT_EQ(two.probability(1), 0.5);
  EXPECT_EQ(two.probability(5), 0.0);
  ids.resize(7);
  weights.resize(7);
  EXPECT_EQ(q.propose_top(ids, weights).ids().size(), 6U);  // the impossible one is left out
}

TEST(proposal, refuses_what_is_not_a_law) {
  using ids = std::vector<token_id>;
  using weights = std::vector<float>;
  const auto refused = [](auto make) {
    try {
      make();
      return std::string();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
  };
  EXPECT_NE(refused([] { proposal::point_mass(4, 4); }).find("token 4, outside a vocabulary of 4"), std::string::npos);
  EXPECT_NE(refused([] { proposal::point_mass(4, -1); }), "");
  EXPECT_NE(refused([] { proposal::sparse(4, ids{1}, weights{1, 2}); }).find("1 ids and 2 weights"), std::string::npos);
  EXPECT_NE(refused([] { proposal::sparse(4, ids{2, 1}, weights{1, 2}); }).find("ascending"), std::string::npos);
  EXPECT_NE(refused([] { proposal::sparse(4, ids{1, 1}, weights{1, 2}); }), "");
  EXPECT_NE(refused([] { proposal::sparse(4, ids{1, 2}, weights{-1, 2}); }).find("negative"), std::string::npos);
  EXPECT_NE(refused([] { proposal::sparse(4, ids{}, weights{}); }).find("sum from 1e-30 to 1e30"), std::string::npos);
  EXPECT_NE(refused([] { proposal::dense(weights{0, 0}); }), "");
  EXPECT_NE(refused([] { proposal::dense(weights{2, -1, 1}); }).find("negative"), std::string::npos);
  EXPECT_NE(refused([] { proposal::dense(weights{1e-42F, 3e-42F}); }).find("sum from 1e-30"), std::string::npos);
  EXPECT_NE(refused([] { proposal::sparse(4, ids{1}, weights{3e38F}); }), "");
  EXPECT_NE(refused([] { proposal::dense(weights{1, std::numeric_limits<float>::quiet_NaN()}); }), "");
  EXPECT_NE(refused([] { proposal::dense(weights{1, infinity}); }), "");
}

}  // namespace
