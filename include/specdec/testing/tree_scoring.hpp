#ifndef SPECDEC_TESTING_TREE_SCORING_HPP
#define SPECDEC_TESTING_TREE_SCORING_HPP

/// @file
/// Trees on a model that only scores chains: slow, and right by construction.

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../failure.hpp"
#include "../model/tree_nodes.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// Scores every node of a tree by truncating to the text and decoding the node's path: what `decode_tree` of any other
/// model must agree with. Owns the model; `tree_scoring<M&>` refers to it.
///
/// Models `CausalModel` and `DecodesTrees`, and `HasCapacity` where the wrapped model does. Rows are copied; all calls
/// allocate. If a call of the wrapped model throws, the nodes are forgotten and size() says how much of the text is
/// left; what the model holds besides, of a node's path, is taken back at once, or before the next call if that throws
/// too. Cost: one call of the model for each node with a row.
template <class Model>
requires CausalModel<std::remove_reference_t<Model>>
class tree_scoring {
 public:
  using wrapped = std::remove_reference_t<Model>;
  /// The type of a logit.
  using value_type = std::remove_cvref_t<decltype(std::declval<rows_of<wrapped>>().row(0)[0])>;

  explicit tree_scoring(Model model) : model_(std::forward<Model>(model)), text_size_(model_.size()) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const noexcept { return text_size_; }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return model_.capacity(); }

  /// The wrapped model's decode. Throws as decode_tree.
  logits_view<value_type> decode(std::span<const token_id> tokens, std::size_t rows) {
    return decode_tree(tokens, {}, rows);
  }

  /// See `DecodesTrees`. Throws std::invalid_argument where the call breaks the contract, and then nothing has changed;
  /// and where the wrapped model answers with another number of rows than it was asked for, or with one of another
  /// width. What that throws passes through.
  logits_view<value_type> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                      std::size_t rows) {
    nodes_.require_call(tokens, parents, rows, size());
    const std::size_t text = tokens.size() - parents.size();
    logits_.clear();
    take_back_path();
    if (text > 0) {
      const std::size_t of_text = rows > parents.size() ? rows - parents.size() : 0;
      at_text([&] { take(model_.decode(tokens.first(text), of_text), of_text); });
      nodes_.clear();
      text_size_ = model_.size();
    }
    for (std::size_t i = text; i < tokens.size(); ++i) {
      nodes_.append(tokens.subspan(i, 1), parents.subspan(i - text, 1));
      if (i + rows < tokens.size()) continue;
      const std::vector<token_id> path = tokens_to(static_cast<node_id>(nodes_.size()));
      behind_text([&] { take(model_.decode(path, 1), 1); });
    }
    return {logits_.data(), rows, vocab_size()};
  }

  /// See `DecodesTrees`. Throws as decode_tree.
  void keep(std::span<const node_id> path) {
    nodes_.require_path(path);
    const std::vector<token_id> tokens = path.empty() ? std::vector<token_id>() : tokens_to(path.back());
    take_back_path();
    at_text([&] { (void)model_.decode(tokens, 0); });
    nodes_.clear();
    text_size_ = model_.size();
  }

  void truncate(std::size_t n) {
    take_back_path();
    at_text([&] { model_.truncate(n); });
    nodes_.clear();
    text_size_ = model_.size();
  }

 private:
  /// A call that changes the text.
  template <class Call>
  void at_text(const Call& call) {
    cleaning_up(call, [&] {
      nodes_.clear();
      text_size_ = model_.size();
    });
  }

  /// A call that feeds a node's path, which is no text.
  template <class Call>
  void behind_text(const Call& call) {
    holds_path_ = true;
    const auto call_and_take_back = [&] {
      call();
      take_back_path();
    };
    cleaning_up(call_and_take_back, [&] {
      nodes_.clear();
      // The exception that is told is the first; if this throws too, the next call tries again.
      (void)thrown_by([&] { take_back_path(); });
    });
  }

  void take_back_path() {
    if (!holds_path_) return;
    if (model_.size() > text_size_) model_.truncate(text_size_);
    holds_path_ = false;
  }

  template <LogitsRows Rows>
  void take(const Rows& rows, std::size_t expected) {
    const std::size_t count = rows.size();
    if (count != expected) {
      raise<std::invalid_argument>("specdec: expected " + std::to_string(expected) +
                                   " rows of logits from the wrapped model; got " + std::to_string(count));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = rows.row(i);
      if (row.size() != vocab_size()) {
        raise<std::invalid_argument>("specdec: expected rows of " + std::to_string(vocab_size()) +
                                     " logits from the wrapped model; got one of " + std::to_string(row.size()));
      }
      for (std::size_t t = 0; t < row.size(); ++t) logits_.push_back(row[t]);
    }
  }

  [[nodiscard]] std::vector<token_id> tokens_to(node_id node) const {
    std::vector<node_id> path;
    nodes_.append_path(node, path);
    std::vector<token_id> tokens;
    for (const node_id step : path) tokens.push_back(nodes_.token(step));
    return tokens;
  }

  Model model_;
  std::size_t text_size_;
  bool holds_path_ = false;  ///< whether the model may hold a node's path behind the text
  tree_nodes nodes_;
  std::vector<value_type> logits_;
};

template <class Model>
tree_scoring(Model) -> tree_scoring<Model>;

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_TREE_SCORING_HPP
