#ifndef SPECDEC_DETAIL_PASSES_HPP
#define SPECDEC_DETAIL_PASSES_HPP

/// @file
/// The loops over logits and weights, each written once for registers of any width (lanes.hpp).
///
/// Sizes are multiples of `group_size`. `T` is how logits are stored, `Real` what they are computed in. dispatch.hpp
/// gives each loop an entry per instruction set.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "exponential.hpp"
#include "lanes.hpp"
#include "rows.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// What `select_between` finds.
template <class Real>
struct selection_count {
  Real mass = 0;          ///< sum of the weights above the range
  std::size_t count = 0;  ///< logits within the range
};

template <std::size_t Width, class T>
struct passes {
  using Real = arithmetic<T>;
  using reals = part<Width, Real>;
  static constexpr std::size_t step = part_size<Width, Real>;
  static constexpr std::size_t parts = part_count<Width, Real>;
  static constexpr std::size_t batch = batch_count<Width, Real>;
  static constexpr Real infinity = std::numeric_limits<Real>::infinity();

  /// The greatest logit; NaN are passed over.
  static SPECDEC_INLINE Real greatest(const Real* x, std::size_t size) noexcept {
    reals highest[batch];
    SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) highest[k] = reals{} - infinity;
    for (std::size_t i = 0; i < size; i += batch * step) {
      reals v[batch];
      load_batch(x + i, v);
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) keep_greater<Width, Real>(highest[k], v[k]);
    }
    return fold_maxima(highest).greatest();
  }

  /// The sum in lane order.
  static SPECDEC_INLINE Real sum(const Real* x, std::size_t size) noexcept {
    reals sums[parts] = {};
    for (std::size_t i = 0; i < size; i += batch * step) {
      reals v[batch];
      load_batch(x + i, v);
      add(v, sums);
    }
    return total_of(sums);
  }

  /// Of each block: its maximum and the sum of its weights relative to that maximum. One pass over memory: a block is
  /// read twice, but the second time from the nearest cache, while the next is on its way.
  ///
  /// A NaN or +inf in a block makes its sum NaN; -inf has weight 0. The weights go to `weights`, unless that is null.
  static SPECDEC_INLINE void study(const T* x, std::size_t size, Real scale, block_mass* out, Real* weights) noexcept {
    for (std::size_t begin = 0; begin < size; begin += block_size, ++out) {
      const T* stored = x + begin;
      const std::size_t count = std::min(block_size, size - begin);
      // What is stored in 16 bits is converted once.
      alignas(64) Real converted[std::is_same_v<T, Real> ? 1 : block_size];
      const Real* from = converted;
      if constexpr (std::is_same_v<T, Real>) {
        from = stored;
      } else {
        for (std::size_t i = 0; i < count; i += batch * step) {
          reals v[batch];
          load_batch(stored + i, v);
          SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) store<Width, Real>(converted + i + k * step, v[k]);
        }
      }
      const Real maximum = greatest(from, count);
      // Without a number in the block, any reference does: every weight is 0, or NaN.
      const Real reference = maximum == -infinity ? Real{0} : maximum;
      reals sums[parts] = {};
      for (std::size_t i = 0; i < count; i += batch * step) {
        reals v[batch];
        load_batch(from + i, v);
        prefetch_batch(stored + block_size + i);
        weigh<Width, Real>(v, reference, scale);
        if (weights != nullptr) {
          SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k)
              store<Width, Real>(weights + begin + i + k * step, v[k]);
        }
        add(v, sums);
      }
      *out = {static_cast<double>(maximum), static_cast<double>(total_of(sums))};
    }
  }

  /// Of each block: its maximum, that of each of its lanes (16 numbers for each block in `tops`), and in place of the
  /// sum of its weights the sum of its logits: finite unless one of them is not.
  static SPECDEC_INLINE void survey(const T* x, std::size_t size, block_mass* out, Real* tops) noexcept {
    for (std::size_t begin = 0; begin < size; begin += block_size, ++out, tops += lane_count) {
      const T* from = x + begin;
      reals highest[batch];
      reals sums[batch] = {};
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) highest[k] = reals{} - infinity;
      for (std::size_t i = 0; i < std::min(block_size, size - begin); i += batch * step) {
        reals v[batch];
        load_batch(from + i, v);
        prefetch_batch(from + block_size + i);
        SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) {
          keep_greater<Width, Real>(highest[k], v[k]);
          sums[k] += v[k];
        }
      }
      const lane_values<Real> lanes = fold_maxima(highest);
      std::memcpy(tops, lanes.lane, sizeof lanes.lane);
      // The order of this sum depends on the width; nothing but its being finite is used.
      reals folded[parts] = {};
      add(sums, folded);
      *out = {static_cast<double>(lanes.greatest()), static_cast<double>(total_of(folded))};
    }
  }

  static SPECDEC_INLINE bool has_nan(const T* x, std::size_t size) noexcept {
    reals found[batch] = {};
    for (std::size_t i = 0; i < size; i += batch * step) {
      reals v[batch];
      load_batch(x + i, v);
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) { found[k] = v[k] == v[k] ? found[k] : reals{} + Real{1}; }
    }
    reals folded[parts] = {};
    add(found, folded);
    return total_of(folded) != Real{0};
  }

  /// How many logits are at least `bound`.
  static SPECDEC_INLINE std::size_t count(const T* x, std::size_t size, Real bound) noexcept {
    std::size_t found = 0;
    // Counted in floating point, exactly: there are at most 1024 in a block.
    for (std::size_t begin = 0; begin < size; begin += block_size) {
      reals counts[batch] = {};
      for (std::size_t i = begin; i < std::min(begin + block_size, size); i += batch * step) {
        reals v[batch];
        load_batch(x + i, v);
        SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) {
          counts[k] += v[k] >= reals{} + bound ? reals{} + Real{1} : reals{};
        }
      }
      reals folded[parts] = {};
      add(counts, folded);
      found += static_cast<std::size_t>(total_of(folded));
    }
    return found;
  }

  /// The weights of the logits that are at least `least`; 0 for the others.
  static SPECDEC_INLINE void weights(const T* x, std::size_t size, Real least, Real reference, Real scale,
                                     Real* out) noexcept {
    for (std::size_t i = 0; i < size; i += batch * step) {
      reals v[batch];
      reals w[batch];
      load_batch(x + i, v);
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) w[k] = v[k];
      weigh<Width, Real>(w, reference, scale);
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) {
        w[k] = v[k] >= reals{} + least ? w[k] : reals{};
        store<Width, Real>(out + i + k * step, w[k]);
      }
    }
  }

  /// Takes q[i] * factor from each weight, down to no less than 0; returns the sum of what is left.
  static SPECDEC_INLINE Real subtract(Real* weights, const float* q, std::size_t size, Real factor) noexcept {
    reals sums[parts] = {};
    for (std::size_t i = 0; i < size; i += batch * step) {
      reals v[batch];
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) {
        reals taken;
        load<Width, Real>(weights + i + k * step, v[k]);
        if constexpr (std::is_same_v<Real, float>) {
          load<Width, Real>(q + i + k * step, taken);
        } else {
          load_wider<Width>(q + i + k * step, taken);
        }
        taken *= factor;
        round_now(taken);
        v[k] -= taken;
        v[k] = v[k] > reals{} ? v[k] : reals{};
        store<Width, Real>(weights + i + k * step, v[k]);
      }
      add(v, sums);
    }
    return total_of(sums);
  }

  /// The sum of the weights of the logits above `upper`; and the logits above `lower` and at most `upper`, in order, to
  /// `out`, which must have room for them and 16 more.
  static SPECDEC_INLINE selection_count<Real> select_between(const T* x, const Real* weights, std::size_t size,
                                                             Real lower, Real upper, Real* out) noexcept {
    reals sums[parts] = {};
    std::size_t found = 0;
    for (std::size_t i = 0; i < size; i += batch * step) {
      reals v[batch];
      reals w[batch];
      load_batch(x + i, v);
      load_batch(weights + i, w);
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) w[k] = v[k] > reals{} + upper ? w[k] : reals{};
      add(w, sums);
      SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) append(v[k], lower, upper, out, found);
    }
    return {total_of(sums), found};
  }

 private:
  /// Of logits as they are stored, or of weights.
  template <class Stored>
  static SPECDEC_INLINE void load_batch(const Stored* from, reals (&to)[batch]) noexcept {
    SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) load<Width, Real>(from + k * step, to[k]);
  }

  static SPECDEC_INLINE void prefetch_batch(const T* from) noexcept {
    constexpr std::size_t line = 64;
    constexpr std::size_t bytes = batch * step * sizeof(T);
    SPECDEC_UNROLL for (std::size_t i = 0; i < bytes; i += line) prefetch(reinterpret_cast<const char*>(from) + i);
  }

  /// Adds the registers of a batch to the lanes they belong to, in order.
  static SPECDEC_INLINE void add(const reals (&batch_of)[batch], reals (&sums)[parts]) noexcept {
    SPECDEC_UNROLL for (std::size_t k = 0; k < batch; ++k) sums[k % parts] += batch_of[k];
  }

  static SPECDEC_INLINE lane_values<Real> fold_maxima(reals (&highest)[batch]) noexcept {
    SPECDEC_UNROLL for (std::size_t k = parts; k < batch; ++k) {
      keep_greater<Width, Real>(highest[k % parts], highest[k]);
    }
    lane_values<Real> lanes;
    SPECDEC_UNROLL for (std::size_t k = 0; k < parts; ++k) store<Width, Real>(lanes.lane + k * step, highest[k]);
    return lanes;
  }

  static SPECDEC_INLINE Real total_of(const reals (&sums)[parts]) noexcept {
    lane_values<Real> lanes;
    SPECDEC_UNROLL for (std::size_t k = 0; k < parts; ++k) store<Width, Real>(lanes.lane + k * step, sums[k]);
    return lanes.sum();
  }

  /// Appends the numbers of v that are in (lower, upper] to out.
  static SPECDEC_INLINE void append(const reals& v, Real lower, Real upper, Real* out, std::size_t& found) noexcept {
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
    if constexpr (Width == 64 && sizeof(Real) == sizeof(float)) {
      // A compressing store to a register first: to memory it is microcode on some processors.
      unsigned short chosen;
      asm("{vcmpps $14, %2, %1, %0|vcmpps %0, %1, %2, 14}" : "=Yk"(chosen) : "v"(v), "v"(reals{} + lower));
      asm("{vcmpps $2, %2, %1, %0%{%0%}|vcmpps %0%{%0%}, %1, %2, 2}" : "+Yk"(chosen) : "v"(v), "v"(reals{} + upper));
      reals packed;
      asm("{vcompressps %1, %0%{%2%}%{z%}|vcompressps %0%{%2%}%{z%}, %1}" : "=v"(packed) : "v"(v), "Yk"(chosen));
      store<Width, Real>(out + found, packed);
      found += static_cast<std::size_t>(std::popcount(chosen));
      return;
    }
    if constexpr (Width == 32 && sizeof(Real) == sizeof(float)) {
      const auto within = (v > reals{} + lower) & (v <= reals{} + upper);
      unsigned chosen;
      asm("{vmovmskps %1, %0|vmovmskps %0, %1}" : "=r"(chosen) : "x"(within));
      if (chosen == 0) return;
      Real numbers[step];
      std::memcpy(numbers, &v, sizeof v);
      for (; chosen != 0; chosen &= chosen - 1) out[found++] = numbers[std::countr_zero(chosen)];
      return;
    }
#elif defined(__clang__)
    if constexpr (Width >= 32 && sizeof(Real) == sizeof(float)) {
      if (__builtin_reduce_or((v > reals{} + lower) & (v <= reals{} + upper)) == 0) return;
    }
#endif
    Real numbers[step];
    std::memcpy(numbers, &v, sizeof v);
    for (const Real number : numbers) {
      out[found] = number;
      found += number > lower && number <= upper ? 1 : 0;
    }
  }
};

