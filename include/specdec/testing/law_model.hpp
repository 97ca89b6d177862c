#ifndef SPECDEC_TESTING_LAW_MODEL_HPP
#define SPECDEC_TESTING_LAW_MODEL_HPP

/// @file
/// The smallest causal model there is: one whose law is written down.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// A causal model whose law is a function of the text: `Function` maps a std::span<const token_id> to a
/// std::vector<double> of probabilities. Its logits are their logarithms, in double. Models `DecodesTrees`.
template <class Function>
class law_model {
 public:
  law_model(std::size_t vocab_size, Function function) : vocab_size_(vocab_size), function_(std::move(function)) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  void truncate(std::size_t n) {
    nodes_.clear();
    context_.resize(n);
  }

  logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
    nodes_.clear();
    logits_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context_.push_back(tokens[i]);
      if (i + rows >= tokens.size()) append_row(context_);
    }
    return {logits_.data(), rows, vocab_size_};
  }

  logits_view<double> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                  std::size_t rows) {
    const auto text = tokens.first(tokens.size() - parents.size());
    logits_.clear();
    if (!text.empty()) (void)decode(text, rows - std::min(rows, parents.size()));
    for (std::size_t i = 0; i < parents.size(); ++i) {
      nodes_.push_back({parents[i], tokens[text.size() + i]});
      if (i + rows >= parents.size()) append_row(text_to(static_cast<node_id>(nodes_.size())));
    }
    return {logits_.data(), rows, vocab_size_};
  }

  void keep(std::span<const node_id> path) {
    for (const node_id node : path) context_.push_back(nodes_[node - 1].token);
    nodes_.clear();
  }

 private:
  struct tree_node {
    node_id parent;
    token_id token;
  };

  void append_row(const std::vector<token_id>& text) {
    for (const double p : function_(std::span<const token_id>(text))) logits_.push_back(std::log(p));
  }

  [[nodiscard]] std::vector<token_id> text_to(node_id node) const {
    std::vector<token_id> path;
    for (; node != root; node = nodes_[node - 1].parent) path.push_back(nodes_[node - 1].token);
    std::vector<token_id> text = context_;
    text.insert(text.end(), path.rbegin(), path.rend());
    return text;
  }

  std::size_t vocab_size_;
  Function function_;
  std::vector<token_id> context_;
  std::vector<tree_node> nodes_;
  std::vector<double> logits_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_LAW_MODEL_HPP
