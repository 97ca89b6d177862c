// The drafter that looks up ends of the text: its rule, written out, and the law of the text.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <random>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <vector>

#include "counted_texts.hpp"
#include "drafted.hpp"
#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using counting::counted_texts;
using counting::end_of;
using drafting::drafted;
using drafting::tokens;
using drafting::without;
using specdec::generate_options;
using specdec::suffix_corpus;
using specdec::suffix_drafter;
using specdec::suffix_options;
using specdec::token_id;

constexpr double tolerance = 1e-12;

/// By the original's rule, which believes counts; where nothing else is said, for as many tokens as a match has.
suffix_drafter original(suffix_options options = {.max_spec_factor = 1}) {
  options.doubt = 0;
  return suffix_drafter(options);
}

TEST(suffix_drafter, follows_a_match_for_as_many_tokens_as_it_has) {
  EXPECT_EQ(drafted(original(), {1, 2, 3, 4, 5, 1, 2}), (tokens{3, 4}));
  EXPECT_EQ(drafted(original(), {1, 2, 3, 4, 5, 6, 7, 1, 2, 3}), (tokens{4, 5, 6}));
  EXPECT_EQ(drafted(original(), {1, 2, 3}), tokens{});
  EXPECT_EQ(drafted(original(), {1}), tokens{});
}

TEST(suffix_drafter, has_the_limits_of_its_options_and_of_the_request) {
  const tokens text{1, 2, 3, 4, 5, 6, 7, 8, 1, 2};
  EXPECT_EQ(drafted(original({.max_spec_factor = 0.5}), text), (tokens{3}));
  EXPECT_EQ(drafted(original({.max_spec_factor = 0.49}), text), tokens{});
  EXPECT_EQ(drafted(original({.max_spec_factor = 1.5, .max_spec_offset = 1.9}), text), (tokens{3, 4, 5, 6}));
  EXPECT_EQ(drafted(original({.max_spec_tokens = 3, .max_spec_factor = 9}), text), (tokens{3, 4, 5}));
  EXPECT_EQ(drafted(original({.max_spec_tokens = 0, .max_spec_factor = 1}), text), tokens{});
  EXPECT_EQ(drafted(original({.max_spec_factor = 9}), text, {.max_depth = 1}), (tokens{3}));
  EXPECT_EQ(drafted(original(), text, {.max_depth = 0}), tokens{});
  // Behind the match the text goes on to its end, and no further.
  EXPECT_EQ(drafted(original({.max_spec_factor = 9}), text), (tokens{3, 4, 5, 6, 7, 8, 1, 2}));
  constexpr std::size_t endless = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(drafted(original({.max_spec_tokens = endless, .max_spec_factor = 9}), text, {.max_depth = endless}),
            (tokens{3, 4, 5, 6, 7, 8, 1, 2}));
}

TEST(suffix_drafter, takes_what_came_most_often_and_of_equals_what_came_last) {
  EXPECT_EQ(drafted(original(), {1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2}), (tokens{3, 1}));
  EXPECT_EQ(drafted(original(), {1, 2, 3, 1, 2, 4, 1, 2}), (tokens{4, 1}));
}

TEST(suffix_drafter, stops_where_counts_make_a_token_improbable) {
  // Behind 1 2 come 3, 3, 4: what is drafted has probability 2/3, all of it.
  const tokens text{1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2};
  EXPECT_EQ(drafted(original({.max_spec_factor = 1, .min_token_prob = 0.66}), text), (tokens{3, 1}));
  EXPECT_EQ(drafted(original({.max_spec_factor = 1, .min_token_prob = 0.67}), text), tokens{});
  // Behind 1 comes 2 for certain, behind 1 2 one of three that came once: 1 and 1/3.
  EXPECT_EQ(drafted(original({.max_spec_factor = 5, .min_token_prob = 0.34}), {1, 2, 3, 1, 2, 4, 1, 2, 5, 1}),
            (tokens{2}));
  EXPECT_EQ(drafted(original({.max_spec_factor = 2, .min_token_prob = 0.33}), {1, 2, 3, 1, 2, 4, 1, 2, 5, 1}),
            (tokens{2, 5}));
}

