#ifndef FREQUENCIES_MARKOV_MODEL_HPP
#define FREQUENCIES_MARKOV_MODEL_HPP

/// @file
/// Models whose law is a table of floats, as fast as can be: so that what is timed and tested is the library.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <specdec/model/tree_nodes.hpp>
#include <specdec/proposal.hpp>
#include <specdec/types.hpp>

#include "laws.hpp"

namespace frequencies {

using specdec::token_id;

/// Tokens in the vocabulary.
inline constexpr std::size_t width = 5;

/// The logits behind every two tokens, in float.
class logits_table {
 public:
  /// ln of a law of the last two tokens, as `laws::hashed` makes them.
  template <class Law>
  explicit logits_table(const Law& law) {
    for (token_id a = 0; a < token_id{width}; ++a) {
      for (token_id b = 0; b < token_id{width}; ++b) {
        for (const double p : law(std::vector<token_id>{a, b})) logits_.push_back(static_cast<float>(std::log(p)));
      }
    }
  }

  [[nodiscard]] std::span<const float, width> behind(token_id a, token_id b) const noexcept {
    const std::size_t row = static_cast<std::size_t>(a) * width + static_cast<std::size_t>(b);
    return std::span<const float, width>(logits_.data() + row * width, width);
  }

 private:
  std::vector<float> logits_;
};

/// The law that is tested for.
[[nodiscard]] inline std::shared_ptr<const logits_table> target_table() {
  return std::make_shared<logits_table>(laws::hashed(width, 41, 0.6));
}

/// One that is `share` parts the target's and for the rest another.
[[nodiscard]] inline std::shared_ptr<const logits_table> draft_table(double share) {
  const auto mixed = [share](laws::text_view text) {
    laws::probabilities p = laws::hashed(width, 41, 0.6)(text);
    const laws::probabilities other = laws::hashed(width, 43, 0.8)(text);
    for (std::size_t t = 0; t < width; ++t) p[t] = share * p[t] + (1 - share) * other[t];
    return p;
  };
  return std::make_shared<logits_table>(mixed);
}

/// A Markov chain of order two: the law of the next token is that of the table behind the last two. A text of one token
/// counts as one with a 0 before it. Models `CausalModel` and `DecodesTrees`; once warm it does not allocate. Copies
/// share the table.
class markov_model {
 public:
  explicit markov_model(std::shared_ptr<const logits_table> table) : table_(std::move(table)) {}

  [[nodiscard]] static constexpr std::size_t vocab_size() noexcept { return width; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  void truncate(std::size_t n) {
    context_.resize(n);
    nodes_.clear();
  }

  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    return decode_tree(tokens, {}, rows);
  }

  specdec::logits_view<float> decode_tree(std::span<const token_id> tokens, std::span<const specdec::node_id> parents,
                                          std::size_t rows) {
    const std::size_t text = tokens.size() - parents.size();
    if (text > 0) nodes_.clear();
    logits_.clear();
    for (std::size_t i = 0; i < text; ++i) {
      context_.push_back(tokens[i]);
      if (i + rows >= tokens.size()) append_row(context_.size() > 1 ? context_[context_.size() - 2] : 0, tokens[i]);
    }
    nodes_.append(tokens.subspan(text), parents);
    for (std::size_t i = text; i < tokens.size(); ++i) {
      if (i + rows < tokens.size()) continue;
      const specdec::node_id parent = parents[i - text];
      append_row(parent == specdec::root ? context_.back() : nodes_.token(parent), tokens[i]);
    }
    return {logits_.data(), rows, width};
  }

  void keep(std::span<const specdec::node_id> path) {
    for (const specdec::node_id node : path) context_.push_back(nodes_.token(node));
    nodes_.clear();
  }

 private:
  void append_row(token_id a, token_id b) {
    const auto row = table_->behind(a, b);
    logits_.insert(logits_.end(), row.begin(), row.end());
  }

  std::shared_ptr<const logits_table> table_;
  std::vector<token_id> context_;
  specdec::tree_nodes nodes_;
  std::vector<float> logits_;
};

}  // namespace frequencies

#endif  // FREQUENCIES_MARKOV_MODEL_HPP
