// Contexts of any capacity, with calls of any size, are filled to their last place and no further.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <specdec/specdec.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

namespace {

using namespace llama_test;
using specdec::session_status;
using tokens = std::vector<token_id>;

constexpr std::uint32_t fewest = 246, most = 257;
constexpr std::size_t prompt_size = 240;

const specdec::generate_options endless{.max_tokens = 1000, .sampling = {0.0}};

const llama::model& target_model() { return in_float32("draft"); }
const llama::model& draft_model() { return in_float32("draft-mini"); }

/// What a context with room enough says.
const tokens& whole_text() {
  static const tokens text = [] {
    llama::context context(target_model(), small(1024));
    specdec::generate_options long_text = endless;
    long_text.max_tokens = 300;
    specdec::session made(context.vocab_size(), long_text);
    made.begin(some_text(prompt_size));
    specdec::no_draft nothing;
    specdec::speculative_generate(made, context, nothing);
    return tokens(made.tokens().begin(), made.tokens().end());
  }();
  return text;
}

/// Of so many tokens in all, and calls of so many, which are computed by so many.
llama_context_params sized(std::uint32_t capacity, std::uint32_t call, std::uint32_t part) {
  llama_context_params params = small(capacity);
  params.n_batch = call;
  params.n_ubatch = part;
  return params;
}

/// A text that nothing but the context has ended.
void expect_full(const specdec::session<>& text, std::size_t capacity, const std::string& which) {
  EXPECT_EQ(text.status(), session_status::context_full) << which;
  // The last token is never read.
  ASSERT_EQ(text.tokens().size(), capacity + 1) << which;
  EXPECT_TRUE(std::equal(text.tokens().begin(), text.tokens().end(), whole_text().begin())) << which;
}

/// Calls `check(params, which)` for capacities and sizes of calls.
template <class Check>
void for_all_sizes(const Check& check) {
  for (std::uint32_t capacity = fewest; capacity <= most; ++capacity) {
    for (const auto& [call, part] : {std::pair{512U, 512U}, {7U, 3U}, {1U, 1U}}) {
      // One size of calls for most capacities: each has all of them somewhere.
      if ((capacity + call) % 3 != 0 && capacity != 256) continue;
      check(sized(capacity, call, part), std::to_string(capacity) + " in calls of " + std::to_string(call));
    }
  }
}

TEST(llama_cpp_limits, a_chain_fills_a_context_of_any_capacity) {
  for_all_sizes([](const llama_context_params& params, const std::string& which) {
    llama::context target(target_model(), params), draft(draft_model(), params);
    EXPECT_GE(target.capacity(), params.n_ctx) << which;
    specdec::session text(target.vocab_size(), endless);
    text.begin(some_text(prompt_size));
    specdec::model_drafter drafter(draft, specdec::constant{5});
    specdec::speculative_generate(text, target, drafter);
    expect_full(text, target.capacity(), which);
  });
}

TEST(llama_cpp_limits, a_tree_fills_a_context_of_any_capacity) {
  const auto shape = specdec::tree_shape::uniform(std::vector<std::size_t>{2, 2, 1});
  for_all_sizes([&](llama_context_params params, const std::string& which) {
    // llama.cpp wants room for a row of each sequence in a call.
    params.n_batch = std::max(params.n_batch, 5U);
    const llama_context_params for_tree = llama::for_trees(params, 4);
    llama::tree_context target(target_model(), for_tree), draft(draft_model(), for_tree);
    specdec::session text(target.vocab_size(), endless);
    text.begin(some_text(prompt_size));
    specdec::tree_drafter drafter(draft, shape);
    specdec::speculative_generate(text, target, drafter);
    expect_full(text, target.capacity(), which);
  });
}

TEST(llama_cpp_limits, a_batch_fills_sequences_of_any_capacity) {
  for_all_sizes([](llama_context_params params, const std::string& which) {
    const std::size_t capacity = params.n_ctx;
    params.n_batch = std::max(params.n_batch, 2U);
    llama::batch_context target(target_model(), 2, capacity, params), draft(draft_model(), 2, capacity, params);
    EXPECT_EQ(target.capacity(), capacity) << which;
    specdec::batch_model_drafter drafter(draft, specdec::constant{5});
    specdec::session_batch batch(target, drafter);
    std::vector<specdec::session<>> texts;
    for (int i = 0; i < 2; ++i) {
      texts.emplace_back(target.vocab_size(), endless);
      texts.back().begin(some_text(prompt_size));
    }
    for (auto& text : texts) batch.join(text);
    while (batch.running()) batch.round();
    for (const auto& text : texts) expect_full(text, capacity, which);
  });
}

TEST(llama_cpp_limits, a_prompt_that_fills_the_context_gets_one_token_and_a_longer_one_is_refused) {
  llama::context target(target_model(), small(256)), draft(draft_model(), small(256));
  for (const std::size_t size : {255U, 256U}) {
    const auto result = specdec::speculative_generate(target, draft, some_text(size), endless);
    EXPECT_EQ(result.status, session_status::context_full);
    EXPECT_EQ(result.tokens.size(), 257 - size);
  }
  EXPECT_EQ(message_of([&] { (void)specdec::speculative_generate(target, draft, some_text(257), endless); }),
            "specdec: the prompt has 257 tokens, but the target's context holds 256");
}

TEST(llama_cpp_limits, rows_beyond_n_outputs_max_come_from_further_calls) {
  const auto text = some_text(30);
  llama::context whole(target_model(), small());
  const auto expected = whole.decode(text, 12);
  for (const std::uint32_t rows : {1U, 5U}) {
    llama_context_params params = sized(256, 16, 4);
    params.n_outputs_max = rows;
    llama::context context(target_model(), params);
    const auto got = context.decode(text, 12);
    ASSERT_EQ(got.size(), 12U);
    for (std::size_t i = 0; i < 12; ++i) {
      for (std::size_t t = 0; t < context.vocab_size(); ++t) ASSERT_NEAR(got.row(i)[t], expected.row(i)[t], 1e-4);
    }
  }
  // And of trees and batches, which share the calls of a context.
  llama_context_params params = llama::for_trees(sized(256, 16, 4), 4);
  params.n_outputs_max = 5;
  llama::tree_context tree(target_model(), params);
  (void)tree.decode(std::span(text).first(10), 0);
  EXPECT_EQ(
      tree.decode_tree(std::span(text).subspan(10, 8), std::vector<specdec::node_id>{0, 1, 1, 2, 3, 4, 5, 0}, 8).size(),
      8U);
  params = sized(256, 16, 4);
  params.n_outputs_max = 3;
  llama::batch_context batch(target_model(), 2, 64, params);
  const std::vector<specdec::sequence_feed> feeds{{0, std::span(text).first(12), 7}, {1, std::span(text).first(9), 4}};
  const auto got = batch.decode(feeds);
  ASSERT_EQ(got.size(), 11U);
  llama::context alone(target_model(), small());
  const auto rows = alone.decode(feeds[0].tokens, 7);
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t t = 0; t < alone.vocab_size(); ++t) ASSERT_NEAR(got.row(i)[t], rows.row(i)[t], 1e-4);
  }
}

}  // namespace
