#ifndef SPECDEC_DETAIL_DISPATCH_HPP
#define SPECDEC_DETAIL_DISPATCH_HPP

/// @file
/// The passes of passes.hpp for several instruction sets in one program, and the choice between them at run time.
///
/// All give the same bits. On x86-64 there are `baseline` (SSE2), `avx2` and `avx512` (F, BW and DQ; no pass
/// uses fused multiply-add, which would change bits). On other processors `baseline` is what the compiler's own vectors
/// come to: NEON on AArch64. `scalar` takes one number at a time; it is all there is without vector extensions, and
/// what the others are tested against.
///
/// With SPECDEC_BASELINE_ONLY there is `baseline` alone; without vector extensions, `scalar`.
///
/// The environment variable SPECDEC_ISA forces one of them by name, for measurements and for hunting bugs. It is read
/// when the first kernel runs.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../failure.hpp"
#include "passes.hpp"
#include "race_pass.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

enum class isa : std::uint8_t { scalar, baseline, avx2, avx512 };

inline constexpr isa every_isa[] = {isa::scalar, isa::baseline, isa::avx2, isa::avx512};

[[nodiscard]] constexpr const char* to_string(isa set) noexcept {
  constexpr const char* names[] = {"scalar", "baseline", "avx2", "avx512"};
  return names[static_cast<std::size_t>(set)];
}

/// The passes over logits stored as T, for one instruction set. passes.hpp says what each does.
template <class T>
struct kernels {
  using Real = arithmetic<T>;
  void (*study)(const T* x, std::size_t size, Real scale, block_mass* out, Real* weights) noexcept;
  void (*survey)(const T* x, std::size_t size, block_mass* out, Real* tops) noexcept;
  bool (*has_nan)(const T* x, std::size_t size) noexcept;
  std::size_t (*count)(const T* x, std::size_t size, Real bound) noexcept;
  void (*weights)(const T* x, std::size_t size, Real least, Real reference, Real scale, Real* out) noexcept;
  Real (*sum)(const Real* x, std::size_t size) noexcept;
  Real (*subtract)(Real* weights, const float* q, std::size_t size, Real factor) noexcept;
  selection_count<Real> (*select_between)(const T* x, const Real* weights, std::size_t size, Real lower, Real upper,
                                          Real* out) noexcept;
};

