// Compiled once per instruction set, with TOY_TIER naming it and TOY_VECTOR_BYTES its register width. Nothing here may
// have vague linkage: the linker would be free to give every caller the copy that only some CPUs can run. Hence no
// standard templates, and an unnamed namespace around everything but the table.

#include "kernels.hpp"

#if TOY_VECTOR_BYTES > 16
#include <immintrin.h>
#endif

namespace toy::kernels::TOY_TIER {
namespace {

constexpr std::size_t width = TOY_VECTOR_BYTES / sizeof(float);
constexpr std::size_t parts = lanes / width;
// 4 rows of accumulators for this many tokens, a weight, an activation and a product fill the register file.
constexpr std::size_t tile_tokens = TOY_VECTOR_BYTES == 64 ? 6 : 3;
// How many tiles convert the same binary16 weights again before it pays to keep the converted ones.
constexpr std::size_t direct_tiles = TOY_VECTOR_BYTES == 16 ? 1 : 2;
// What one pass over a block serves: 16 tokens' activations of a chunk are 32 KiB.
constexpr std::size_t pass_tokens = 16;
// The weights are fetched from memory into the second-level cache far ahead, and from there into the first shortly
// before use. One level would not do: the first level's few line buffers, held for the memory's whole latency, would
// bound the bandwidth, and with 5 tokens' arithmetic between the loads there would be pauses in the stream.
constexpr std::size_t far_bytes = 16384;
constexpr std::size_t near_bytes = 1024;

using vec [[gnu::vector_size(TOY_VECTOR_BYTES), gnu::may_alias]] = float;
using ivec [[gnu::vector_size(TOY_VECTOR_BYTES), gnu::may_alias]] = std::int32_t;
using quad [[gnu::vector_size(16), gnu::may_alias]] = float;
using half_vec [[gnu::vector_size(TOY_VECTOR_BYTES / 2), gnu::may_alias]] = std::uint16_t;

#define TOY_INLINE inline __attribute__((always_inline))

TOY_INLINE void prefetch(const void* at, std::size_t bytes) {
  for (std::size_t line = 0; line < bytes; line += 64) {
    __builtin_prefetch(static_cast<const char*>(at) + far_bytes + line, 0, 2);
    __builtin_prefetch(static_cast<const char*>(at) + near_bytes + line, 0, 3);
  }
}

struct binary16 {
  std::uint16_t bits;
};

TOY_INLINE vec load(const float* at) { return *reinterpret_cast<const vec*>(at); }
TOY_INLINE void store(float* at, const vec& value) { *reinterpret_cast<vec*>(at) = value; }
TOY_INLINE vec broadcast(float value) { return vec{} + value; }

TOY_INLINE vec load(const binary16* at) {
#if TOY_VECTOR_BYTES == 64
  // The unmasked intrinsic makes GCC 12 warn about its own header.
  return _mm512_maskz_cvtph_ps(0xffff, _mm256_load_si256(reinterpret_cast<const __m256i*>(at)));
#elif TOY_VECTOR_BYTES == 32
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
#else
  const ivec bits = __builtin_convertvector(*reinterpret_cast<const half_vec*>(at), ivec);
  const ivec magnitude = (bits & 0x7fff) << 13;
  const ivec normal = magnitude + (112 << 23);
  const ivec subnormal = reinterpret_cast<ivec>(reinterpret_cast<vec>(magnitude + (113 << 23)) - 0x1p-14f);
  const ivec special = magnitude | 0x7f800000;
  const ivec is_subnormal = magnitude < (0x0400 << 13);
  const ivec is_special = magnitude >= (0x7c00 << 13);
  const ivec finite = (subnormal & is_subnormal) | (normal & ~is_subnormal);
  return reinterpret_cast<vec>(((special & is_special) | (finite & ~is_special)) | ((bits & 0x8000) << 16));
#endif
}

// Where the sums of a group's chunk come from and go to: the chunks before it left them in `sums`, unless it is the
// first; they stay there for the next, unless it is the last, when their totals go to y.
struct destination {
  float* sums;
  bool first;
  bool last;
  float* y;
  std::size_t y_stride;
};

// Adds up the 16 lanes of 4 rows at once, as the tree of the contract.
#if TOY_VECTOR_BYTES == 64
TOY_INLINE quad reduce(const vec& r0, const vec& r1, const vec& r2, const vec& r3) {
  const vec a = __builtin_shufflevector(r0, r1, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                __builtin_shufflevector(r0, r1, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const vec b = __builtin_shufflevector(r2, r3, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
                __builtin_shufflevector(r2, r3, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  const vec c = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  const vec d = c + __builtin_shufflevector(c, c, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  const vec e = d + __builtin_shufflevector(d, d, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  return __builtin_shufflevector(e, e, 0, 4, 8, 12);
}
#else
TOY_INLINE quad reduce(const float* sums) {
  quad s[group_rows];
  for (std::size_t r = 0; r < group_rows; ++r) {
    const quad* lane = reinterpret_cast<const quad*>(sums + r * lanes);
    s[r] = (lane[0] + lane[2]) + (lane[1] + lane[3]);
  }
  const quad low01 = __builtin_shufflevector(s[0], s[1], 0, 4, 1, 5);
  const quad low23 = __builtin_shufflevector(s[2], s[3], 0, 4, 1, 5);
  const quad high01 = __builtin_shufflevector(s[0], s[1], 2, 6, 3, 7);
  const quad high23 = __builtin_shufflevector(s[2], s[3], 2, 6, 3, 7);
  const quad lane0 = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  const quad lane1 = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  const quad lane2 = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  const quad lane3 = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
  return (lane0 + lane2) + (lane1 + lane3);
}
#endif

// The sums of 4 rows for `Tokens` tokens over one chunk. `sums` is [token][row][lane].
template <std::size_t Tokens, class Weight>
TOY_INLINE void accumulate(const Weight* w, const float* x, std::size_t x_stride, std::size_t columns,
                           const destination& to) {
  for (std::size_t part = 0; part < parts; ++part) {
    float* sums = to.sums + part * width;
    vec sum[Tokens][group_rows] = {};
    if (!to.first)
      for (std::size_t i = 0; i < Tokens * group_rows; ++i)
        sum[i / group_rows][i % group_rows] = load(sums + i * lanes);
    const Weight* w_part = w + part * width;
    const float* x_part = x + part * width;
    for (std::size_t k = 0; k < columns; k += lanes) {
      const Weight* w_step = w_part + k * group_rows;
      if (part == 0) prefetch(w_step, group_rows * lanes * sizeof(Weight));
      vec row[group_rows];
      for (std::size_t r = 0; r < group_rows; ++r) row[r] = load(w_step + r * lanes);
      for (std::size_t t = 0; t < Tokens; ++t) {
        const vec activation = load(x_part + t * x_stride + k);
        for (std::size_t r = 0; r < group_rows; ++r) sum[t][r] += row[r] * activation;
      }
    }
#if TOY_VECTOR_BYTES == 64
    if (to.last) {
      for (std::size_t t = 0; t < Tokens; ++t)
        *reinterpret_cast<quad*>(to.y + t * to.y_stride) = reduce(sum[t][0], sum[t][1], sum[t][2], sum[t][3]);
      return;
    }
#endif
    for (std::size_t i = 0; i < Tokens * group_rows; ++i) store(sums + i * lanes, sum[i / group_rows][i % group_rows]);
  }
#if TOY_VECTOR_BYTES < 64
  if (to.last)
    for (std::size_t t = 0; t < Tokens; ++t)
      *reinterpret_cast<quad*>(to.y + t * to.y_stride) = reduce(to.sums + t * group_rows * lanes);
#endif
}

template <class Weight>
TOY_INLINE void accumulate(std::size_t tokens, const Weight* w, const float* x, std::size_t x_stride,
                           std::size_t columns, const destination& to) {
  switch (tokens) {
    case 1:
      return accumulate<1>(w, x, x_stride, columns, to);
    case 2:
      return accumulate<2>(w, x, x_stride, columns, to);
    case 3:
      return accumulate<3>(w, x, x_stride, columns, to);
#if TOY_VECTOR_BYTES == 64
    case 4:
      return accumulate<4>(w, x, x_stride, columns, to);
    case 5:
      return accumulate<5>(w, x, x_stride, columns, to);
    case 6:
      return accumulate<6>(w, x, x_stride, columns, to);
#endif
    default:
      return;
  }
}

// All tokens of a pass, in register tiles of nearly equal size.
template <class Weight>
TOY_INLINE void accumulate_tiles(std::size_t tokens, const Weight* w, const float* x, std::size_t x_stride,
                                 std::size_t columns, destination to) {
  for (std::size_t done = 0; done < tokens;) {
    const std::size_t tiles = (tokens - done + tile_tokens - 1) / tile_tokens;
    const std::size_t tile = (tokens - done + tiles - 1) / tiles;
    accumulate(tile, w, x + done * x_stride, x_stride, columns, to);
    to.sums += tile * group_rows * lanes;
    to.y += tile * to.y_stride;
    done += tile;
  }
}

void group_chunk(const float* w, std::size_t tokens, const float* x, std::size_t x_stride, std::size_t columns,
                 const destination& to) {
  accumulate_tiles(tokens, w, x, x_stride, columns, to);
}

void group_chunk(const binary16* w, std::size_t tokens, const float* x, std::size_t x_stride, std::size_t columns,
                 const destination& to) {
  if (tokens <= direct_tiles * tile_tokens) return accumulate_tiles(tokens, w, x, x_stride, columns, to);
  alignas(64) float converted[group_rows * chunk_columns];
  for (std::size_t i = 0; i < group_rows * columns; i += lanes) {
    if (i % (2 * lanes) == 0) prefetch(w + i, 64);
    for (std::size_t part = 0; part < lanes; part += width) store(converted + i + part, load(w + i + part));
  }
  accumulate_tiles(tokens, static_cast<const float*>(converted), x, x_stride, columns, to);
}

TOY_INLINE float reduce_one(const float* lane_sums) {
  float s[lanes];
  for (std::size_t i = 0; i < 8; ++i) s[i] = lane_sums[i] + lane_sums[i + 8];
  for (std::size_t i = 0; i < 4; ++i) s[i] = s[i] + s[i + 4];
  return (s[0] + s[2]) + (s[1] + s[3]);
}

// The groups [first, last) of one block, for at most `pass_tokens` tokens. y[t * y_stride + 4 * (g - first)].
template <class Weight>
TOY_INLINE void block_rows_of(const Weight* block, std::size_t groups_in_block, std::size_t first, std::size_t last,
                              std::size_t columns, const rows_view& x, float* y, std::size_t y_stride) {
  alignas(64) float sums[block_groups * pass_tokens * group_rows * lanes];
  for (std::size_t chunk = 0; chunk < columns; chunk += chunk_columns) {
    const std::size_t size = columns - chunk < chunk_columns ? columns - chunk : chunk_columns;
    const Weight* w = block + chunk * group_rows * groups_in_block + first * group_rows * size;
    for (std::size_t g = 0; g < last - first; ++g)
      group_chunk(w + g * group_rows * size, x.tokens, x.data + chunk, x.stride, size,
                  {sums + g * x.tokens * group_rows * lanes, chunk == 0, chunk + size == columns, y + g * group_rows,
                   y_stride});
  }
}

// As table::multiply, but y's first row is that of group `first`.
template <class Weight>
void multiply_groups(const matrix_view& w, std::size_t first, std::size_t last, const rows_view& x, float* y,
                     std::size_t y_stride) {
  for (std::size_t done = first; done < last;) {
    const std::size_t block = done / block_groups * block_groups;
    const std::size_t groups_in_block = w.groups - block < block_groups ? w.groups - block : block_groups;
    const std::size_t end = last - block < block_groups ? last - block : block_groups;
    const Weight* data = static_cast<const Weight*>(w.data) + block * group_rows * w.columns;
    for (std::size_t t = 0; t < x.tokens; t += pass_tokens) {
      const std::size_t tokens = x.tokens - t < pass_tokens ? x.tokens - t : pass_tokens;
      block_rows_of(data, groups_in_block, done - block, end, w.columns, {x.data + t * x.stride, x.stride, tokens},
                    y + t * y_stride + (done - first) * group_rows, y_stride);
    }
    done = block + end;
  }
}

void multiply_groups(const matrix_view& w, std::size_t first, std::size_t last, const rows_view& x, float* y,
                     std::size_t y_stride) {
  if (w.half) {
    multiply_groups<binary16>(w, first, last, x, y, y_stride);
  } else {
    multiply_groups<float>(w, first, last, x, y, y_stride);
  }
}

void multiply(const matrix_view& w, std::size_t first, std::size_t last, const rows_view& x, float* y,
              std::size_t y_stride) {
  multiply_groups(w, first, last, x, y + first * group_rows, y_stride);
}

TOY_INLINE vec smaller(const vec& a, const vec& b) { return a < b ? a : b; }
TOY_INLINE vec larger(const vec& a, const vec& b) { return a > b ? a : b; }

// e^x to about 1e-7, relative: x = n log 2 + r, a polynomial in r (Cephes' coefficients), and n into the exponent.
TOY_INLINE vec exponential(const vec& argument) {
  const vec x = larger(smaller(argument, broadcast(88.0f)), broadcast(-87.0f));
  const vec rounded = x * 1.44269504f + 12582912.0f;
  const vec n = rounded - 12582912.0f;
  const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  vec p = broadcast(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const ivec exponent = (reinterpret_cast<ivec>(rounded) - 0x4b400000 + 127) << 23;
  return p * reinterpret_cast<vec>(exponent);
}

void gated_units(const matrix_view& w, std::size_t first, std::size_t last, const rows_view& x, float* h,
                 std::size_t h_stride) {
  constexpr std::size_t rows = 2 * gate_units, groups = rows / group_rows;
  alignas(64) float product[pass_tokens * rows];
  for (std::size_t block = first; block < last; ++block) {
    for (std::size_t t = 0; t < x.tokens; t += pass_tokens) {
      const std::size_t tokens = x.tokens - t < pass_tokens ? x.tokens - t : pass_tokens;
      const rows_view pass = {x.data + t * x.stride, x.stride, tokens};
      multiply_groups(w, block * groups, (block + 1) * groups, pass, product, rows);
      for (std::size_t i = 0; i < tokens; ++i) {
        for (std::size_t u = 0; u < gate_units; u += width) {
          const vec gate = load(product + i * rows + u);
          const vec up = load(product + i * rows + gate_units + u);
          store(h + (t + i) * h_stride + block * gate_units + u, gate / (exponential(-gate) + 1.0f) * up);
        }
      }
    }
  }
}

void rms_norm(const float* x, const float* weight, std::size_t size, float epsilon, float* out) {
  alignas(64) float sums[lanes];
  for (std::size_t part = 0; part < parts; ++part) {
    vec sum = vec{};
    for (std::size_t k = part * width; k < size; k += lanes) sum += load(x + k) * load(x + k);
    store(sums + part * width, sum);
  }
  const float scale = 1.0f / __builtin_sqrtf(reduce_one(sums) / static_cast<float>(size) + epsilon);
  for (std::size_t k = 0; k < size; k += width) store(out + k, load(x + k) * scale * load(weight + k));
  // An infinite scale has made NaN of zeros.
  for (std::size_t k = size; k % width != 0; ++k) out[k] = 0;
}

void score_positions(const float* query, const attention_view& head, float scale, float* scores) {
  // Four vectors of positions at a time, so that the additions over the dimensions need not wait for each other.
  constexpr std::size_t step = 4 * width;
  std::size_t t = 0;
  for (; t + step <= head.positions; t += step) {
    vec sum[4] = {};
    for (std::size_t d = 0; d < head.head_size; ++d)
      for (std::size_t i = 0; i < 4; ++i) sum[i] += load(head.keys + d * head.key_stride + t + i * width) * query[d];
    for (std::size_t i = 0; i < 4; ++i) store(scores + t + i * width, sum[i] * scale);
  }
  for (; t < head.positions; t += width) {
    vec sum = vec{};
    for (std::size_t d = 0; d < head.head_size; ++d) sum += load(head.keys + d * head.key_stride + t) * query[d];
    store(scores + t, sum * scale);
  }
}

// Turns scores into e^(score - maximum), zeroes the padding, and returns the sum.
float exponentiate(std::size_t positions, float* scores) {
  float maximum = scores[0];
  for (std::size_t t = 1; t < positions; ++t) maximum = scores[t] > maximum ? scores[t] : maximum;
  alignas(64) float sums[lanes] = {};
  for (std::size_t t = 0; t < positions; t += lanes) {
    for (std::size_t i = 0; i < lanes; i += width) store(scores + t + i, exponential(load(scores + t + i) - maximum));
    for (std::size_t i = t + lanes > positions ? positions - t : lanes; i < lanes; ++i) scores[t + i] = 0;
    for (std::size_t i = 0; i < lanes; i += width) store(sums + i, load(sums + i) + load(scores + t + i));
  }
  return reduce_one(sums);
}

void attend(const float* query, const attention_view& head, float scale, float* scores, float* out) {
  score_positions(query, head, scale, scores);
  const float inverse = 1.0f / exponentiate(head.positions, scores);
  for (std::size_t d = 0; d < head.head_size; d += width) {
    // Position t goes into sum t mod 4. Positions beyond the last are not touched: theirs may be any bits.
    vec sum[4] = {};
    const float* value = head.values + d;
    std::size_t t = 0;
    for (; t + 4 <= head.positions; t += 4)
      for (std::size_t i = 0; i < 4; ++i) sum[i] += load(value + (t + i) * head.value_stride) * scores[t + i];
    for (std::size_t i = 0; i < 3; ++i)
      if (t + i < head.positions) sum[i] += load(value + (t + i) * head.value_stride) * scores[t + i];
    alignas(64) float result[width];
    store(result, ((sum[0] + sum[1]) + (sum[2] + sum[3])) * inverse);
    for (std::size_t i = 0; i < width && d + i < head.head_size; ++i) out[d + i] = result[i];
  }
}

#define TOY_TEXT_OF(name) #name
#define TOY_TEXT(name) TOY_TEXT_OF(name)

}  // namespace

extern const table functions = {TOY_TEXT(TOY_TIER), multiply, gated_units, rms_norm, attend};

}  // namespace toy::kernels::TOY_TIER
