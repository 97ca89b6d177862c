#ifndef SPECDEC_DECODE_DELIVERY_HPP
#define SPECDEC_DECODE_DELIVERY_HPP

/// @file
/// Between committing a token and handing it on: what may be the beginning of a stop waits.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../types.hpp"
#include "../vectors.hpp"
#include "detokenizer.hpp"
#include "held_tokens.hpp"
#include "outcome.hpp"
#include "stop.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The committed tokens that were not handed on yet, with their bytes and candidates.
class delivery {
 public:
  delivery(const stop_watch& watch, std::size_t candidates_per_token)
      : watch_(watch), candidates_per_token_(candidates_per_token) {}

  /// A new text begins; what waits is dropped.
  void restart() noexcept {
    watch_.restart();
    match_.reset();
    tokens_.clear();
    sizes_.clear();
    bytes_.clear();
    candidates_.clear();
    delivered_ = out_tokens_ = out_bytes_ = 0;
  }

  /// Makes room for a round of so many tokens, with so many bytes in all: `take` then allocates nothing.
  void reserve(std::size_t tokens, std::size_t bytes) {
    const std::size_t in_all = tokens_.size() - out_tokens_ + tokens;
    reserve_at_least(tokens_, in_all);
    reserve_at_least(sizes_, in_all);
    reserve_at_least(bytes_, bytes_.size() - out_bytes_ + bytes);
    reserve_at_least(candidates_, in_all * candidates_per_token_);
  }

  /// Forgets what was handed on last.
  void begin_round() noexcept {
    const auto cut = [](auto& sequence, std::size_t n) {
      sequence.erase(sequence.begin(), sequence.begin() + static_cast<std::ptrdiff_t>(n));
    };
    cut(tokens_, out_tokens_);
    cut(sizes_, out_tokens_);
    cut(bytes_, out_bytes_);
    cut(candidates_, out_tokens_ * candidates_per_token_);
    out_tokens_ = out_bytes_ = 0;
  }

  /// Takes a committed token; true if it completes a stop. @param top as many entries as there are candidates per token
  bool take(const emitted_token& token, std::string_view bytes, std::span<const candidate> top) noexcept {
    tokens_.push_back(token);
    sizes_.push_back(bytes.size());
    bytes_.append(bytes);
    append_to(candidates_, top);
    match_ = watch_.push(token.id, bytes);
    return match_.has_value();
  }

  /// Decides what is handed on in this round. @param all nothing can follow: nothing need wait, unless it is a stop
  void release(bool all) noexcept {
    const std::size_t last_tokens = match_ ? match_->tokens : all ? 0 : watch_.held_tokens();
    const std::size_t last_bytes = match_ ? match_->bytes : all ? 0 : watch_.held_bytes();
    // What is held back, or stops the text, may begin in what was handed on before the text was taken up again.
    const std::size_t bytes = bytes_.size() - std::min(last_bytes, bytes_.size());
    std::size_t whole = 0;
    bool broken = false;  // by a stop text that begins inside a token
    while (out_tokens_ + last_tokens < tokens_.size() && !broken) {
      broken = whole + sizes_[out_tokens_] > bytes;
      if (!broken) whole += sizes_[out_tokens_++];
    }
    out_bytes_ = match_ && broken ? bytes : whole;
    delivered_ += out_tokens_;
  }

  /// What is handed on in this round.
  [[nodiscard]] std::span<const emitted_token> tokens() const noexcept { return {tokens_.data(), out_tokens_}; }
  [[nodiscard]] std::string_view text() const noexcept { return std::string_view(bytes_).substr(0, out_bytes_); }
  [[nodiscard]] candidate_table top() const noexcept { return table(0, out_tokens_); }

  /// The watch, at the end of the text.
  [[nodiscard]] const stop_watch& watch() const noexcept { return watch_; }

  /// What waits.
  [[nodiscard]] std::span<const emitted_token> waiting() const noexcept {
    return view_of(tokens_).subspan(out_tokens_);
  }
  [[nodiscard]] candidate_table waiting_top() const noexcept {
    return table(out_tokens_, tokens_.size() - out_tokens_);
  }

  /// Tokens of this text that were handed on.
  [[nodiscard]] std::size_t delivered() const noexcept { return delivered_; }
  [[nodiscard]] const std::optional<stop_match>& match() const noexcept { return match_; }

  /// Takes up a text in the middle: of its generated tokens the last were not handed on. What the hook throws passes
  /// through.
  void take_up(std::span<const token_id> generated, std::span<const emitted_token> waiting, const candidate_table& top,
               const any_detokenizer& detokenize) {
    const std::size_t handed_on = generated.size() - waiting.size();
    std::string bytes;
    for (std::size_t i = 0; i < generated.size(); ++i) {
      bytes.clear();
      if (detokenize) detokenize(generated[i], bytes);
      if (i < handed_on) {
        match_ = watch_.push(generated[i], bytes);
        ++delivered_;
      } else {
        reserve(1, bytes.size());
        (void)take(waiting[i - handed_on], bytes, top.place(i - handed_on));
      }
    }
  }

 private:
  [[nodiscard]] candidate_table table(std::size_t first, std::size_t count) const noexcept {
    return {view_of(candidates_).subspan(first * candidates_per_token_, count * candidates_per_token_),
            candidates_per_token_};
  }

  stop_watch watch_;
  std::size_t candidates_per_token_;
  std::optional<stop_match> match_;
  std::vector<emitted_token> tokens_;
  std::vector<std::size_t> sizes_;  ///< bytes of each token
  std::string bytes_;
  std::vector<candidate> candidates_;
  std::size_t out_tokens_ = 0;
  std::size_t out_bytes_ = 0;
  std::size_t delivered_ = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_DELIVERY_HPP
