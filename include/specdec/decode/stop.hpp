#ifndef SPECDEC_DECODE_STOP_HPP
#define SPECDEC_DECODE_STOP_HPP

/// @file
/// What ends a text early: stop sequences and stop texts, wherever rounds and tokens happen to break them, and somebody
/// who asks.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Somebody who may ask for an end from outside: `std::stop_token`, or anything else with `stop_requested()`.
template <class S>
concept StopRequest = requires(const S& request) {
  { request.stop_requested() } -> std::convertible_to<bool>;
};

/// Nobody asks.
struct never_stop {
  [[nodiscard]] static constexpr bool stop_requested() noexcept { return false; }
};

/// Follows one pattern through a stream, of tokens or of bytes: how much of it the stream's end matches now.
/// Source: Knuth, Morris and Pratt 1977. O(1) per symbol, amortised.
class pattern_follower {
 public:
  /// Precondition: the pattern is not empty.
  explicit pattern_follower(std::vector<token_id> pattern)
      : pattern_(std::move(pattern)), border_(pattern_.size() + 1) {
    SPECDEC_ASSERT(!pattern_.empty());
    for (std::size_t i = 1; i < pattern_.size(); ++i) border_[i + 1] = extended(border_[i], pattern_[i]);
  }

  [[nodiscard]] std::size_t size() const noexcept { return pattern_.size(); }
  /// The length of the pattern's longest head, short of the whole, that the stream ends with.
  [[nodiscard]] std::size_t matched() const noexcept { return matched_; }
  void restart() noexcept { matched_ = 0; }

  /// Takes the next symbol; true if the stream now ends with the whole pattern.
  bool push(token_id symbol) noexcept {
    matched_ = extended(matched_, symbol);
    if (matched_ < size()) return false;
    matched_ = border_[matched_];
    return true;
  }

 private:
  [[nodiscard]] std::size_t extended(std::size_t matched, token_id symbol) const noexcept {
    while (matched > 0 && pattern_[matched] != symbol) matched = border_[matched];
    return pattern_[matched] == symbol ? matched + 1 : 0;
  }

  std::vector<token_id> pattern_;
  /// border_[n]: the longest proper head of the pattern that its first n symbols end with.
  std::vector<std::size_t> border_;
  std::size_t matched_ = 0;
};

/// A stop that was found. A sequence and a text may end with the same token: then both are to be cut.
struct stop_match {
  bool is_text = false;    ///< whether a stop text ended first, or else a stop sequence
  std::size_t index = 0;   ///< which one
  std::size_t tokens = 0;  ///< how many of the last tokens are a stop sequence
  std::size_t bytes = 0;   ///< how many of the last bytes are a stop text and what lies behind it
};

/// Watches a text for stops, token by token.
class stop_watch {
 public:
  stop_watch(const std::vector<std::vector<token_id>>& sequences, const std::vector<std::string>& texts) {
    for (const auto& sequence : sequences) sequences_.emplace_back(sequence);
    for (const auto& text : texts) {
      std::vector<token_id> bytes;
      for (const token_id byte : text) bytes.push_back(byte);
      texts_.emplace_back(bytes);
    }
  }

  /// Whether there is anything to watch for.
  [[nodiscard]] bool watches() const noexcept { return !sequences_.empty() || !texts_.empty(); }

  /// The next token begins a text.
  void restart() noexcept {
    for (auto& sequence : sequences_) sequence.restart();
    for (auto& text : texts_) text.restart();
  }

  /// Takes a token and its bytes, and returns the stop that it completes: the one that ends first; of those that end
  /// together, the longest. It goes on behind one as behind any token.
  std::optional<stop_match> push(token_id token, std::string_view bytes) noexcept {
    stop_match found;
    std::size_t longest_sequence = 0;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      if (!sequences_[i].push(token) || sequences_[i].size() <= found.tokens) continue;
      longest_sequence = i;
      found.tokens = sequences_[i].size();
    }
    std::size_t longest_text = 0;
    std::size_t trailing = 0;  // bytes of the token behind the stop text that ends first
    for (std::size_t behind = bytes.size(); behind-- > 0;) {
      for (std::size_t i = 0; i < texts_.size(); ++i) {
        if (!texts_[i].push(bytes[bytes.size() - 1 - behind])) continue;
        if ((found.bytes > 0 && behind < trailing) || texts_[i].size() + behind <= found.bytes) continue;
        longest_text = i;
        found.bytes = texts_[i].size() + behind;
        trailing = behind;
      }
    }
    if (found.tokens == 0 && found.bytes == 0) return std::nullopt;
    found.is_text = found.bytes > 0 && (found.tokens == 0 || trailing > 0);
    found.index = found.is_text ? longest_text : longest_sequence;
    return found;
  }

  /// How many of the last tokens may be the beginning of a stop sequence.
  [[nodiscard]] std::size_t held_tokens() const noexcept { return longest(sequences_); }
  /// How many of the last bytes may be the beginning of a stop text.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return longest(texts_); }

 private:
  static std::size_t longest(const std::vector<pattern_follower>& patterns) noexcept {
    std::size_t length = 0;
    for (const auto& pattern : patterns) length = std::max(length, pattern.matched());
    return length;
  }

  std::vector<pattern_follower> sequences_;
  std::vector<pattern_follower> texts_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_STOP_HPP
