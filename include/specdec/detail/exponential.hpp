#ifndef SPECDEC_DETAIL_EXPONENTIAL_HPP
#define SPECDEC_DETAIL_EXPONENTIAL_HPP

/// @file
/// The weight of a logit: exp((x - reference) / temperature), float logits in float, double ones in double.
///
/// In float: 2^t = 2^n 2^f with n the integer nearest to t, so f = t - n is exact, and 2^f = 1 + f P(f) with P of degree
/// 4, minimax on [-1/2, 1/2] with the value at 0 fixed: 9e-8 relative before rounding, at most 1.5 units in the last
/// place (2^-23) with it, measured over all t; 2^0 is 1 exactly. No multiplication feeds an addition without a barrier
/// against contraction, so the bits are the same on every instruction set and under every flag.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lanes.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// What a distance between logits is multiplied by before `exponentiate`.
template <class Real>
constexpr Real exponent_scale(double inverse_temperature) noexcept {
  constexpr double log2_e = 1.4426950408889634;
  return static_cast<Real>(std::is_same_v<Real, float> ? inverse_temperature * log2_e : inverse_temperature);
}

/// 2^t for t <= 0; 0 below -125.5, where float has few normal numbers left. NaN stays NaN.
template <std::size_t Width>
SPECDEC_INLINE void exponentiate(part<Width, float>& t) noexcept {
  using reals = part<Width, float>;
  using words = part<Width, std::uint32_t>;
  // The lowest t has the exponent field 0, hence the factor 0. To keep products of the next ones normal (a subnormal
  // costs over 100 cycles), that factor is 2^(n-1), and the polynomial's coefficients are doubled.
  constexpr float lowest = -126.0F;
  constexpr float to_integer = 0x1.8p23F - lowest;
  keep_greater<Width, float>(t, reals{} + lowest);
  // The sum is kept from the optimiser: some flags would let it cancel the rounding to an integer.
  reals shifted = t + to_integer;
  round_now(shifted);
  const reals f = t - (shifted - to_integer);
  reals y = reals{} + 0x1.5bba12p-9F;
  y *= f;
  round_now(y);
  y += 0x1.3cea84p-6F;
  y *= f;
  round_now(y);
  y += 0x1.c6b752p-4F;
  y *= f;
  round_now(y);
  y += 0x1.ebf9c2p-2F;
  y *= f;
  round_now(y);
  y += 0x1.62e42ap+0F;
  y *= f;
  round_now(y);
  y += 2.0F;
  words exponent;
  reinterpret(shifted, exponent);
  reals factor;
  reinterpret(exponent << 23, factor);
  y *= factor;
  round_now(y);
  t = y;
}

/// exp(t) in double: the standard library's, since double rows serve exactness studies, not speed.
template <std::size_t Width>
SPECDEC_INLINE void exponentiate(part<Width, double>& t) noexcept {
  double values[part_size<Width, double>];
  std::memcpy(values, &t, sizeof t);
  for (double& value : values) value = std::exp(value);
  std::memcpy(&t, values, sizeof t);
}

/// The weights of some logits, in place: exp((x - reference) * scale), `scale` from `exponent_scale`.
template <std::size_t Width, class Real>
SPECDEC_INLINE void weigh(part<Width, Real>& x, Real reference, Real scale) noexcept {
  x -= reference;
  x *= scale;
  round_now(x);
  exponentiate<Width>(x);
}

/// The weight of one logit: the very bits that the vectors give.
template <class Real>
inline Real weight(Real x, Real reference, Real scale) noexcept {
  weigh<0, Real>(x, reference, scale);
  return x;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_EXPONENTIAL_HPP
