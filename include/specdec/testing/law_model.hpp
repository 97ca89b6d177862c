#ifndef SPECDEC_TESTING_LAW_MODEL_HPP
#define SPECDEC_TESTING_LAW_MODEL_HPP

/// @file
/// The smallest causal model there is: one whose law is written down.

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// A causal model whose law is a function of the text: `Function` maps a std::span<const token_id> to a
/// std::vector<double> of probabilities. Its logits are their logarithms, in double.
template <class Function>
class law_model {
 public:
  law_model(std::size_t vocab_size, Function function) : vocab_size_(vocab_size), function_(std::move(function)) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }

  logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
    logits_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context_.push_back(tokens[i]);
      if (i + rows < tokens.size()) continue;
      for (const double p : function_(std::span<const token_id>(context_))) logits_.push_back(std::log(p));
    }
    return {logits_.data(), rows, vocab_size_};
  }

 private:
  std::size_t vocab_size_;
  Function function_;
  std::vector<token_id> context_;
  std::vector<double> logits_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_LAW_MODEL_HPP