TEST(suffix_drafter, doubts_a_match_the_less_the_longer_it_is) {
  const tokens text{1, 2, 3, 4, 5, 6, 7, 8, 1, 2};
  EXPECT_EQ(drafted(suffix_drafter(), text), (tokens{3, 4, 5, 6, 7, 8, 1, 2}));
  // Behind two tokens 3/4, 3/5, 3/6, 3/7: behind three 4/5, 4/6, 4/7, 4/8, 4/9.
  EXPECT_EQ(drafted(suffix_drafter({.min_token_prob = 0.49}), text), (tokens{3, 4, 5}));
  EXPECT_EQ(drafted(suffix_drafter({.min_token_prob = 0.49}), {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2}), (tokens{3, 4, 5, 6}));
  // 3/5, 3/5 * 4/6, and times 5/7.
  EXPECT_EQ(drafted(suffix_drafter({.doubt = 2, .min_token_prob = 0.39}), text), (tokens{3, 4}));
  EXPECT_EQ(drafted(suffix_drafter({.doubt = 2, .min_token_prob = 0.41}), text), (tokens{3}));
  // Behind one token only, and what came there once of two times: 2/3 * 1/2.
  EXPECT_EQ(drafted(suffix_drafter({.min_token_prob = 0.33}), {1, 3, 1, 4, 1}), (tokens{4}));
  EXPECT_EQ(drafted(suffix_drafter({.min_token_prob = 0.34}), {1, 3, 1, 4, 1}), tokens{});
}

// What an unlikely end of a long match would bring is weighed against the likely end of a short one.
TEST(suffix_drafter, prefers_a_short_match_to_a_long_one_that_was_seldom_followed_so) {
  // Behind 1 2 three others came once each: (1/3) 3/4. Behind 2, five times of eight, 7: (5/8) 2/3.
  const tokens text{1, 2, 3, 1, 2, 4, 1, 2, 5, 2, 7, 2, 7, 2, 7, 2, 7, 2, 7, 1, 2};
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_tokens = 1}), text), (tokens{7}));
}

TEST(suffix_drafter, drafts_nothing_that_is_expected_to_fail) {
  const tokens text{1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2};  // score 4/3
  EXPECT_EQ(drafted(original({.max_spec_factor = 1, .min_score = 1.33}), text), (tokens{3, 1}));
  EXPECT_EQ(drafted(original({.max_spec_factor = 1, .min_score = 1.34}), text), tokens{});
}

TEST(suffix_drafter, takes_the_match_of_highest_score_and_of_equals_the_longest) {
  // Behind 1 1 1 1 1 stands one token more, behind 1 1 1 three.
  EXPECT_EQ(drafted(original(), {1, 1, 1, 1, 1, 1}), (tokens{1, 1, 1}));
  // 3 1 2 came once, before 7 8 9; 1 2 three times, before 4 5 twice.
  EXPECT_EQ(drafted(original(), {1, 2, 4, 5, 0, 1, 2, 4, 5, 3, 1, 2, 7, 8, 9, 3, 1, 2}), (tokens{7, 8, 9}));
  EXPECT_EQ(
      drafted(original({.max_spec_tokens = 1, .max_spec_factor = 1}), {1, 2, 4, 0, 1, 2, 4, 3, 1, 2, 7, 8, 3, 1, 2}),
      (tokens{7}));
}

TEST(suffix_drafter, ends_behind_an_end_token_and_before_a_forbidden_one) {
  const tokens text{1, 2, 3, 9, 4, 1, 2};
  const suffix_options far{.max_spec_factor = 9};
  EXPECT_EQ(drafted(original(far), text), (tokens{3, 9, 4, 1, 2}));
  EXPECT_EQ(drafted(original(far), text, {.ends = {{9}}}), (tokens{3, 9}));
  EXPECT_EQ(drafted(original(far), text, {.ends = {{9}, 100}}), (tokens{3}));
}

TEST(suffix_drafter, passes_over_matches_before_a_forbidden_token) {
  const suffix_options far{.max_spec_factor = 9};
  EXPECT_EQ(drafted(original(far), {1, 2, 3, 9, 4, 1, 2}, {.mask = without{9}}), (tokens{3}));
  // Behind 1 2 came 9, behind another 2 came 5 6, more often.
  const tokens text{2, 5, 6, 2, 5, 6, 1, 2, 9, 1, 2};
  EXPECT_EQ(drafted(original(), text), (tokens{9, 1}));
  EXPECT_EQ(drafted(original(), text, {.mask = without{9}}), (tokens{5}));
}

