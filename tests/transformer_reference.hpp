#ifndef TRANSFORMER_REFERENCE_HPP
#define TRANSFORMER_REFERENCE_HPP

/// @file
/// A Llama forward pass in double precision, written from the architecture's equations and as plainly as possible:
/// whole sequence, whole matrices, no cache. It shares only the GGUF reader with what it checks.

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <Eigen/Dense>
#include <specdec/layer_skip.hpp>
#include <specdec/types.hpp>

#include "gguf.hpp"

namespace toy_reference {

using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A tensor as a matrix: rows by columns; a vector is one row.
inline matrix read(const toy::gguf_file& file, const std::string& name) {
  const toy::gguf_tensor* tensor = file.find_tensor(name);
  if (!tensor) throw std::runtime_error("reference: no tensor " + name);
  std::vector<float> values(tensor->size);
  tensor->read(0, values);
  const auto columns = static_cast<Eigen::Index>(tensor->shape[0]);
  const auto rows = static_cast<Eigen::Index>(tensor->size) / columns;
  return Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(values.data(), rows, columns)
      .cast<double>();
}

/// RMSNorm of every row: x / sqrt(mean(x^2) + epsilon) * weight.
inline matrix normalized(const matrix& x, const matrix& weight, double epsilon) {
  matrix result = x;
  for (Eigen::Index i = 0; i < x.rows(); ++i)
    result.row(i) =
        (x.row(i).array() / std::sqrt(x.row(i).squaredNorm() / static_cast<double>(x.cols()) + epsilon)).matrix();
  return (result.array().rowwise() * weight.row(0).array()).matrix();
}

/// Rotates the pairs (2i, 2i + 1) of every head of row t by t * base^(-2i / size).
inline void rotate(matrix& x, Eigen::Index head_size, Eigen::Index rotary_size, double base) {
  for (Eigen::Index t = 0; t < x.rows(); ++t)
    for (Eigen::Index head = 0; head < x.cols(); head += head_size)
      for (Eigen::Index i = 0; i < rotary_size; i += 2) {
        const double angle =
            static_cast<double>(t) * std::pow(base, -static_cast<double>(i) / static_cast<double>(rotary_size));
        const double a = x(t, head + i), b = x(t, head + i + 1);
        x(t, head + i) = a * std::cos(angle) - b * std::sin(angle);
        x(t, head + i + 1) = a * std::sin(angle) + b * std::cos(angle);
      }
}

/// Causal attention; `heads` query heads share the key and value heads evenly.
inline matrix attended(const matrix& query, const matrix& key, const matrix& value, Eigen::Index head_size) {
  const Eigen::Index group = query.cols() / key.cols();
  matrix result = matrix::Zero(query.rows(), query.cols());
  for (Eigen::Index head = 0; head < query.cols() / head_size; ++head) {
    const Eigen::Index at = head * head_size, shared = head / group * head_size;
    for (Eigen::Index t = 0; t < query.rows(); ++t) {
      Eigen::ArrayXd scores = (key.block(0, shared, t + 1, head_size) * query.block(t, at, 1, head_size).transpose() /
                               std::sqrt(static_cast<double>(head_size)))
                                  .array();
      scores = (scores - scores.maxCoeff()).exp();
      scores /= scores.sum();
      result.block(t, at, 1, head_size) = scores.matrix().transpose() * value.block(0, shared, t + 1, head_size);
    }
  }
  return result;
}

/// The logits after every token: tokens.size() rows of vocabulary size. The tokens from `first_skipping` on are read
/// with blocks of some layers left out.
inline matrix logits(const toy::gguf_file& file, std::span<const specdec::token_id> tokens,
                     const std::optional<specdec::layer_skip>& skipped = std::nullopt, std::size_t first_skipping = 0) {
  const auto size = [&](const char* key) {
    return static_cast<Eigen::Index>(file.get<std::uint64_t>(std::string("llama.") + key));
  };
  const double epsilon = file.get<double>("llama.attention.layer_norm_rms_epsilon");
  const double base = file.get<double>("llama.rope.freq_base");
  const matrix embedding = read(file, "token_embd.weight");
  const Eigen::Index rotary_size = size("rope.dimension_count");

  matrix x(static_cast<Eigen::Index>(tokens.size()), embedding.cols());
  for (std::size_t t = 0; t < tokens.size(); ++t) x.row(static_cast<Eigen::Index>(t)) = embedding.row(tokens[t]);
  for (Eigen::Index layer = 0; layer < size("block_count"); ++layer) {
    const auto weight = [&](const char* name) {
      return read(file, "blk." + std::to_string(layer) + "." + name + ".weight");
    };
    const matrix attention_input = normalized(x, weight("attn_norm"), epsilon);
    matrix query = attention_input * weight("attn_q").transpose();
    matrix key = attention_input * weight("attn_k").transpose();
    const matrix value = attention_input * weight("attn_v").transpose();
    const Eigen::Index head_size = query.cols() / size("attention.head_count");
    rotate(query, head_size, rotary_size, base);
    rotate(key, head_size, rotary_size, base);
    const auto add = [&](const matrix& delta, bool skips) {
      const Eigen::Index rows = skips ? static_cast<Eigen::Index>(first_skipping) : x.rows();
      x.topRows(rows) += delta.topRows(rows);
    };
    const auto at = static_cast<std::size_t>(layer);
    add(attended(query, key, value, head_size) * weight("attn_output").transpose(),
        skipped && skipped->skips_attention(at));

    const matrix input = normalized(x, weight("ffn_norm"), epsilon);
    const matrix gate = input * weight("ffn_gate").transpose();
    const matrix up = input * weight("ffn_up").transpose();
    const matrix hidden = (gate.array() / (1.0 + (-gate.array()).exp()) * up.array()).matrix();
    add(hidden * weight("ffn_down").transpose(), skipped && skipped->skips_feed_forward(at));
  }
  const bool untied = file.find_tensor("output.weight") != nullptr;
  return normalized(x, read(file, "output_norm.weight"), epsilon) *
         (untied ? read(file, "output.weight") : embedding).transpose();
}

}  // namespace toy_reference

#endif  // TRANSFORMER_REFERENCE_HPP
