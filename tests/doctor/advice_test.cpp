// The advice on recordings of pairs that are known.

#include <gtest/gtest.h>
#include <advice.hpp>

#include <check.hpp>
#include <cstddef>
#include <report.hpp>
#include <specdec/theory.hpp>
#include <string>
#include <vector>

#include "recordings.hpp"

namespace {

using namespace doctor_test;
using doctor::advice;
using doctor::advise;
using doctor::limit;
using doctor::verdict;

/// The speed-up that a pair has, if its guesses are independent.
double truth(const pair& p, std::size_t gamma) {
  const auto n = static_cast<double>(gamma);
  const double round = n * p.draft_token + p.call * (1 + p.row * n) + p.verify;
  return specdec::theory::expected_tokens(p.alpha, gamma) * (p.call + p.verify) / round;
}

double best_truth(const pair& p) {
  double best = 1;
  for (std::size_t gamma = 1; gamma <= doctor::longest_draft; ++gamma) best = std::max(best, truth(p, gamma));
  return best;
}

bool mentions(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

const pair good{};
const pair bad{.alpha = 0.04, .draft_token = 3, .row = 0.05};
const pair expensive{.draft_token = 120};
const pair dear{.draft_token = 40};
const pair small_target{.draft_token = 1, .row = 0.9};

TEST(advice, finds_the_best_gamma) {
  for (const pair& p :
       {good, pair{.alpha = 0.9}, pair{.alpha = 0.5, .draft_token = 5}, pair{.alpha = 0.6, .row = 0.2}}) {
    const advice given = advise(recorded(p, 40, 20), 1);
    EXPECT_EQ(given.what, verdict::speculate);
    EXPECT_GT(truth(p, given.best), 0.97 * best_truth(p)) << given.best;
    EXPECT_NEAR(given.alpha, p.alpha, 0.05);
    for (const doctor::forecast& one : given.forecasts) {
      EXPECT_NEAR(one.speedup / truth(p, one.gamma), 1, 0.1) << one.gamma;
      EXPECT_LE(one.low, one.speedup);
      EXPECT_GE(one.high, one.speedup);
    }
  }
}

TEST(advice, refuses_a_bad_draft) {
  const advice given = advise(recorded(bad, 40, 20), 1);
  EXPECT_EQ(given.what, verdict::do_not);
  EXPECT_EQ(given.best, 0U);
  EXPECT_EQ(given.best_draft, 1U);
  EXPECT_EQ(given.limited_by, limit::acceptance);
  EXPECT_FALSE(given.hopeless);
  EXPECT_TRUE(mentions(verdict_in_words(given), "Do not speculate"));
  EXPECT_TRUE(mentions(remedy_in_words(given), "acceptance"));
}

TEST(advice, refuses_an_expensive_draft) {
  for (const std::size_t deepest : {4U, 16U}) {
    const advice given = advise(recorded(expensive, 20, 10, deepest), 1);
    EXPECT_EQ(given.what, verdict::do_not);
    EXPECT_EQ(given.best, 0U);
    EXPECT_EQ(given.limited_by, limit::draft_cost);
    EXPECT_TRUE(given.hopeless);
    EXPECT_LT(given.if_accepted, 1);
    EXPECT_TRUE(mentions(reasons_in_words(given), "not even if every guess was accepted"));
    EXPECT_TRUE(mentions(remedy_in_words(given), "draft's cost"));
  }
}

TEST(advice, names_what_limits) {
  const advice slow_draft = advise(recorded(dear, 20, 10), 1);
  EXPECT_EQ(slow_draft.what, verdict::do_not);
  EXPECT_EQ(slow_draft.limited_by, limit::draft_cost);
  EXPECT_FALSE(slow_draft.hopeless);

  const advice rows = advise(recorded(small_target, 20, 10), 1);
  EXPECT_EQ(rows.what, verdict::do_not);
  EXPECT_EQ(rows.limited_by, limit::row_cost);
  EXPECT_TRUE(mentions(remedy_in_words(rows), "scoring more than one token"));

  EXPECT_EQ(advise(recorded(good, 20, 10), 1).limited_by, limit::acceptance);
}

TEST(advice, says_what_would_be) {
  const advice given = advise(recorded(good, 60, 40), 1);
  // 17 tokens for a call of 17 rows and 16 guesses.
  EXPECT_NEAR(given.if_accepted, 17 * 50.1 / (16 * 0.5 + 50 * 1.48 + 0.1), 0.2);
  EXPECT_NEAR(given.if_draft_free, best_truth({.draft_token = 0}), 0.15);
  EXPECT_NEAR(given.if_rows_free, best_truth({.row = 0}), 0.2);
}

TEST(advice, has_bounds_that_hold) {
  std::size_t held = 0;
  constexpr std::size_t trials = 60;
  for (std::size_t seed = 1; seed <= trials; ++seed) {
    const advice given = advise(recorded(good, 14, 14, 8, seed), seed);
    const doctor::forecast& one = given.forecasts[4];
    held += one.low <= truth(good, 4) && truth(good, 4) <= one.high ? 1 : 0;
  }
  // 54 are expected; so few texts make them a little narrow.
  EXPECT_GE(held, 46U);
  EXPECT_LT(held, trials);
}

TEST(advice, is_surer_of_more) {
  const auto width = [](std::size_t texts, std::size_t cycles) {
    const doctor::forecast one = advise(recorded(good, texts, cycles), 1).forecasts[4];
    return one.high - one.low;
  };
  EXPECT_LT(width(160, 80), 0.6 * width(20, 10));
  EXPECT_GT(width(1, 10), 0.05);
}

TEST(advice, admits_what_it_cannot_tell) {
  // Worth 2 % in truth.
  pair close{.alpha = 0.5, .draft_token = 22, .row = 0.03};
  ASSERT_NEAR(truth(close, 1), 1.02, 0.01);
  const advice given = advise(recorded(close, 6, 10), 1);
  EXPECT_LT(given.forecasts[given.best_draft].low, 1);
  EXPECT_NE(given.what, verdict::speculate);
  const advice surer = advise(recorded(close, 3000, 60), 1);
  EXPECT_EQ(surer.what, verdict::speculate);
  EXPECT_EQ(surer.best, 1U);
}

TEST(advice, is_the_same_for_the_same_recording) {
  const doctor::recording found = recorded(good, 10, 10);
  const advice one = advise(found, 7), two = advise(found, 7);
  for (std::size_t i = 0; i < one.forecasts.size(); ++i) {
    EXPECT_EQ(one.forecasts[i].low, two.forecasts[i].low);
    EXPECT_EQ(one.forecasts[i].high, two.forecasts[i].high);
  }
}

TEST(advice, bears_the_least_recording) {
  doctor::recording least = recorded(good, 0, 1, 4);
  least.traces = {{fate::rejected}};
  const advice refused = advise(least, 1);
  EXPECT_EQ(refused.what, verdict::do_not);
  EXPECT_EQ(refused.alpha, 0);
  least.traces = {{fate::unjudged}};
  EXPECT_EQ(advise(least, 1).what, verdict::do_not);
  least.traces = {{fate::accepted, fate::accepted, fate::accepted, fate::accepted, fate::unjudged}};
  EXPECT_EQ(advise(least, 1).best, 4U);
}

TEST(advice, speaks_plainly) {
  const advice given = advise(recorded(good, 60, 40), 1);
  const std::string verdict = verdict_in_words(given);
  EXPECT_TRUE(mentions(verdict, "Speculate with gamma " + std::to_string(given.best) + ": expect 2.")) << verdict;
  EXPECT_TRUE(mentions(verdict, "with a probability of 90 %")) << verdict;
  const std::string reasons = reasons_in_words(given);
  EXPECT_TRUE(mentions(reasons, "accepts 70% of the guesses") || mentions(reasons, "accepts 69%") ||
              mentions(reasons, "accepts 71%"))
      << reasons;
  EXPECT_TRUE(mentions(reasons, "1% of a token without speculation")) << reasons;
}

TEST(check, compares_speeds_end_to_end) {
  // Gamma 3 is the fastest, at twice the speed of plain generation; others used the machine now and then.
  std::vector<std::vector<doctor::timed_run>> runs;
  for (const double pace : {1.0, 3.0, 1.0}) {
    std::vector<doctor::timed_run>& text = runs.emplace_back(doctor::longest_draft + 1);
    for (std::size_t gamma = 0; gamma < text.size(); ++gamma) text[gamma] = {pace * 10, 10, 10};
    text[3] = {pace * 5, 10, 5};
    text[2] = {pace * 8, 15, 5};
  }
  runs[0][3].seconds = 60;
  runs[1][0].seconds = 90;
  const doctor::check_result found = doctor::sum_up(runs, 2, 1);
  EXPECT_EQ(found.texts, 3U);
  EXPECT_EQ(found.fastest, 3U);
  EXPECT_NEAR(found.speeds[3].speedup, 2, 1e-12);
  EXPECT_LE(found.speeds[3].low, found.speeds[3].speedup);
  EXPECT_GE(found.speeds[3].high, found.speeds[3].speedup);
  EXPECT_NEAR(found.speeds[0].tokens_per_second, 1, 1e-12);
  EXPECT_NEAR(found.share_of_fastest, 1.875 / 2, 1e-12);
}

}  // namespace