// A function's instruction set is part of its declaration, so the entries of each set have to be spelled out once.
// `leave` clears the upper halves of wide registers: where they are not, the next SSE instruction in the program, such
// as the C library's exp(), waits for them. GCC does so by itself from -O2 up; without it, at -O1, a run of the
// exactness tests took 14 times as long.
#define SPECDEC_ENTRIES(name, width, attributes, leave)                                                               \
  template <class T>                                                                                                  \
  struct name {                                                                                                       \
    using Real = arithmetic<T>;                                                                                       \
    using body = passes<width, T>;                                                                                    \
    attributes static void study(const T* x, std::size_t size, Real scale, block_mass* out, Real* weights) noexcept { \
      body::study(x, size, scale, out, weights);                                                                      \
      leave;                                                                                                          \
    }                                                                                                                 \
    attributes static void survey(const T* x, std::size_t size, block_mass* out, Real* tops) noexcept {               \
      body::survey(x, size, out, tops);                                                                               \
      leave;                                                                                                          \
    }                                                                                                                 \
    attributes static bool has_nan(const T* x, std::size_t size) noexcept {                                           \
      const bool found = body::has_nan(x, size);                                                                      \
      leave;                                                                                                          \
      return found;                                                                                                   \
    }                                                                                                                 \
    attributes static std::size_t count(const T* x, std::size_t size, Real bound) noexcept {                          \
      const std::size_t found = body::count(x, size, bound);                                                          \
      leave;                                                                                                          \
      return found;                                                                                                   \
    }                                                                                                                 \
    attributes static void weights(const T* x, std::size_t size, Real least, Real reference, Real scale,              \
                                   Real* out) noexcept {                                                              \
      body::weights(x, size, least, reference, scale, out);                                                           \
      leave;                                                                                                          \
    }                                                                                                                 \
    attributes static Real sum(const Real* x, std::size_t size) noexcept {                                            \
      const Real total = body::sum(x, size);                                                                          \
      leave;                                                                                                          \
      return total;                                                                                                   \
    }                                                                                                                 \
    attributes static Real subtract(Real* weights, const float* q, std::size_t size, Real factor) noexcept {          \
      const Real total = body::subtract(weights, q, size, factor);                                                    \
      leave;                                                                                                          \
      return total;                                                                                                   \
    }                                                                                                                 \
    attributes static selection_count<Real> select_between(const T* x, const Real* weights, std::size_t size,         \
                                                           Real lower, Real upper, Real* out) noexcept {              \
      const selection_count<Real> found = body::select_between(x, weights, size, lower, upper, out);                  \
      leave;                                                                                                          \
      return found;                                                                                                   \
    }                                                                                                                 \
    static constexpr kernels<T> table = {study, survey, has_nan, count, weights, sum, subtract, select_between};      \
  };                                                                                                                  \
  attributes inline weight_total total_weight_##name(const float* weights, std::size_t size) noexcept {               \
    const weight_total found = total_weight<width>(weights, size);                                                    \
    leave;                                                                                                            \
    return found;                                                                                                     \
  }                                                                                                                   \
  attributes inline std::uint32_t race_chunks_##name(const race_noise& noise, std::uint32_t first_token,              \
                                                     const float* weights, std::size_t chunks, float bound,           \
                                                     std::uint32_t* words) noexcept {                                 \
    const std::uint32_t found = race_chunks<width>(noise, first_token, weights, chunks, bound, words);                \
    leave;                                                                                                            \
    return found;                                                                                                     \
  }

// Which of them there are.
#if defined(__GNUC__)
#define SPECDEC_VECTORS 1
#else
#define SPECDEC_VECTORS 0
#endif
#if SPECDEC_VECTORS && defined(SPECDEC_BASELINE_ONLY)
#define SPECDEC_SCALAR 0
#else
#define SPECDEC_SCALAR 1
#endif
#if SPECDEC_VECTORS && defined(__x86_64__) && !defined(SPECDEC_BASELINE_ONLY)
#define SPECDEC_X86 1
#else
#define SPECDEC_X86 0
#endif

#if SPECDEC_SCALAR
SPECDEC_ENTRIES(scalar_entries, 0, , )
#endif
#if SPECDEC_VECTORS
SPECDEC_ENTRIES(baseline_entries, 16, , )
#endif
#if SPECDEC_X86
SPECDEC_ENTRIES(avx2_entries, 32, __attribute__((target("avx2"))), __builtin_ia32_vzeroupper())
SPECDEC_ENTRIES(avx512_entries, 64, __attribute__((target("avx512f,avx512bw,avx512dq,popcnt"))),
                __builtin_ia32_vzeroupper())
#endif
#undef SPECDEC_ENTRIES

/// Whether this program, on this processor under this system, can run an instruction set.
[[nodiscard]] inline bool supported(isa set) noexcept {
  switch (set) {
    case isa::scalar:
      return SPECDEC_SCALAR != 0;
    case isa::baseline:
      return SPECDEC_VECTORS != 0;
#if SPECDEC_X86
    case isa::avx2:
      return __builtin_cpu_supports("avx2") != 0;
    case isa::avx512:
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
             __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("popcnt") != 0;
#endif
    default:
      return false;
  }
}

