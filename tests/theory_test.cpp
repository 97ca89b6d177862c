#include <gtest/gtest.h>

#include <specdec/theory.hpp>
#include <stdexcept>
#include <vector>

namespace {

namespace theory = specdec::theory;

// Leviathan et al. 2023, table 1: alpha, gamma, operations and speed at c = 0.
TEST(theory, table_1) {
  struct row {
    double alpha;
    std::size_t gamma;
    double operations, speed;
  };
  for (const row& r : {row{.6, 2, 1.53, 1.96}, row{.7, 3, 1.58, 2.53}, row{.8, 2, 1.23, 2.44}, row{.8, 5, 1.63, 3.69},
                       row{.9, 2, 1.11, 2.71}, row{.9, 10, 1.60, 6.86}}) {
    EXPECT_NEAR(theory::operations_factor(r.alpha, r.gamma, 0), r.operations, 0.005);
    EXPECT_NEAR(theory::speedup(r.alpha, r.gamma, 0), r.speed, 0.005);
  }
}

// Tables 2 and 4 again: the paper's gamma is never far from the best.
TEST(theory, the_best_gamma_of_tables_2_and_4) {
  struct row {
    std::size_t printed;
    double alpha, c;
    std::size_t best;
  };
  for (const row& r : {row{7, .75, .02, 9}, row{7, .80, .04, 9}, row{7, .82, .11, 6}, row{7, .62, .02, 6},
                       row{5, .68, .04, 6}, row{3, .71, .11, 4}, row{5, .65, .02, 7}, row{5, .73, .04, 7},
                       row{3, .74, .11, 4}, row{5, .53, .02, 5}, row{3, .55, .04, 4}, row{3, .56, .11, 3}}) {
    const std::size_t best = theory::best_gamma(r.alpha, r.c);
    EXPECT_EQ(best, r.best) << r.alpha << " " << r.c;
    for (std::size_t gamma = 0; gamma <= 64; ++gamma) {
      EXPECT_LE(theory::speedup(r.alpha, gamma, r.c), theory::speedup(r.alpha, best, r.c));
    }
    EXPECT_LT(theory::speedup(r.alpha, best, r.c) / theory::speedup(r.alpha, r.printed, r.c), 1.03);
  }
}

// Table 5, what lenience 1, 0.5, 0.3 and 0.1 gain. Of the greedy form the paper's 3.3, 3.3, 3.9 and 4.9 at gamma 8
// follow from its alphas; of the sampled form its 2.5, 3.1, 3.6 and 5 do not, whatever the gamma.
TEST(theory, table_5) {
  const double greedy_alpha[] = {.75, .75, .80, .87};
  const double greedy_speed[] = {3.3, 3.3, 3.9, 4.9};
  const double sampled_alpha[] = {.62, .71, .76, .84};
  const double sampled_speed[] = {2.33, 2.94, 3.45, 4.79};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(theory::speedup(greedy_alpha[i], 8, .015), greedy_speed[i], 0.05);
    EXPECT_NEAR(theory::speedup(sampled_alpha[i], theory::best_gamma(sampled_alpha[i], .015), .015), sampled_speed[i],
                0.005);
  }
}

// Section 4.2: a bigram draft with alpha 0.2 that costs nothing gains a quarter, the limit of 1 / (1 - alpha).
TEST(theory, a_free_draft) { EXPECT_NEAR(theory::speedup(.2, theory::best_gamma(.2, 0), 0), 1.25, 1e-9); }

// Tables 2 and 4, T5-XXL: gamma, alpha and c as printed, expected speed-up as printed to one digit. Alpha and c are
// themselves rounded to two digits, so the tolerance is that of one printed digit and a little more.
TEST(theory, tables_2_and_4) {
  struct row {
    std::size_t gamma;
    double alpha, c, expected;
  };
  for (const row& r : {row{7, .75, .02, 3.2}, row{7, .80, .04, 3.3}, row{7, .82, .11, 2.5}, row{7, .62, .02, 2.3},
                       row{5, .68, .04, 2.4}, row{3, .71, .11, 2.0}, row{5, .65, .02, 2.4}, row{5, .73, .04, 2.6},
                       row{3, .74, .11, 2.0}, row{5, .53, .02, 1.9}, row{3, .55, .04, 1.8}, row{3, .56, .11, 1.6}}) {
    EXPECT_NEAR(theory::speedup(r.alpha, r.gamma, r.c), r.expected, 0.075) << r.alpha << " " << r.gamma;
  }
}

TEST(theory, corollary_3_9) {
  for (const double alpha : {0.3, 0.6, 0.9}) {
    for (const double c : {0.01, 0.1, 0.5, 0.95}) {
      const std::size_t best = theory::best_gamma(alpha, c);
      EXPECT_EQ(best > 0, alpha > c) << "some gamma helps if and only if alpha exceeds c";
      if (alpha > c) {
        EXPECT_GE(theory::speedup(alpha, best, c), (1 + alpha) / (1 + c));
      }
    }
  }
}

TEST(theory, ends_of_the_range) {
  EXPECT_EQ(theory::expected_tokens(0.0, 7), 1);
  EXPECT_EQ(theory::expected_tokens(1.0, 7), 8);
  EXPECT_EQ(theory::expected_tokens(0.5, 0), 1);
}

TEST(theory, acceptance_rate_is_one_less_total_variation) {
  const std::vector<double> p{.5, .3, .2};
  const std::vector<double> q{.2, .3, .5};
  EXPECT_NEAR(theory::acceptance_rate(p, q), 0.7, 1e-15);
  EXPECT_THROW((void)theory::acceptance_rate(p, std::vector<double>{1.0}), std::invalid_argument);
}

TEST(theory, measured_costs) {
  const std::vector<double> survival{.8, .6, .5};
  const std::vector<double> target{10, 11, 12, 20};
  const theory::round_costs costs{1, target, 0.5};
  EXPECT_NEAR(theory::throughput(survival, 2, costs), 2.4 / 14.5, 1e-15);
  EXPECT_NEAR(theory::speedup(survival, 2, costs), 2.4 / 14.5 * 10.5, 1e-14);
  EXPECT_EQ(theory::best_gamma(survival, costs), 2U);
  EXPECT_EQ(theory::best_gamma(survival, theory::round_costs{20, target, 0}), 0U);
  // With free scoring and independent acceptances it is theorem 3.8.
  const std::vector<double> geometric{.7, .49, .343};
  const std::vector<double> flat(4, 10.0);
  EXPECT_NEAR(theory::speedup(geometric, 3, {2, flat, 0}), theory::speedup(.7, 3, 0.2), 1e-14);
}

}  // namespace
