// Layers left out, by the engine and in what the library says of them; and contexts that are copied.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <specdec/layer_skip.hpp>
#include <specdec/model/skipping_layers.hpp>
#include <specdec/testing/conformance.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gguf.hpp"
#include "message_of.hpp"
#include "model.hpp"
#include "tokenizer.hpp"
#include "transformer_reference.hpp"

namespace {

using specdec::layer_skip;
using specdec::token_id;
using toy::context;
using tokens = std::vector<token_id>;
using bits = std::vector<std::uint32_t>;

static_assert(specdec::SkipsLayers<context> && specdec::KnowsTokens<context> && specdec::HasCapacity<context>);

const std::filesystem::path models = SPECDEC_MODELS_DIR;

const toy::gguf_file& target_file() {
  static const toy::gguf_file file(models / "target.gguf");
  return file;
}

const toy::model& target() {
  static const toy::model model(target_file());
  return model;
}

tokens some_text() {
  return toy::tokenizer(target_file())
      .encode("It was evening. The lamps were not yet lit, and the children had gone up to bed, when I heard a horse.");
}

bits copied(const specdec::logits_view<float>& rows) {
  bits result;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t t = 0; t < rows.row(i).size(); ++t) result.push_back(std::bit_cast<std::uint32_t>(rows.row(i)[t]));
  return result;
}

/// Masks of many kinds: early exits, one kind of block, single blocks, alternating ones.
std::vector<layer_skip> some_skips() {
  return {layer_skip::early_exit(8, 3),
          layer_skip::early_exit(8, 7),
          layer_skip(8, {0, 1, 2, 3, 4, 5, 6, 7}, {}),
          layer_skip(8, {}, {0, 1, 2, 3, 4, 5, 6, 7}),
          layer_skip(8, {0}, {}),
          layer_skip(8, {}, {7}),
          layer_skip(8, {2, 5, 6}, {1, 4, 5}),
          layer_skip(8, {1, 3, 5, 7}, {0, 2, 4, 6})};
}

double largest_difference(const specdec::logits_view<float>& rows, const toy_reference::matrix& expected,
                          std::size_t first) {
  double largest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t t = 0; t < rows.row(i).size(); ++t) {
      const double reference = expected(static_cast<Eigen::Index>(first + i), static_cast<Eigen::Index>(t));
      const double difference = std::fabs(static_cast<double>(rows.row(i)[t]) - reference);
      if (!(difference <= largest)) largest = difference;
    }
  return largest;
}

TEST(layer_skip, says_what_it_leaves_out) {
  const layer_skip some(4, {3, 1, 3}, {0});
  EXPECT_EQ(some.layer_count(), 4U);
  EXPECT_EQ(some.skipped_blocks(), 3U);
  for (std::size_t layer = 0; layer < 4; ++layer) {
    EXPECT_EQ(some.skips_attention(layer), layer == 1 || layer == 3);
    EXPECT_EQ(some.skips_feed_forward(layer), layer == 0);
  }
  EXPECT_EQ(some, layer_skip(4, {1, 3}, {0}));
  EXPECT_NE(some, layer_skip(4, {1, 3}, {}));
  EXPECT_NE(layer_skip(4), layer_skip(5));
  EXPECT_EQ(layer_skip(4).skipped_blocks(), 0U);
  EXPECT_EQ(layer_skip::early_exit(4, 2), layer_skip(4, {2, 3}, {2, 3}));
  EXPECT_EQ(layer_skip::early_exit(4, 4), layer_skip(4));
  EXPECT_EQ(layer_skip::early_exit(4, 0).skipped_blocks(), 8U);
}

TEST(layer_skip, errors_say_what_came) {
  EXPECT_EQ(message_of([] { layer_skip(4, {4}, {}); }), "specdec: expected layers below 4 in a layer skip; got 4");
  EXPECT_EQ(message_of([] { layer_skip(4, {}, {9}); }), "specdec: expected layers below 4 in a layer skip; got 9");
  EXPECT_EQ(message_of([] { (void)layer_skip::early_exit(4, 5); }),
            "specdec: expected an early exit behind 0 to 4 layers; got 5");
  // Twice as many as these wrap round to 2, and to 0.
  for (const std::size_t many : {(std::size_t{1} << 63) + 1, std::size_t{1} << 63, std::size_t{1} << 62}) {
    const std::string message =
        "specdec: expected a layer skip for at most 4611686018427387903 layers; got " + std::to_string(many);
    EXPECT_EQ(message_of([&] { layer_skip{many}; }), message);
    EXPECT_EQ(message_of([&] { layer_skip(many, {0}, {}); }), message);
    EXPECT_EQ(message_of([&] { (void)layer_skip::early_exit(many, std::size_t{1} << 62); }), message);
  }
  EXPECT_EQ(message_of([] { layer_skip(4).require_layers(8); }),
            "specdec: expected a layer skip for the 8 layers of the model; got one for 4");
  EXPECT_EQ(message_of([] { layer_skip(4).require_layers(4); }), "no exception");
}

