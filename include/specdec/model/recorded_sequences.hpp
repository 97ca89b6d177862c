#ifndef SPECDEC_MODEL_RECORDED_SEQUENCES_HPP
#define SPECDEC_MODEL_RECORDED_SEQUENCES_HPP

/// @file
/// A model of several sequences that remembers what each was fed.

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../batches.hpp"
#include "../concepts.hpp"
#include "../failure.hpp"
#include "../owner.hpp"
#include "../types.hpp"
#include "../vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What `recorded` is for a causal model, for one of several sequences: it knows the tokens of each. Refers to the
/// model, which must outlive it; all calls must go through the wrapper.
///
/// Models `DecodesBatches`, and `HasCapacity` where the model does. Tokens that were in the model before are unknown
/// and stand as -1. Does not allocate unless a context grows beyond twice its greatest size so far.
template <DecodesBatches Model>
class recorded_sequences {
 public:
  explicit recorded_sequences(Model& model) : model_(address_of(model)), tokens_(model.sequence_count()) {
    for (std::size_t sequence = 0; sequence < tokens_.size(); ++sequence) agree_with_model(sequence);
  }

  [[nodiscard]] std::size_t vocab_size() const { return model_->vocab_size(); }
  [[nodiscard]] std::size_t sequence_count() const noexcept { return tokens_.size(); }
  [[nodiscard]] std::size_t size(std::size_t sequence) const { return model_->size(sequence); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<Model> { return model_->capacity(); }
  /// The tokens now in the sequence's context, in order.
  [[nodiscard]] std::span<const token_id> tokens(std::size_t sequence) const noexcept {
    return view_of(tokens_[sequence]);
  }

  /// The model's decode, whose rows are counted: throws std::invalid_argument if there are more or fewer than the feeds
  /// ask for. What the model throws passes through. After either, tokens() has what size() says of each sequence.
  decltype(auto) decode(std::span<const sequence_feed> feeds) {
    // Room first, so that nothing can fail behind a call that succeeded.
    std::size_t rows_wanted = 0;
    for (const sequence_feed& feed : feeds) {
      std::vector<token_id>& tokens = tokens_[feed.sequence];
      reserve_at_least(tokens, tokens.size() + feed.tokens.size());
      rows_wanted += feed.rows;
    }
    for (const sequence_feed& feed : feeds) append_to(tokens_[feed.sequence], feed.tokens);
    const auto call = [&]() -> decltype(auto) {
      decltype(auto) rows = model_->decode(feeds);
      if (const std::size_t count = rows.size(); count != rows_wanted) {
        raise<std::invalid_argument>("specdec: expected " + std::to_string(rows_wanted) +
                                     " rows of logits from a call for several sequences; got " + std::to_string(count));
      }
      return rows;
    };
    return cleaning_up(call, [&] {
      for (const sequence_feed& feed : feeds) agree_with_model(feed.sequence);
    });
  }

  /// The model's truncate. What it throws passes through.
  void truncate(std::size_t sequence, std::size_t n) {
    cleaning_up([&] { model_->truncate(sequence, n); }, [&] { agree_with_model(sequence); });
    agree_with_model(sequence);
  }
  /// The same, for a context that may be shorter already.
  void truncate_to(std::size_t sequence, std::size_t n) {
    if (model_->size(sequence) > n) truncate(sequence, n);
  }

 private:
  static constexpr token_id unknown = -1;

  void agree_with_model(std::size_t sequence) { tokens_[sequence].resize(model_->size(sequence), unknown); }

  Model* model_;
  std::vector<std::vector<token_id>> tokens_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_RECORDED_SEQUENCES_HPP
