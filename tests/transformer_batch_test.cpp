// Several sequences in one pass of the toy transformer: each row, and each text, has the bits that it has alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "batches.hpp"
#include "gguf.hpp"
#include "message_of.hpp"
#include "model.hpp"
#include "transformer_gguf_writer.hpp"
#include "transformer_support.hpp"

namespace {

using specdec::sequence_feed;
using specdec::token_id;
using toy::weight_format;
using toy_test::bits_of;
using toy_test::random_tokens;
using toy_test::row_bits;
using tokens = std::vector<token_id>;

static_assert(specdec::DecodesBatches<toy::batch> && specdec::HasCapacity<toy::batch>);

constexpr std::size_t vocabulary = 37;

/// Feeds random parts of random texts, together and apart.
void expect_rows_of_contexts(const toy::model& model, std::size_t vocab_size, std::size_t most,
                             const std::string& what) {
  constexpr std::size_t count = 7;
  std::minstd_rand random(1);
  toy::batch together(model, count, 150);
  std::vector<toy::context> apart;
  for (std::size_t i = 0; i < count; ++i) apart.emplace_back(model, 150);
  for (int call = 0; call < 12; ++call) {
    std::vector<tokens> fed(count);
    std::vector<sequence_feed> feeds;
    std::vector<row_bits> expected;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t sequence = (i * 3 + static_cast<std::size_t>(call)) % count;
      const std::size_t kept = together.size(sequence) > 80 ? random() % 60 : together.size(sequence);
      together.truncate(sequence, kept);
      apart[sequence].truncate(kept);
      if (random() % 4 == 0) continue;
      fed[sequence] = random_tokens(random() % (most + 1), vocab_size, random);
      const std::size_t rows = random() % (fed[sequence].size() + 1);
      feeds.push_back({sequence, fed[sequence], rows});
      for (auto& row : bits_of(apart[sequence].decode(fed[sequence], rows))) expected.push_back(std::move(row));
    }
    ASSERT_EQ(bits_of(together.decode(feeds)), expected) << what << ", call " << call;
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_TRUE(std::ranges::equal(together.tokens(i), apart[i].tokens())) << what << ", call " << call;
  }
}

TEST(toy_batch, rows_have_the_bits_that_they_have_alone_on_every_instruction_set) {
  const toy::gguf_file file = toy_test::odd_file(vocabulary, 160);
  for (const char* tier : toy_test::tiers()) {
    const toy_test::forced_tier forced(tier);
    for (const weight_format format : {weight_format::float32, weight_format::float16})
      expect_rows_of_contexts(toy::model(file, {format}), vocabulary, 65, tier);
  }
}

TEST(toy_batch, rows_have_the_bits_that_they_have_alone_on_any_number_of_threads) {
  for (const unsigned threads : {1U, 3U}) {
    const std::filesystem::path file = std::filesystem::path(SPECDEC_MODELS_DIR) / "draft.gguf";
    expect_rows_of_contexts(toy::model(file, {weight_format::float32, 0, threads}), 4096, 8,
                            std::to_string(threads) + " threads");
  }
}

TEST(toy_batch, a_token_that_overflows_spoils_no_other_text_and_no_later_one) {
  const toy::gguf_file file = toy_test::odd_file(vocabulary, 160, true);
  const tokens spoiled{vocabulary - 1, vocabulary - 1}, sound{1, 2, 3};
  for (const char* tier : toy_test::tiers()) {
    const toy_test::forced_tier forced(tier);
    const toy::model model(file);
    const std::vector<row_bits> expected = bits_of(toy::context(model).decode(sound, 3));
    toy::batch batch(model, 2);
    const auto rows = batch.decode(std::vector<sequence_feed>{{0, spoiled, 2}});
    ASSERT_FALSE(std::isfinite(rows.row(0)[0]));
    EXPECT_EQ(bits_of(batch.decode(std::vector<sequence_feed>{{1, sound, 3}})), expected) << tier;
    toy::context context(model);
    static_cast<void>(context.decode(spoiled, 2));
    context.truncate(0);
    EXPECT_EQ(bits_of(context.decode(sound, 3)), expected) << tier;
  }
}

