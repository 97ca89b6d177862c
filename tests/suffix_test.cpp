// Suffix automata against counting by hand, and the drafter that reads them against SuffixDecoding's rule.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::generate_options;
using specdec::suffix_automaton;
using specdec::suffix_corpus;
using specdec::suffix_drafter;
using specdec::suffix_options;
using specdec::token_id;
using tokens = std::vector<token_id>;

constexpr double tolerance = 1e-12;

// --- What an automaton must know, counted by looking everywhere
// -------------------------------------------------------

/// Several texts, the last of them under way.
struct counted_texts {
  std::vector<tokens> texts{{}};

  /// Where a string ends: text, and place behind its last token.
  [[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> ends_of(const tokens& w) const {
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (std::size_t t = 0; t < texts.size(); ++t) {
      for (std::size_t at = 0; at + w.size() <= texts[t].size(); ++at) {
        if (std::equal(w.begin(), w.end(), texts[t].begin() + static_cast<std::ptrdiff_t>(at))) {
          found.emplace_back(t, at + w.size());
        }
      }
    }
    return found;
  }
  [[nodiscard]] std::size_t count(const tokens& w) const { return ends_of(w).size(); }
  [[nodiscard]] std::size_t continuations(const tokens& w) const {
    std::size_t found = 0;
    for (const auto& [text, end] : ends_of(w)) found += text + 1 < texts.size() || end < texts[text].size() ? 1 : 0;
    return found;
  }
  /// What follows most often, of equals what did so last, and how often; -1 and 0 if nothing does.
  [[nodiscard]] std::pair<token_id, std::size_t> likeliest(const tokens& w) const {
    std::map<token_id, std::pair<std::size_t, std::size_t>> followers;  // how often, and the last time
    std::size_t time = 0;
    for (const auto& [text, end] : ends_of(w)) {
      ++time;
      if (end == texts[text].size()) continue;
      auto& [often, last] = followers[texts[text][end]];
      ++often;
      last = time;
    }
    std::pair<token_id, std::size_t> best{-1, 0};
    std::size_t last = 0;
    for (const auto& [token, seen] : followers) {
      if (seen.first > best.second || (seen.first == best.second && seen.second > last)) {
        best = {token, seen.first};
        last = seen.second;
      }
    }
    return best;
  }
  [[nodiscard]] tokens last(std::size_t most) const {
    const tokens& text = texts.back();
    return {text.end() - static_cast<std::ptrdiff_t>(std::min(most, text.size())), text.end()};
  }
};

tokens end_of(const tokens& w, std::size_t size) { return {w.end() - static_cast<std::ptrdiff_t>(size), w.end()}; }

/// Walks an automaton along a string from its beginning.
suffix_automaton::match walk(const suffix_automaton& automaton, const tokens& w) {
  suffix_automaton::match at;
  for (const token_id token : w) at = automaton.follow(at, token);
  return at;
}

void expect_knows(const suffix_automaton& automaton, const counted_texts& expected, const tokens& w) {
  const auto at = walk(automaton, w);
  ASSERT_EQ(at.length, w.size());
  EXPECT_EQ(automaton.occurrences(at), expected.count(w));
  EXPECT_EQ(automaton.continuations(at), expected.continuations(w));
  const auto [likeliest, often] = expected.likeliest(w);
  EXPECT_EQ(automaton.likeliest(at), likeliest);
  if (likeliest >= 0) {
    EXPECT_EQ(automaton.occurrences_of_likeliest(at), often);
  }
  // Its longest end that occurs elsewhere, too.
  std::size_t shorter = w.size() - 1;
  while (shorter > 0 && expected.count(end_of(w, shorter)) == expected.count(w)) --shorter;
  EXPECT_EQ(automaton.shorter(at).length, shorter);
}

void expect_knows_everything(const suffix_automaton& automaton, const counted_texts& expected) {
  const std::size_t depth = automaton.max_depth();
  for (const tokens& text : expected.texts) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (std::size_t size = 1; size < depth && at + size <= text.size(); ++size) {
        expect_knows(
            automaton, expected,
            {text.begin() + static_cast<std::ptrdiff_t>(at), text.begin() + static_cast<std::ptrdiff_t>(at + size)});
      }
    }
  }
  const tokens end = expected.last(depth - 1);
  EXPECT_EQ(automaton.end().length, end.size());
  EXPECT_EQ(automaton.end().state, walk(automaton, end).state);
}