TEST(suffix_drafter, refuses_parameters_out_of_range) {
  EXPECT_THROW(suffix_drafter({.max_spec_factor = -1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.max_spec_offset = -1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.doubt = -1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.min_token_prob = -0.1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.min_score = std::numeric_limits<double>::infinity()}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.max_depth = 1}), std::invalid_argument);
}

struct reference_chain {
  tokens drafted = {};
  std::size_t match = 0;
  double score = 0;
};

/// Every end of the text, longest first, followed through what came behind it.
reference_chain reference_draft(const counted_texts& texts, const tokens& text, const suffix_options& options) {
  reference_chain best;
  for (std::size_t size = std::min(text.size(), options.max_depth - 1); size > 0; --size) {
    tokens at = end_of(text, size);
    const double product = options.max_spec_factor * static_cast<double>(size);
    const std::size_t limit =
        std::min(options.max_spec_tokens, static_cast<std::size_t>(product + options.max_spec_offset));
    reference_chain found{.match = size};
    double probability = 1;
    while (found.drafted.size() < limit) {
      const auto [token, often] = texts.likeliest(at);
      if (token < 0) break;
      const auto right = static_cast<double>(size + found.drafted.size() + 1);
      probability = probability * (static_cast<double>(often) / static_cast<double>(texts.continuations(at))) *
                    (right / (right + options.doubt));
      if (probability < options.min_token_prob) break;
      found.score += probability;
      found.drafted.push_back(token);
      at.push_back(token);
      if (at.size() >= options.max_depth) at.erase(at.begin());
    }
    if (found.score > best.score) best = found;
  }
  return best;
}

TEST(suffix_drafter, agrees_with_the_rule_on_random_texts) {
  std::mt19937 engine(5);
  std::size_t tokens_in_all = 0;
  for (int round = 0; round < 300; ++round) {
    const suffix_options options{.max_spec_tokens = 1 + engine() % 8,
                                 .max_spec_factor = 0.5 * static_cast<double>(engine() % 6),
                                 .max_spec_offset = static_cast<double>(engine() % 3),
                                 .doubt = 0.5 * static_cast<double>(engine() % 4),
                                 .min_token_prob = 0.1 * static_cast<double>(engine() % 5),
                                 .max_depth = 2 + engine() % 7};
    suffix_drafter drafter(options);
    counted_texts all;
    const std::size_t vocab_size = 2 + engine() % 4;
    for (int i = 0; i < 30; ++i) {
      all.texts.back().push_back(static_cast<token_id>(engine() % vocab_size));
      const tokens found = drafted(drafter, all.texts.back());
      ASSERT_EQ(found, reference_draft(all, all.texts.back(), options).drafted) << "round " << round << ", token " << i;
      tokens_in_all += found.size();
    }
  }
  EXPECT_GT(tokens_in_all, 10000U);
}

TEST(suffix_drafter, agrees_with_the_rule_in_a_corpus) {
  std::mt19937 engine(6);
  std::size_t from_corpus = 0;
  for (int round = 0; round < 200; ++round) {
    const suffix_options options{.max_spec_tokens = 6, .max_spec_factor = 2, .max_depth = 6};
    suffix_corpus corpus(10, 1000, options.max_depth);
    counted_texts earlier;
    for (int i = 0; i < 3; ++i) {
      for (int t = 0; t < 20; ++t) earlier.texts.back().push_back(static_cast<token_id>(engine() % 4));
      corpus.add(earlier.texts.back());
      earlier.texts.emplace_back();
    }
    suffix_drafter drafter(corpus, options);
    EXPECT_EQ(drafter.vocab_size(), 10U);
    counted_texts own;
    for (int t = 0; t < 15; ++t) {
      own.texts.back().push_back(static_cast<token_id>(engine() % 4));
      const auto in_text = reference_draft(own, own.texts.back(), options);
      const auto in_corpus = reference_draft(earlier, own.texts.back(), options);
      const bool corpus_is_better =
          in_corpus.score > in_text.score || (in_corpus.score == in_text.score && in_corpus.match > in_text.match);
      ASSERT_EQ(drafted(drafter, own.texts.back()), corpus_is_better ? in_corpus.drafted : in_text.drafted);
      from_corpus += corpus_is_better ? 1 : 0;
    }
  }
  EXPECT_GT(from_corpus, 500U);
}

