#ifndef TRANSFORMER_GGUF_WRITER_HPP
#define TRANSFORMER_GGUF_WRITER_HPP

/// @file
/// Writes small GGUF files for tests, well formed or not.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf.hpp"
#include "half.hpp"

namespace toy_test {

/// Bytes, appended in little-endian order.
class byte_writer {
 public:
  template <class T>
  byte_writer& number(T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
    return *this;
  }
  byte_writer& raw(std::string_view text) {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), bytes, bytes + text.size());
    return *this;
  }
  byte_writer& string(std::string_view text) { return number<std::uint64_t>(text.size()).raw(text); }
  byte_writer& append(const byte_writer& other) {
    bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
    return *this;
  }
  byte_writer& pad(std::size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_.push_back(std::byte{0});
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// A GGUF file in the making.
class gguf_writer {
 public:
  template <class T>
  gguf_writer& value(std::string_view key, toy::gguf_type type, T content) {
    begin(key, type).number(content);
    return *this;
  }
  gguf_writer& value(std::string_view key, std::uint32_t content) {
    return value(key, toy::gguf_type::uint32, content);
  }
  gguf_writer& value(std::string_view key, float content) { return value(key, toy::gguf_type::float32, content); }
  gguf_writer& value(std::string_view key, std::string_view content) {
    begin(key, toy::gguf_type::string).string(content);
    return *this;
  }
  gguf_writer& strings(std::string_view key, const std::vector<std::string>& content) {
    array(key, toy::gguf_type::string, content.size());
    for (const std::string& text : content) metadata_.string(text);
    return *this;
  }
  template <class T>
  gguf_writer& numbers(std::string_view key, toy::gguf_type type, const std::vector<T>& content) {
    array(key, type, content.size());
    for (const T number : content) metadata_.number(number);
    return *this;
  }
  /// A key with the array header of a nested or hostile array; its elements are written through `metadata()`.
  gguf_writer& array(std::string_view key, toy::gguf_type element, std::uint64_t count) {
    begin(key, toy::gguf_type::array).number(static_cast<std::uint32_t>(element)).number(count);
    return *this;
  }
  [[nodiscard]] byte_writer& metadata() { return metadata_; }

  gguf_writer& tensor(std::string_view name, const std::vector<std::size_t>& shape, toy::tensor_type type,
                      const std::vector<float>& values) {
    infos_.string(name).number(static_cast<std::uint32_t>(shape.size()));
    for (const std::size_t extent : shape) infos_.number<std::uint64_t>(extent);
    infos_.number(static_cast<std::uint32_t>(type)).number<std::uint64_t>(data_.size());
    encode(type, values);
    data_.pad(32);
    ++tensors_;
    return *this;
  }

  [[nodiscard]] byte_writer header() const {
    byte_writer file;
    file.raw("GGUF").number<std::uint32_t>(3).number(tensors_).number(keys_).append(metadata_).append(infos_);
    return file;
  }
  [[nodiscard]] std::vector<std::byte> bytes() const { return header().pad(32).append(data_).bytes(); }

 private:
  byte_writer& begin(std::string_view key, toy::gguf_type type) {
    ++keys_;
    return metadata_.string(key).number(static_cast<std::uint32_t>(type));
  }

  void encode(toy::tensor_type type, const std::vector<float>& values) {
    switch (type) {
      case toy::tensor_type::float32:
        for (const float value : values) data_.number(value);
        break;
      case toy::tensor_type::float16:
        for (const float value : values) data_.number(toy::float_to_half(value));
        break;
      case toy::tensor_type::bfloat16:
        for (const float value : values)
          data_.number(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
        break;
      case toy::tensor_type::q8_0:
        for (std::size_t block = 0; block < values.size(); block += 32) {
          float largest = 0;
          for (std::size_t i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(values[block + i]));
          const std::uint16_t scale = toy::float_to_half(largest / 127);
          data_.number(scale);
          for (std::size_t i = 0; i < 32; ++i) {
            const float steps = largest > 0 ? values[block + i] / toy::half_to_float(scale) : 0;
            data_.number(static_cast<std::int8_t>(std::lround(std::fmax(-127.0f, std::fmin(127.0f, steps)))));
          }
        }
        break;
    }
  }

  byte_writer metadata_, infos_, data_;
  std::uint64_t tensors_ = 0, keys_ = 0;
};

/// The sizes of a random model.
struct tiny_shape {
  std::size_t vocabulary = 50, width = 64, layers = 2, heads = 4, key_value_heads = 2, head_size = 16, rotary_size = 16,
              feed_forward = 96, context_length = 80;
  toy::tensor_type attention = toy::tensor_type::bfloat16;
  toy::tensor_type feed_forward_type = toy::tensor_type::q8_0;
  bool untied = true;
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
  matrix("token_embd.weight", s.width, s.vocabulary, toy::tensor_type::float32);
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
