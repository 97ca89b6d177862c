// Texts that outlive their requests: what of them is kept, and for how long.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <specdec/specdec.hpp>
#include <stdexcept>
#include <vector>

#include "drafted.hpp"
#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using drafting::drafted;
using drafting::tokens;
using specdec::suffix_corpus;
using specdec::suffix_drafter;
using specdec::token_id;

TEST(suffix_corpus, is_shared_by_drafters) {
  suffix_corpus corpus(10, 100);
  suffix_drafter one(corpus);
  suffix_drafter other(corpus);
  EXPECT_EQ(drafted(one, {1, 2}), tokens{});
  corpus.add(tokens{0, 1, 2, 3, 4});
  EXPECT_EQ(drafted(one, {1, 2}, {.round = 1}), (tokens{3, 4}));
  EXPECT_EQ(drafted(other, {7, 1, 2}), (tokens{3, 4}));
  corpus.clear();
  EXPECT_EQ(drafted(one, {1, 2}, {.round = 2}), tokens{});
  EXPECT_EQ(corpus.size(), 0U);
}

TEST(suffix_corpus, gives_way_to_a_text_that_is_as_good) {
  suffix_corpus corpus(10, 100);
  corpus.add(tokens{1, 2, 5, 6});
  const specdec::suffix_options two{.max_spec_tokens = 2};
  EXPECT_EQ(drafted(suffix_drafter(corpus, two), {1, 2, 3, 4, 1, 2}), (tokens{3, 4}));
  // Longer matches are more to be relied on.
  corpus.add(tokens{4, 1, 2, 7, 8, 9});
  EXPECT_EQ(drafted(suffix_drafter(corpus, two), {1, 2, 3, 4, 1, 2}), (tokens{7, 8}));
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

}  // namespace
