// Trees by sequence ids: the contract, what is refused, and text generated with trees.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <string>
#include <vector>

#include "random_models.hpp"
#include "support.hpp"

namespace {

using namespace llama_test;
using specdec::node_id;

constexpr double rounding = 1e-4;

static_assert(specdec::TargetModel<llama::tree_context> && specdec::KnowsTokens<llama::tree_context>);
static_assert(specdec::HasCapacity<llama::tree_context> && specdec::DecodesTrees<llama::tree_context>);

void expect_conforming(llama::tree_context context, const std::string& which, double tolerance = rounding) {
  const auto report = specdec::testing::check_target_model(context, {.tolerance = tolerance});
  EXPECT_TRUE(report.conforming() && report.complete) << which << ": " << report.text();
}

TEST(llama_cpp_tree_context, keeps_its_contract) {
  for (const char* name : {"target", "draft"}) {
    expect_conforming(llama::tree_context(in_float32(name), llama::for_trees(small(), 31)), name);
  }
}

TEST(llama_cpp_tree_context, keeps_its_contract_where_calls_are_cut) {
  for (const std::uint32_t most : {16U, 17U}) {
    llama_context_params params = llama::for_trees(small(), 15);
    params.n_batch = most;
    expect_conforming(llama::tree_context(in_float32("target"), params), std::to_string(most));
    params.n_ubatch = 3;
    expect_conforming(llama::tree_context(in_float32("target"), params), std::to_string(most) + " by 3");
  }
}

TEST(llama_cpp_tree_context, keeps_its_contract_with_a_sliding_window) {
  llama_context_params params = llama::for_trees(small(512), 15);
  params.n_ubatch = 32;
  params.swa_full = false;
  expect_conforming(llama::tree_context(sliding_model(16), params), "gemma2", 1e-3);
}

TEST(llama_cpp_tree_context, refers_to_a_context_of_the_callers) {
  llama_context* const own = llama_init_from_model(in_float32("target").handle(), llama::for_trees(small(), 20));
  ASSERT_NE(own, nullptr);
  expect_conforming(llama::tree_context(own), "own");
  llama_free(own);
}

TEST(llama_cpp_tree_context, says_what_a_tree_needs) {
  EXPECT_NE(
      message_of([] { llama::tree_context context(target(), small()); }).find("expected a context of n_seq_max > 1"),
      std::string::npos);
  llama_context_params params = llama::for_trees(small(), 3);
  params.kv_unified = false;
  EXPECT_NE(message_of([&] { llama::tree_context context(target(), params); }).find("expected a unified memory"),
            std::string::npos);

  llama::tree_context context(target(), llama::for_trees(small(), 3));
  EXPECT_EQ(context.most_leaves(), 3U);
  const auto text = some_text(8);
  (void)context.decode(std::span(text).first(4), 0);
  const std::vector<node_id> star{0, 0, 0, 0};
  EXPECT_EQ(message_of([&] { (void)context.decode_tree(std::span(text).last(4), star, 4); }),
            "specdec::llama_cpp: expected a tree of at most 3 leaves, one less than n_seq_max; got 4");
  EXPECT_EQ(context.size(), 4U);
  // Two leaves, one of which grows, and then one more.
  (void)context.decode_tree(std::span(text).last(2), std::vector<node_id>{0, 0}, 2);
  (void)context.decode_tree(std::span(text).last(2), std::vector<node_id>{1, 1}, 2);
  EXPECT_NE(message_of([&] {
              (void)context.decode_tree(std::span(text).last(1), std::vector<node_id>{0}, 1);
            }).find("at most 3 leaves"),
            std::string::npos);
  // What is open stays open.
  (void)context.decode_tree(std::span(text).last(1), std::vector<node_id>{3}, 1);
  context.keep(std::vector<node_id>{1, 3, 5});
  EXPECT_EQ(context.size(), 7U);
  EXPECT_EQ(message_of([&] { context.keep(std::vector<node_id>{1}); }).substr(0, 32),
            "specdec: expected an empty path,");
}

TEST(llama_cpp_tree_context, nodes_take_room) {
  llama::tree_context context(target(), llama::for_trees(small(256), 3));
  const auto text = some_text(256);
  (void)context.decode(std::span(text).first(253), 0);
  const std::vector<node_id> star{0, 0, 0};
  EXPECT_EQ(context.decode_tree(std::span(text).last(3), star, 3).size(), 3U);
  EXPECT_NE(message_of([&] {
              (void)context.decode_tree(std::span(text).last(1), std::vector<node_id>{1}, 1);
            }).find("expected at most 0 tokens, the room that is left"),
            std::string::npos);
  context.keep(std::vector<node_id>{2});
  EXPECT_EQ(context.size(), 254U);
  EXPECT_EQ(context.decode(std::span(text).last(2), 1).size(), 1U);
}

TEST(llama_cpp_tree_context, a_cancelled_tree_is_forgotten) {
  const auto text = some_text(40);
  llama_context_params params = llama::for_trees(small(), 7);
  params.n_ubatch = 4;
  llama::tree_context context(in_float32("target"), params), other(in_float32("target"), params);
  const std::vector<node_id> tree{0, 0, 1, 2, 2, 3, 1, 4};
  const auto tokens = std::span(text).subspan(10, 12);
  (void)other.decode(std::span(text).first(10), 0);
  const auto expected = other.decode_tree(tokens, tree, 12);
  patience waits{patience::endless};
  llama_set_abort_callback(context.handle(), patience::exhausted, &waits);
  for (const int patient : {0, 10, 40, 90}) {
    context.truncate(0);
    (void)context.decode(std::span(text).first(10), 0);
    waits.left = patient;
    EXPECT_THROW((void)context.decode_tree(tokens, tree, 12), llama::cancelled) << patient;
    ASSERT_GE(context.size(), 10U);
    ASSERT_LE(context.size(), 14U);
    ASSERT_TRUE(std::ranges::equal(context.tokens(), std::span(text).first(context.size())));
    waits.left = patience::endless;
    context.truncate(10);
    const auto rows = context.decode_tree(tokens, tree, 12);
    for (std::size_t i = 0; i < 12; ++i) {
      for (std::size_t t = 0; t < context.vocab_size(); ++t) {
        ASSERT_NEAR(rows.row(i)[t], expected.row(i)[t], rounding) << patient << ", row " << i;
      }
    }
  }
}

TEST(llama_cpp_tree_context, goes_on_where_somebody_else_has_used_its_memory) {
  const auto text = some_text(24);
  const llama_context_params params = llama::for_trees(small(), 3);
  const std::vector<node_id> tree{0, 0, 1};
  const auto nodes = std::span(text).last(3);
  llama::tree_context fresh(in_float32("target"), params);
  (void)fresh.decode(std::span(text).first(20), 0);
  const auto expected = fresh.decode_tree(nodes, tree, 3);
  const auto expect_right = [&](llama::tree_context& context) {
    const auto rows = context.decode_tree(nodes, tree, 3);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t t = 0; t < context.vocab_size(); ++t) {
        ASSERT_NEAR(rows.row(i)[t], expected.row(i)[t], rounding) << "row " << i;
      }
    }
  };
  using use = void (*)(llama_memory_t);
  const use uses[] = {[](llama_memory_t memory) { (void)llama_memory_seq_rm(memory, 0, 10, -1); },
                      [](llama_memory_t memory) { (void)llama_memory_seq_rm(memory, 0, -1, -1); },
                      [](llama_memory_t memory) { llama_memory_clear(memory, true); }};
  for (std::size_t i = 0; i < std::size(uses); ++i) {
    for (const bool reads_first : {false, true}) {
      SCOPED_TRACE(std::to_string(i) + (reads_first ? ", text first" : ""));
      llama::tree_context context(in_float32("target"), params);
      (void)context.decode(std::span(text).first(19), 0);
      // Branches have a part of the text from here on.
      (void)context.decode_tree(nodes, tree, 3);
      context.keep({});
      uses[i](llama_get_memory(context.handle()));
      EXPECT_NE(message_of([&] { (void)context.decode_tree(nodes, tree, 3); }).find("somebody else has used it"),
                std::string::npos);
      if (reads_first) {
        (void)context.decode(std::span(text).subspan(19, 1), 0);
        expect_right(context);
      } else {
        const std::vector<token_id> call{text[19], nodes[0], nodes[1], nodes[2]};
        const auto rows = context.decode_tree(call, tree, 3);
        for (std::size_t t = 0; t < context.vocab_size(); ++t) {
          ASSERT_NEAR(rows.row(2)[t], expected.row(2)[t], rounding);
        }
        context.keep({});
        expect_right(context);
      }
    }
  }
}

