#ifndef SPECDEC_MODEL_ONE_SEQUENCE_HPP
#define SPECDEC_MODEL_ONE_SEQUENCE_HPP

/// @file
/// One sequence of a model of several, as a model of its own.

#include <cstddef>
#include <span>

#include "../batches.hpp"
#include "../concepts.hpp"
#include "../owner.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Refers to a sequence of `model`, which must outlive it: to generate with it alone, or to ask `check_target_model`
/// whether it is right. Models `CausalModel`, and `HasCapacity` where the model does. Copies refer to the same
/// sequence. Precondition: sequence < model.sequence_count().
template <DecodesBatches Model>
class one_sequence {
 public:
  one_sequence(Model& model, std::size_t sequence) noexcept : model_(address_of(model)), sequence_(sequence) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_->vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_->size(sequence_); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<Model> { return model_->capacity(); }

  /// The model's decode for this sequence alone. What it throws passes through.
  [[nodiscard]] decltype(auto) decode(std::span<const token_id> tokens, std::size_t rows) {
    const sequence_feed feed{sequence_, tokens, rows};
    return model_->decode(std::span<const sequence_feed>(&feed, 1));
  }
  void truncate(std::size_t n) { model_->truncate(sequence_, n); }

 private:
  Model* model_;
  std::size_t sequence_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_ONE_SEQUENCE_HPP
