// Costs from times that others disturb.

#include <gtest/gtest.h>

#include <cmath>
#include <cost_curve.hpp>
#include <cstddef>
#include <random>
#include <vector>

#include "recordings.hpp"

namespace {

using namespace doctor_test;
using doctor::cost_curve_of;
using doctor::rising;
using doctor::typical_rows;

TEST(cost_curve, sees_through_a_machine_whose_speed_changes) {
  const std::vector<double> rows{1, 2, 3, 5};
  std::vector<std::vector<double>> times;
  for (const double speed : {1.0, 4.0, 1.0, 0.5, 2.0}) {
    std::vector<double>& column = times.emplace_back();
    for (const double row : rows) column.push_back(row * speed);
  }
  // Single disturbances, one of them in every row.
  times[0][1] = 90;
  times[1][3] = 70;
  times[2][0] = 80;
  times[4][2] = 60;
  const std::vector<double> typical = typical_rows(times);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(typical[i] / typical[0], rows[i], 1e-9) << i;
  EXPECT_NEAR(typical[0], 1, 1e-9);
}

TEST(cost_curve, never_falls) {
  EXPECT_EQ(rising({1, 2, 3}), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(rising({3, 2, 1}), (std::vector<double>{2, 2, 2}));
  EXPECT_EQ(rising({1, 4, 2, 3, 6}), (std::vector<double>{1, 3, 3, 3, 6}));
  EXPECT_TRUE(rising({}).empty());
}

TEST(cost_curve, finds_the_parts) {
  const pair known{.draft_token = 2, .call = 40, .row = 0.05, .verify = 0.3};
  const doctor::cost_curve found = cost_curve_of(recorded(known, 0, 30).cycles);
  ASSERT_EQ(found.target.size(), doctor::longest_draft + 1);
  for (std::size_t gamma = 1; gamma <= doctor::longest_draft; ++gamma) {
    const auto n = static_cast<double>(gamma);
    EXPECT_NEAR(found.draft[gamma] / found.draft[1], n, 0.05 * n);
    EXPECT_NEAR(found.target[gamma] / found.target[0], 1 + 0.05 * n, 0.02);
    EXPECT_NEAR(found.draft[gamma] / found.target[gamma], 2 * n / (40 * (1 + 0.05 * n)), 0.01 * n);
    EXPECT_NEAR(found.verify[gamma] / found.verify[0], 1, 0.05);
  }
}

TEST(cost_curve, takes_one_cycle) {
  const doctor::cost_curve found = cost_curve_of(recorded({.noise = 0, .drift = 0}, 0, 1, 2).cycles);
  EXPECT_NEAR(found.target[0], 0.050, 1e-9);
  EXPECT_NEAR(found.target[2], 0.053, 1e-9);
  EXPECT_NEAR(found.draft[2], 0.001, 1e-9);
}

}  // namespace
