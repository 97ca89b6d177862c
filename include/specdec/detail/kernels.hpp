#ifndef SPECDEC_DETAIL_KERNELS_HPP
#define SPECDEC_DETAIL_KERNELS_HPP

/// @file
/// All floating-point arithmetic over a vocabulary, in one place, because its bits are a promise.
///
/// A vocabulary is walked in blocks of 1024 tokens. Within a block, element i belongs to virtual lane i % 16; a lane is
/// summed in order of i, the 16 lane sums in a fixed pairwise tree, and the block sums in double in order of the
/// blocks. The width of the registers that hold the lanes is not part of that order, and no multiplication feeds an
/// addition without passing a barrier against contraction; so the result is the same to the last bit on every
/// instruction set, compiler, optimisation level and under every -m flag.
///
/// Weights are exp((x - max) / temperature): float logits are computed in float, double ones in double.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

inline constexpr std::size_t lane_count = 16;
inline constexpr std::size_t block_size = 1024;

#if defined(__GNUC__)
/// Bytes in the registers the lanes live in: 16 exists on every x86-64 and AArch64.
inline constexpr std::size_t register_bytes = 16;
template <class Real>
struct register_of {
  typedef Real type __attribute__((vector_size(register_bytes)));
};
template <class Real>
using part = typename register_of<Real>::type;
#else
template <class Real>
using part = Real;
#endif

/// Numbers per register.
template <class Real>
inline constexpr std::size_t part_size = sizeof(part<Real>) / sizeof(Real);

/// Registers that hold the 16 lanes.
template <class Real>
inline constexpr std::size_t part_count = lane_count / part_size<Real>;

/// Returns x, opaque to the optimiser: a product that passes through here is rounded before anything is added to it,
/// even where the user allows fused multiply-add. Costs no instruction.
template <class V>
inline V rounded(V x) noexcept {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
  asm("" : "+x"(x));
#elif defined(__GNUC__) && defined(__aarch64__)
  asm("" : "+w"(x));
#elif defined(__GNUC__)
  asm("" : "+m"(x));
#else
  volatile V barrier = x;
  x = barrier;
#endif
  return x;
}

