// Drafting by looking up the last tokens, as Hugging Face has it.

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <vector>

#include "drafted.hpp"
#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using drafting::drafted;
using drafting::tokens;
using drafting::without;
using specdec::generate_options;
using specdec::prompt_lookup;
using specdec::token_id;

constexpr double tolerance = 1e-12;

TEST(prompt_lookup, proposes_what_followed_the_last_two_tokens) {
  EXPECT_EQ(drafted(prompt_lookup{}, {7, 1, 2, 3, 4, 1, 2}), (tokens{3, 4, 1, 2}));
}

TEST(prompt_lookup, takes_the_leftmost_place) {
  EXPECT_EQ(drafted(prompt_lookup{.num_output_tokens = 1}, {1, 2, 3, 1, 2, 4, 1, 2, 5, 1, 2}), (tokens{3}));
}

TEST(prompt_lookup, prefers_a_longer_match_to_an_earlier_one) {
  EXPECT_EQ(drafted(prompt_lookup{.num_output_tokens = 1}, {2, 8, 1, 2, 3, 1, 2}), (tokens{3}));
  EXPECT_EQ(drafted(prompt_lookup{1, 1}, {2, 8, 1, 2, 3, 1, 2}), (tokens{8}));
  EXPECT_EQ(drafted(prompt_lookup{1, 3}, {1, 2, 5, 4, 1, 2, 6, 4, 1, 2}), (tokens{6}));
}

TEST(prompt_lookup, goes_down_to_one_token) {
  EXPECT_EQ(drafted(prompt_lookup{}, {2, 5, 6, 1, 2}), (tokens{5, 6, 1, 2}));
  EXPECT_EQ(drafted(prompt_lookup{}, {1, 2, 3}), tokens{});
  EXPECT_EQ(drafted(prompt_lookup{}, {1}), tokens{});
}

// The place may overlap the n-gram itself, as long as something follows it.
TEST(prompt_lookup, finds_places_that_overlap_the_end) {
  EXPECT_EQ(drafted(prompt_lookup{}, {3, 3, 3}), (tokens{3}));
  EXPECT_EQ(drafted(prompt_lookup{}, {3, 3}), (tokens{3}));
  EXPECT_EQ(drafted(prompt_lookup{2, 5}, {1, 2, 1, 2, 1, 2}), (tokens{1, 2}));
}

TEST(prompt_lookup, proposes_ten_tokens_at_most_and_no_more_than_asked_for) {
  tokens text{1, 2};
  for (int i = 0; i < 20; ++i) text.push_back(3 + i % 5);
  text.insert(text.end(), {1, 2});
  EXPECT_EQ(drafted(prompt_lookup{}, text).size(), 10U);
  EXPECT_EQ(drafted(prompt_lookup{}, text, {.max_depth = 3}), (tokens{3, 4, 5}));
  EXPECT_EQ(drafted(prompt_lookup{}, text, {.max_depth = 0}), tokens{});
  EXPECT_EQ(drafted(prompt_lookup{0, 2}, text), tokens{});
  EXPECT_EQ(drafted(prompt_lookup{10, 0}, text), tokens{});
}

TEST(prompt_lookup, goes_as_far_as_the_text_where_nothing_else_bounds_it) {
  constexpr std::size_t endless = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(drafted(prompt_lookup{endless, endless}, {1, 2, 3, 4, 1, 2}, {.max_depth = endless}), (tokens{3, 4, 1, 2}));
}

TEST(prompt_lookup, ends_before_an_end_token) {
  const tokens text{1, 2, 3, 9, 4, 1, 2};
  EXPECT_EQ(drafted(prompt_lookup{}, text, {.ends = {{9}}}), (tokens{3}));
  // A place where it comes at once is the one, although there are others.
  EXPECT_EQ(drafted(prompt_lookup{}, {1, 2, 9, 1, 2, 3, 1, 2}, {.ends = {{9}}}), tokens{});
}

TEST(prompt_lookup, ends_before_a_forbidden_token_or_tries_the_next_place) {
  EXPECT_EQ(drafted(prompt_lookup{}, {1, 2, 3, 9, 4, 1, 2}, {.mask = without{9}}), (tokens{3}));
  EXPECT_EQ(drafted(prompt_lookup{2}, {1, 2, 9, 1, 2, 3, 1, 2}, {.mask = without{9}}), (tokens{3, 1}));
  EXPECT_EQ(drafted(prompt_lookup{2}, {2, 5, 1, 2, 9, 1, 2}, {.mask = without{9}}), (tokens{5, 1}));
  EXPECT_EQ(drafted(prompt_lookup{2}, {1, 2, 9, 1, 2, 3, 1, 2}, {.ends = {{9}, 100}}), (tokens{3, 1}));
}

TEST(prompt_lookup, is_lossless) {
  for (const double temperature : {0.0, 1.0}) {
    for (const std::size_t vocab_size : {2U, 3U}) {
      const auto p = laws::hashed(vocab_size, 5, 0.6);
      const auto found = testing::enumerate(vocab_size, {0, 1, 0, 0, 1}, p, laws::at_temperature(p, temperature),
                                            [] {
                                              return prompt_lookup{2, 2};
                                            },
                                            specdec::rejection{}, {.sampling = {temperature}}, {4, 4});
      EXPECT_LT(found.total_variation(), tolerance);
      EXPECT_GT(found.expected_accepted, 0.05);
    }
  }
}

TEST(prompt_lookup, writes_a_repetition_in_few_calls) {
  // The target repeats what it wrote seven tokens ago.
  const auto repeating = [](laws::text_view text) {
    laws::probabilities p(10, 0.0);
    p[static_cast<std::size_t>(text[text.size() - 7])] = 1;
    return p;
  };
  testing::law_model target(10, repeating);
  prompt_lookup drafter;
  const tokens prompt{1, 2, 3, 4, 5, 6, 7, 1, 2};
  const auto result = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 88});
  EXPECT_EQ(result.stats.accepted, result.stats.proposed);
  EXPECT_LE(result.stats.rounds, 11U);
}

}  // namespace
