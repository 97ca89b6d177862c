// Drafting, scoring and verifying trees allocates nothing per round either, once rounds have reached their size.

#include <gtest/gtest.h>

#include <cstddef>
#include <specdec/specdec.hpp>
#include <vector>

#include "counting_new.hpp"
#include "still_model.hpp"

namespace {

using specdec::token_id;
using specdec::tree_shape;

constexpr std::size_t vocabulary = 1200;

template <class Rule, class Drafter>
void expect_no_allocation_once_warm(const Rule& rule, Drafter drafter, const specdec::sampling_params& sampling) {
  still_model target(vocabulary, {.seed = 1, .scale = 1.0F / 2});
  specdec::session text(vocabulary, {.max_tokens = 3000, .sampling = sampling}, rule);
  text.begin(std::vector<token_id>{10, 11, 12});
  specdec::draft drafted;
  std::size_t accepted = 0;
  for (std::size_t round = 0; round < 100; ++round) {
    ASSERT_TRUE(text.running());
    const counted_round made = make_round(text, target, drafter, drafted);
    accepted += made.out.accepted;
    // The first rounds that keep nothing, and all there is, set the greatest size.
    if (round >= 30) {
      EXPECT_EQ(made.allocations, 0U) << "round " << round << ", drafting " << made.while_drafting;
    }
  }
  EXPECT_GT(accepted, 5U);
}

template <class Rule>
void expect_no_allocation_once_warm(const Rule& rule) {
  still_model draft(vocabulary, {.seed = 1, .scale = 1.0F / 2.5F});
  const std::vector<std::size_t> branching{3, 2, 1};
  const tree_shape shape = tree_shape::uniform(branching);
  for (const auto& sampling : {specdec::sampling_params{1}, specdec::sampling_params{0},
                               specdec::sampling_params{.temperature = 0.8, .top_p = 0.95}}) {
    for (const auto draw : {specdec::sibling_draw::distinct, specdec::sibling_draw::independent}) {
      for (const std::size_t top : {64U, 0U}) {
        const specdec::model_drafter_options options{.top = top};
        expect_no_allocation_once_warm(rule, specdec::tree_drafter(draft, shape, options, draw), sampling);
      }
    }
    expect_no_allocation_once_warm(rule, specdec::dynamic_tree_drafter(draft, {.nodes = 16, .depth = 4}), sampling);
  }
}

TEST(allocation, of_a_tree_is_for_what_was_asked_for) {
  still_model target(vocabulary, {.seed = 1}), draft(vocabulary, {.seed = 2});
  // Laws for all of the shape would take 480 MB.
  specdec::tree_drafter drafter(draft, tree_shape::chain(100000), {.top = 0});
  for (const std::size_t max_tokens : {6U, 400U}) {
    specdec::session text(vocabulary, {.max_tokens = max_tokens}, specdec::recursive_rejection{});
    text.begin(std::vector<token_id>{10, 11, 12});
    specdec::draft drafted;
    const long long before = counting_new::live().bytes;
    const auto request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    EXPECT_EQ(drafted.size(), max_tokens - 1);
    // The laws that were drafted from, and what a vector takes ahead of time.
    EXPECT_LT(counting_new::live().bytes - before,
              static_cast<long long>(4 * max_tokens * vocabulary * sizeof(float) + (1U << 18)));
  }
}

TEST(allocation, is_none_in_trees_once_warm) {
  expect_no_allocation_once_warm(specdec::naive_sampling{});
  expect_no_allocation_once_warm(specdec::recursive_rejection{});
  expect_no_allocation_once_warm(specdec::k_seq{});
  expect_no_allocation_once_warm(specdec::traversal{});
  expect_no_allocation_once_warm(specdec::block_verification{});
  expect_no_allocation_once_warm(specdec::coupled{});
}

}  // namespace
