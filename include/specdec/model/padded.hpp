#ifndef SPECDEC_MODEL_PADDED_HPP
#define SPECDEC_MODEL_PADDED_HPP

/// @file
/// A model whose rows of logits are wider than its tokenizer's vocabulary.

#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "../concepts.hpp"
#include "../failure.hpp"
#include "../layer_skip.hpp"
#include "../proposal.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The first `width` logits of every row of `Rows`, at their stride. Models `LogitsRows`, as lazily as `Rows` does.
template <LogitsRows Rows>
struct narrowed_rows {
  Rows rows;
  std::size_t width;

  [[nodiscard]] std::size_t size() const { return rows.size(); }
  /// A row that has fewer logits stays as it is, so that its fault is found.
  [[nodiscard]] auto row(std::size_t i) const {
    const auto whole = rows.row(i);
    using row_type = std::remove_cv_t<decltype(whole)>;
    return row_type(whole.data(), std::min(width, whole.size()), whole.stride());
  }
};

/// Presents the first n tokens of a model's vocabulary as all of it. Many checkpoints pad their last matrix (to 32064
/// rows, say, for 32000 tokens), some more than others of their family; without the padding they share a vocabulary,
/// and no padding is ever sampled. Owns the model; `padded<M&>` refers to it.
///
/// Models `CausalModel`, and `HasCapacity`, `KnowsTokens`, `SkipsLayers` and `DecodesTrees` where the wrapped model
/// does. Movable and copyable where that is. Copies no logits: rows are views of the wrapped model's, and lazy where
/// they are.
template <class Model>
requires CausalModel<std::remove_reference_t<Model>>
class padded {
 public:
  using wrapped = std::remove_reference_t<Model>;

  /// Throws std::invalid_argument unless 1 <= vocab_size <= model.vocab_size().
  explicit padded(Model model, std::size_t vocab_size) : model_(std::forward<Model>(model)), vocab_size_(vocab_size) {
    if (const std::size_t most = model_.vocab_size(); vocab_size == 0 || vocab_size > most) {
      raise<std::invalid_argument>("specdec: expected 1 to " + std::to_string(most) +
                                   " tokens in the vocabulary of a padded model; got " + std::to_string(vocab_size));
    }
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return model_.capacity(); }
  [[nodiscard]] std::size_t layer_count() const requires SkipsLayers<wrapped> { return model_.layer_count(); }
  [[nodiscard]] decltype(auto) tokens() const requires KnowsTokens<wrapped> { return std::as_const(model_).tokens(); }

  /// The wrapped model's decode, without the padding of its rows.
  [[nodiscard]] auto decode(std::span<const token_id> tokens, std::size_t rows) {
    return narrowed_rows<decltype(model_.decode(tokens, rows))>{model_.decode(tokens, rows), vocab_size_};
  }
  /// The same with layers left out.
  [[nodiscard]] auto decode(std::span<const token_id> tokens, std::size_t rows,
                            const layer_skip& skipped) requires SkipsLayers<wrapped> {
    return narrowed_rows<decltype(model_.decode(tokens, rows))>{model_.decode(tokens, rows, skipped), vocab_size_};
  }
  /// The wrapped model's decode_tree, without the padding of its rows.
  [[nodiscard]] auto decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                 std::size_t rows) requires DecodesTrees<wrapped> {
    return narrowed_rows<decltype(model_.decode(tokens, rows))>{model_.decode_tree(tokens, parents, rows), vocab_size_};
  }
  void keep(std::span<const node_id> path) requires DecodesTrees<wrapped> { model_.keep(path); }
  void truncate(std::size_t n) { model_.truncate(n); }

  [[nodiscard]] wrapped& model() noexcept { return model_; }

 private:
  Model model_;
  std::size_t vocab_size_;
};

template <class Model>
padded(Model, std::size_t) -> padded<Model>;

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_PADDED_HPP
