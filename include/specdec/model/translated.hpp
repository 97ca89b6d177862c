#ifndef SPECDEC_MODEL_TRANSLATED_HPP
#define SPECDEC_MODEL_TRANSLATED_HPP

/// @file
/// A model over another vocabulary, shown as one over the target's.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../owner.hpp"
#include "../requirements.hpp"
#include "../sampling/law.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "vocabulary_map.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Shows a causal model as one over the target's vocabulary. It reads a target token as the draft tokens that the map
/// has for it, and its rows hold the model's logits of the shared tokens; all others are impossible (-inf).
///
/// A draft from it is lossless speculation with two vocabularies by their intersection: q'(x) = q(x) / Z for shared
/// tokens and 0 for others, Z being the shared tokens' mass. Source: Timor et al. 2025 (arXiv 2502.05202), "token-level
/// intersection"; `UniversalSpeculativeDecodingGenerator` in Hugging Face transformers.
///
/// @code
/// const specdec::vocabulary_map map(target_tokenizer, draft_tokenizer, {{bos, draft_bos}, {eos, draft_eos}});
/// specdec::translated draft(std::move(draft_context), map);
/// specdec::speculative_generate(target_context, draft, prompt, options);
/// @endcode
///
/// Where the model gives all its mass to tokens that are not shared, the row is even over those that are: any law may
/// draft. Models `CausalModel` and `KnowsTokens`, and `HasCapacity` and `HasTextCapacity` where the wrapped model has a
/// capacity. Owns the model, `translated<M&>` refers to it, and all calls must go through the wrapper; refers to the
/// map. Movable and copyable where the model is.
///
/// If a call throws, tokens() has those tokens that the model has read to their end. Does not allocate unless the
/// context or a call grows beyond its greatest size so far. Cost of a row: the shared tokens' number.
template <class Model>
requires CausalModel<std::remove_reference_t<Model>>
class translated {
 public:
  using wrapped = std::remove_reference_t<Model>;
  /// What the rows hold.
  using value_type = arithmetic<row_value<std::remove_cvref_t<rows_of<wrapped>>>>;

  /// Empties the model's context. Throws std::invalid_argument if the model's vocabulary has not the size of the map's
  /// for the draft (a model with more rows than its tokenizer has tokens is to be `padded` first).
  explicit translated(Model model, const vocabulary_map& map)
      : model_(std::forward<Model>(model)), map_(address_of(map)) {
    if (const std::size_t size = model_.vocab_size(); size != map_->draft_vocab_size()) {
      raise<std::invalid_argument>("specdec: expected a model of the map's draft vocabulary, " +
                                   std::to_string(map_->draft_vocab_size()) + " tokens; it has " +
                                   std::to_string(size));
    }
    model_.truncate(0);
  }
  explicit translated(Model model, const vocabulary_map&& map) = delete;

