#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_DECODER_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_DECODER_HPP

/// @file
/// Calls of llama_decode: put together token by token, checked before they are made, cut where they are too long.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <llama.h>

#include "../../message.hpp"
#include "../../types.hpp"
#include "../../vectors.hpp"
#include "error.hpp"
#include "model.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// A llama_context, and how the contexts of this library call it.
///
/// A call is `begin`, `add` for each token, and `finish`. Tokens beyond llama_n_batch are read by further calls of
/// llama_decode, the shortest first, so that the rows of one sequence mostly come from one of them and need no copy.
/// What would end the program inside llama.cpp cannot be asked for. Movable. Does not allocate once warm.
class decoder {
 public:
  /// A context for `of`. Throws `error` if llama.cpp makes none, or if it would compute embeddings.
  decoder(const model& of, llama_context_params params)
      : context_(nullptr, freeing{of, true}), most_rows_(params.n_outputs_max) {
    require_generator();
    if (params.embeddings) throw error("specdec::llama_cpp: expected a context for logits; it is for embeddings");
    require_room_for_sequences(params);
    context_.reset(llama_init_from_model(of.handle(), params));
    if (context_ == nullptr) {
      throw error("specdec::llama_cpp: expected a context for " + of.description() +
                  "; llama.cpp made none, and its log says why");
    }
    begin_use();
  }
  /// Refers to a context, which must outlive this. It computes logits, and its n_outputs_max is not below n_batch.
  explicit decoder(llama_context* existing) : context_(existing, freeing{model_of(existing), false}), most_rows_(0) {
    require_generator();
    begin_use();
  }