TEST(suffix_automaton, knows_every_string_of_random_texts_at_every_moment) {
  std::mt19937 engine(1);
  for (int round = 0; round < 60; ++round) {
    const std::size_t depth = 2 + engine() % 6;
    const std::size_t vocab_size = 1 + engine() % 4;
    suffix_automaton automaton(depth);
    counted_texts expected;
    for (int step = 0; step < 40; ++step) {
      if (engine() % 13 == 0 && !expected.texts.back().empty()) {
        automaton.end_text();
        expected.texts.emplace_back();
      }
      // Every now and then a passage comes again.
      const tokens& text = expected.texts.front();
      const auto token =
          static_cast<token_id>(round % 3 == 0 && !text.empty() ? static_cast<std::size_t>(text[engine() % text.size()])
                                                                : engine() % vocab_size);
      automaton.append(token);
      expected.texts.back().push_back(token);
      expect_knows_everything(automaton, expected);
      if (::testing::Test::HasFailure()) FAIL() << "round " << round << ", step " << step;
    }
    EXPECT_EQ(automaton.size(), 40U);
  }
}

TEST(suffix_automaton, knows_every_string_of_periodic_texts) {
  for (const std::size_t period : {1U, 2U, 3U, 5U}) {
    for (const std::size_t depth : {2U, 3U, 8U, 64U}) {
      suffix_automaton automaton(depth);
      counted_texts expected;
      for (std::size_t i = 0; i < 30; ++i) {
        automaton.append(static_cast<token_id>(i % period));
        expected.texts.back().push_back(static_cast<token_id>(i % period));
      }
      expect_knows_everything(automaton, expected);
    }
  }
}

TEST(suffix_automaton, follows_the_longest_end_that_occurs) {
  std::mt19937 engine(2);
  for (int round = 0; round < 40; ++round) {
    suffix_automaton automaton(5);
    counted_texts expected;
    for (int i = 0; i < 60; ++i) {
      expected.texts.back().push_back(static_cast<token_id>(engine() % 3));
      automaton.append(expected.texts.back().back());
    }
    tokens other;
    suffix_automaton::match at;
    for (int i = 0; i < 60; ++i) {
      other.push_back(static_cast<token_id>(engine() % 4));
      at = automaton.follow(at, other.back());
      std::size_t longest = std::min<std::size_t>(4, other.size());
      while (longest > 0 && expected.count(end_of(other, longest)) == 0) --longest;
      EXPECT_EQ(at.length, longest);
      if (longest > 0) {
        EXPECT_EQ(automaton.occurrences(at), expected.count(end_of(other, longest)));
      }
    }
  }
}

TEST(suffix_automaton, begins_anew_when_cleared) {
  suffix_automaton automaton(4);
  for (int i = 0; i < 100; ++i) automaton.append(i % 7);
  const std::size_t bytes = automaton.bytes();
  automaton.clear();
  EXPECT_EQ(automaton.size(), 0U);
  EXPECT_EQ(automaton.end().length, 0U);
  EXPECT_EQ(automaton.follow({}, 3).length, 0U);
  counted_texts expected;
  for (int i = 0; i < 50; ++i) {
    expected.texts.back().push_back(i * i % 5);
    automaton.append(i * i % 5);
  }
  expect_knows_everything(automaton, expected);
  EXPECT_EQ(automaton.bytes(), bytes);
}

