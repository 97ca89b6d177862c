#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_BATCH_CONTEXT_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_BATCH_CONTEXT_HPP

/// @file
/// Several texts in one llama.cpp context, read together.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <llama.h>

#include "../../batches.hpp"
#include "../../types.hpp"
#include "decoder.hpp"
#include "error.hpp"
#include "model.hpp"
#include "sequence.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// Sequences of one llama_context, whose tokens share calls of llama_decode. Models `DecodesBatches` and `HasCapacity`.
/// Movable. Used by one thread at a time. Calls that fail, and bits, as `context` has it.
class batch_context {
 public:
  /// A new context of so many sequences with room for `capacity` tokens each: sets n_seq_max, and n_ctx unless
  /// `capacity` is 0, when all share the n_ctx of `params`. Throws std::invalid_argument if there is to be no sequence,
  /// `error` if llama.cpp makes no such context (sequences and tokens in all are limited) or the model cannot go back
  /// as `options` say.
  batch_context(const model& of, std::size_t sequences, std::size_t capacity = 0,
                llama_context_params params = llama_context_default_params(), context_options options = {})
      : reader_(of, for_sequences(params, sequences, capacity)), capacity_(share(sequences)) {
    if (capacity > 0) capacity_ = std::min(capacity, capacity_);
    texts_.reserve(sequences);
    for (std::size_t i = 0; i < sequences; ++i) {
      texts_.emplace_back(reader_, static_cast<llama_seq_id>(i), options);
    }
    fed_.resize(sequences);
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return reader_.vocab_size(); }
  [[nodiscard]] std::size_t sequence_count() const noexcept { return texts_.size(); }
  /// The most tokens that each sequence can have.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// Precondition, here as below: there is such a sequence.
  [[nodiscard]] std::size_t size(std::size_t sequence) const noexcept { return texts_[sequence].size(); }
  /// Valid until the next call.
  [[nodiscard]] std::span<const token_id> tokens(std::size_t sequence) const noexcept {
    return texts_[sequence].tokens();
  }

  /// Appends to each sequence what it is fed, and returns the logits that are wanted, feed after feed, valid until the
  /// next call. Throws std::invalid_argument for feeds of no sequence, or of the same, and as `context::decode` does.
  logits_view<float> decode(std::span<const sequence_feed> feeds) {
    std::fill(fed_.begin(), fed_.end(), false);
    for (const sequence_feed& feed : feeds) {
      if (feed.sequence >= sequence_count() || fed_[feed.sequence]) {
        throw std::invalid_argument("specdec::llama_cpp: expected feeds of different sequences from 0 to " +
                                    std::to_string(sequence_count() - 1) + "; got " + std::to_string(feed.sequence) +
                                    (feed.sequence < sequence_count() ? " again" : ""));
      }
      fed_[feed.sequence] = true;
      reader_.require_call(feed.tokens, feed.rows, capacity_ - size(feed.sequence));
    }
    feeds_.clear();
    for (sequence_feed feed : feeds) {
      if (feed.tokens.empty()) continue;
      sequence& text = texts_[feed.sequence];
      if (const std::size_t before = feed.tokens.size() - feed.rows; feed.rows > 0 && text.worth_a_checkpoint(before)) {
        read_together(reader_, text, feed.tokens.first(before), 0);
        feed.tokens = feed.tokens.last(feed.rows);
      }
      feeds_.push_back(feed);
    }
    return read_feeds();
  }

  /// Keeps the first n tokens of a sequence. Throws as `context::truncate` does.
  void truncate(std::size_t sequence, std::size_t n) { texts_[sequence].truncate(n); }

  /// For what llama.h offers besides.
  [[nodiscard]] llama_context* handle() const noexcept { return reader_.handle(); }

 private:
  static llama_context_params for_sequences(llama_context_params params, std::size_t sequences, std::size_t capacity) {
    if (sequences == 0) {
      throw std::invalid_argument("specdec::llama_cpp: expected at least one sequence in a batch; got none");
    }
    if (sequences > llama_max_parallel_sequences()) {
      throw error("specdec::llama_cpp: expected at most " + std::to_string(llama_max_parallel_sequences()) +
                  " sequences, which is all that llama.cpp has; got " + std::to_string(sequences));
    }
    if (constexpr std::size_t most = std::numeric_limits<std::int32_t>::max(); capacity > most / sequences) {
      throw error("specdec::llama_cpp: expected room for at most " + std::to_string(most / sequences) +
                  " tokens in each of " + std::to_string(sequences) + " sequences; got " + std::to_string(capacity));
    }
    params.n_seq_max = static_cast<std::uint32_t>(sequences);
    if (capacity > 0) params.n_ctx = static_cast<std::uint32_t>(sequences * capacity);
    return params;
  }

  /// A memory that is unified has one room for all.
  [[nodiscard]] std::size_t share(std::size_t sequences) const noexcept {
    return std::min<std::size_t>(llama_n_ctx_seq(handle()), llama_n_ctx(handle()) / sequences);
  }

  logits_view<float> read_feeds() {
    std::size_t tokens = 0;
    for (const sequence_feed& feed : feeds_) {
      texts_[feed.sequence].prepare(feed.tokens.size());
      tokens += texts_[feed.sequence].missing().size() + feed.tokens.size();
    }
    try {
      reader_.begin(tokens);
      for (const sequence_feed& feed : feeds_) texts_[feed.sequence].add_to(reader_, feed.tokens, feed.rows);
      const logits_view<float> rows = reader_.finish();
      for (const sequence_feed& feed : feeds_) texts_[feed.sequence].append(reader_, feed.tokens);
      return rows;
    } catch (...) {
      for (const sequence_feed& feed : feeds_) texts_[feed.sequence].recover(feed.tokens);
      throw;
    }
  }

  decoder reader_;
  std::size_t capacity_;
  std::vector<sequence> texts_;
  // Of the call under way.
  std::vector<bool> fed_;
  std::vector<sequence_feed> feeds_;
};

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_BATCH_CONTEXT_HPP
