#ifndef SPECDEC_DECODE_OPTIONS_HPP
#define SPECDEC_DECODE_OPTIONS_HPP

/// @file
/// What a user asks of one generation.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../sampling/params.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

struct generate_options {
  /// Tokens drafted per round when the draft is a bare model. A drafter decides for itself and ignores it.
  std::size_t gamma = 4;
  /// Tokens to generate at most.
  std::size_t max_tokens = 128;
  /// How the target's tokens are chosen.
  sampling_params sampling = {};
  /// Generation ends behind any of these; the end token is delivered.
  std::vector<token_id> end_tokens = {};
  /// Names the noise. The same seed and stream give the same text.
  std::uint64_t seed = 0;
  /// Tells parallel samples of one seed apart.
  std::uint32_t stream = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_OPTIONS_HPP
