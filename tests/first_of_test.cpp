#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <vector>

#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::first_of;
using specdec::token_id;
using tokens = std::vector<token_id>;

/// Proposes a token so many times if the text has a multiple of `every` tokens, and counts what it is told.
struct periodic {
  token_id token = 0;
  std::size_t count = 1;
  std::size_t every = 1;
  std::optional<std::size_t> vocabulary = std::nullopt;
  std::size_t asked = 0;
  std::size_t told = 0;

  [[nodiscard]] std::optional<std::size_t> vocab_size() const { return vocabulary; }
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    ++asked;
    if (request.context.size() % every != 0) return;
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(count, request.max_depth); ++i) {
      tip = answer.extend(tip, specdec::proposal::point_mass(request.target_law->vocab_size(), token), chance);
    }
  }
  void observe(const specdec::outcome&) { ++told; }
};

tokens drafted(auto& drafter, std::size_t text_size) {
  const tokens text(text_size, 1);
  const specdec::law target(5, {});
  specdec::philox chance(1);
  specdec::draft answer;
  const specdec::draft_request request{.context = text, .max_depth = 9, .max_nodes = 9, .target_law = &target};
  answer.begin(request);
  drafter.propose(request, chance, answer);
  return {answer.tokens().begin(), answer.tokens().end()};
}

TEST(first_of, asks_until_somebody_drafts) {
  periodic twos{2, 2, 2};
  periodic threes{3, 3, 3};
  periodic ones{1, 1, 1};
  first_of drafter(std::ref(twos), std::ref(threes), std::ref(ones));
  EXPECT_EQ(drafted(drafter, 6), (tokens{2, 2}));
  EXPECT_EQ(twos.asked, 1U);
  EXPECT_EQ(threes.asked, 0U);
  EXPECT_EQ(drafted(drafter, 9), (tokens{3, 3, 3}));
  EXPECT_EQ(drafted(drafter, 7), (tokens{1}));
  EXPECT_EQ(twos.asked, 3U);
  EXPECT_EQ(threes.asked, 2U);
  EXPECT_EQ(ones.asked, 1U);
}

TEST(first_of, says_nothing_if_nobody_does) {
  first_of drafter(periodic{2, 2, 2}, specdec::no_draft());
  EXPECT_EQ(drafted(drafter, 3), tokens{});
  first_of<> nobody;
  EXPECT_EQ(drafted(nobody, 3), tokens{});
}

TEST(first_of, tells_a_round_to_whoever_drafted_it) {
  periodic twos{2, 2, 2};
  periodic threes{3, 3, 3};
  first_of drafter(std::ref(twos), specdec::no_draft(), std::ref(threes));
  const tokens some{1};
  specdec::outcome with_draft;
  with_draft.drafted = some;
  EXPECT_EQ(drafted(drafter, 4).size(), 2U);
  drafter.observe(with_draft);
  EXPECT_EQ(twos.told, 1U);
  EXPECT_EQ(threes.told, 0U);
  EXPECT_EQ(drafted(drafter, 3).size(), 3U);
  drafter.observe(with_draft);
  EXPECT_EQ(twos.told, 1U);
  EXPECT_EQ(threes.told, 1U);
  // Nobody drafted: all learn of it, as each would alone.
  EXPECT_EQ(drafted(drafter, 5).size(), 0U);
  drafter.observe({});
  EXPECT_EQ(twos.told, 2U);
  EXPECT_EQ(threes.told, 2U);
}

TEST(first_of, has_the_vocabulary_that_its_drafters_tell) {
  EXPECT_EQ(first_of(periodic{}, specdec::no_draft()).vocab_size(), std::nullopt);
  EXPECT_EQ(first_of(specdec::no_draft(), periodic{.vocabulary = 5}).vocab_size(), 5U);
  EXPECT_EQ(first_of(periodic{.vocabulary = 5}, periodic{}).vocab_size(), 5U);
  EXPECT_EQ(first_of(periodic{.vocabulary = 5}, periodic{.vocabulary = 5}).vocab_size(), 5U);
  const first_of divided(periodic{.vocabulary = 5}, specdec::no_draft(), periodic{.vocabulary = 6});
  EXPECT_THROW((void)divided.vocab_size(), std::invalid_argument);
  // Within another, and chosen at run time.
  specdec::any_drafter any = first_of(first_of(periodic{}, periodic{.vocabulary = 7}), specdec::no_draft());
  EXPECT_EQ(any.vocab_size(), 7U);
  testing::law_model target(3, laws::hashed(3, 1));
  EXPECT_THROW(specdec::speculative_generate(target, any, tokens{0}), std::invalid_argument);
}

struct branching {
  static constexpr bool drafts_trees = true;
  void propose(const specdec::draft_request&, auto&, specdec::draft&) {}
};

TEST(first_of, drafts_trees_if_any_of_its_drafters_does) {
  static_assert(!specdec::DraftsTrees<first_of<>>);
  static_assert(!specdec::DraftsTrees<first_of<periodic, specdec::no_draft>>);
  static_assert(specdec::DraftsTrees<first_of<branching, periodic>>);
  static_assert(specdec::DraftsTrees<first_of<periodic, periodic, branching>>);
  static_assert(specdec::DraftsTrees<first_of<periodic, std::reference_wrapper<branching>>>);
  static_assert(specdec::DraftsTrees<first_of<periodic, first_of<branching>>>);
}

TEST(first_of, is_lossless) {
  for (const double temperature : {0.0, 0.7, 1.0}) {
    const auto p = laws::hashed(3, 1);
    const auto found =
        testing::enumerate(3, {0, 1, 0}, p, laws::at_temperature(p, temperature),
                           [] {
                             return first_of(periodic{1, 2, 3}, specdec::suffix_drafter({.min_score = 1}),
                                             laws::drafter_over(3, laws::hashed(3, 2), 2, {}));
                           },
                           specdec::rejection{}, {.sampling = {temperature}}, {3, 4});
    EXPECT_LT(found.total_variation(), 1e-12);
  }
}

}  // namespace
