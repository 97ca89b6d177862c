#ifndef TOY_BATCH_HPP
#define TOY_BATCH_HPP

/// @file
/// Several sequences of one model, read together.

#include <cstddef>
#include <memory>
#include <span>

#include <specdec/batches.hpp>
#include <specdec/types.hpp>

#include "model.hpp"

namespace toy {

/// Sequences of tokens that a model has read, each with its keys and values: specdec's target for a batch.
///
/// The tokens of a call pass through the layers together, up to 256 at once, whatever sequences they are for: the
/// weights are streamed from memory once for up to 16 of them, and more keep the processor busy for longer than that
/// takes. A row has the bits that a `context` gives it. Models `specdec::DecodesBatches` and `specdec::HasCapacity`.
/// Movable. One thread at a time may use a batch.
class batch {
 public:
  /// Empty sequences, each for up to `capacity` tokens; 0 is the model's context length. All memory is reserved here,
  /// except for logits beyond 64 rows. Throws `std::invalid_argument` if capacity exceeds the model's context length,
  /// or there is to be no sequence.
  batch(const toy::model& model, std::size_t sequences, std::size_t capacity = 0);
  ~batch();
  batch(batch&&) noexcept;
  batch& operator=(batch&&) noexcept;

  [[nodiscard]] std::size_t vocab_size() const noexcept;
  [[nodiscard]] std::size_t sequence_count() const noexcept;
  /// The most tokens that each sequence can hold.
  [[nodiscard]] std::size_t capacity() const noexcept;
  /// The number of tokens in a sequence. Precondition, here as below: there is such a sequence.
  [[nodiscard]] std::size_t size(std::size_t sequence) const noexcept;
  /// Those tokens. Valid until the next call on this batch.
  [[nodiscard]] std::span<const specdec::token_id> tokens(std::size_t sequence) const noexcept;

  /// Appends to each sequence what it is fed, and returns the logits that are wanted, feed after feed. Valid until the
  /// next call on this batch. Throws `std::invalid_argument` if a feed is for no sequence, or for that of another feed,
  /// if a token is not in the vocabulary or there are more rows than tokens, `std::length_error` if tokens do not fit,
  /// `std::bad_alloc`; nothing has changed then.
  [[nodiscard]] specdec::logits_view<float> decode(std::span<const specdec::sequence_feed> feeds);

  /// Keeps the first `size` tokens of a sequence. O(1). Throws `std::invalid_argument` if there are fewer.
  void truncate(std::size_t sequence, std::size_t size);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace toy

#endif  // TOY_BATCH_HPP
