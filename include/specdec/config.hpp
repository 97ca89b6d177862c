#ifndef SPECDEC_CONFIG_HPP
#define SPECDEC_CONFIG_HPP

/// @file
/// What the library asks of the compiler, and the few macros it defines.
///
/// - `SPECDEC_ABI`     name of the inline namespace. It carries the version and the vector extensions that the
///                     including file was compiled for (AVX, AVX2, FMA, AVX-512), so that files compiled for
///                     different ones share no inline function of the library: the linker cannot hand one
///                     file's AVX-512 code to the other. It does not tell smaller differences of `-m` flags.
/// - `SPECDEC_BASELINE_ONLY`  define it yourself, before the first include, to leave out the vocabulary arithmetic for
///                     other instruction sets than the one compiled for: a file that generates then compiles in two
///                     thirds of the time, and verifies more slowly, with the same bits. Part of the namespace's name.
/// - `SPECDEC_ASSERT`  checks a precondition that only a programming error can break (a node that is not in the
///                     draft, a call out of turn). Active unless `NDEBUG` is defined; define it yourself, before
///                     the first include, to route failures elsewhere.

#include <cassert>

#include "version.hpp"

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "specdec: -ffast-math and -ffinite-math-only change what is sampled; compile without them"
#endif

#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "specdec: -fassociative-math and -freciprocal-math change what is sampled; compile without them"
#endif

#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2 || __FLT_EVAL_METHOD__ < 0)
#error "specdec: floating-point arithmetic in more digits than its types have (-mfpmath=387) changes what is sampled"
#endif

#if defined(__AVX512F__)
#define SPECDEC_ABI_VECTORS _avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define SPECDEC_ABI_VECTORS _avx2_fma
#elif defined(__AVX2__)
#define SPECDEC_ABI_VECTORS _avx2
#elif defined(__AVX__) && defined(__FMA__)
#define SPECDEC_ABI_VECTORS _avx_fma
#elif defined(__AVX__)
#define SPECDEC_ABI_VECTORS _avx
#else
#define SPECDEC_ABI_VECTORS
#endif

#if defined(SPECDEC_BASELINE_ONLY)
#define SPECDEC_ABI_KERNELS _baseline_only
#else
#define SPECDEC_ABI_KERNELS
#endif

#define SPECDEC_ABI_JOINED(version, vectors, kernels) version##vectors##kernels
#define SPECDEC_ABI_OF(version, vectors, kernels) SPECDEC_ABI_JOINED(version, vectors, kernels)
#define SPECDEC_ABI SPECDEC_ABI_OF(v0_1, SPECDEC_ABI_VECTORS, SPECDEC_ABI_KERNELS)

#ifndef SPECDEC_ASSERT
#define SPECDEC_ASSERT(condition) assert(condition)
#endif

#endif  // SPECDEC_CONFIG_HPP
