#ifndef SPECDEC_LENGTH_FALLBACK_HPP
#define SPECDEC_LENGTH_FALLBACK_HPP

/// @file
/// The fallback of the big little decoder: draft until the draft model hesitates.
///
/// Source: Kim et al. 2023, "Speculative decoding with big little decoder" (arXiv:2302.07863), algorithm 1, line 4;
/// names and defaults are the authors' implementation's.

#include <cstddef>

#include "../concepts.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Ends the draft before a token of which the draft model's most probable one is less probable than
/// `fallback_threshold`, or behind `num_small_iters` tokens. O(1).
///
/// As every length policy it leaves the law of the text to the rule: with `big_little` this is the big little decoder,
/// with `rejection` it is lossless.
struct fallback {
  static constexpr bool reads_clock = false;

  double fallback_threshold = 0.6;
  std::size_t num_small_iters = 10;

  [[nodiscard]] constexpr std::size_t depth(const draft_request&) const noexcept { return num_small_iters; }
  [[nodiscard]] constexpr bool draws(double highest) const noexcept { return highest >= fallback_threshold; }
};

static_assert(EndsBeforeToken<fallback>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_FALLBACK_HPP
