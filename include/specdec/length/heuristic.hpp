#ifndef SPECDEC_LENGTH_HEURISTIC_HPP
#define SPECDEC_LENGTH_HEURISTIC_HPP

/// @file
/// Two steps up where all was accepted, one step down where not.
///
/// Source: Hugging Face transformers, assisted generation with num_assistant_tokens_schedule = "heuristic" (Gante 2023,
/// "Assisted generation: a new direction toward low-latency text generation"); names and defaults are its own.

#include <algorithm>
#include <cstddef>
#include <limits>

#include "../concepts.hpp"
#include "../decode/outcome.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Drafts `num_assistant_tokens`; behind a round whose draft was accepted whole that grows by 2, behind any other it
/// shrinks by 1, to no less than 1. Nothing was learnt, and nothing changes, where nothing was drafted or the text
/// ended inside the draft. O(1).
///
/// The whole draft is what was drafted, though less than was asked for, as in transformers' code of 2026; up to their
/// issue 34803 (November 2024) a draft that something else had ended early counted as a failure.
struct heuristic {
  static constexpr bool reads_clock = false;

  std::size_t num_assistant_tokens = 20;

  [[nodiscard]] constexpr std::size_t depth(const draft_request&) const noexcept { return num_assistant_tokens; }

  constexpr void observe(const outcome& out) noexcept {
    if (out.drafted.empty() || out.end == round_end::text_ended) return;
    if (out.accepted == out.drafted.size()) {
      num_assistant_tokens += std::min<std::size_t>(2, std::numeric_limits<std::size_t>::max() - num_assistant_tokens);
    } else if (num_assistant_tokens > 1) {
      --num_assistant_tokens;
    }
  }
};

static_assert(LengthPolicy<heuristic> && Observes<heuristic>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_HEURISTIC_HPP
