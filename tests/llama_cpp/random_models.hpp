#ifndef LLAMA_CPP_RANDOM_MODELS_HPP
#define LLAMA_CPP_RANDOM_MODELS_HPP

/// @file
/// Small models with random weights, of architectures whose memory is not that of the bundled ones.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"
#include "transformer_gguf_writer.hpp"

namespace llama_test {

/// A GGUF file whose tensors are drawn from one stream of random numbers.
class random_file {
 public:
  static constexpr std::size_t width = 64, vocabulary = 267, context_length = 512;

  random_file(const std::string& architecture, std::size_t layers) : architecture_(architecture) {
    file_.value("general.architecture", std::string_view(architecture));
    number("context_length", context_length).number("embedding_length", width).number("block_count", layers);
    file_.value(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
    toy_test::tiny_vocabulary(file_, true);
    matrix("token_embd.weight", width, vocabulary);
  }

  random_file& number(const std::string& key, std::size_t value) {
    file_.value(architecture_ + "." + key, static_cast<std::uint32_t>(value));
    return *this;
  }
  random_file& numbers(const std::string& key, const std::vector<std::int32_t>& values) {
    file_.numbers(architecture_ + "." + key, toy::gguf_type::int32, values);
    return *this;
  }
  /// Weights that keep a vector about as long as it is.
  random_file& matrix(const std::string& name, std::size_t columns, std::size_t rows) {
    file_.tensor(name, {columns, rows}, toy::tensor_type::float32,
                 random(columns * rows, 0, 2 / std::sqrt(static_cast<double>(columns))));
    return *this;
  }
  random_file& vector(const std::string& name, std::size_t size, double mean = 1, double spread = 0.3) {
    file_.tensor(name, {size}, toy::tensor_type::float32, random(size, mean, spread));
    return *this;
  }
  /// A matrix whose elements are around `mean`.
  random_file& table(const std::string& name, std::size_t columns, std::size_t rows, double mean, double spread) {
    file_.tensor(name, {columns, rows}, toy::tensor_type::float32, random(columns * rows, mean, spread));
    return *this;
  }
  /// The feed-forward part of a layer.
  random_file& feed_forward(const std::string& layer, std::size_t size) {
    vector(layer + "ffn_norm.weight", width);
    matrix(layer + "ffn_gate.weight", width, size).matrix(layer + "ffn_up.weight", width, size);
    return matrix(layer + "ffn_down.weight", size, width);
  }
  /// The projections of a layer's attention.
  random_file& attention(const std::string& layer, std::size_t key_value_width) {
    matrix(layer + "attn_q.weight", width, width).matrix(layer + "attn_k.weight", width, key_value_width);
    return matrix(layer + "attn_v.weight", width, key_value_width).matrix(layer + "attn_output.weight", width, width);
  }

  /// Loaded by llama.cpp.
  [[nodiscard]] llama::model model() const {
    start();
    const temporary_file file(architecture_ + ".gguf", file_.bytes());
    return llama::model::load(file.path());
  }

 private:
  std::vector<float> random(std::size_t count, double mean, double spread) {
    std::vector<float> values(count);
    for (float& value : values) {
      value = static_cast<float>(mean + spread * (static_cast<double>(engine_()) / 1073741823.5 - 1.0));
    }
    return values;
  }

  std::string architecture_;
  toy_test::gguf_writer file_;
  std::minstd_rand engine_{7};
};

inline std::string layer_name(std::size_t i) { return "blk." + std::to_string(i) + "."; }

/// Mamba: a state, and nothing else.
inline llama::model recurrent_model() {
  constexpr std::size_t layers = 2, width = random_file::width, inner = 2 * width, state = 16, rank = 4, kernel = 4;
  random_file file("mamba", layers);
  file.number("feed_forward_length", 0).number("attention.head_count", 0);
  file.number("ssm.conv_kernel", kernel).number("ssm.inner_size", inner);
  file.number("ssm.state_size", state).number("ssm.time_step_rank", rank);
  file.vector("output_norm.weight", width);
  for (std::size_t i = 0; i < layers; ++i) {
    const std::string layer = layer_name(i);
    file.vector(layer + "attn_norm.weight", width).matrix(layer + "ssm_in.weight", width, 2 * inner);
    file.matrix(layer + "ssm_conv1d.weight", kernel, inner).vector(layer + "ssm_conv1d.bias", inner, 0, 0.1);
    file.matrix(layer + "ssm_x.weight", inner, rank + 2 * state);
    file.matrix(layer + "ssm_dt.weight", rank, inner).vector(layer + "ssm_dt.bias", inner, -2, 0.5);
    file.table(layer + "ssm_a", state, inner, -1, 0.9).vector(layer + "ssm_d", inner);
    file.matrix(layer + "ssm_out.weight", inner, width);
  }
  return file.model();
}

/// LFM2: short convolutions, which have a state, and attention between them.
inline llama::model hybrid_model() {
  constexpr std::size_t layers = 3, width = random_file::width, kernel = 3, heads = 4, feed_forward = 96;
  random_file file("lfm2", layers);
  file.number("feed_forward_length", feed_forward).number("attention.head_count", heads);
  file.numbers("attention.head_count_kv", {0, 2, 0}).number("shortconv.l_cache", kernel);
  file.vector("token_embd_norm.weight", width);
  for (std::size_t i = 0; i < layers; ++i) {
    const std::string layer = layer_name(i);
    file.vector(layer + "attn_norm.weight", width).feed_forward(layer, feed_forward);
    if (i == 1) {
      file.vector(layer + "attn_q_norm.weight", width / heads).vector(layer + "attn_k_norm.weight", width / heads);
      file.attention(layer, 2 * width / heads);
    } else {
      file.matrix(layer + "shortconv.conv.weight", kernel, width);
      file.matrix(layer + "shortconv.in_proj.weight", width, 3 * width);
      file.matrix(layer + "shortconv.out_proj.weight", width, width);
    }
  }
  return file.model();
}

/// Gemma 2: attention, which in every other layer sees the last `window` tokens alone.
inline llama::model sliding_model(std::size_t window) {
  constexpr std::size_t layers = 4, width = random_file::width, heads = 4, feed_forward = 96;
  random_file file("gemma2", layers);
  file.number("feed_forward_length", feed_forward).number("attention.head_count", heads);
  file.number("attention.head_count_kv", 2).number("attention.key_length", width / heads);
  file.number("attention.value_length", width / heads).number("attention.sliding_window", window);
  file.vector("output_norm.weight", width);
  for (std::size_t i = 0; i < layers; ++i) {
    const std::string layer = layer_name(i);
    file.vector(layer + "attn_norm.weight", width).attention(layer, 2 * width / heads);
    file.vector(layer + "post_attention_norm.weight", width).feed_forward(layer, feed_forward);
    file.vector(layer + "post_ffw_norm.weight", width);
  }
  return file.model();
}

}  // namespace llama_test

#endif  // LLAMA_CPP_RANDOM_MODELS_HPP
