#ifndef SPECDEC_TESTS_LAYERED_MODEL_HPP
#define SPECDEC_TESTS_LAYERED_MODEL_HPP

/// @file
/// A model with layers whose law is written down.

#include <cmath>
#include <cstddef>
#include <span>
#include <specdec/layer_skip.hpp>
#include <specdec/types.hpp>
#include <vector>

#include "laws.hpp"

namespace laws {

/// Its law behind a text depends on every token, on the blocks left out now, and on those left out when each token was
/// read: a draft that is not truncated changes every law behind it. What is left out moves 30 % of the mass.
class layered_model {
 public:
  static constexpr std::size_t layers = 3;

  explicit layered_model(std::size_t vocab_size, std::size_t capacity = 1000)
      : vocab_size_(vocab_size), capacity_(capacity) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t layer_count() const noexcept { return layers; }
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return context_; }
  void truncate(std::size_t n) {
    context_.resize(n);
    readings_.resize(n);
  }

  specdec::logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
    return decode(tokens, rows, specdec::layer_skip(layers));
  }
  specdec::logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows,
                                      const specdec::layer_skip& skipped) {
    skipped.require_layers(layers);
    if (tokens.size() > capacity_ - size()) throw std::length_error("the context is full");
    std::size_t reading = 0;
    for (std::size_t l = 0; l < layers; ++l) {
      reading = 4 * reading + (skipped.skips_attention(l) ? 2 : 0) + (skipped.skips_feed_forward(l) ? 1 : 0);
    }
    read_in_full_ += reading == 0 ? tokens.size() : 0;
    logits_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context_.push_back(tokens[i]);
      readings_.push_back(static_cast<token_id>(tokens[i] + static_cast<token_id>(1000 * reading)));
      if (i + rows < tokens.size()) continue;
      for (const double p : law(readings_, reading)) logits_.push_back(std::log(p));
    }
    return {logits_.data(), rows, vocab_size_};
  }

  /// The law of the whole model behind a text that it has read in full.
  [[nodiscard]] auto whole_law() const { return hashed(vocab_size_, 1); }

  /// How many tokens were read with nothing left out.
  [[nodiscard]] std::size_t read_in_full() const noexcept { return read_in_full_; }

 private:
  [[nodiscard]] probabilities law(text_view readings, std::size_t reading) const {
    if (reading == 0) return hashed(vocab_size_, 1)(readings);
    // As if all before had been read in full, or a draft would be a guess in the dark.
    probabilities p = hashed(vocab_size_, 1)(context_);
    const probabilities other = hashed(vocab_size_, 1 + reading)(readings);
    for (std::size_t t = 0; t < p.size(); ++t) p[t] = 0.7 * p[t] + 0.3 * other[t];
    return p;
  }

  std::size_t vocab_size_, capacity_;
  std::vector<token_id> context_;
  std::vector<token_id> readings_;
  std::vector<double> logits_;
  std::size_t read_in_full_ = 0;
};

}  // namespace laws

#endif  // SPECDEC_TESTS_LAYERED_MODEL_HPP
