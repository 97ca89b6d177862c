#ifndef TRANSFORMER_GGUF_WRITER_HPP
#define TRANSFORMER_GGUF_WRITER_HPP

/// @file
/// Small GGUF files for tests.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gguf.hpp"
#include "gguf_writer.hpp"

namespace toy_test {

using toy::byte_writer;
using toy::gguf_writer;

/// The sizes of a random model.
struct tiny_shape {
  std::size_t vocabulary = 50, width = 64, layers = 2, heads = 4, key_value_heads = 2, head_size = 16, rotary_size = 16,
              feed_forward = 96, context_length = 80;
  toy::tensor_type attention = toy::tensor_type::bfloat16;
  toy::tensor_type feed_forward_type = toy::tensor_type::q8_0;
  bool untied = true;
  bool infinite_token = false;  // the last token's embedding
};

/// A Llama model of this shape with random weights, large enough to make every logit depend on them.
inline gguf_writer tiny_model(const tiny_shape& s) {
  gguf_writer file;
  const auto u32 = [](std::size_t size) { return static_cast<std::uint32_t>(size); };
  file.value("general.architecture", std::string_view("llama"));
  file.value("llama.context_length", u32(s.context_length)).value("llama.embedding_length", u32(s.width));
  file.value("llama.block_count", u32(s.layers)).value("llama.feed_forward_length", u32(s.feed_forward));
  file.value("llama.attention.head_count", u32(s.heads));
  file.value("llama.attention.head_count_kv", u32(s.key_value_heads));
  file.value("llama.attention.key_length", u32(s.head_size));
  file.value("llama.attention.value_length", u32(s.head_size));
  file.value("llama.rope.dimension_count", u32(s.rotary_size)).value("llama.rope.freq_base", 500.0f);
  file.value("llama.attention.layer_norm_rms_epsilon", 1e-5f);

  std::minstd_rand engine(1);
  const auto random = [&](std::size_t count, double mean, double spread) {
    std::vector<float> values(count);
    for (float& value : values)
      value = static_cast<float>(mean + spread * (static_cast<double>(engine()) / 1073741823.5 - 1.0));
    return values;
  };
  const auto vector = [&](const std::string& name) {
    file.tensor(name, {s.width}, toy::tensor_type::float32, random(s.width, 1.0, 0.3));
  };
  const auto matrix = [&](const std::string& name, std::size_t columns, std::size_t rows, toy::tensor_type type) {
    file.tensor(name, {columns, rows}, type, random(columns * rows, 0, 2.0 / std::sqrt(static_cast<double>(columns))));
  };
  std::vector<float> embeddings = random(s.width * s.vocabulary, 0, 2.0 / std::sqrt(static_cast<double>(s.width)));
  if (s.infinite_token) std::fill_n(embeddings.rbegin(), s.width, std::numeric_limits<float>::infinity());
  file.tensor("token_embd.weight", {s.width, s.vocabulary}, toy::tensor_type::float32, embeddings);
  vector("output_norm.weight");
  if (s.untied) matrix("output.weight", s.width, s.vocabulary, toy::tensor_type::float16);
  for (std::size_t i = 0; i < s.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    vector(layer + "attn_norm.weight");
    vector(layer + "ffn_norm.weight");
    matrix(layer + "attn_q.weight", s.width, s.heads * s.head_size, s.attention);
    matrix(layer + "attn_k.weight", s.width, s.key_value_heads * s.head_size, s.attention);
    matrix(layer + "attn_v.weight", s.width, s.key_value_heads * s.head_size, s.attention);
    matrix(layer + "attn_output.weight", s.heads * s.head_size, s.width, s.attention);
    matrix(layer + "ffn_gate.weight", s.width, s.feed_forward, s.feed_forward_type);
    matrix(layer + "ffn_up.weight", s.width, s.feed_forward, s.feed_forward_type);
    matrix(layer + "ffn_down.weight", s.feed_forward, s.width, s.feed_forward_type);
  }
  return file;
}

/// A vocabulary of a few pieces, with every byte if asked.
inline void tiny_vocabulary(gguf_writer& file, bool bytes) {
  std::vector<std::string> tokens{"<unk>",
                                  "<s>",
                                  "</s>",
                                  "\xe2\x96\x81",
                                  "a",
                                  "b",
                                  "ab",
                                  "\xe2\x96\x81"
                                  "ab",
                                  "aba",
                                  "<tool>",
                                  "abab"};
  std::vector<float> scores{0, 0, 0, -9, -9, -9, -1, -2, -3, 0, -8};
  std::vector<std::int32_t> types{2, 3, 3, 1, 1, 1, 1, 1, 1, 4, 5};
  for (int byte = 0; bytes && byte < 256; ++byte) {
    const char* digits = "0123456789ABCDEF";
    tokens.push_back({'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'});
    scores.push_back(0);
    types.push_back(6);
  }
  file.value("tokenizer.ggml.model", std::string_view("llama")).strings("tokenizer.ggml.tokens", tokens);
  file.numbers("tokenizer.ggml.scores", toy::gguf_type::float32, scores);
  file.numbers("tokenizer.ggml.token_type", toy::gguf_type::int32, types);
  file.value("tokenizer.ggml.bos_token_id", 1u).value("tokenizer.ggml.eos_token_id", 2u);
  file.value("tokenizer.ggml.unknown_token_id", 0u);
}

}  // namespace toy_test

#endif  // TRANSFORMER_GGUF_WRITER_HPP