TEST(suffix_drafter, drafts_the_same_whatever_it_was_asked_before) {
  std::mt19937 engine(7);
  suffix_corpus corpus(10, 300, 8);
  const suffix_options options{.max_spec_factor = 2, .max_depth = 8};
  suffix_drafter seasoned(corpus, options);
  std::vector<tokens> texts(3, tokens{1});
  std::size_t drafts = 0;
  for (std::uint32_t round = 0; round < 600; ++round) {
    tokens& text = texts[engine() % texts.size()];
    switch (engine() % 12) {
      case 0:  // another prompt
        text.assign(1 + engine() % 5, static_cast<token_id>(engine() % 4));
        break;
      case 1:  // back in the text
        text.resize(1 + engine() % text.size());
        break;
      case 2:
        corpus.add(text);
        break;
      case 3:  // as long as before, but another text
        text.front() = static_cast<token_id>(engine() % 4);
        break;
      default:
        for (std::size_t i = engine() % 20; i > 0; --i) text.push_back(static_cast<token_id>(engine() % 4));
    }
    const tokens found = drafted(seasoned, text, {.round = round});
    ASSERT_EQ(found, drafted(suffix_drafter(corpus, options), text)) << "round " << round;
    ASSERT_EQ(found, drafted(seasoned, text, {.round = round}));
    drafts += found.empty() ? 0 : 1;
  }
  EXPECT_GT(drafts, 400U);
}

// Whether a round fails depends on its noise, which it meets again when it is begun again.
TEST(suffix_drafter, drafts_a_round_that_is_begun_again_as_before_though_the_corpus_has_grown) {
  suffix_corpus corpus(10, 300);
  corpus.add(tokens{2, 3, 0, 0, 0});
  suffix_drafter drafter(corpus);
  const tokens text{2, 3};
  const tokens first = drafted(drafter, text, {.round = 5});
  ASSERT_EQ(first, (tokens{0, 0, 0}));
  for (int i = 0; i < 2; ++i) corpus.add(tokens{2, 3, 1, 1, 1});
  EXPECT_EQ(drafted(drafter, text, {.round = 5}), first);
  EXPECT_EQ(drafted(drafter, text, {.round = 6}), (tokens{1, 1, 1}));
}

TEST(suffix_drafter, conforms) {
  suffix_drafter drafter;
  const auto report = testing::check_drafter(drafter, 10);
  EXPECT_TRUE(report.conforming()) << report.text();
}

TEST(suffix_drafter, is_lossless) {
  for (const double temperature : {0.0, 1.0}) {
    for (const std::size_t vocab_size : {2U, 3U}) {
      const auto p = laws::hashed(vocab_size, 5, 0.6);
      const auto found = testing::enumerate(vocab_size, {0, 1, 0, 0, 1}, p, laws::at_temperature(p, temperature),
                                            [] { return suffix_drafter({.max_spec_tokens = 3, .max_spec_factor = 2}); },
                                            specdec::rejection{}, generate_options{.sampling = {temperature}}, {3, 4});
      EXPECT_LT(found.total_variation(), tolerance);
      EXPECT_GT(found.expected_accepted, 0);
    }
  }
}

TEST(suffix_drafter, is_lossless_with_a_corpus) {
  const auto p = laws::hashed(3, 6, 0.6);
  suffix_corpus corpus(3, 100);
  corpus.add(tokens{0, 1, 2, 2, 1, 0, 1, 1});
  for (const bool blocks : {false, true}) {
    const auto make = [&] { return suffix_drafter(corpus, {.max_spec_tokens = 3, .max_spec_factor = 3}); };
    const auto found =
        blocks ? testing::enumerate(3, {0, 1}, p, p, make, specdec::block_verification{}, generate_options{}, {2, 5})
               : testing::enumerate(3, {0, 1}, p, p, make, specdec::rejection{}, generate_options{}, {2, 5});
    EXPECT_LT(found.total_variation(), tolerance);
    EXPECT_GT(found.expected_accepted, 0);
  }
}

// A deterministic draft x_1 .. x_n: expected to be accepted is the sum of p(x_1) .. p(x_i) over all i.
TEST(suffix_drafter, is_accepted_as_often_as_the_target_chooses_its_tokens) {
  const auto found = testing::enumerate(3, {0, 1, 2, 0, 1}, laws::fixed({0.5, 0.3, 0.2}), laws::fixed({0.5, 0.3, 0.2}),
                                        [] { return original(); }, specdec::rejection{}, generate_options{}, {1, 3});
  // It drafts 2 0.
  EXPECT_NEAR(found.expected_accepted, 0.2 + 0.2 * 0.5, tolerance);
}

}  // namespace
