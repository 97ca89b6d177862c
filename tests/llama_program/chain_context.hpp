#ifndef LLAMA_PROGRAM_CHAIN_CONTEXT_HPP
#define LLAMA_PROGRAM_CHAIN_CONTEXT_HPP

/// @file
/// A context whose logits are a function of its whole text: one that was not rolled back gives others.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include <specdec/specdec.hpp>

namespace llama_test {

using specdec::token_id;

/// The logits behind a text, in a family of models that are alike where `noise` is small.
inline std::vector<float> logits_behind(std::span<const token_id> text, std::size_t vocab_size, double noise) {
  std::uint64_t hash = 14695981039346656037U;
  for (const token_id token : text) hash = (hash ^ static_cast<std::uint64_t>(token + 1)) * 1099511628211U;
  std::vector<float> logits(vocab_size);
  for (std::size_t token = 0; token < vocab_size; ++token) {
    const std::uint64_t mixed = (hash ^ (token * 0x9e3779b97f4a7c15U)) * 0xbf58476d1ce4e5b9U;
    const double common = static_cast<double>(mixed >> 40) / 0x1p24;
    const double own = static_cast<double>((mixed * 0x94d049bb133111ebU) >> 40) / 0x1p24;
    logits[token] = static_cast<float>(4 * common + noise * own);
  }
  return logits;
}

class chain_context {
 public:
  explicit chain_context(std::size_t vocab_size, double noise = 0, std::size_t capacity = 512)
      : vocab_size_(vocab_size), noise_(noise), capacity_(capacity) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return text_; }
  void truncate(std::size_t n) { text_.resize(n); }

  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    if (text_.size() + tokens.size() > capacity_) throw std::length_error("the context is full");
    rows_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      text_.push_back(tokens[i]);
      if (i + rows < tokens.size()) continue;
      const std::vector<float> row = logits_behind(text_, vocab_size_, noise_);
      rows_.insert(rows_.end(), row.begin(), row.end());
    }
    return {rows_.data(), rows, vocab_size_};
  }

 private:
  std::size_t vocab_size_;
  double noise_;
  std::size_t capacity_;
  std::vector<token_id> text_;
  std::vector<float> rows_;
};

}  // namespace llama_test

#endif  // LLAMA_PROGRAM_CHAIN_CONTEXT_HPP