TEST(toy_batch, texts_are_those_generated_alone) {
  const toy::model target_model(toy_test::odd_file(vocabulary, 160));
  const toy::model draft_model(toy_test::odd_file(vocabulary, 160), {weight_format::float16});
  constexpr std::size_t sequences = 4;
  const auto wishes = batches::many_wishes(vocabulary, 11);
  std::vector<batches::result> expected;
  for (const auto& wanted : wishes) {
    toy::context draft(draft_model);
    specdec::model_drafter drafter(draft, specdec::constant{3});
    expected.push_back(batches::alone(toy::context(target_model), std::move(drafter), wanted));
  }
  std::size_t accepted = 0;
  for (const auto& result : expected) accepted += result.accepted;
  EXPECT_GT(accepted, 50U);
  for (const std::size_t prefill : {5U, 512U}) {
    toy::batch target(target_model, sequences);
    toy::batch draft(draft_model, sequences);
    specdec::batch_model_drafter drafter(draft, specdec::constant{3});
    specdec::session_batch batch(target, drafter, {prefill});
    EXPECT_EQ(batches::together(batch, sequences, vocabulary, wishes, 2, batches::never_interrupted), expected);
  }
}

TEST(toy_batch, every_sequence_is_a_model_of_its_own) {
  const toy::model model(toy_test::odd_file(vocabulary, 160));
  toy::batch batch(model, 3);
  static_cast<void>(specdec::one_sequence(batch, 0).decode(tokens{1, 2, 3}, 0));
  specdec::one_sequence last(batch, 2);
  const auto report = specdec::testing::check_target_model(last);
  EXPECT_TRUE(report.conforming()) << report.text();
  EXPECT_EQ(batch.size(0), 3U);
}

TEST(toy_batch, calls_that_are_refused_change_nothing) {
  const toy::model model(toy_test::odd_file(vocabulary, 160));
  toy::batch batch(model, 2, 10);
  EXPECT_EQ(batch.capacity(), 10U);
  EXPECT_EQ(batch.sequence_count(), 2U);
  const tokens some{1, 2, 3}, unknown{1, 37}, many(8, 1);
  const std::vector<sequence_feed> first{{0, some, 1}};
  const auto rows = bits_of(batch.decode(first));
  const auto refusal = [&](const std::vector<sequence_feed>& feeds) {
    return message_of([&] { static_cast<void>(batch.decode(feeds)); });
  };
  EXPECT_EQ(refusal({{1, some, 1}, {2, some, 1}}),
            "toy::batch::decode: expected feeds of different sequences in 0..1, got 2");
  EXPECT_EQ(refusal({{1, some, 1}, {1, some, 1}}),
            "toy::batch::decode: expected feeds of different sequences in 0..1, got 1 again");
  EXPECT_EQ(refusal({{1, some, 1}, {0, some, 4}}),
            "toy::batch::decode: expected at most as many rows as tokens (3), got 4");
  EXPECT_EQ(refusal({{1, some, 1}, {0, unknown, 1}}),
            "toy::batch::decode: expected tokens in 0..36, got 37 for sequence 0");
  EXPECT_EQ(refusal({{1, some, 1}, {0, many, 1}}),
            "toy::batch::decode: expected at most 7 tokens for sequence 0, the room left of 10, got 8");
  EXPECT_EQ(message_of([&] { batch.truncate(1, 1); }),
            "toy::batch::truncate: expected at most the 0 tokens of sequence 1, got 1");
  EXPECT_EQ(message_of([&] { toy::batch none(model, 0); }), "toy::batch: expected at least one sequence, got none");
  EXPECT_EQ(message_of([&] { toy::batch long_ones(model, 1, 161); }),
            "toy::batch: expected a capacity of at most the model's context length 160, got 161");
  EXPECT_EQ(batch.size(0), 3U);
  EXPECT_EQ(batch.size(1), 0U);
  EXPECT_EQ(batch.decode({}).size(), 0U);
  batch.truncate(0, 0);
  toy::batch moved = std::move(batch);
  EXPECT_EQ(bits_of(moved.decode(first)), rows);
}

}  // namespace
