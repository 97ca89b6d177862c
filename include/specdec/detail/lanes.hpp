#ifndef SPECDEC_DETAIL_LANES_HPP
#define SPECDEC_DETAIL_LANES_HPP

/// @file
/// Sixteen virtual lanes, in registers of any width.
///
/// A kernel is a template over `Width`, the bytes of a register (0: no registers, one number at a time). It sees 16
/// lanes, 16 * sizeof(Real) / Width registers, and element i of what it walks belongs to lane i % 16. So the order of
/// every sum, and with it every bit, is the same for all widths.
///
/// Registers are passed by reference: by value their calling convention would depend on the instruction set.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../types.hpp"

#if defined(__GNUC__)
/// Inlined whatever the options: only so does a kernel take on the instruction set of the function that calls it.
#define SPECDEC_INLINE inline __attribute__((always_inline))
#else
#define SPECDEC_INLINE inline
#endif

/// Before a loop over the registers of a batch. GCC leaves such loops in at -O2, and with them the registers in memory.
/// Not under a sanitizer, which checks every copy: that doubled the time to compile.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPECDEC_UNROLL
#elif defined(__clang__)
#define SPECDEC_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define SPECDEC_UNROLL _Pragma("GCC unroll 16")
#else
#define SPECDEC_UNROLL
#endif

namespace specdec::inline SPECDEC_ABI::detail {

inline constexpr std::size_t lane_count = 16;

template <std::size_t Width, class Real>
struct register_of {
#if defined(__GNUC__)
  typedef Real type __attribute__((vector_size(Width)));
#endif
};
template <class Real>
struct register_of<0, Real> {
  using type = Real;
};

/// One register of numbers.
template <std::size_t Width, class Real>
using part = typename register_of<Width, Real>::type;

/// Numbers per register.
template <std::size_t Width, class Real>
inline constexpr std::size_t part_size = Width == 0 ? 1 : Width / sizeof(Real);

/// Registers that hold the 16 lanes.
template <std::size_t Width, class Real>
inline constexpr std::size_t part_count = lane_count / part_size<Width, Real>;

/// Registers that a pass works on side by side: all lanes, and at least four registers, since one after the other they
/// would fill the processor's scheduler with instructions that wait (AVX-512: 35 us for 131,072 exponentials alone,
/// 25 us four at a time). Register k of a batch holds lanes of part k % part_count.
template <std::size_t Width, class Real>
inline constexpr std::size_t batch_count = part_count<Width, Real> < 4 ? 4 : part_count<Width, Real>;

/// Makes x opaque to the optimiser: a product that passes through here is rounded before anything is added to it, even
/// where the user allows fused multiply-add. Costs no instruction.
template <class V>
SPECDEC_INLINE void round_now(V& x) noexcept {
#if defined(__clang__) && (defined(__x86_64__) || defined(__i386__))
  // An assembly statement cannot name a wide register here, and the fence is left out where sums may not be reordered.
#pragma clang fp reassociate(on)
  x = __arithmetic_fence(x);
#elif defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
  asm("" : "+v"(x));
#elif defined(__GNUC__) && defined(__aarch64__)
  asm("" : "+w"(x));
#elif defined(__GNUC__)
  asm("" : "+m"(x));
#else
  volatile V barrier = x;
  x = barrier;
#endif
}

/// The same for a single number.
template <class Real>
inline Real rounded(Real x) noexcept {
  round_now(x);
  return x;
}

/// The greater of two, lane by lane, in `to`. Where x is NaN, `to` stays; where `to` is NaN, it stays too.
template <std::size_t Width, class Real>
SPECDEC_INLINE void keep_greater(part<Width, Real>& to, const part<Width, Real>& x) noexcept {
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
  // GCC makes a comparison and a blend of the general form: 2 to 4 instructions where 1 does it.
  if constexpr (sizeof(Real) == sizeof(float) && Width >= 32) {
    asm("{vmaxps %0, %1, %0|vmaxps %0, %1, %0}" : "+v"(to) : "v"(x));
    return;
  }
#if !defined(__AVX__)
  if constexpr (sizeof(Real) == sizeof(float) && Width == 16) {
    part<Width, Real> greater = x;
    asm("{maxps %1, %0|maxps %0, %1}" : "+x"(greater) : "x"(to));
    to = greater;
    return;
  }
#endif
#endif
  to = x > to ? x : to;
}

/// 16 lanes as consecutive numbers.
template <class Real>
struct lane_values {
  alignas(64) Real lane[lane_count];