/// Texts that make automata large: of two letters, Fibonacci's, of many letters, with a period, of one letter.
std::vector<tokens> demanding_texts(std::size_t size) {
  std::vector<tokens> texts(6);
  tokens longer{0, 1};
  tokens shorter{0};
  while (longer.size() < size) {
    tokens next = longer;
    next.insert(next.end(), shorter.begin(), shorter.end());
    shorter = std::move(longer);
    longer = std::move(next);
  }
  std::mt19937 engine(3);
  for (std::size_t i = 0; i < size; ++i) {
    texts[0].push_back(static_cast<token_id>(engine() % 2));
    texts[1].push_back(longer[i]);
    texts[2].push_back(static_cast<token_id>(engine() % 1000));
    texts[3].push_back(static_cast<token_id>(i % 100));
    texts[4].push_back(7);
    // The worst there is for the number of states: a b b b ...
    texts[5].push_back(i == 0 ? 0 : 1);
  }
  return texts;
}

TEST(suffix_automaton, keeps_to_the_room_that_was_reserved) {
  constexpr std::size_t size = 20000;
  for (const tokens& text : demanding_texts(size)) {
    for (const std::size_t depth : {2U, 3U, 64U, 127U}) {
      suffix_automaton automaton(depth);
      automaton.reserve(size);
      const std::size_t bytes = automaton.bytes();
      EXPECT_LT(bytes, size * 104 + 4096);
      for (const token_id token : text) automaton.append(token);
      EXPECT_EQ(automaton.bytes(), bytes);
    }
  }
}

TEST(suffix_automaton, counts_a_repeated_passage_without_growing) {
  suffix_automaton automaton(16);
  const auto append_all = [&] {
    std::mt19937 engine(4);
    for (int i = 0; i < 5000; ++i) automaton.append(static_cast<token_id>(engine() % 500));
    automaton.end_text();
  };
  append_all();
  append_all();
  const std::size_t bytes = automaton.bytes();
  for (int i = 0; i < 20; ++i) append_all();
  EXPECT_EQ(automaton.bytes(), bytes);
  EXPECT_EQ(automaton.size(), 110000U);
}

TEST(suffix_automaton, refuses_what_it_cannot_hold) {
  EXPECT_THROW(suffix_automaton(1), std::invalid_argument);
  EXPECT_THROW(suffix_automaton(128), std::invalid_argument);
  EXPECT_NO_THROW(suffix_automaton(2));
  EXPECT_NO_THROW(suffix_automaton(127));
}

// --- The drafter
// ------------------------------------------------------------------------------------------------------

struct setting {
  std::size_t max_depth = 64;
  specdec::end_rule ends = {};
  specdec::any_mask mask = {};
};

/// What is drafted behind a text over 10 tokens.
tokens drafted(suffix_drafter& drafter, const tokens& text, const setting& with = {}) {
  const specdec::law target(10, {}, with.ends);
  specdec::mask_follower mask(with.mask);
  specdec::philox chance(1);
  specdec::draft answer;
  const specdec::draft_request request{.context = text,
                                       .max_depth = with.max_depth,
                                       .max_nodes = with.max_depth,
                                       .target_law = &target,
                                       .prompt_size = 1,
                                       .mask = mask.restricts() ? &mask : nullptr};
  answer.begin(request);
  drafter.propose(request, chance, answer);
  answer.require_fit(request, 10);
  return {answer.tokens().begin(), answer.tokens().end()};
}
tokens drafted(suffix_drafter&& drafter, const tokens& text, const setting& with = {}) {
  return drafted(drafter, text, with);
}

TEST(suffix_drafter, follows_a_match_for_as_many_tokens_as_it_has) {
  EXPECT_EQ(drafted(suffix_drafter(), {1, 2, 3, 4, 5, 1, 2}), (tokens{3, 4}));
  EXPECT_EQ(drafted(suffix_drafter(), {1, 2, 3, 4, 5, 6, 7, 1, 2, 3}), (tokens{4, 5, 6}));
  EXPECT_EQ(drafted(suffix_drafter(), {1, 2, 3}), tokens{});
  EXPECT_EQ(drafted(suffix_drafter(), {1}), tokens{});
}