/// The instruction set of that name. Throws std::invalid_argument if there is none, or it cannot run here.
[[nodiscard]] inline isa isa_named(std::string_view name) {
  for (const isa set : every_isa) {
    if (name != to_string(set)) continue;
    if (supported(set)) return set;
    raise<std::invalid_argument>("specdec: SPECDEC_ISA asks for " + std::string(name) +
                                 ", which this processor, or the compiler that built the program, does not have");
  }
  raise<std::invalid_argument>("specdec: SPECDEC_ISA must be scalar, baseline, avx2 or avx512; got " +
                               std::string(name));
}

/// What SPECDEC_ISA says, or else the widest instruction set that can run here.
[[nodiscard]] inline isa preferred_isa() {
  // An empty variable counts as none.
  if (const char* forced = std::getenv("SPECDEC_ISA"); forced != nullptr && *forced != '\0') return isa_named(forced);
  isa best = isa::scalar;
  for (const isa set : every_isa) best = supported(set) ? set : best;
  return best;
}

/// The instruction set in use. Chosen by the first call, which throws std::invalid_argument for a bad SPECDEC_ISA.
/// May be assigned to, in tests, while no other thread runs a kernel.
[[nodiscard]] inline isa& isa_in_use() {
  static isa chosen = preferred_isa();
  return chosen;
}

/// The passes over logits stored as T.
template <class T>
[[nodiscard]] inline const kernels<T>& kernels_for() {
#if SPECDEC_X86
  // Double rows serve exactness studies, not speed; wider registers would only cost compilation.
  if constexpr (!std::is_same_v<T, double>) {
    if (isa_in_use() == isa::avx512) return avx512_entries<T>::table;
    if (isa_in_use() == isa::avx2) return avx2_entries<T>::table;
  }
#endif
#if SPECDEC_SCALAR && SPECDEC_VECTORS
  return isa_in_use() == isa::scalar ? scalar_entries<T>::table : baseline_entries<T>::table;
#elif SPECDEC_SCALAR
  return scalar_entries<T>::table;
#else
  return baseline_entries<T>::table;
#endif
}

/// The sum of weights, and whether they are legal. `size` is a multiple of `group_size`.
[[nodiscard]] inline weight_total total_weight_of(const float* weights, std::size_t size) {
#if SPECDEC_X86
  if (isa_in_use() == isa::avx512) return total_weight_avx512_entries(weights, size);
  if (isa_in_use() == isa::avx2) return total_weight_avx2_entries(weights, size);
#endif
#if SPECDEC_SCALAR && SPECDEC_VECTORS
  return isa_in_use() == isa::scalar ? total_weight_scalar_entries(weights, size)
                                     : total_weight_baseline_entries(weights, size);
#elif SPECDEC_SCALAR
  return total_weight_scalar_entries(weights, size);
#else
  return total_weight_baseline_entries(weights, size);
#endif
}

/// See race_pass.hpp.
[[nodiscard]] inline std::uint32_t race_chunks_of(const race_noise& noise, std::uint32_t first_token,
                                                  const float* weights, std::size_t chunks, float bound,
                                                  std::uint32_t* words) {
#if SPECDEC_X86
  if (isa_in_use() == isa::avx512) {
    return race_chunks_avx512_entries(noise, first_token, weights, chunks, bound, words);
  }
  if (isa_in_use() == isa::avx2) return race_chunks_avx2_entries(noise, first_token, weights, chunks, bound, words);
#endif
#if SPECDEC_SCALAR && SPECDEC_VECTORS
  return isa_in_use() == isa::scalar ? race_chunks_scalar_entries(noise, first_token, weights, chunks, bound, words)
                                     : race_chunks_baseline_entries(noise, first_token, weights, chunks, bound, words);
#elif SPECDEC_SCALAR
  return race_chunks_scalar_entries(noise, first_token, weights, chunks, bound, words);
#else
  return race_chunks_baseline_entries(noise, first_token, weights, chunks, bound, words);
#endif
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#undef SPECDEC_X86
#undef SPECDEC_SCALAR
#undef SPECDEC_VECTORS

#endif  // SPECDEC_DETAIL_DISPATCH_HPP