TEST(llama_cpp_tree_context, a_session_with_trees_has_the_text_of_one_without) {
  const auto prompt = target().tokenize("When the letter came I did not dare to break the seal, for");
  const specdec::generate_options options{.max_tokens = 60, .sampling = {0.0}};
  const llama_context_params params = llama::for_trees(small(), 31);
  llama::context plain(in_float32("target"), small());
  llama::tree_context tree_target(in_float32("target"), params), tree_draft(in_float32("draft"), params);
  const auto generate = [&](auto& target_context, auto&& drafter) {
    specdec::session text(target_context.vocab_size(), options, specdec::naive_sampling{});
    text.begin(prompt);
    specdec::speculative_generate(text, target_context, drafter);
    return text;
  };
  const auto expected = generate(plain, specdec::prompt_lookup());
  const auto branching = generate(tree_target, specdec::dynamic_tree_drafter(tree_draft, {.nodes = 24, .depth = 6}));
  EXPECT_TRUE(std::ranges::equal(branching.tokens(), expected.tokens()));
  EXPECT_GT(branching.stats().mean_acceptance_length(), 2.0);
  const std::vector<std::size_t> widths{3, 2, 1};
  const auto fixed =
      generate(tree_target, specdec::tree_drafter(tree_draft, specdec::tree_shape::uniform(widths), {.top = 0}));
  EXPECT_TRUE(std::ranges::equal(fixed.tokens(), expected.tokens()));
}

}  // namespace
