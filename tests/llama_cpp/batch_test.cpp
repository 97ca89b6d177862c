// Several sequences of one context: each keeps the contract, and has the text that it has alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <string>
#include <vector>

#include "batches.hpp"
#include "random_models.hpp"
#include "support.hpp"

namespace {

using namespace llama_test;
using llama::rollback;

constexpr double rounding = 1e-4;

static_assert(specdec::DecodesBatches<llama::batch_context> && specdec::HasCapacity<llama::batch_context>);

void expect_conforming(llama::batch_context batch, const std::string& which, double tolerance = rounding) {
  for (const std::size_t sequence : {std::size_t{0}, batch.sequence_count() - 1}) {
    specdec::one_sequence one(batch, sequence);
    const auto report = specdec::testing::check_target_model(one, {.tolerance = tolerance, .provoke_refusals = true});
    EXPECT_TRUE(report.conforming() && report.complete) << which << ", " << sequence << ": " << report.text();
  }
}

TEST(llama_cpp_batch_context, each_sequence_keeps_the_contract) {
  expect_conforming(llama::batch_context(in_float32("target"), 3, 100, small()), "three");
  llama_context_params params = small();
  params.kv_unified = true;
  params.n_batch = 7;
  expect_conforming(llama::batch_context(in_float32("target"), 3, 100, params), "unified, by 7");
  expect_conforming(llama::batch_context(in_float32("target"), 1, 0, small()), "one");
}

TEST(llama_cpp_batch_context, each_sequence_of_a_state_keeps_the_contract) {
  expect_conforming(llama::batch_context(recurrent_model(), 3, 100, small(), {.back = rollback::checkpoints}), "mamba",
                    1e-3);
  expect_conforming(llama::batch_context(hybrid_model(), 3, 100, small(), {.back = rollback::checkpoints}), "lfm2",
                    1e-3);
  llama_context_params params = small();
  params.n_rs_seq = 4;
  expect_conforming(llama::batch_context(hybrid_model(), 3, 100, params, {.back = rollback::bounded}), "bounded", 1e-3);
}

TEST(llama_cpp_batch_context, sequences_share_a_call_and_nothing_else) {
  for (const bool unified : {false, true}) {
    for (const std::uint32_t most : {2048U, 9U}) {
      llama_context_params params = small();
      params.kv_unified = unified;
      params.n_batch = most;
      llama::batch_context batch(in_float32("target"), 3, 80, params);
      EXPECT_EQ(batch.capacity(), 80U);
      const auto text = some_text(60);
      const std::vector<specdec::sequence_feed> feeds{{2, std::span(text).first(7), 3},
                                                      {0, std::span(text).subspan(20, 11), 0},
                                                      {1, std::span(text).subspan(40, 5), 5}};
      const auto rows = batch.decode(feeds);
      ASSERT_EQ(rows.size(), 8U);
      std::vector<std::vector<float>> got;
      for (std::size_t i = 0; i < 8; ++i) got.emplace_back(rows.row(i).data(), rows.row(i).data() + batch.vocab_size());
      EXPECT_TRUE(std::ranges::equal(batch.tokens(0), feeds[1].tokens));
      std::size_t row = 0;
      for (const auto& feed : feeds) {
        llama::context alone(in_float32("target"), small());
        const auto expected = alone.decode(feed.tokens, feed.rows);
        for (std::size_t i = 0; i < feed.rows; ++i, ++row) {
          for (std::size_t t = 0; t < batch.vocab_size(); ++t) ASSERT_NEAR(got[row][t], expected.row(i)[t], rounding);
        }
      }
    }
  }
}

TEST(llama_cpp_batch_context, refuses_feeds_that_cannot_be) {
  llama::batch_context batch(target(), 2, 100, small());
  const auto text = some_text(101);
  const auto message = [&](std::vector<specdec::sequence_feed> feeds) {
    return message_of([&] { (void)batch.decode(feeds); });
  };
  EXPECT_EQ(message({{2, text, 0}}), "specdec::llama_cpp: expected feeds of different sequences from 0 to 1; got 2");
  EXPECT_EQ(message({{1, std::span(text).first(1), 0}, {1, std::span(text).first(1), 0}}),
            "specdec::llama_cpp: expected feeds of different sequences from 0 to 1; got 1 again");
  EXPECT_NE(message({{1, text, 0}}).find("at most 100 tokens"), std::string::npos);
  EXPECT_EQ(batch.size(0) + batch.size(1), 0U);
  EXPECT_NE(message_of([] { llama::batch_context none(target(), 0); }).find("at least one sequence"),
            std::string::npos);
  EXPECT_NE(message_of([] { llama::batch_context many(target(), 100000, 10, small()); }).find("expected at most"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              llama::batch_context vast(target(), 2, std::size_t{1} << 31, small());
            }).find("room for at most 1073741823 tokens in each of 2"),
            std::string::npos);
}

