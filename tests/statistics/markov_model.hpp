#ifndef FREQUENCIES_MARKOV_MODEL_HPP
#define FREQUENCIES_MARKOV_MODEL_HPP

/// @file
/// Models whose law is a table of floats, as fast as can be: so that what is timed and tested is the library.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <specdec/model/tree_nodes.hpp>
#include <specdec/proposal.hpp>
#include <specdec/types.hpp>

#include "laws.hpp"

namespace frequencies {

using specdec::token_id;

/// Classes of tokens: as many follow one another in equal parts of a vocabulary, and one of this width has a token in
/// each. What comes next depends on the classes of the last two tokens alone, so texts of classes have a law of their
/// own.
inline constexpr std::size_t width = 5;
/// A vocabulary of two whole blocks of the vocabulary arithmetic, and a part of a third.
inline constexpr std::size_t wide = 2500;
static_assert(wide % width == 0);

/// The class of a token of a vocabulary.
[[nodiscard]] constexpr std::size_t class_of(token_id token, std::size_t vocab_size) noexcept {
  return static_cast<std::size_t>(token) / (vocab_size / width);
}
/// The first token of a class.
[[nodiscard]] constexpr token_id first_of_class(std::size_t index, std::size_t vocab_size) noexcept {
  return static_cast<token_id>(index * (vocab_size / width));
}

/// The logits behind every two classes, in float.
class logits_table {
 public:
  /// ln of a law of the next token behind the last two classes.
  template <class Law>
  explicit logits_table(const Law& law) {
    for (token_id a = 0; a < token_id{width}; ++a) {
      for (token_id b = 0; b < token_id{width}; ++b) {
        for (const double p : law(std::vector<token_id>{a, b})) logits_.push_back(static_cast<float>(std::log(p)));
      }
    }
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return logits_.size() / (width * width); }
  [[nodiscard]] std::span<const float> behind(std::size_t a, std::size_t b) const noexcept {
    return std::span(logits_).subspan((a * width + b) * vocab_size(), vocab_size());
  }

 private:
  std::vector<float> logits_;
};

/// A law of classes, each class shared out among its tokens in parts that depend on the classes before, too.
template <class Law>
[[nodiscard]] auto shared_out(const Law& law, std::uint64_t seed, std::size_t vocab_size) {
  return [=](laws::text_view text) {
    const laws::probabilities of_classes = law(text);
    if (vocab_size == width) return of_classes;
    laws::probabilities p = laws::hashed(vocab_size, seed, 0.6)(text);
    const auto part = static_cast<std::ptrdiff_t>(vocab_size / width);
    for (auto [begin, c] = std::pair(p.begin(), std::size_t{0}); c < width; ++c, begin += part) {
      const double scale = of_classes[c] / std::accumulate(begin, begin + part, 0.0);
      for (auto at = begin; at != begin + part; ++at) *at *= scale;
    }
    return p;
  };
}

/// The law that is tested for.
[[nodiscard]] inline std::shared_ptr<const logits_table> target_table(std::size_t vocab_size = width) {
  return std::make_shared<logits_table>(shared_out(laws::hashed(width, 41, 0.6), 45, vocab_size));
}

/// One that is `share` parts the target's and for the rest another.
[[nodiscard]] inline std::shared_ptr<const logits_table> draft_table(double share, std::size_t vocab_size = width) {
  const auto mixed = [=](laws::text_view text) {
    laws::probabilities p = shared_out(laws::hashed(width, 41, 0.6), 45, vocab_size)(text);
    const laws::probabilities other = shared_out(laws::hashed(width, 43, 0.8), 47, vocab_size)(text);
    for (std::size_t t = 0; t < p.size(); ++t) p[t] = share * p[t] + (1 - share) * other[t];
    return p;
  };
  return std::make_shared<logits_table>(mixed);
}

/// A Markov chain of order two: the law of the next token is that of the table behind the classes of the last two. A
/// text of one token counts as one with a 0 before it. Models `CausalModel` and `DecodesTrees`; once warm it does not
/// allocate. Copies share the table.
class markov_model {
 public:
  explicit markov_model(std::shared_ptr<const logits_table> table) : table_(std::move(table)) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return table_->vocab_size(); }
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
    return {logits_.data(), rows, vocab_size()};
  }

  void keep(std::span<const specdec::node_id> path) {
    for (const specdec::node_id node : path) context_.push_back(nodes_.token(node));
    nodes_.clear();
  }

 private:
  void append_row(token_id a, token_id b) {
    const auto row = table_->behind(class_of(a, vocab_size()), class_of(b, vocab_size()));
    logits_.insert(logits_.end(), row.begin(), row.end());
  }

  std::shared_ptr<const logits_table> table_;
  std::vector<token_id> context_;
  specdec::tree_nodes nodes_;
  std::vector<float> logits_;
};

}  // namespace frequencies

#endif  // FREQUENCIES_MARKOV_MODEL_HPP