  [[nodiscard]] llama_context* handle() const noexcept { return context_.get(); }
  [[nodiscard]] const model& of() const noexcept { return context_.get_deleter().of; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  /// The most tokens that one sequence can have.
  [[nodiscard]] std::size_t capacity() const noexcept { return llama_n_ctx_seq(handle()); }

  /// Throws std::invalid_argument for more rows than tokens or a token outside the vocabulary, std::length_error for
  /// more tokens than there is room for.
  void require_call(std::span<const token_id> tokens, std::size_t rows, std::size_t room) const {
    if (rows > tokens.size()) {
      throw std::invalid_argument("specdec::llama_cpp: expected at most as many rows as tokens (" +
                                  std::to_string(tokens.size()) + "); got " + std::to_string(rows));
    }
    for (const token_id token : tokens) require_token(token, vocab_size_, "a call of decode");
    if (tokens.size() > room) {
      throw std::length_error("specdec::llama_cpp: expected at most " + std::to_string(room) +
                              " tokens, the room that is left in the context; got " + std::to_string(tokens.size()));
    }
  }

  /// Begins a call of so many tokens. What an earlier one left unfinished is forgotten.
  void begin(std::size_t tokens) {
    forget_batch();
    rows_ = 0;
    kept_.clear();
    room_ = tokens % most_tokens_ == 0 ? most_tokens_ : tokens % most_tokens_;
  }

  /// Adds a token at a position of some sequences; `row` asks for the logits behind it. Throws as llama_decode does,
  /// see `throw_decode_error`.
  void add(token_id token, std::size_t position, std::span<const llama_seq_id> sequences, bool row) {
    if (tokens_.size() == room_ || (row && places_.size() == most_rows_)) {
      read();
      keep_rows();
      forget_batch();
      room_ = most_tokens_;
    }
    if (row) places_.push_back(static_cast<std::int32_t>(tokens_.size()));
    tokens_.push_back(token);
    positions_.push_back(static_cast<llama_pos>(position));
    counts_.push_back(static_cast<std::int32_t>(sequences.size()));
    append_to(sequences_, sequences);
    wanted_.push_back(row);
  }

  /// Reads what was added. The rows stay valid until the next call. Throws like `add`, and `error` if llama.cpp has no
  /// logits to show.
  logits_view<float> finish() {
    if (!tokens_.empty()) read();
    if (places_.empty() && rows_ == 0) return {};
    if (rows_ == 0) {
      const float* const first = row(0);
      const std::size_t count = places_.size();
      // llama.h has rows lie one behind the other; asked for one by one, they are where they are.
      if (row(count - 1) == first + (count - 1) * vocab_size_) return {first, count, vocab_size_};
    }
    keep_rows();
    return {kept_.data(), rows_, vocab_size_};
  }

  /// How many tokens of a sequence were in the last call of llama_decode. O(tokens).
  [[nodiscard]] std::size_t read_last(llama_seq_id sequence) const noexcept {
    std::size_t count = 0, place = 0;
    for (const std::int32_t sequences : counts_) {
      count += sequences_[place] == sequence;
      place += static_cast<std::size_t>(sequences);
    }
    return count;
  }

 private:
  /// A context looks at its model when it is freed, and may be what keeps it: that is let go behind it.
  struct freeing {
    model of;
    bool owned;
    void operator()(llama_context* context) const noexcept {
      if (owned) llama_free(context);
    }
  };

  static model model_of(llama_context* context) {
    if (context == nullptr) throw error("specdec::llama_cpp: expected a context; got a null pointer");
    // Nothing here changes a model; its handle is not const because it frees what was loaded.
    return model(const_cast<llama_model*>(llama_get_model(context)));
  }

  void require_generator() const {
    const char* what = llama_model_has_encoder(of().handle())    ? "has an encoder"
                       : !llama_model_has_decoder(of().handle()) ? "has no decoder"
                       : llama_model_is_diffusion(of().handle()) ? "is a diffusion model"
                                                                 : nullptr;
    if (what == nullptr) return;
    throw error("specdec::llama_cpp: expected a model that reads a text from left to right; " + of().description() +
                " " + what);
  }

  /// llama.cpp reserves a row for each sequence, and ends the program where n_batch has no room for them.
  void require_room_for_sequences(const llama_context_params& params) const {
    std::uint32_t room = params.n_batch;
    if (params.n_ctx != 0) room = std::min(room, params.n_ctx);
    if (params.n_outputs_max != 0) room = std::min(room, params.n_outputs_max);
    if (params.n_batch > 0 && params.n_seq_max <= room) return;
    throw error("specdec::llama_cpp: expected n_batch, n_ctx and n_outputs_max to be at least n_seq_max, " +
                std::to_string(params.n_seq_max) + ", and not 0; the least is " + std::to_string(room));
  }

  void begin_use() {
    vocab_size_ = of().vocab_size();
    most_tokens_ = llama_n_batch(handle());
    if (most_rows_ == 0) most_rows_ = most_tokens_;
  }

  void forget_batch() noexcept {
    tokens_.clear();
    positions_.clear();
    counts_.clear();
    sequences_.clear();
    wanted_.clear();
    places_.clear();
  }

  void read() {
    lists_.clear();
    std::size_t place = 0;
    for (const std::int32_t count : counts_) {
      lists_.push_back(sequences_.data() + place);
      place += static_cast<std::size_t>(count);
    }
    llama_batch batch{};
    batch.n_tokens = static_cast<std::int32_t>(tokens_.size());
    batch.token = tokens_.data();
    batch.pos = positions_.data();
    batch.n_seq_id = counts_.data();
    batch.seq_id = lists_.data();
    batch.logits = wanted_.data();
    if (const int code = llama_decode(handle(), batch); code != 0) throw_decode_error(code, tokens_.size());
  }

  [[nodiscard]] const float* row(std::size_t i) const {
    const float* const logits = llama_get_logits_ith(handle(), places_[i]);
    if (logits == nullptr) {
      throw error(
          "specdec::llama_cpp: expected logits; llama.cpp has none: does the context compute embeddings, or "
          "sample by itself?");
    }
    return logits;
  }

  void keep_rows() {
    for (std::size_t i = 0; i < places_.size(); ++i) append_to(kept_, {row(i), vocab_size_});
    rows_ += places_.size();
  }

  std::unique_ptr<llama_context, freeing> context_;
  std::size_t vocab_size_ = 0;
  std::size_t most_tokens_ = 0;
  std::size_t most_rows_;
  std::size_t room_ = 0;  ///< for tokens in the next call of llama_decode
  std::size_t rows_ = 0;  ///< that were copied to `kept_`
  std::vector<llama_token> tokens_;
  std::vector<llama_pos> positions_;
  std::vector<std::int32_t> counts_;
  std::vector<llama_seq_id> sequences_;
  std::vector<llama_seq_id*> lists_;
  std::vector<std::int8_t> wanted_;
  std::vector<std::int32_t> places_;  ///< of the tokens whose rows are wanted
  std::vector<float> kept_;
};

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_DECODER_HPP
