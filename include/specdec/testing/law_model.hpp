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
#include "../model/tree_nodes.hpp"
#include "../proposal.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// A causal model whose law is a function of the text: `Function` maps a std::span<const token_id> to a
/// std::vector<double> of probabilities. Its logits are their logarithms, in double.
///
/// Models `CausalModel` and `DecodesTrees`. Throws std::invalid_argument where a tree breaks the contract.
template <class Function>
class law_model {
 public:
  law_model(std::size_t vocab_size, Function function) : vocab_size_(vocab_size), function_(std::move(function)) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  void truncate(std::size_t n) {
    context_.resize(n);
    nodes_.clear();
  }

  logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
    return decode_tree(tokens, {}, rows);
  }

  logits_view<double> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                  std::size_t rows) {
    nodes_.require_call(tokens, parents, rows, size());
    const std::size_t text = tokens.size() - parents.size();
    if (text > 0) nodes_.clear();
    logits_.clear();
    for (std::size_t i = 0; i < text; ++i) {
      context_.push_back(tokens[i]);
      if (i + rows >= tokens.size()) append_row(context_);
    }
    for (std::size_t i = text; i < tokens.size(); ++i) {
      nodes_.append(tokens.subspan(i, 1), parents.subspan(i - text, 1));
      if (i + rows >= tokens.size()) append_row(text_to(static_cast<node_id>(nodes_.size())));
    }
    return {logits_.data(), rows, vocab_size_};
  }

  void keep(std::span<const node_id> path) {
    nodes_.require_path(path);
    for (const node_id node : path) context_.push_back(nodes_.token(node));
    nodes_.clear();
  }

 private:
  [[nodiscard]] std::vector<token_id> text_to(node_id node) const {
    std::vector<node_id> path;
    nodes_.append_path(node, path);
    std::vector<token_id> text = context_;
    for (const node_id step : path) text.push_back(nodes_.token(step));
    return text;
  }

  void append_row(std::span<const token_id> text) {
    for (const double p : function_(text)) logits_.push_back(std::log(p));
  }

  std::size_t vocab_size_;
  Function function_;
  std::vector<token_id> context_;
  tree_nodes nodes_;
  std::vector<double> logits_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_LAW_MODEL_HPP
