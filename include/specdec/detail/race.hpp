#ifndef SPECDEC_DETAIL_RACE_HPP
#define SPECDEC_DETAIL_RACE_HPP

/// @file
/// The exponential race: which token has the least noise over weight.
///
/// With s the least ratio so far, a token of weight w can win only if its noise is below s w, and noise is at least
/// what its upper bits say. So nearly every token is settled by one product and one comparison, and only a handful of
/// logarithms are taken.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "rows.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// Who leads a race.
struct race_leader {
  token_id token = -1;
  double ratio = std::numeric_limits<double>::infinity();  ///< its noise over its weight
};

/// Lets one more token run. Of equal ratios the lower id leads. Precondition: weight > 0.
template <class Noise>
inline void run(race_leader& leader, const Noise& noise, token_id token, double weight, std::uint32_t upper_bits) {
  if (!(static_cast<double>(upper_bits) * 0x1p-32 <= leader.ratio * weight)) return;
  const double ratio = noise.of(static_cast<std::uint32_t>(token), upper_bits) / weight;
  if (ratio < leader.ratio || (ratio == leader.ratio && token < leader.token)) leader = {token, ratio};
}

/// The same where the upper bits are not at hand.
template <class Noise>
inline void run(race_leader& leader, const Noise& noise, token_id token, double weight) {
  const auto index = static_cast<std::uint32_t>(token);
  const auto group = noise.upper_bits(index / Noise::group_size);
  run(leader, noise, token, weight, group[index % Noise::group_size]);
}

/// Lets the tokens of a block run, those of positive weight. Precondition: `begin` is the start of a block.
template <class Real, class Noise>
inline void run_block(race_leader& leader, const Noise& noise, std::size_t begin, const block<Real>& weights) {
  static_assert(block_size % Noise::group_size == 0);
  for (std::size_t i = 0; i < weights.size; i += Noise::group_size) {
    const auto upper_bits = noise.upper_bits(static_cast<std::uint32_t>((begin + i) / Noise::group_size));
    const std::size_t last = weights.size - i < Noise::group_size ? weights.size - i : Noise::group_size;
    for (std::size_t k = 0; k < last; ++k) {
      const auto weight = static_cast<double>(weights.values[i + k]);
      if (weight > 0) run(leader, noise, static_cast<token_id>(begin + i + k), weight, upper_bits[k]);
    }
  }
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_RACE_HPP
