// A saved model with ballast says what the model says, and costs what it should.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gguf.hpp>
#include <gguf_writer.hpp>
#include <model.hpp>
#include <specdec/specdec.hpp>
#include <widened_file.hpp>

#include "message_of.hpp"
#include "transformer_gguf_writer.hpp"
#include "transformer_support.hpp"

namespace {

using specdec::token_id;
using toy::gguf_file;
using toy::tensor_type;
using toy_test::bits_of;
using toy_test::tiny_model;

constexpr std::size_t vocabulary = 50;
constexpr std::size_t wanted = 600'000;

gguf_file tiny(tensor_type attention, tensor_type feed_forward) {
  toy_test::gguf_writer file =
      tiny_model({.vocabulary = vocabulary, .attention = attention, .feed_forward_type = feed_forward});
  toy_test::tiny_vocabulary(file, false);
  return gguf_file(file.bytes(), "tiny.gguf");
}

gguf_file widened(const gguf_file& file, std::size_t parameters, tensor_type type) {
  return gguf_file(ballast::widened(file, parameters, type).bytes(), "wide.gguf");
}

/// The rows behind some tokens.
template <class Use>
auto with_rows(const gguf_file& file, toy::weight_format format, Use use) {
  const toy::model model(file, {.format = format, .threads = 1});
  toy::context context(model);
  std::minstd_rand random(3);
  const std::vector<token_id> tokens = toy_test::random_tokens(20, vocabulary, random);
  return use(context.decode(tokens, tokens.size()));
}

std::vector<toy_test::row_bits> bits_behind_text(const gguf_file& file, toy::weight_format format) {
  return with_rows(file, format, [](const auto& rows) { return bits_of(rows); });
}

TEST(ballast, float32_keeps_every_bit) {
  const gguf_file before = tiny(tensor_type::bfloat16, tensor_type::q8_0);
  const gguf_file after = widened(before, wanted, tensor_type::float32);
  EXPECT_EQ(bits_behind_text(after, toy::weight_format::float32),
            bits_behind_text(before, toy::weight_format::float32));
}

TEST(ballast, float16_keeps_what_was_float16) {
  // The head and the embedding of these are float16 and float32; kept as float16 in memory, all are the same.
  const gguf_file before = tiny(tensor_type::float16, tensor_type::float16);
  const gguf_file after = widened(before, wanted, tensor_type::float16);
  EXPECT_EQ(bits_behind_text(after, toy::weight_format::float16),
            bits_behind_text(before, toy::weight_format::float16));
}

TEST(ballast, q8_0_is_near) {
  const gguf_file before = tiny(tensor_type::float32, tensor_type::float32);
  const gguf_file after = widened(before, wanted, tensor_type::q8_0);
  const auto laws = [](const gguf_file& file) {
    return with_rows(file, toy::weight_format::float32, [](const auto& rows) {
      std::vector<std::vector<double>> all;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        std::vector<double>& law = all.emplace_back();
        double sum = 0;
        for (std::size_t t = 0; t < vocabulary; ++t)
          sum += law.emplace_back(std::exp(static_cast<double>(rows.row(i)[t])));
        for (double& p : law) p /= sum;
      }
      return all;
    });
  };
  const auto p = laws(before), q = laws(after);
  for (std::size_t i = 0; i < p.size(); ++i) {
    double distance = 0;
    for (std::size_t t = 0; t < vocabulary; ++t) distance += std::fabs(p[i][t] - q[i][t]) / 2;
    EXPECT_LT(distance, 0.05) << "row " << i;
    EXPECT_GT(distance, 0) << "row " << i;
  }
}