TEST(layer_skip, leaving_nothing_out_changes_no_bit) {
  const tokens text = some_text();
  context whole(target()), same(target());
  EXPECT_EQ(same.layer_count(), 8U);
  ASSERT_EQ(copied(whole.decode(text, text.size())), copied(same.decode(text, text.size(), layer_skip(8))));
  // Nor is it taken for a draft that must be truncated.
  const tokens next{300};
  EXPECT_EQ(copied(whole.decode(next, 1)), copied(same.decode(next, 1)));
}

TEST(layer_skip, leaving_everything_out_leaves_embedding_norm_and_head) {
  const tokens text = some_text();
  context context(target());
  const auto rows = context.decode(text, text.size(), layer_skip::early_exit(8, 0));
  const toy_reference::matrix embedding = toy_reference::read(target_file(), "token_embd.weight");
  const bool untied = target_file().find_tensor("output.weight") != nullptr;
  const toy_reference::matrix head = untied ? toy_reference::read(target_file(), "output.weight") : embedding;
  toy_reference::matrix x(static_cast<Eigen::Index>(text.size()), embedding.cols());
  for (std::size_t i = 0; i < text.size(); ++i) x.row(static_cast<Eigen::Index>(i)) = embedding.row(text[i]);
  const double epsilon = target_file().get<double>("llama.attention.layer_norm_rms_epsilon");
  const toy_reference::matrix expected =
      toy_reference::normalized(x, toy_reference::read(target_file(), "output_norm.weight"), epsilon) *
      head.transpose();
  EXPECT_LT(largest_difference(rows, expected, 0), 1e-4);
}

TEST(layer_skip, agrees_with_the_double_precision_reference) {
  const tokens text = some_text();
  for (const layer_skip& skip : some_skips()) {
    for (const std::size_t in_full : {std::size_t{0}, text.size() / 2, text.size() - 1}) {
      context context(target());
      (void)context.decode(std::span(text).first(in_full), 0);
      const auto rows = context.decode(std::span(text).subspan(in_full), text.size() - in_full, skip);
      EXPECT_LT(largest_difference(rows, toy_reference::logits(target_file(), text, skip, in_full), in_full), 1e-4)
          << skip.skipped_blocks() << " blocks behind " << in_full << " tokens";
    }
  }
}

TEST(layer_skip, truncated_drafts_leave_no_trace) {
  const tokens text = some_text();
  const auto half = static_cast<std::ptrdiff_t>(text.size() / 2);
  const tokens first(text.begin(), text.begin() + half), rest(text.begin() + half, text.end());
  context plain(target());
  (void)plain.decode(first, 0);
  const bits expected = copied(plain.decode(rest, rest.size()));
  for (const layer_skip& skip : some_skips()) {
    context context(target());
    (void)context.decode(first, 0);
    const bits drafted = copied(context.decode(rest, rest.size(), skip));
    EXPECT_NE(drafted, expected);
    context.truncate(first.size());
    // The same again, token by token.
    bits again;
    for (const token_id token : rest) {
      const bits row = copied(context.decode({&token, 1}, 1, skip));
      again.insert(again.end(), row.begin(), row.end());
    }
    EXPECT_EQ(again, drafted);
    context.truncate(first.size());
    ASSERT_EQ(copied(context.decode(rest, rest.size())), expected);
  }
}