TEST(llama_cpp_batch_context, a_cancelled_call_leaves_texts_that_go_on) {
  const auto text = some_text(60);
  for (const int patient : {0, 30, 60, 120}) {
    llama_context_params params = small();
    params.n_ubatch = 4;
    llama::batch_context batch(in_float32("target"), 2, 100, params);
    const std::vector<specdec::sequence_feed> feeds{{0, std::span(text).first(20), 1},
                                                    {1, std::span(text).last(20), 1}};
    patience waits{patient};
    llama_set_abort_callback(batch.handle(), patience::exhausted, &waits);
    EXPECT_THROW((void)batch.decode(feeds), llama::cancelled) << patient;
    waits.left = patience::endless;
    for (const auto& feed : feeds) {
      const auto held = batch.tokens(feed.sequence);
      ASSERT_TRUE(std::ranges::equal(held, feed.tokens.first(held.size())));
      const std::vector<specdec::sequence_feed> rest{{feed.sequence, feed.tokens.subspan(held.size()), 1}};
      const auto row = batch.decode(rest).row(0);
      llama::context alone(in_float32("target"), small());
      const auto expected = alone.decode(feed.tokens, 1).row(0);
      for (std::size_t t = 0; t < batch.vocab_size(); ++t) ASSERT_NEAR(row[t], expected[t], rounding) << patient;
    }
  }
}

TEST(llama_cpp_batch_context, texts_are_those_generated_alone) {
  std::vector<batches::wish> wishes;
  const auto text = some_text(80);
  for (std::size_t i = 0; i < 7; ++i) {
    batches::wish wanted;
    wanted.prompt.assign(text.begin() + static_cast<std::ptrdiff_t>(5 * i),
                         text.begin() + static_cast<std::ptrdiff_t>(9 * i + 6));
    wanted.options = {.max_tokens = 12 + 3 * i, .sampling = {i % 2 == 0 ? 0.0 : 0.8}, .seed = i};
    wishes.push_back(wanted);
  }
  std::vector<batches::result> expected;
  for (const auto& wanted : wishes) {
    llama::context draft_context(in_float32("draft"), small());
    expected.push_back(batches::alone(llama::context(in_float32("target"), small()),
                                      specdec::model_drafter(draft_context, specdec::constant{4}), wanted));
  }
  llama::batch_context targets(in_float32("target"), 3, 100, small()), drafts(in_float32("draft"), 3, 100, small());
  specdec::batch_model_drafter drafter(drafts, specdec::constant{4});
  specdec::session_batch batch(targets, drafter);
  const auto results = batches::together(batch, 3, targets.vocab_size(), wishes, 1, batches::never_interrupted);
  // The laws are the same but for rounding; with these seeds no draw falls between them.
  for (std::size_t i = 0; i < wishes.size(); ++i) EXPECT_EQ(results[i].generated, expected[i].generated) << i;
}

}  // namespace
