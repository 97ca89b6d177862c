#ifndef TOY_KERNELS_HPP
#define TOY_KERNELS_HPP

/// @file
/// The arithmetic of the transformer, one table of functions per instruction set.
///
/// Numerical contract: every sum over a row runs in 16 virtual lanes. Lane l adds the elements k = l (mod 16) in
/// order of k, each product rounded before it is added, and the lanes are added as the tree
/// l + (l+8), then + (l+4), then + (l+2), then + (l+1). Everything else is element-wise. So a result's bits depend
/// on its own inputs only: not on how many tokens share the call, the instruction set, the compiler or the threads.
///
/// A matrix is stored in the order in which it is read. Rows come in groups of 4, groups in blocks of 32; columns
/// (padded with zeros to a multiple of 16) in chunks of 512. Within a block all groups of the first chunk precede
/// those of the second; within a group's chunk, 16 columns of each of the 4 rows alternate. A chunk's share of 16
/// tokens stays in the first-level cache while a block passes by, and the weights are one forward stream. A matrix of
/// gated units alternates: 16 gate rows, then the 16 up rows of the same units.

#include <cstddef>
#include <cstdint>

namespace toy::kernels {

inline constexpr std::size_t lanes = 16;
inline constexpr std::size_t group_rows = 4;
inline constexpr std::size_t block_groups = 32;
inline constexpr std::size_t block_rows = group_rows * block_groups;
inline constexpr std::size_t chunk_columns = 512;
inline constexpr std::size_t gate_units = 16;

/// A packed matrix: `groups` * 4 rows, `columns` a multiple of 16, elements binary16 or float32.
struct matrix_view {
  const void* data;
  bool half;
  std::size_t groups;
  std::size_t columns;
};

/// `tokens` rows of `stride` floats each. Data and stride are multiples of 64 bytes.
struct rows_view {
  const float* data;
  std::size_t stride;
  std::size_t tokens;
};

/// One head's keys and values, `positions` of them. Keys are transposed: dimension d of position t is
/// keys[d * key_stride + t]; values[t * value_stride + d]. Both strides are multiples of 16 floats, and both arrays
/// may be read up to the next multiple of 16.
struct attention_view {
  const float* keys;
  std::size_t key_stride;
  const float* values;
  std::size_t value_stride;
  std::size_t head_size;
  std::size_t positions;
};

/// The functions of one instruction set. All pointers are to 64-byte aligned memory unless said otherwise.
struct table {
  const char* name;

  /// y[t * y_stride + r] = sum over k of w[r][k] * x[t][k], for the rows of groups [first, last).
  void (*multiply)(const matrix_view& w, std::size_t first, std::size_t last, const rows_view& x, float* y,
                   std::size_t y_stride);

  /// h[t * h_stride + u] = silu(gate[u] . x[t]) * (up[u] . x[t]) for the units u of [16 * first, 16 * last).
  void (*gated_units)(const matrix_view& w, std::size_t first, std::size_t last, const rows_view& x, float* h,
                      std::size_t h_stride);

  /// out[i] = x[i] * weight[i] / sqrt(mean of squares + epsilon). `size` elements, readable and writable up to the next
  /// multiple of 16; the padding of `x`, `weight` and `out` is zero.
  void (*rms_norm)(const float* x, const float* weight, std::size_t size, float epsilon, float* out);

  /// out = sum over t of softmax(scale * query . keys)[t] * values[t]. `query` and `out` (head_size floats) need no
  /// alignment; `scores` is scratch for `positions` floats, rounded up to a multiple of 16.
  void (*attend)(const float* query, const attention_view& head, float scale, float* scores, float* out);
};

#if defined(__x86_64__) || defined(__i386__)
namespace avx2 {
extern const table functions;
}
namespace avx512 {
extern const table functions;
}
#endif
namespace baseline {
extern const table functions;
}

/// The widest table that this CPU can run, or the one that the environment variable TOY_ISA names (baseline, avx2,
/// avx512). Throws `std::runtime_error` if that name is unknown or needs another CPU.
const table& choose();

}  // namespace toy::kernels

#endif  // TOY_KERNELS_HPP
