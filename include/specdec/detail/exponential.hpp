#ifndef SPECDEC_DETAIL_EXPONENTIAL_HPP
#define SPECDEC_DETAIL_EXPONENTIAL_HPP

/// @file
/// The weight of a logit: exp((x - reference) / temperature), float logits in float, double ones in double.
///
/// In float: 2^t = 2^n 2^f with n the integer nearest to t, so f = t - n is exact, and 2^f = 1 + f P(f) with P of
/// degree 4, minimax on [-1/2, 1/2] with the value at 0 fixed: 9e-8 relative before rounding, at most 1.5 units in the
/// last place (2^-23) with it, measured over all t; 2^0 is 1 exactly. No multiplication feeds an addition without a
/// barrier against contraction, so the bits are the same on every instruction set and under every flag.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../mathematics.hpp"
#include "lanes.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// What a distance between logits is multiplied by before `exponentiate`.
template <class Real>
constexpr Real exponent_scale(double inverse_temperature) noexcept {
  constexpr double log2_e = 1.4426950408889634;
  return static_cast<Real>(std::is_same_v<Real, float> ? inverse_temperature * log2_e : inverse_temperature);
}

/// y = y x + coefficient, for some registers.
template <std::size_t Width, std::size_t Count>
SPECDEC_INLINE void horner_step(part<Width, float> (&y)[Count], const part<Width, float> (&x)[Count],
                                float coefficient) noexcept {
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) {
    y[k] *= x[k];
    round_now(y[k]);
  }
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) y[k] += coefficient;
}

/// 2^t for each t <= 0 of some registers; 0 below -125.5, where float has few normal numbers left. NaN stays NaN.
template <std::size_t Width, std::size_t Count>
SPECDEC_INLINE void exponentiate(part<Width, float> (&t)[Count]) noexcept {
  using reals = part<Width, float>;
  using words = part<Width, std::uint32_t>;
  // The lowest t has the exponent field 0, hence the factor 0. To keep products of the next ones normal (a subnormal
  // costs over 100 cycles), that factor is 2^(n-1), and the polynomial's coefficients are doubled.
  constexpr float lowest = -126.0F;
  constexpr float to_integer = 0x1.8p23F - lowest;
  reals shifted[Count];
  reals y[Count];
  // Every loop takes one step with all registers, so that none waits for the one before.
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) keep_greater<Width, float>(t[k], reals{} + lowest);
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) {
    // The sum is kept from the optimiser: some flags would let it cancel the rounding to an integer.
    shifted[k] = t[k] + to_integer;
    round_now(shifted[k]);
  }
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) t[k] -= shifted[k] - to_integer;
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) y[k] = reals{} + 0x1.5bba12p-9F;
  horner_step<Width>(y, t, 0x1.3cea84p-6F);
  horner_step<Width>(y, t, 0x1.c6b752p-4F);
  horner_step<Width>(y, t, 0x1.ebf9c2p-2F);
  horner_step<Width>(y, t, 0x1.62e42ap+0F);
  horner_step<Width>(y, t, 2.0F);
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) {
    words exponent;
    reinterpret(shifted[k], exponent);
    reals factor;
    reinterpret(exponent << 23, factor);
    t[k] = y[k] * factor;
    round_now(t[k]);
  }
}

/// exp(t) in double: the standard library's, since double rows serve exactness studies, not speed.
template <std::size_t Width, std::size_t Count>
SPECDEC_INLINE void exponentiate(part<Width, double> (&t)[Count]) noexcept {
  for (part<Width, double>& numbers : t) {
    double values[part_size<Width, double>];
    std::memcpy(values, &numbers, sizeof numbers);
    for (double& value : values) value = exponential(value);
    std::memcpy(&numbers, values, sizeof numbers);
  }
}

/// The weights of some logits, in place: exp((x - reference) * scale), `scale` from `exponent_scale`.
template <std::size_t Width, class Real, std::size_t Count>
SPECDEC_INLINE void weigh(part<Width, Real> (&x)[Count], Real reference, Real scale) noexcept {
  SPECDEC_UNROLL for (std::size_t k = 0; k < Count; ++k) {
    x[k] = (x[k] - reference) * scale;
    round_now(x[k]);
  }
  exponentiate<Width>(x);
}

/// The weight of one logit: the very bits that the vectors give.
template <class Real>
inline Real weight(Real x, Real reference, Real scale) noexcept {
  Real batch[] = {x};
  weigh<0, Real>(batch, reference, scale);
  return batch[0];
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_EXPONENTIAL_HPP