  /// The sum, pairwise: lanes l and l+8, then l and l+4, l+2, l+1.
  [[nodiscard]] SPECDEC_INLINE Real sum() const noexcept {
    return fold([](Real a, Real b) { return a + b; });
  }

  /// The greatest; NaN are passed over.
  [[nodiscard]] SPECDEC_INLINE Real greatest() const noexcept {
    return fold([](Real a, Real b) { return a > b ? a : b; });
  }

 private:
  template <class Combine>
  SPECDEC_INLINE Real fold(Combine combine) const noexcept {
    Real folded[lane_count / 2];
    SPECDEC_UNROLL for (std::size_t l = 0; l < 8; ++l) folded[l] = combine(lane[l], lane[l + 8]);
    SPECDEC_UNROLL for (std::size_t l = 0; l < 4; ++l) folded[l] = combine(folded[l], folded[l + 4]);
    SPECDEC_UNROLL for (std::size_t l = 0; l < 2; ++l) folded[l] = combine(folded[l], folded[l + 2]);
    return combine(folded[0], folded[1]);
  }
};

/// The bits of one register as another type's.
template <class To, class From>
SPECDEC_INLINE void reinterpret(const From& from, To& to) noexcept {
  static_assert(sizeof from == sizeof to);
  std::memcpy(&to, &from, sizeof to);
}

/// One register from consecutive numbers, aligned or not.
template <std::size_t Width, class Real>
SPECDEC_INLINE void load(const Real* from, part<Width, Real>& to) noexcept {
  std::memcpy(&to, from, sizeof to);
}

#if defined(__GNUC__)
/// One register from half as many bytes: bfloat16 is the upper half of a float.
template <std::size_t Width, class Real>
SPECDEC_INLINE void load(const bfloat16* from, part<Width, Real>& to) noexcept {
  if constexpr (Width == 0) {
    to = static_cast<float>(*from);
  } else {
    typedef std::uint16_t halves __attribute__((vector_size(Width / 2)));
    using words = part<Width, std::uint32_t>;
    halves h;
    std::memcpy(&h, from, sizeof h);
    reinterpret(__builtin_convertvector(h, words) << 16, to);
  }
}

/// One register from half as many bytes, as float16's own conversion does it.
template <std::size_t Width, class Real>
SPECDEC_INLINE void load(const float16* from, part<Width, Real>& to) noexcept {
  if constexpr (Width == 0) {
    to = static_cast<float>(*from);
  } else {
    typedef std::uint16_t halves __attribute__((vector_size(Width / 2)));
    using words = part<Width, std::uint32_t>;
    halves h;
    std::memcpy(&h, from, sizeof h);
#if !defined(__clang__) && defined(__x86_64__)
    if constexpr (Width == 64) {
      asm("{vcvtph2ps %1, %0|vcvtph2ps %0, %1}" : "=v"(to) : "v"(h));
      return;
    }
#endif
    const words bits = __builtin_convertvector(h, words);
    const words magnitude = (bits & float16::magnitude_mask) << float16::shift;
    part<Width, Real> scaled;
    reinterpret(magnitude, scaled);
    scaled *= float16::scale;
    words value;
    reinterpret(scaled, value);
    value =
        magnitude >= words{} + (float16::special_from << float16::shift) ? magnitude | float16::special_bits : value;
    reinterpret(value | (bits & float16::sign_mask) << 16, to);
  }
}
#else
template <std::size_t Width, class Real>
SPECDEC_INLINE void load(const bfloat16* from, Real& to) noexcept {
  to = static_cast<float>(*from);
}
template <std::size_t Width, class Real>
SPECDEC_INLINE void load(const float16* from, Real& to) noexcept {
  to = static_cast<float>(*from);
}
#endif

/// One register of doubles from half as many bytes of floats.
template <std::size_t Width>
SPECDEC_INLINE void load_wider(const float* from, part<Width, double>& to) noexcept {
#if defined(__GNUC__)
  if constexpr (Width != 0) {
    typedef float floats __attribute__((vector_size(Width / 2)));
    floats narrow;
    std::memcpy(&narrow, from, sizeof narrow);
    to = __builtin_convertvector(narrow, part<Width, double>);
    return;
  }
#endif
  if constexpr (Width == 0) to = static_cast<double>(*from);
}

template <std::size_t Width, class Real>
SPECDEC_INLINE void store(Real* to, const part<Width, Real>& from) noexcept {
  std::memcpy(to, &from, sizeof from);
}

/// Asks for the cache line of `address`. Any address will do.
SPECDEC_INLINE void prefetch(const void* address) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  static_cast<void>(address);
#endif
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_LANES_HPP