TEST(layer_skip, tokens_read_otherwise_must_be_truncated_first) {
  context context(target());
  const tokens some{1, 300, 301}, next{302};
  const layer_skip skip = layer_skip::early_exit(8, 4);
  EXPECT_EQ(message_of([&] { (void)context.decode(some, 1, layer_skip(7)); }),
            "specdec: expected a layer skip for the 8 layers of the model; got one for 7");
  EXPECT_EQ(context.size(), 0U);
  (void)context.decode(some, 0);
  (void)context.decode(some, 0, skip);
  const std::string refusal =
      "toy::context::decode: expected the last 3 tokens, which were read with other layers left out, to be truncated "
      "first";
  EXPECT_EQ(message_of([&] { (void)context.decode(next, 1); }), refusal);
  EXPECT_EQ(message_of([&] { (void)context.decode(next, 1, layer_skip::early_exit(8, 5)); }), refusal);
  EXPECT_EQ(message_of([&] { (void)context.decode(next, 1, skip); }), "no exception");
  context.truncate(4);
  EXPECT_NE(message_of([&] { (void)context.decode(next, 1); }), "no exception");
  context.truncate(3);
  EXPECT_EQ(message_of([&] { (void)context.decode(next, 1); }), "no exception");
}

TEST(layer_skip, a_model_that_skips_layers_conforms) {
  context context(target());
  for (const layer_skip& skip : {layer_skip::early_exit(8, 2), layer_skip(8, {2, 5, 6}, {1, 4, 5})}) {
    context.truncate(0);
    specdec::skipping_layers<toy::context&> shortened(context, skip);
    const auto report = specdec::testing::check_target_model(shortened);
    EXPECT_TRUE(report.conforming() && report.complete) << report.text();
  }
  EXPECT_EQ(message_of([&] { specdec::skipping_layers<toy::context&> wrong(context, layer_skip(3)); }),
            "specdec: expected a layer skip for the 8 layers of the model; got one for 3");
}

TEST(context_copy, goes_on_with_the_same_bits) {
  const tokens text = some_text();
  const tokens next{300, 301, 302};
  context original(target());
  (void)original.decode(text, 0);
  context copy = original;
  EXPECT_EQ(tokens(copy.tokens().begin(), copy.tokens().end()), text);
  EXPECT_EQ(copy.capacity(), original.capacity());
  const bits expected = copied(original.decode(next, 3));
  EXPECT_EQ(copied(copy.decode(next, 3)), expected);
  // Each has memory of its own.
  original.truncate(0);
  (void)original.decode(next, 0);
  copy.truncate(text.size());
  EXPECT_EQ(copied(copy.decode(next, 3)), expected);
}

TEST(context_copy, may_take_the_place_of_any_other) {
  const tokens text = some_text();
  const tokens next{300, 301, 302};
  context original(target());
  (void)original.decode(text, 0);
  // Copies first into contexts that share nothing, a beginning, all of it, more than it, or the model not at all.
  context empty(target()), beginning(target()), same(target()), more(target()), other(target()), small(target(), 90);
  (void)beginning.decode(std::span(text).first(10), 0);
  (void)beginning.decode(next, 0);
  (void)same.decode(text, 0);
  (void)more.decode(text, 0);
  (void)more.decode(next, 0);
  (void)other.decode(next, 0);
  context draft(toy::model(models / "draft.gguf"));
  context moved_from(target());
  const context elsewhere = std::move(moved_from);
  // What was read with layers left out is no beginning to share.
  context shortened(target());
  (void)shortened.decode(std::span(text).first(5), 0);
  (void)shortened.decode(std::span(text).subspan(5), 0, layer_skip::early_exit(8, 1));
  const bits expected = copied(context(original).decode(next, 3));
  for (context* place : {&empty, &beginning, &same, &more, &other, &small, &draft, &moved_from, &shortened}) {
    *place = original;
    ASSERT_EQ(tokens(place->tokens().begin(), place->tokens().end()), text);
    EXPECT_EQ(place->capacity(), original.capacity());
    EXPECT_EQ(copied(place->decode(next, 3)), expected);
  }
  context& itself = original;
  original = itself;
  EXPECT_EQ(copied(original.decode(next, 3)), expected);
}

TEST(context_copy, of_a_draft_is_a_draft) {
  const tokens text = some_text();
  const layer_skip skip = layer_skip::early_exit(8, 4);
  context original(target());
  (void)original.decode(std::span(text).first(5), 0);
  (void)original.decode(std::span(text).subspan(5), 0, skip);
  context copy = original;
  const tokens next{300};
  EXPECT_NE(message_of([&] { (void)copy.decode(next, 1); }), "no exception");
  const bits expected = copied(original.decode(next, 1, skip));
  EXPECT_EQ(copied(copy.decode(next, 1, skip)), expected);
}

}  // namespace