TEST(suffix_drafter, has_the_limits_of_its_options_and_of_the_request) {
  const tokens text{1, 2, 3, 4, 5, 6, 7, 8, 1, 2};
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 0.5}), text), (tokens{3}));
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 0.49}), text), tokens{});
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 1.5, .max_spec_offset = 1.9}), text), (tokens{3, 4, 5, 6}));
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_tokens = 3, .max_spec_factor = 9}), text), (tokens{3, 4, 5}));
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_tokens = 0}), text), tokens{});
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 9}), text, {.max_depth = 1}), (tokens{3}));
  EXPECT_EQ(drafted(suffix_drafter(), text, {.max_depth = 0}), tokens{});
  // Behind the match the text goes on to its end, and no further.
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 9}), text), (tokens{3, 4, 5, 6, 7, 8, 1, 2}));
}

TEST(suffix_drafter, takes_what_came_most_often_and_of_equals_what_came_last) {
  EXPECT_EQ(drafted(suffix_drafter(), {1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2}), (tokens{3, 1}));
  EXPECT_EQ(drafted(suffix_drafter(), {1, 2, 3, 1, 2, 4, 1, 2}), (tokens{4, 1}));
}

TEST(suffix_drafter, stops_where_counts_make_a_token_improbable) {
  // Behind 1 2 come 3, 3, 4: what is drafted has probability 2/3, all of it.
  const tokens text{1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2};
  EXPECT_EQ(drafted(suffix_drafter({.min_token_prob = 0.66}), text), (tokens{3, 1}));
  EXPECT_EQ(drafted(suffix_drafter({.min_token_prob = 0.67}), text), tokens{});
  // Behind 1 comes 2 for certain, behind 1 2 one of three that came once: 1 and 1/3.
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 5, .min_token_prob = 0.34}), {1, 2, 3, 1, 2, 4, 1, 2, 5, 1}),
            (tokens{2}));
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_factor = 2, .min_token_prob = 0.33}), {1, 2, 3, 1, 2, 4, 1, 2, 5, 1}),
            (tokens{2, 5}));
}

TEST(suffix_drafter, drafts_nothing_that_is_expected_to_fail) {
  const tokens text{1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2};  // score 4/3
  EXPECT_EQ(drafted(suffix_drafter({.min_score = 1.33}), text), (tokens{3, 1}));
  EXPECT_EQ(drafted(suffix_drafter({.min_score = 1.34}), text), tokens{});
}

TEST(suffix_drafter, takes_the_match_of_highest_score_and_of_equals_the_longest) {
  // Behind 1 1 1 1 1 stands one token more, behind 1 1 1 three.
  EXPECT_EQ(drafted(suffix_drafter(), {1, 1, 1, 1, 1, 1}), (tokens{1, 1, 1}));
  // 3 1 2 came once, before 7 8 9; 1 2 three times, before 4 5 twice.
  EXPECT_EQ(drafted(suffix_drafter(), {1, 2, 4, 5, 0, 1, 2, 4, 5, 3, 1, 2, 7, 8, 9, 3, 1, 2}), (tokens{7, 8, 9}));
  EXPECT_EQ(drafted(suffix_drafter({.max_spec_tokens = 1}), {1, 2, 4, 0, 1, 2, 4, 3, 1, 2, 7, 8, 3, 1, 2}),
            (tokens{7}));
}

TEST(suffix_drafter, ends_behind_an_end_token_and_before_a_forbidden_one) {
  const tokens text{1, 2, 3, 9, 4, 1, 2};
  const suffix_options far{.max_spec_factor = 9};
  EXPECT_EQ(drafted(suffix_drafter(far), text), (tokens{3, 9, 4, 1, 2}));
  EXPECT_EQ(drafted(suffix_drafter(far), text, {.ends = {{9}}}), (tokens{3, 9}));
  EXPECT_EQ(drafted(suffix_drafter(far), text, {.ends = {{9}, 100}}), (tokens{3}));
}

