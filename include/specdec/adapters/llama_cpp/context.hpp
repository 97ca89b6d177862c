#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_CONTEXT_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_CONTEXT_HPP

/// @file
/// A llama.cpp context as a target or a draft.

#include <cstddef>
#include <span>

#include <llama.h>

#include "../../types.hpp"
#include "decoder.hpp"
#include "model.hpp"
#include "sequence.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// One text in a llama_context: sequence 0 of it. Models `TargetModel`, `KnowsTokens` and `HasCapacity`. Movable. Used
/// by one thread at a time.
///
/// Logits are computed for the rows that are asked for alone. A call that fails throws `decode_error`, or `cancelled`
/// if the context's abort callback ended it, and leaves a text that may go on. llama.cpp does not give a row the same
/// bits in calls of different sizes: greedy text may differ from plain decoding where two logits are almost equal.
class context {
 public:
  /// A new context. Throws `error` if llama.cpp makes none, if it is not for a model that reads from left to right, or
  /// if the model cannot go back as `options` say.
  explicit context(const model& of, llama_context_params params = llama_context_default_params(),
                   context_options options = {})
      : reader_(of, params), text_(reader_, 0, options) {}
  /// Refers to a context, which must outlive this and computes logits; its sequence 0 is cleared, and from then on must
  /// be left alone. Throws like the other.
  explicit context(llama_context* existing, context_options options = {})
      : reader_(existing), text_(reader_, 0, options) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return reader_.vocab_size(); }
  /// llama_n_ctx_seq.
  [[nodiscard]] std::size_t capacity() const noexcept { return reader_.capacity(); }
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
  /// Valid until the next call.
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return text_.tokens(); }

  /// Appends tokens and returns the logits behind the last `rows` of them, valid until the next call. Throws
  /// std::invalid_argument for more rows than tokens or a token outside the vocabulary, std::length_error if there is
  /// no room; nothing has changed then. Throws `decode_error`: tokens() may have some of the new tokens then.
  logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    reader_.require_call(tokens, rows, capacity() - size());
    return read(reader_, text_, tokens, rows);
  }

  /// Keeps the first n tokens. Throws std::invalid_argument if there are fewer, `error` if the memory cannot be
  /// truncated; nothing has changed then.
  void truncate(std::size_t n) { text_.truncate(n); }

  /// For what llama.h offers besides, such as llama_set_abort_callback; not to change sequence 0 of its memory.
  [[nodiscard]] llama_context* handle() const noexcept { return reader_.handle(); }

 private:
  decoder reader_;
  sequence text_;
};

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_CONTEXT_HPP
