#ifndef MEASUREMENT_QUALITY_HPP
#define MEASUREMENT_QUALITY_HPP

/// @file
/// What the target thinks of a text that a lossy method wrote.

#include <cstddef>
#include <span>

#include <specdec/types.hpp>

#include "any_context.hpp"

namespace measurement {

/// How well generated tokens suit the target.
struct quality {
  std::size_t tokens = 0;      ///< how many were judged
  std::size_t likeliest = 0;   ///< of them, those that the target held for the likeliest in their place
  double log_probability = 0;  ///< the sum of ln p over them, p being softmax of the target's logits

  /// The share of tokens that are the target's own first choice; 0 of none.
  [[nodiscard]] double agreement() const noexcept;
  /// exp of the mean of -ln p: how many tokens the target hesitated between, on average; 1 of none.
  [[nodiscard]] double perplexity() const noexcept;

  quality& operator+=(const quality& other) noexcept;
};

/// Judges the tokens of `text` behind the first `prompt_size`, in one pass over the whole text.
/// Precondition: 1 <= prompt_size <= text.size(). Throws as the target.
[[nodiscard]] quality quality_of(any_context target, std::span<const specdec::token_id> text, std::size_t prompt_size);

}  // namespace measurement

#endif  // MEASUREMENT_QUALITY_HPP