/// Forbids one token.
struct without {
  token_id token;
  bool allows(token_id t) const { return t != token; }
  void fill(std::span<std::uint32_t> words) const { words[0] = ~(1U << token); }
  void advance(token_id) {}
  void rollback(std::size_t) {}
};

TEST(suffix_drafter, passes_over_matches_before_a_forbidden_token) {
  const suffix_options far{.max_spec_factor = 9};
  EXPECT_EQ(drafted(suffix_drafter(far), {1, 2, 3, 9, 4, 1, 2}, {.mask = without{9}}), (tokens{3}));
  // Behind 1 2 came 9, behind another 2 came 5 6, more often.
  const tokens text{2, 5, 6, 2, 5, 6, 1, 2, 9, 1, 2};
  EXPECT_EQ(drafted(suffix_drafter(), text), (tokens{9, 1}));
  EXPECT_EQ(drafted(suffix_drafter(), text, {.mask = without{9}}), (tokens{5}));
}

TEST(suffix_drafter, refuses_parameters_out_of_range) {
  EXPECT_THROW(suffix_drafter({.max_spec_factor = -1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.max_spec_offset = -1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.min_token_prob = -0.1}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.min_score = std::numeric_limits<double>::infinity()}), std::invalid_argument);
  EXPECT_THROW(suffix_drafter({.max_depth = 1}), std::invalid_argument);
}

// --- The same by SuffixDecoding's rule, written out
// -------------------------------------------------------------------

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
      probability *= static_cast<double>(often) / static_cast<double>(texts.continuations(at));
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

// --- Texts that do not simply grow
// ------------------------------------------------------------------------------------

TEST(suffix_drafter, drafts_the_same_whatever_it_was_asked_before) {
  std::mt19937 engine(7);
  suffix_corpus corpus(10, 300, 8);
  const suffix_options options{.max_spec_factor = 2, .max_depth = 8};
  suffix_drafter seasoned(corpus, options);
  std::vector<tokens> texts(3, tokens{1});
  std::size_t drafts = 0;
  for (int round = 0; round < 600; ++round) {
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
    const tokens found = drafted(seasoned, text);
    ASSERT_EQ(found, drafted(suffix_drafter(corpus, options), text)) << "round " << round;
    ASSERT_EQ(found, drafted(seasoned, text));
    drafts += found.empty() ? 0 : 1;
  }
  EXPECT_GT(drafts, 400U);
}

TEST(suffix_drafter, conforms) {
  suffix_drafter drafter;
  const auto report = testing::check_drafter(drafter, 10);
  EXPECT_TRUE(report.conforming()) << report.text();
}

// --- The corpus
// -------------------------------------------------------------------------------------------------------

TEST(suffix_corpus, is_shared_by_drafters) {
  suffix_corpus corpus(10, 100);
  suffix_drafter one(corpus);
  suffix_drafter other(corpus);
  EXPECT_EQ(drafted(one, {1, 2}), tokens{});
  corpus.add(tokens{0, 1, 2, 3, 4});
  EXPECT_EQ(drafted(one, {1, 2}), (tokens{3, 4}));
  EXPECT_EQ(drafted(other, {7, 1, 2}), (tokens{3, 4}));
  corpus.clear();
  EXPECT_EQ(drafted(one, {1, 2}), tokens{});
  EXPECT_EQ(corpus.size(), 0U);
}

TEST(suffix_corpus, gives_way_to_a_text_that_is_as_good) {
  suffix_corpus corpus(10, 100);
  corpus.add(tokens{1, 2, 5, 6});
  EXPECT_EQ(drafted(suffix_drafter(corpus), {1, 2, 3, 4, 1, 2}), (tokens{3, 4}));
  // Longer matches are followed further.
  corpus.add(tokens{4, 1, 2, 7, 8, 9});
  EXPECT_EQ(drafted(suffix_drafter(corpus), {1, 2, 3, 4, 1, 2}), (tokens{7, 8, 9}));
}

