#ifndef SPECDEC_SAMPLING_TEXT_SO_FAR_HPP
#define SPECDEC_SAMPLING_TEXT_SO_FAR_HPP

/// @file
/// The text that a law may depend on, and the tokens that end it.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "../config.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The text behind which a token is chosen: what is committed, then the draft's path to the place in question.
struct text_so_far {
  std::span<const token_id> committed = {};
  std::span<const token_id> drafted = {};
  std::size_t prompt_size = 0;  ///< how many of the committed tokens are the prompt

  [[nodiscard]] std::size_t size() const noexcept { return committed.size() + drafted.size(); }
  [[nodiscard]] token_id operator[](std::size_t i) const noexcept {
    return i < committed.size() ? committed[i] : drafted[i - committed.size()];
  }
  /// Tokens behind the prompt.
  [[nodiscard]] std::size_t generated() const noexcept { return size() - std::min(prompt_size, size()); }
};

/// When a text may end: behind any of `tokens`, which are impossible before `min_tokens` tokens were generated.
struct end_rule {
  std::vector<token_id> tokens = {};
  std::size_t min_tokens = 0;

  [[nodiscard]] bool ends(token_id token) const noexcept {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
  }
  /// Whether the token behind `text` must not be an end token.
  [[nodiscard]] bool too_early(const text_so_far& text) const noexcept { return text.generated() < min_tokens; }
  /// Whether it ever makes a token impossible.
  [[nodiscard]] bool restricts() const noexcept { return min_tokens > 0 && !tokens.empty(); }

  friend bool operator==(const end_rule&, const end_rule&) = default;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_TEXT_SO_FAR_HPP
