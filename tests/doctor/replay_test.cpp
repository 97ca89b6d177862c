// Rounds replayed over what one run recorded.

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <replay.hpp>
#include <specdec/theory.hpp>
#include <vector>

#include "recordings.hpp"

namespace {

using namespace doctor_test;
using doctor::replay;
using doctor::tally;

constexpr auto yes = fate::accepted;
constexpr auto no = fate::rejected;
constexpr auto unknown = fate::unjudged;

double tokens_of(const tally& found, std::size_t gamma) {
  return specdec::theory::expected_tokens(found.survival(), gamma);
}

TEST(replay, counts_the_rounds_of_a_short_text) {
  const trace text{yes, yes, yes, no, no, yes, no};
  const tally none = replay(text, 0, 0);
  EXPECT_EQ(none.rounds, 7);
  EXPECT_TRUE(none.accepted_at.empty());
  // The third token and the fourth are a round, for the target adds the fourth whatever the draft makes of it.
  const tally one = replay(text, 1, 0);
  EXPECT_EQ(one.rounds, 4);
  EXPECT_EQ(one.accepted_at, (std::vector<double>{3}));
  const tally two = replay(text, 2, 0);
  EXPECT_EQ(two.rounds, 4);
  EXPECT_EQ(two.accepted_at, (std::vector<double>{2, 1}));
  const tally many = replay(text, 16, 0);
  EXPECT_EQ(many.rounds, 3);
  EXPECT_EQ(many.accepted_at[0], 2);
  EXPECT_EQ(many.accepted_at[1], 1);
  EXPECT_EQ(many.accepted_at[2], 1);
  EXPECT_EQ(many.accepted_at[3], 0);
}

TEST(replay, weighs_what_nobody_judged) {
  // Drafts of two: a whole one and its unjudged token, then a rejected guess.
  const trace text{yes, yes, unknown, no};
  EXPECT_EQ(replay(text, 2, 0.5).rounds, 2);
  // As one stretch of three it is one round of four tokens with gamma 3; broken, two.
  EXPECT_DOUBLE_EQ(replay(text, 3, 1).rounds, 1);
  EXPECT_DOUBLE_EQ(replay(text, 3, 0).rounds, 2);
  EXPECT_DOUBLE_EQ(replay(text, 3, 0.25).rounds, 1.75);
  EXPECT_DOUBLE_EQ(replay(text, 3, 0.25).accepted_at[2], 0.25);
}

TEST(replay, gives_the_rounds_that_recorded_it) {
  std::mt19937_64 random(3);
  const trace text = traced(guesses_of(0.8, 0.3, 4000, random), 6);
  double rounds = 0;
  std::size_t run = 0;
  for (const fate guess : text) {
    run = guess == yes ? run + 1 : 0;
    if (guess != yes) rounds += 1;
  }
  EXPECT_DOUBLE_EQ(replay(text, 6, 0.9).rounds, rounds);
  EXPECT_DOUBLE_EQ(replay(text, 6, 0.1).rounds, rounds);
  EXPECT_NEAR(tokens_of(replay(text, 6, 0.5), 6) * rounds, static_cast<double>(text.size()), 1e-6);
}

TEST(replay, agrees_with_theory_where_guesses_are_independent) {
  std::mt19937_64 random(5);
  const std::vector<bool> right = guesses_of(0.7, 0, 200'000, random);
  const trace text = traced(right, doctor::longest_draft);
  for (std::size_t gamma = 0; gamma <= doctor::longest_draft; ++gamma) {
    const double expected = specdec::theory::expected_tokens(0.7, gamma);
    EXPECT_NEAR(tokens_of(replay(text, gamma, 0.7), gamma) / expected, 1, 0.01) << gamma;
  }
}

TEST(replay, knows_where_short_drafts_begin_where_guesses_come_in_stretches) {
  std::mt19937_64 random(7);
  const std::vector<bool> right = guesses_of(0.5, 0.7, 200'000, random);
  const trace text = traced(right, doctor::longest_draft);
  const std::vector<trace> all{text};
  const double unjudged = doctor::acceptance_behind(all, 8).rate();
  EXPECT_NEAR(unjudged, 0.85, 0.02);
  const std::vector<double> cut_short = replay(text, doctor::longest_draft, unjudged).survival();
  for (const std::size_t gamma : {1U, 2U, 4U, 8U}) {
    const double expected = tokens_per_round(right, gamma);
    EXPECT_NEAR(tokens_of(replay(text, gamma, unjudged), gamma) / expected, 1, 0.01) << gamma;
    // The long run's own survival would mislead: its rounds begin behind a guess that was wrong.
    EXPECT_LT(specdec::theory::expected_tokens(cut_short, gamma) / expected, 0.95) << gamma;
  }
}

TEST(replay, counts_what_breaks_off_inside_a_round_in_part) {
  const trace text{yes, yes, yes};
  EXPECT_DOUBLE_EQ(replay(text, 3, 0).rounds, 0.75);
  EXPECT_DOUBLE_EQ(tokens_of(replay(text, 3, 0), 3), 5);
  EXPECT_EQ(replay({}, 3, 0).rounds, 0);
  EXPECT_EQ(replay({}, 3, 0).survival(), (std::vector<double>{0, 0, 0}));
}

}  // namespace