template <class Real>
inline part<Real> load(const Real* from) noexcept {
  part<Real> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class Real>
inline void store(Real* to, part<Real> v) noexcept {
  std::memcpy(to, &v, sizeof v);
}

/// The sum of 16 lanes, pairwise: lanes l and l+8, then l and l+4, l+2, l+1.
template <class Real>
inline Real sum_of_lanes(Real (&lanes)[lane_count]) noexcept {
  for (std::size_t half = lane_count / 2; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

/// `count` rounded up to whole groups of 16 lanes.
constexpr std::size_t padded(std::size_t count) noexcept { return (count + lane_count - 1) / lane_count * lane_count; }

/// One block of numbers, zero behind its end up to the next whole group of lanes.
template <class Real>
struct block {
  alignas(64) Real values[block_size];
  std::size_t size = 0;

  /// The sum in lane order. Precondition: the padding is zero.
  [[nodiscard]] double sum() const noexcept {
    part<Real> accumulators[part_count<Real>] = {};
    for (std::size_t i = 0; i < padded(size); i += lane_count) {
      for (std::size_t k = 0; k < part_count<Real>; ++k) accumulators[k] += load(values + i + k * part_size<Real>);
    }
    Real lanes[lane_count];
    std::memcpy(lanes, accumulators, sizeof lanes);
    return static_cast<double>(sum_of_lanes(lanes));
  }
};

/// A logit that stands in for a row's own.
struct edit {
  token_id token = -1;
  double logit = 0;
};

/// A set of tokens: bit t % 32 of word t / 32 is set if token t is in it.
inline constexpr std::size_t word_bits = 32;

/// Words for a set of tokens of a vocabulary.
constexpr std::size_t words_of(std::size_t vocab_size) noexcept { return (vocab_size + word_bits - 1) / word_bits; }

/// A row of logits with some of them replaced, and all but the allowed ones at -inf. `edits` ascend by token; an empty
/// `allowed` allows everything. A view.
template <class Real>
struct edited_row {
  logits_row<Real> row;
  std::span<const edit> edits = {};
  std::span<const std::uint32_t> allowed = {};

  [[nodiscard]] std::size_t size() const noexcept { return row.size(); }

  [[nodiscard]] Real operator[](std::size_t token) const noexcept {
    if (!allowed.empty() && (allowed[token / word_bits] >> token % word_bits & 1U) == 0) {
      return -std::numeric_limits<Real>::infinity();
    }
    if (edits.empty()) return row[token];
    const auto at = first_edit(token);
    const bool replaced = at != edits.end() && static_cast<std::size_t>(at->token) == token;
    return replaced ? static_cast<Real>(at->logit) : row[token];
  }

  /// The first edit of this or a later token.
  [[nodiscard]] std::span<const edit>::iterator first_edit(std::size_t token) const noexcept {
    return std::lower_bound(edits.begin(), edits.end(), token,
                            [](const edit& e, std::size_t t) { return static_cast<std::size_t>(e.token) < t; });
  }
};

/// Lowers to -inf, in the block of logits that starts at `begin`, the tokens that are not allowed.
template <class Real>
inline void forbid_others(std::span<const std::uint32_t> allowed, std::size_t begin, block<Real>& out) noexcept {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  for (std::size_t i = 0; i < out.size; i += word_bits) {
    const std::uint32_t word = allowed[(begin + i) / word_bits];
    if (word == ~std::uint32_t{0}) continue;
    for (std::size_t bit = 0; bit < std::min(word_bits, out.size - i); ++bit) {
      if ((word >> bit & 1U) == 0) out.values[i + bit] = lowest;
    }
  }
}

/// Copies tokens [begin, begin + out.size) of a row into a block and pads it with `padding`.
template <class Real>
inline void gather(const edited_row<Real>& source, std::size_t begin, block<Real>& out, Real padding) noexcept {
  const logits_row<Real>& row = source.row;
  out.size = std::min(block_size, row.size() - begin);
  if (row.stride() == 1) {
    std::memcpy(out.values, row.data() + begin, out.size * sizeof(Real));
  } else {
    for (std::size_t i = 0; i < out.size; ++i) out.values[i] = row[begin + i];
  }
  for (std::size_t i = out.size; i < padded(out.size); ++i) out.values[i] = padding;
  if (!source.edits.empty()) {
    for (auto e = source.first_edit(begin); e != source.edits.end(); ++e) {
      const std::size_t index = static_cast<std::size_t>(e->token) - begin;
      if (index >= out.size) break;
      out.values[index] = static_cast<Real>(e->logit);
    }
  }
  if (!source.allowed.empty()) forbid_others(source.allowed, begin, out);
}

/// Copies weights [begin, begin + out.size) into a block of another type and pads it with zeros.
template <class Real>
inline void gather(std::span<const float> weights, std::size_t begin, block<Real>& out) noexcept {
  out.size = std::min(block_size, weights.size() - begin);
  for (std::size_t i = 0; i < out.size; ++i) out.values[i] = static_cast<Real>(weights[begin + i]);
  for (std::size_t i = out.size; i < padded(out.size); ++i) out.values[i] = Real{0};
}

/// The least of some weights; 0 if there are none, and no matter where there is a NaN. O(V).
inline float lowest(std::span<const float> weights) noexcept {
  block<float> values;
  float least = 0;
  for (std::size_t begin = 0; begin < weights.size(); begin += block_size) {
    gather(weights, begin, values);
    part<float> smallest = {};
    for (std::size_t i = 0; i < padded(values.size); i += part_size<float>) {
      const part<float> x = load(values.values + i);
      smallest = x < smallest ? x : smallest;
    }
    float parts[part_size<float>];
    std::memcpy(parts, &smallest, sizeof parts);
    least = std::min(least, *std::min_element(parts, parts + part_size<float>));
  }
  return least;
}

/// exp(x) for x <= 0 in float, at most 2 units in the last place off; 0 below -87.3, where float loses normal numbers.
/// x = n ln2 + r with ln2 in two parts (Cody and Waite), then 1 + r + r^2 P(r), P of degree 4 interpolating at the
/// Chebyshev nodes of [-ln2/2, ln2/2]: 1e-8 relative before rounding.
inline part<float> exp_nonpositive(part<float> x) noexcept {
#if defined(__GNUC__)
  typedef std::uint32_t bits __attribute__((vector_size(register_bytes)));
#else
  using bits = std::uint32_t;
#endif
  constexpr float lowest = -87.3F;
  constexpr float round_to_integer = 0x1.8p23F;
  const auto representable = x >= lowest;
  const part<float> clamped = representable ? x : part<float>{} + lowest;
  // The sum is kept from the optimiser too: some flags would let it cancel the rounding to an integer.
  const part<float> shifted = rounded(rounded(clamped * 0x1.715476p0F) + round_to_integer);
  const part<float> n = shifted - round_to_integer;
  const part<float> r = (clamped - rounded(n * 0x1.62e4p-1F)) - rounded(n * 0x1.7f7d1cp-20F);
  part<float> y = part<float>{} + 0x1.6d10fcp-10F;
  y = rounded(y * r) + 0x1.120b62p-7F;
  y = rounded(y * r) + 0x1.55551ap-5F;
  y = rounded(y * r) + 0x1.5554dep-3F;
  y = rounded(y * r) + 0.5F;
  y = rounded(y * r) + 1.0F;
  y = rounded(y * r) + 1.0F;
  const part<float> scaled = std::bit_cast<part<float>>(std::bit_cast<bits>(y) + (std::bit_cast<bits>(shifted) << 23));
  return representable ? scaled : part<float>{};
}

/// exp(x) for x <= 0 in double: the standard library's, since double rows serve exactness studies, not speed.
inline part<double> exp_nonpositive(part<double> x) noexcept {
  double values[part_size<double>];
  std::memcpy(values, &x, sizeof x);
  for (double& value : values) value = std::exp(value);
  std::memcpy(&x, values, sizeof x);
  return x;
}

/// What one pass over a row finds.
template <class Real>
struct extremum {
  Real maximum = -std::numeric_limits<Real>::infinity();
  token_id index = -1;  ///< the lowest id that has the maximum; -1 when every logit is -inf or NaN
  bool has_nan = false;
};

/// Maximum, its lowest index, and whether any logit is NaN. O(V), one pass.
template <class Real>
inline extremum<Real> maximum(const edited_row<Real>& row) noexcept {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  extremum<Real> found;
  block<Real> logits;
  for (std::size_t begin = 0; begin < row.size(); begin += block_size) {
    gather(row, begin, logits, lowest);
    part<Real> highest[part_count<Real>];
    part<Real> unordered[part_count<Real>];
    for (std::size_t k = 0; k < part_count<Real>; ++k) {
      highest[k] = part<Real>{} + lowest;
      unordered[k] = part<Real>{};
    }
    for (std::size_t i = 0; i < padded(logits.size); i += lane_count) {
      for (std::size_t k = 0; k < part_count<Real>; ++k) {
        const part<Real> x = load(logits.values + i + k * part_size<Real>);
        highest[k] = x > highest[k] ? x : highest[k];
        unordered[k] = x == x ? unordered[k] : part<Real>{} + Real{1};
      }
    }
    Real lanes[lane_count];
    Real nans[lane_count];
    std::memcpy(lanes, highest, sizeof lanes);
    std::memcpy(nans, unordered, sizeof nans);
    for (const Real nan : nans) found.has_nan = found.has_nan || nan != Real{0};
    const Real block_maximum = *std::max_element(lanes, lanes + lane_count);
    if (block_maximum > found.maximum) {
      found.maximum = block_maximum;
      const Real* at = std::find(logits.values, logits.values + logits.size, block_maximum);
      found.index = static_cast<token_id>(begin + static_cast<std::size_t>(at - logits.values));
    }
  }
  return found;
}

/// The weight of one logit: exp((x - maximum) * inverse_temperature), the very bits that `exponentials` gives.
template <class Real>
inline Real exponential(Real x, Real maximum, Real inverse_temperature) noexcept {
  const part<Real> scaled = (part<Real>{} + (x - maximum)) * inverse_temperature;
  Real values[part_size<Real>];
  const part<Real> y = exp_nonpositive(rounded(scaled));
  std::memcpy(values, &y, sizeof y);
  return values[0];
}

/// Where a filtered law ends: the tokens with a logit above `logit`, and of those that equal it the ids up to `last`.
/// Filters keep the head of the vocabulary sorted by logit, then by id; so one pair says it all, and nothing is sorted.
template <class Real>
struct cutoff {
  Real logit = -std::numeric_limits<Real>::infinity();
  token_id last = std::numeric_limits<token_id>::max();

  [[nodiscard]] bool cuts() const noexcept { return logit != -std::numeric_limits<Real>::infinity(); }
  [[nodiscard]] bool keeps(Real x, token_id token) const noexcept { return x > logit || (x == logit && token <= last); }
};

/// Lowers to -inf what a cutoff drops from a block of logits.
template <class Real>
inline void cut(block<Real>& logits, std::size_t begin, const cutoff<Real>& limit) noexcept {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  for (std::size_t i = 0; i < padded(logits.size); i += part_size<Real>) {
    const part<Real> x = load(logits.values + i);
    store(logits.values + i, x >= limit.logit ? x : part<Real>{} + lowest);
  }
  const std::size_t behind = static_cast<std::size_t>(limit.last) + 1;
  for (std::size_t i = behind > begin ? behind - begin : 0; i < logits.size; ++i) {
    if (logits.values[i] == limit.logit) logits.values[i] = lowest;
  }
}

/// Replaces a block of logits by their weights.
template <class Real>
inline void exponentiate(block<Real>& values, Real maximum, Real inverse_temperature) noexcept {
  for (std::size_t i = 0; i < padded(values.size); i += part_size<Real>) {
    const part<Real> x = load(values.values + i) - maximum;
    store(values.values + i, exp_nonpositive(rounded(x * inverse_temperature)));
  }
}

/// The weights of one block of a row, zero where the cutoff drops a token.
template <class Real>
inline void exponentials(const edited_row<Real>& row, std::size_t begin, const cutoff<Real>& limit, Real maximum,
                         Real inverse_temperature, block<Real>& out) noexcept {
  gather(row, begin, out, -std::numeric_limits<Real>::infinity());
  if (limit.cuts()) cut(out, begin, limit);
  exponentiate(out, maximum, inverse_temperature);
}

/// The sum of a vocabulary's worth of blocks. `fill(begin, block)` must fill the block that starts at `begin`. O(V) and
/// one block of stack.
template <class Real, class Fill>
inline double sum_of_blocks(std::size_t vocab_size, Fill&& fill) {
  block<Real> weights;
  double total = 0;
  for (std::size_t begin = 0; begin < vocab_size; begin += block_size) {
    fill(begin, weights);
    total += weights.sum();
  }
  return total;
}

/// Inverse transform over blocks: the first token at which the running sum exceeds `goal`, 0 <= goal < the sum. Whole
/// blocks are passed by their sums and one block is scanned, so the answer does not depend on register width. Where
/// rounding leaves the goal beyond the last weight, the last token of positive weight is taken. Returns -1 only if
/// every weight is zero.
template <class Real, class Fill>
inline token_id draw_from_blocks(std::size_t vocab_size, double goal, Fill&& fill) {
  block<Real> weights;
  const auto scan = [&weights](std::size_t begin, double running, double end) {
    token_id chosen = -1;
    for (std::size_t i = 0; i < weights.size; ++i) {
      if (!(weights.values[i] > Real{0})) continue;
      chosen = static_cast<token_id>(begin + i);
      running += static_cast<double>(weights.values[i]);
      if (end < running) break;
    }
    return chosen;
  };
  double passed = 0;
  std::size_t last_positive_block = vocab_size;
  for (std::size_t begin = 0; begin < vocab_size; begin += block_size) {
    fill(begin, weights);
    const double sum = weights.sum();
    if (!(sum > 0)) continue;
    if (goal < passed + sum) return scan(begin, passed, goal);
    passed += sum;
    last_positive_block = begin;
  }
  if (last_positive_block == vocab_size) return -1;
  fill(last_positive_block, weights);
  return scan(last_positive_block, passed, std::numeric_limits<double>::infinity());
}

/// Multiplies a block by `factor`.
template <class Real>
inline void scale(block<Real>& values, Real factor) noexcept {
  for (std::size_t i = 0; i < padded(values.size); i += part_size<Real>) {
    store(values.values + i, rounded(load(values.values + i) * factor));
  }
}

/// Takes `amount` from token `token`, down to no less than 0, if it lies in the block that starts at `begin`.
template <class Real>
inline void subtract_one(block<Real>& values, std::size_t begin, token_id token, Real amount) noexcept {
  const std::size_t index = static_cast<std::size_t>(token) - begin;
  if (index < values.size) values.values[index] = std::max(Real{0}, values.values[index] - amount);
}

/// Takes weights[i] * factor from token ids[i] for all ids (ascending) in the block, down to no less than 0.
template <class Real>
inline void subtract_sparse(block<Real>& values, std::size_t begin, std::span<const token_id> ids,
                            std::span<const float> weights, Real factor) noexcept {
  const auto first = std::lower_bound(ids.begin(), ids.end(), static_cast<token_id>(begin));
  for (auto at = static_cast<std::size_t>(first - ids.begin()); at < ids.size(); ++at) {
    if (static_cast<std::size_t>(ids[at]) >= begin + values.size) break;
    subtract_one(values, begin, ids[at], rounded(static_cast<Real>(weights[at]) * factor));
  }
}

/// Takes weights[begin + i] * factor from every token of the block, down to no less than 0.
template <class Real>
inline void subtract_dense(block<Real>& values, std::size_t begin, std::span<const float> weights,
                           Real factor) noexcept {
  for (std::size_t i = 0; i < values.size; i += part_size<Real>) {
    Real taken[part_size<Real>] = {};
    for (std::size_t k = 0; k < std::min(part_size<Real>, values.size - i); ++k) {
      taken[k] = static_cast<Real>(weights[begin + i + k]);
    }
    const part<Real> left = load(values.values + i) - rounded(load(taken) * factor);
    store(values.values + i, left > Real{0} ? left : part<Real>{});
  }
}

/// The order filters see: higher logits first, of equal ones lower ids.
template <class Real>
[[nodiscard]] inline auto more_probable_in(const edited_row<Real>& row) noexcept {
  return [&row](token_id a, token_id b) {
    const Real x = row[static_cast<std::size_t>(a)];
    const Real y = row[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
}

/// The ids of the `ids.size()` most probable tokens that the cutoff keeps and that are not at -inf, in no particular
/// order; returns how many there are. O(V) plus O(log k) for each logit that enters the running selection.
template <class Real>
inline std::size_t top(const edited_row<Real>& row, const cutoff<Real>& limit, std::span<token_id> ids) noexcept {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  const auto precedes = more_probable_in(row);
  block<Real> logits;
  std::size_t kept = 0;
  Real least = lowest;
  for (std::size_t begin = 0; begin < row.size(); begin += block_size) {
    gather(row, begin, logits, lowest);
    if (limit.cuts()) cut(logits, begin, limit);
    for (std::size_t i = 0; i < logits.size; ++i) {
      if (!(logits.values[i] > least)) continue;
      const auto id = static_cast<token_id>(begin + i);
      const auto end = [&] { return ids.begin() + static_cast<std::ptrdiff_t>(kept); };
      if (kept == ids.size()) {
        std::pop_heap(ids.begin(), end(), precedes);
        ids[--kept] = id;
      }
      ids[kept++] = id;
      std::push_heap(ids.begin(), end(), precedes);
      if (kept == ids.size()) least = row[static_cast<std::size_t>(ids.front())];
    }
  }
  return kept;
}

/// Cells of the histogram that `cutoff_at_mass` uses: 1/32 nat wide, as far down as float weights are not zero.
inline constexpr std::size_t histogram_cells = 88 * 32;

/// The shortest head of the vocabulary, sorted by `more_probable_in`, whose share of the mass that `limit` keeps
/// reaches `share`, 0 < share < 1. Two passes: one adds the mass up in cells of equal logits, nearly; the other orders
/// the tokens of the one cell in which the share is reached. O(V) plus sorting that cell.
/// @param cells scratch of histogram_cells numbers
/// @param scratch  scratch for the tokens of one cell
template <class Real, class Ids>
inline cutoff<Real> cutoff_at_mass(const edited_row<Real>& row, const cutoff<Real>& limit, Real maximum,
                                   Real inverse_temperature, double share, std::span<double> cells, Ids& scratch) {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  const auto cell_of = [&](Real x) {
    const Real distance = rounded((maximum - x) * inverse_temperature) * Real{32};
    constexpr auto last = static_cast<Real>(histogram_cells - 1);
    return static_cast<std::size_t>(distance < last ? distance : last);
  };
  std::fill(cells.begin(), cells.end(), 0.0);
  block<Real> logits;
  block<Real> weights;
  const auto for_each_kept = [&](auto&& visit) {
    for (std::size_t begin = 0; begin < row.size(); begin += block_size) {
      gather(row, begin, logits, lowest);
      if (limit.cuts()) cut(logits, begin, limit);
      visit(begin);
    }
  };
  for_each_kept([&](std::size_t) {
    weights = logits;
    exponentiate(weights, maximum, inverse_temperature);
    for (std::size_t i = 0; i < logits.size; ++i) {
      if (logits.values[i] != lowest) cells[cell_of(logits.values[i])] += static_cast<double>(weights.values[i]);
    }
  });
  double total = 0;
  for (const double mass : cells) total += mass;
  const double goal = share * total;
  double above = 0;
  std::size_t crossing = 0;
  while (crossing + 1 < cells.size() && above + cells[crossing] < goal) above += cells[crossing++];

  scratch.clear();
  for_each_kept([&](std::size_t begin) {
    for (std::size_t i = 0; i < logits.size; ++i) {
      if (logits.values[i] != lowest && cell_of(logits.values[i]) == crossing) {
        scratch.push_back(static_cast<token_id>(begin + i));
      }
    }
  });
  std::sort(scratch.begin(), scratch.end(), more_probable_in(row));
  for (const token_id id : scratch) {
    const Real x = row[static_cast<std::size_t>(id)];
    above += static_cast<double>(exponential(x, maximum, inverse_temperature));
    if (above >= goal) return {x, id};
  }
  return scratch.empty() ? limit : cutoff<Real>{row[static_cast<std::size_t>(scratch.back())], scratch.back()};
}

/// The cutoff that keeps tokens of weight at least `share`, 0 < share <= 1; at most what `limit` keeps. O(1): the bound
/// on the weight is one on the logit.
template <class Real>
inline cutoff<Real> cutoff_at_weight(const cutoff<Real>& limit, Real maximum, double temperature,
                                     double share) noexcept {
  const double bound = static_cast<double>(maximum) + rounded(std::log(share) * temperature);
  constexpr auto least = static_cast<double>(std::numeric_limits<Real>::lowest());
  if (!(bound > least)) return limit;
  auto logit = static_cast<Real>(bound);
  if (static_cast<double>(logit) < bound) logit = std::nextafter(logit, std::numeric_limits<Real>::infinity());
  return logit > limit.logit ? cutoff<Real>{logit} : limit;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_KERNELS_HPP
