#ifndef SPECDEC_MATHEMATICS_HPP
#define SPECDEC_MATHEMATICS_HPP

/// @file
/// The few functions of the C library's mathematics that are needed.

#include "config.hpp"

// `<cmath>` comes with special functions in every type, which cost whoever includes this library 0.1 s of compilation.
#if defined(__GNUC__)
#define SPECDEC_MATHEMATICS(name) __builtin_##name
#else
#include <cmath>
#define SPECDEC_MATHEMATICS(name) std::name
#endif

namespace specdec::inline SPECDEC_ABI {

/// e^x.
[[nodiscard]] inline double exponential(double x) noexcept { return SPECDEC_MATHEMATICS(exp)(x); }
/// ln x.
[[nodiscard]] inline double logarithm(double x) noexcept { return SPECDEC_MATHEMATICS(log)(x); }
[[nodiscard]] inline double square_root(double x) noexcept { return SPECDEC_MATHEMATICS(sqrt)(x); }
/// The next number that the type has towards `to`.
[[nodiscard]] inline double next_number(double x, double to) noexcept { return SPECDEC_MATHEMATICS(nextafter)(x, to); }
[[nodiscard]] inline float next_number(float x, float to) noexcept { return SPECDEC_MATHEMATICS(nextafterf)(x, to); }
/// a * b, rounded for itself: never fused into a sum, which some compilers do under some flags. Where a sum of products
/// decides something, the decision is then everywhere the same.
[[nodiscard]] inline double product(double a, double b) noexcept {
  const volatile double rounded = a * b;
  return rounded;
}
/// Neither NaN nor infinite.
[[nodiscard]] inline bool is_finite(double x) noexcept { return x - x == 0; }

}  // namespace specdec::inline SPECDEC_ABI

#undef SPECDEC_MATHEMATICS

#endif  // SPECDEC_MATHEMATICS_HPP