/// Whether the corpus still knows what followed a text's first two tokens.
bool remembers(const suffix_corpus& corpus, const tokens& text) {
  return drafted(suffix_drafter(corpus, {.max_spec_tokens = 1}), {text[0], text[1]}) == tokens{text[2]};
}

TEST(suffix_corpus, forgets_the_older_half) {
  suffix_corpus corpus(10, 20);
  const tokens a{0, 1, 2, 9, 9};
  const tokens b{3, 4, 5, 9, 9};
  const tokens c{6, 7, 8, 9, 9};
  corpus.add(a);
  corpus.add(b);
  EXPECT_EQ(corpus.size(), 10U);
  corpus.add(c);
  EXPECT_TRUE(remembers(corpus, a) && remembers(corpus, b) && remembers(corpus, c));
  corpus.add(tokens{1, 3, 5, 9, 9});
  EXPECT_EQ(corpus.size(), 20U);
  EXPECT_TRUE(remembers(corpus, a));
  corpus.add(tokens{2, 4, 6});
  EXPECT_EQ(corpus.size(), 13U);
  EXPECT_FALSE(remembers(corpus, a) || remembers(corpus, b));
  EXPECT_TRUE(remembers(corpus, c) && remembers(corpus, {2, 4, 6}));
}

TEST(suffix_corpus, keeps_the_end_of_a_text_that_is_too_long) {
  suffix_corpus corpus(10, 8);
  corpus.add(tokens{0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(corpus.size(), 4U);
  EXPECT_TRUE(remembers(corpus, {4, 5, 6}));
  EXPECT_FALSE(remembers(corpus, {0, 1, 2}));
}

TEST(suffix_corpus, stays_within_its_memory) {
  constexpr std::size_t capacity = 10000;
  std::mt19937 engine(8);
  suffix_corpus corpus(1000, capacity);
  std::size_t greatest = 0;
  for (int i = 0; i < 300; ++i) {
    tokens text(500);
    for (token_id& token : text) token = static_cast<token_id>(engine() % 30);
    corpus.add(text);
    EXPECT_LE(corpus.size(), capacity);
    EXPECT_GE(corpus.size(), std::min<std::size_t>(capacity / 2, static_cast<std::size_t>(i + 1) * 500));
    if (i == 100) greatest = corpus.bytes();
    if (i > 100) {
      EXPECT_LE(corpus.bytes(), greatest + greatest / 4);
    }
  }
  EXPECT_LT(corpus.bytes(), capacity * 160);
}

TEST(suffix_corpus, refuses_what_does_not_fit) {
  EXPECT_THROW(suffix_corpus(0, 100), std::invalid_argument);
  EXPECT_THROW(suffix_corpus(10, 1), std::invalid_argument);
  EXPECT_THROW(suffix_corpus(10, std::size_t{1} << 26), std::invalid_argument);
  EXPECT_THROW(suffix_corpus(10, 100, 1), std::invalid_argument);
  suffix_corpus corpus(10, 100);
  EXPECT_THROW(corpus.add(tokens{1, 2, 10}), std::invalid_argument);
  EXPECT_THROW(corpus.add(tokens{-1}), std::invalid_argument);
  EXPECT_EQ(corpus.size(), 0U);
  // The loop compares vocabularies.
  testing::law_model target(3, laws::hashed(3, 1));
  suffix_drafter drafter(corpus);
  EXPECT_THROW(specdec::speculative_generate(target, drafter, tokens{0}), std::invalid_argument);
}

// --- The law of the text
// ----------------------------------------------------------------------------------------------

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
  const auto found =
      testing::enumerate(3, {0, 1, 2, 0, 1}, laws::fixed({0.5, 0.3, 0.2}), laws::fixed({0.5, 0.3, 0.2}),
                         [] { return suffix_drafter(); }, specdec::rejection{}, generate_options{}, {1, 3});
  // It drafts 2 0.
  EXPECT_NEAR(found.expected_accepted, 0.2 + 0.2 * 0.5, tolerance);
}

}  // namespace
