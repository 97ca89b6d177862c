#ifndef SPECDEC_DETAIL_RACE_HPP
#define SPECDEC_DETAIL_RACE_HPP

/// @file
/// The exponential race: which token has the least noise over weight.
///
/// With s the least ratio so far, a token of weight w can win only if its noise is below s w, and noise is at least
/// what its upper bits say. So nearly every token is settled by one product and one comparison, sixteen at a time, and
/// only a handful of logarithms are taken.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "../random.hpp"
#include "dispatch.hpp"
#include "rows.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// Who leads a race.
struct race_leader {
  token_id token = -1;
  double ratio = std::numeric_limits<double>::infinity();  ///< its noise over its weight
};

/// Lets one more token run. Of equal ratios the lower id leads. Precondition: weight > 0.
inline void run(race_leader& leader, const race_noise& noise, token_id token, double weight,
                std::uint32_t upper_bits) noexcept {
  if (!(static_cast<double>(upper_bits) * 0x1p-32 <= leader.ratio * weight)) return;
  const double ratio = noise.of(static_cast<std::uint32_t>(token), upper_bits) / weight;
  if (ratio < leader.ratio || (ratio == leader.ratio && token < leader.token)) leader = {token, ratio};
}

/// The same where the upper bits are not at hand.
inline void run(race_leader& leader, const race_noise& noise, token_id token, double weight) noexcept {
  run(leader, noise, token, weight, noise.upper_bits(static_cast<std::uint32_t>(token)));
}

/// Lets the tokens of a block run, those of positive weight. Precondition: `begin` is the start of a block.
template <class Real>
inline void run_block(race_leader& leader, const race_noise& noise, std::size_t begin, block<Real>& weights) {
  constexpr std::size_t chunk_size = race_noise::chunk_size;
  static_assert(block_size % chunk_size == 0 && block_size / chunk_size <= 32);
  const std::size_t chunks = (weights.size + chunk_size - 1) / chunk_size;
  std::fill(weights.values + weights.size, weights.values + chunks * chunk_size, Real{0});
  std::uint32_t words[block_size];
  std::uint32_t possible = ~std::uint32_t{0};
  const auto first = static_cast<std::uint32_t>(begin);
  if constexpr (std::is_same_v<Real, float>) {
    // Rounded upwards, as the comparison must not miss what the exact one would find.
    const double slack = leader.ratio * (1 + 0x1p-20);
    const float bound = static_cast<float>(std::min(slack, 1e30));
    possible = race_chunks_of(noise, first, weights.values, chunks, bound, words);
  } else {
    // Double rows serve exactness studies: every token is looked at.
    const block<float> none = {};
    static_cast<void>(race_chunks_of(noise, first, none.values, chunks, 0, words));
    possible = chunks == 32 ? possible : (std::uint32_t{1} << chunks) - 1;
  }
  for (; possible != 0; possible &= possible - 1) {
    const std::size_t chunk = static_cast<std::size_t>(std::countr_zero(possible)) * chunk_size;
    for (std::size_t i = chunk; i < chunk + chunk_size; ++i) {
      if (!(weights.values[i] > Real{0})) continue;
      run(leader, noise, static_cast<token_id>(begin + i), static_cast<double>(weights.values[i]), words[i]);
    }
  }
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_RACE_HPP