TEST(ballast, has_the_size_that_was_asked_for) {
  const gguf_file before = tiny(tensor_type::bfloat16, tensor_type::q8_0);
  for (const tensor_type type : {tensor_type::float32, tensor_type::float16, tensor_type::q8_0}) {
    const gguf_file after = widened(before, wanted, type);
    const auto units = after.get<std::uint64_t>("llama.feed_forward_length");
    EXPECT_EQ(units % 32, 0U);
    EXPECT_EQ(after.find_tensor("blk.1.ffn_down.weight")->shape, (std::vector<std::size_t>{units, 64}));
    EXPECT_EQ(after.find_tensor("blk.1.ffn_up.weight")->type, type);
    EXPECT_EQ(after.find_tensor("blk.1.ffn_norm.weight")->type, tensor_type::float32);
    const toy::model model(after);
    EXPECT_GE(model.parameter_count(), wanted - 3 * 64 * 2);
    EXPECT_LE(model.parameter_count(), wanted + 32 * 3 * 64 * 2);
  }
}

TEST(ballast, none_is_the_model_itself) {
  const gguf_file before = tiny(tensor_type::bfloat16, tensor_type::q8_0);
  const gguf_file after = widened(before, 0, tensor_type::float32);
  EXPECT_EQ(after.get<std::uint64_t>("llama.feed_forward_length"), 96U);
  EXPECT_EQ(bits_behind_text(after, toy::weight_format::float32),
            bits_behind_text(before, toy::weight_format::float32));
}

TEST(ballast, metadata_is_kept) {
  toy_test::gguf_writer writer = tiny_model({.vocabulary = vocabulary});
  toy_test::tiny_vocabulary(writer, true);
  writer.value("general.file_type", 0U).value("general.alignment", 64U);
  writer.value("general.name", std::string_view("tiny")).value<std::uint8_t>("on", toy::gguf_type::boolean, 1);
  writer.array("nested", toy::gguf_type::array, 1);
  writer.metadata().number(8U).number(std::uint64_t{1}).string("deep");
  // The tests' writer aligns to 32 bytes, which the key must not contradict.
  std::vector<std::byte> bytes = writer.bytes();
  const std::string_view key = "general.alignment";
  const auto at = std::search(bytes.begin(), bytes.end(), std::as_bytes(std::span(key)).begin(),
                              std::as_bytes(std::span(key)).end());
  at[static_cast<std::ptrdiff_t>(key.size() + 4)] = std::byte{32};
  const gguf_file before(bytes, "tiny.gguf");
  const gguf_file after = widened(before, wanted, tensor_type::q8_0);

  EXPECT_EQ(after.get<std::string_view>("general.name"), "tiny");
  EXPECT_TRUE(after.get<bool>("on"));
  EXPECT_EQ(after.get<toy::gguf_array>("nested").arrays().front().strings().front(), "deep");
  EXPECT_EQ(after.get<std::uint64_t>("general.file_type"), 7U);
  EXPECT_EQ(after.get<std::uint64_t>("general.quantization_version"), 2U);
  EXPECT_FALSE(after.find<std::uint64_t>("general.alignment"));
  EXPECT_EQ(after.get<toy::gguf_array>("tokenizer.ggml.tokens").strings(),
            before.get<toy::gguf_array>("tokenizer.ggml.tokens").strings());
  EXPECT_EQ(after.get<toy::gguf_array>("tokenizer.ggml.scores").numbers(),
            before.get<toy::gguf_array>("tokenizer.ggml.scores").numbers());
  for (const auto& [name, value] : before.metadata()) {
    EXPECT_TRUE(after.metadata().contains(name) || name == "general.alignment") << name;
  }
}

TEST(ballast, refuses_what_it_cannot_widen) {
  const gguf_file other(toy_test::gguf_writer().value("general.architecture", std::string_view("gpt2")).bytes(),
                        "x.gguf");
  EXPECT_NE(message_of([&] { (void)ballast::widened(other, wanted, tensor_type::float32); }).find("x.gguf: expected"),
            std::string::npos);
  const std::string message =
      message_of([&] { (void)ballast::widened(toy_test::odd_file(vocabulary, 80), wanted, tensor_type::q8_0); });
  EXPECT_NE(message.find("odd.gguf: tensor 'blk.0.attn_k.weight': Q8_0 expects rows of a multiple of 32"),
            std::string::npos)
      << message;
}

}  // namespace