/// The sum, in double, of weights in float; and whether none of them is negative. A NaN shows in the sum.
struct weight_total {
  double sum = 0;
  bool legal = true;
};

template <std::size_t Width>
SPECDEC_INLINE weight_total total_weight(const float* weights, std::size_t size) noexcept {
  using floats = part<Width, float>;
  using doubles = part<Width, double>;
  weight_total found;
  floats least[part_count<Width, float>] = {};
  for (std::size_t begin = 0; begin < size; begin += block_size) {
    doubles sums[part_count<Width, double>] = {};
    for (std::size_t i = begin; i < std::min(begin + block_size, size); i += lane_count) {
      SPECDEC_UNROLL for (std::size_t k = 0; k < part_count<Width, float>; ++k) {
        floats v;
        load<Width, float>(weights + i + k * part_size<Width, float>, v);
        least[k] = v < least[k] ? v : least[k];
      }
      SPECDEC_UNROLL for (std::size_t k = 0; k < part_count<Width, double>; ++k) {
        doubles v;
        load_wider<Width>(weights + i + k * part_size<Width, double>, v);
        sums[k] += v;
      }
    }
    lane_values<double> lanes;
    for (std::size_t k = 0; k < part_count<Width, double>; ++k) {
      store<Width, double>(lanes.lane + k * part_size<Width, double>, sums[k]);
    }
    found.sum += lanes.sum();
  }
  for (const floats& v : least) {
    float lows[part_size<Width, float>];
    std::memcpy(lows, &v, sizeof v);
    for (const float low : lows) found.legal = found.legal && low >= 0;
  }
  return found;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_PASSES_HPP