  [[nodiscard]] std::size_t vocab_size() const noexcept { return map_->target_vocab_size(); }
  /// Target tokens, as all sizes here.
  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return tokens_; }

  /// The tokens that fit whatever they are.
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> {
    return model_.capacity() / map_->longest();
  }
  /// See `HasTextCapacity`: a shared token takes one place (one that is not, which only a mask can force into a draft,
  /// takes more). O(text.size()).
  [[nodiscard]] std::size_t capacity(std::span<const token_id> text) const requires HasCapacity<wrapped> {
    std::size_t read = 0;
    for (const token_id token : text) read += map_->to_draft(token).size();
    const std::size_t most = model_.capacity();
    return read > most ? 0 : text.size() + (most - read);
  }

  /// See `CausalModel`. Throws std::invalid_argument for a token outside the target's vocabulary, for more rows than
  /// tokens, and if the wrapped model returns other rows than asked for; what that throws passes through.
  [[nodiscard]] logits_view<value_type> decode(std::span<const token_id> tokens, std::size_t rows) {
    if (rows > tokens.size()) {
      raise<std::invalid_argument>("specdec: expected at most as many rows as tokens, " +
                                   std::to_string(tokens.size()) + "; got " + std::to_string(rows));
    }
    for (const token_id token : tokens) require_token(token, vocab_size(), "the text");
    forget_unfinished();
    const std::size_t before = draft_size();
    const std::size_t first = size() + tokens.size() - rows;
    reserve_rows(rows);
    write_down(tokens);
    // The row behind a token is the row behind the last draft token that it is read as.
    const std::size_t skipped = rows == 0 ? feed_.size() : ends_[first] - before - 1;
    agreeing([&] {
      auto&& answer = model_.decode(std::span<const token_id>(feed_), feed_.size() - skipped);
      require_rows(answer.size(), feed_.size() - skipped);
      for (std::size_t i = 0; i < rows; ++i) {
        translate(answer.row(ends_[first + i] - before - 1 - skipped), std::span(logits_).subspan(i * vocab_size()));
      }
    });
    return {logits_.data(), rows, vocab_size()};
  }

  /// Throws std::invalid_argument if there are fewer tokens; what the wrapped model throws passes through.
  void truncate(std::size_t n) {
    if (n > size()) {
      raise<std::invalid_argument>("specdec: expected to keep at most " + std::to_string(size()) + " tokens; got " +
                                   std::to_string(n));
    }
    shorten(n);
  }

  [[nodiscard]] wrapped& model() noexcept { return model_; }
  [[nodiscard]] const vocabulary_map& map() const noexcept { return *map_; }

 private:
  static constexpr value_type impossible = -std::numeric_limits<value_type>::infinity();

  /// The draft tokens that the context is read as.
  [[nodiscard]] std::size_t draft_size() const noexcept { return ends_.empty() ? 0 : ends_.back(); }

  void shorten(std::size_t n) {
    agreeing([&] { model_.truncate(n == 0 ? 0 : ends_[n - 1]); });
    tokens_.resize(n);
    ends_.resize(n);
  }

  template <class Call>
  void agreeing(const Call& call) {
    cleaning_up(call, [&] { agree_with_model(); });
  }

  /// Keeps those tokens that the model has read to their end.
  void agree_with_model() {
    const std::size_t held = model_.size();
    while (draft_size() > held) {
      ends_.pop_back();
      tokens_.pop_back();
    }
  }

  /// Behind a call that failed the model may hold the beginning of a token.
  void forget_unfinished() {
    agree_with_model();
    if (model_.size() > draft_size()) shorten(size());
  }

  /// Puts what is to be read into feed_, and takes the tokens up: first, so that nothing can fail behind a call that
  /// succeeded.
  void write_down(std::span<const token_id> tokens) {
    feed_.clear();
    for (const token_id token : tokens) {
      const auto parts = map_->to_draft(token);
      append_to(feed_, parts);
    }
    reserve_at_least(tokens_, tokens_.size() + tokens.size());
    reserve_at_least(ends_, ends_.size() + tokens.size());
    for (const token_id token : tokens) {
      ends_.push_back(draft_size() + map_->to_draft(token).size());
      tokens_.push_back(token);
    }
  }

  /// What is impossible stays so: new rows are filled once.
  void reserve_rows(std::size_t rows) {
    if (logits_.size() < rows * vocab_size()) logits_.resize(rows * vocab_size(), impossible);
  }

  void require_rows(std::size_t got, std::size_t expected) const {
    if (got == expected) return;
    raise<std::invalid_argument>("specdec: expected " + std::to_string(expected) +
                                 " rows of logits from the translated model; got " + std::to_string(got));
  }

  template <class Row>
  void translate(const Row& row, std::span<value_type> answer) const {
    if (row.size() != map_->draft_vocab_size()) {
      raise<std::invalid_argument>("specdec: expected rows of " + std::to_string(map_->draft_vocab_size()) +
                                   " logits from the translated model; got one of " + std::to_string(row.size()));
    }
    bool any = false;
    for (const token_pair& both : map_->shared()) {
      const value_type logit = logit_of(row, both.draft);
      answer[static_cast<std::size_t>(both.target)] = logit;
      any = any || logit != impossible;
    }
    if (any) return;
    // A row without any possible token is a fault of the model, to be found by whoever reads it.
    for (std::size_t token = 0; token < row.size() && !any; ++token) any = logit_of(row, token) != impossible;
    if (!any) return;
    for (const token_pair& both : map_->shared()) answer[static_cast<std::size_t>(both.target)] = 0;
  }

  template <class Row, class Index>
  [[nodiscard]] static value_type logit_of(const Row& row, Index token) noexcept {
    return static_cast<value_type>(row[static_cast<std::size_t>(token)]);
  }

  Model model_;
  const vocabulary_map* map_;
  std::vector<token_id> tokens_;
  std::vector<std::size_t> ends_;  ///< how many draft tokens the context has behind each of its tokens
  std::vector<token_id> feed_;
  std::vector<value_type> logits_;
};

template <class Model>
translated(Model, const vocabulary_map&) -> translated<Model>;

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_TRANSLATED_HPP
