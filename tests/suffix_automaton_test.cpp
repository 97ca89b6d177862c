// Suffix automata against counting by hand.

#include "counted_texts.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <specdec/draft/suffix_automaton.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using counting::counted_texts;
using counting::end_of;
using counting::tokens;
using specdec::suffix_automaton;
using specdec::token_id;

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

}  // namespace
