#ifndef SPECDEC_LENGTH_CONSTANT_HPP
#define SPECDEC_LENGTH_CONSTANT_HPP

/// @file
/// The simplest length policy: the same number of tokens every round.

#include <cstddef>

#include "../concepts.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Drafts `gamma` tokens a round (Leviathan et al. 2023).
struct constant {
  static constexpr bool reads_clock = false;

  std::size_t gamma = 4;

  [[nodiscard]] constexpr std::size_t depth(const draft_request&) const noexcept { return gamma; }
};

static_assert(LengthPolicy<constant>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_CONSTANT_HPP
