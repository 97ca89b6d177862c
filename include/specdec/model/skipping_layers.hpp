#ifndef SPECDEC_MODEL_SKIPPING_LAYERS_HPP
#define SPECDEC_MODEL_SKIPPING_LAYERS_HPP

/// @file
/// A model with some of its layers left out, as a model of its own.

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "../concepts.hpp"
#include "../layer_skip.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Reads all that it is fed with layers left out: a smaller model of the same vocabulary, without weights of its own.
/// Owns the model; `skipping_layers<M&>` refers to it.
///
/// Over a context that nobody else feeds it is a draft model like any other. To draft on the keys and values of the
/// target itself takes more, see `layer_skip_drafter`.
///
/// Models `CausalModel`, and `HasCapacity` and `KnowsTokens` where the wrapped model does. Movable and copyable where
/// that is.
template <class Model>
requires SkipsLayers<std::remove_reference_t<Model>>
class skipping_layers {
 public:
  using wrapped = std::remove_reference_t<Model>;

  /// Throws std::invalid_argument if `skipped` is for another number of layers.
  explicit skipping_layers(Model model, layer_skip skipped)
      : model_(std::forward<Model>(model)), skipped_(std::move(skipped)) {
    skipped_.require_layers(model_.layer_count());
  }

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return model_.capacity(); }
  [[nodiscard]] decltype(auto) tokens() const requires KnowsTokens<wrapped> { return std::as_const(model_).tokens(); }

  /// The wrapped model's decode with layers left out. What it throws passes through.
  [[nodiscard]] decltype(auto) decode(std::span<const token_id> tokens, std::size_t rows) {
    return model_.decode(tokens, rows, std::as_const(skipped_));
  }
  void truncate(std::size_t n) { model_.truncate(n); }

  [[nodiscard]] wrapped& model() noexcept { return model_; }
  [[nodiscard]] const layer_skip& skipped() const noexcept { return skipped_; }

 private:
  Model model_;
  layer_skip skipped_;
};

template <class Model>
skipping_layers(Model, layer_skip) -> skipping_layers<Model>;

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_SKIPPING_LAYERS_HPP
