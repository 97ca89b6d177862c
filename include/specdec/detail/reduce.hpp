#ifndef SPECDEC_DETAIL_REDUCE_HPP
#define SPECDEC_DETAIL_REDUCE_HPP

/// @file
/// A row of logits in one pass: its maximum, the mass of every block, and what is wrong with it.
///
/// A vocabulary is walked in blocks of 1024 tokens. The weights of a block are summed over 16 lanes, the lanes in a
/// fixed tree, the blocks in double in their order; a block's weights are relative to its own maximum and its sum is
/// rescaled once the row's is known. Nothing in this depends on the instruction set.
///
/// Blocks are read from the row's own memory where they can be; where logits are strided, edited or forbidden, a copy
/// of the block is. Time O(V), memory one block of stack.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>

#include "dispatch.hpp"
#include "rows.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// What one pass over a row finds.
template <class Real>
struct row_summary {
  Real maximum = -std::numeric_limits<Real>::infinity();
  token_id highest = -1;  ///< the lowest id that has the maximum; -1 when every logit is -inf
  double total = 0;       ///< sum of the weights
  bool has_nan = false;   ///< then nothing else here means anything
};

/// Calls `direct(begin, size)` for runs of blocks that can be read where they lie, `copied(begin, block)` for others.
template <class T, class Direct, class Copied>
inline void for_each_run(const edited_row<T>& row, Direct&& direct, Copied&& copied) {
  block<arithmetic<T>> copy;
  for (std::size_t begin = 0; begin < row.size();) {
    if (const std::size_t run = row.untouched(begin); run > 0) {
      direct(begin, run);
      begin += run;
    } else {
      gather(row, begin, copy);
      copied(begin, copy);
      begin += copy.size;
    }
  }
}

/// The first token with this logit, in the block that starts at `begin`. Precondition: there is one.
template <class T>
inline token_id first_with(const edited_row<T>& row, std::size_t begin, arithmetic<T> logit) noexcept {
  block<arithmetic<T>> logits;
  gather(row, begin, logits);
  const auto* at = std::find(logits.values, logits.values + logits.size, logit);
  return static_cast<token_id>(begin + static_cast<std::size_t>(at - logits.values));
}

/// Whether a logit of the row is NaN.
template <class T>
inline bool any_nan(const edited_row<T>& row) {
  bool found = false;
  for_each_run(
      row,
      [&](std::size_t begin, std::size_t size) {
        found = found || kernels_for<T>().has_nan(row.row.data() + begin, size);
      },
      [&](std::size_t, const block<arithmetic<T>>& logits) {
        found = found || kernels_for<arithmetic<T>>().has_nan(logits.values, padded(logits.size));
      });
  return found;
}

/// Fills in the maximum and where it is, from the blocks' maxima.
template <class T>
inline void find_highest(const edited_row<T>& row, std::span<const block_mass> blocks,
                         row_summary<arithmetic<T>>& found) noexcept {
  std::size_t at = 0;
  for (std::size_t b = 1; b < blocks.size(); ++b) at = blocks[b].maximum > blocks[at].maximum ? b : at;
  found.maximum = static_cast<arithmetic<T>>(blocks[at].maximum);
  if (found.maximum > -std::numeric_limits<arithmetic<T>>::infinity()) {
    found.highest = first_with(row, at * block_size, found.maximum);
  }
}

/// Maximum and mass of a row, in one pass over memory. `blocks` gets one entry for each block: its maximum, and the sum
/// of its weights relative to the row's maximum. Where the maximum is not finite the sums mean nothing. `weights`, if
/// it is not null, gets padded(V) numbers: every token's weight relative to its block's maximum.
template <class T>
inline row_summary<arithmetic<T>> study(const edited_row<T>& row, arithmetic<T> scale, std::span<block_mass> blocks,
                                        arithmetic<T>* weights = nullptr) {
  using Real = arithmetic<T>;
  const auto at = [weights](std::size_t begin) { return weights == nullptr ? nullptr : weights + begin; };
  for_each_run(
      row,
      [&](std::size_t begin, std::size_t size) {
        kernels_for<T>().study(row.row.data() + begin, size, scale, &blocks[begin / block_size], at(begin));
      },
      [&](std::size_t begin, const block<Real>& logits) {
        kernels_for<Real>().study(logits.values, padded(logits.size), scale, &blocks[begin / block_size], at(begin));
      });
  row_summary<Real> found;
  find_highest(row, blocks, found);
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  if (!(found.maximum > -infinity && found.maximum < infinity)) {
    found.has_nan = any_nan(row);
    return found;
  }
  // Block maxima are logits like others: a block's sum is as many times smaller as its maximum's weight says.
  block<Real> maxima;
  for (std::size_t first = 0; first < blocks.size(); first += block_size) {
    maxima.size = std::min(block_size, blocks.size() - first);
    for (std::size_t b = 0; b < padded(maxima.size); ++b) {
      maxima.values[b] = b < maxima.size ? static_cast<Real>(blocks[first + b].maximum) : -infinity;
    }
    kernels_for<Real>().weights(maxima.values, padded(maxima.size), -infinity, found.maximum, scale, maxima.values);
    for (std::size_t b = 0; b < maxima.size; ++b) {
      blocks[first + b].sum = rounded(blocks[first + b].sum * static_cast<double>(maxima.values[b]));
      found.total += blocks[first + b].sum;
    }
  }
  found.has_nan = found.total != found.total;
  return found;
}

/// Maximum of a row without any mass: for greedy laws, and for filters that leave little to weigh. `blocks` gets the
/// maxima, `tops` those of the 16 lanes of each block.
template <class T>
inline row_summary<arithmetic<T>> survey(const edited_row<T>& row, std::span<block_mass> blocks,
                                         std::span<arithmetic<T>> tops) {
  using Real = arithmetic<T>;
  for_each_run(
      row,
      [&](std::size_t begin, std::size_t size) {
        kernels_for<T>().survey(row.row.data() + begin, size, &blocks[begin / block_size],
                                &tops[begin / block_size * lane_count]);
      },
      [&](std::size_t begin, const block<Real>& logits) {
        kernels_for<Real>().survey(logits.values, padded(logits.size), &blocks[begin / block_size],
                                   &tops[begin / block_size * lane_count]);
      });
  row_summary<Real> found;
  find_highest(row, blocks, found);
  block<Real> logits;
  for (std::size_t b = 0; b < blocks.size() && !found.has_nan; ++b) {
    if (blocks[b].sum - blocks[b].sum == 0) continue;
    gather(row, b * block_size, logits);
    found.has_nan = kernels_for<Real>().has_nan(logits.values, padded(logits.size));
  }
  return found;
}

/// The weights of the block that starts at `begin`, zero where the cutoff drops a token and in the padding.
template <class T>
inline void weights_of(const edited_row<T>& row, std::size_t begin, const cutoff<arithmetic<T>>& limit,
                       arithmetic<T> maximum, arithmetic<T> scale, block<arithmetic<T>>& out) {
  using Real = arithmetic<T>;
  if (row.untouched(begin) > 0) {
    out.size = block_size;
    kernels_for<T>().weights(row.row.data() + begin, block_size, limit.logit, maximum, scale, out.values);
  } else {
    gather(row, begin, out);
    kernels_for<Real>().weights(out.values, padded(out.size), limit.logit, maximum, scale, out.values);
  }
  const auto behind = static_cast<std::size_t>(limit.last) + 1;
  if (!limit.cuts() || behind >= begin + out.size) return;
  // Of the tokens at the cutoff only the first ones are kept.
  for (std::size_t i = std::max(behind, begin) - begin; i < out.size; ++i) {
    if (out.values[i] > Real{0} && row[begin + i] == limit.logit) out.values[i] = Real{0};
  }
}

/// The sum of a block's weights, zero in the padding.
template <class Real>
inline double sum_of(const block<Real>& weights) {
  return static_cast<double>(kernels_for<Real>().sum(weights.values, padded(weights.size)));
}

/// The sum of w * (maximum - x) over the tokens of a block, x being a token's logit and w its weight; where that is 0,
/// so is the product. Products of floats are exact in double, so the lanes are the same whatever fuses them.
template <class T>
inline double weighted_distance(const edited_row<T>& row, std::size_t begin, const block<arithmetic<T>>& weights,
                                arithmetic<T> maximum) noexcept {
  using Real = arithmetic<T>;
  block<Real> logits;
  gather(row, begin, logits);
  double sums[lane_count] = {};
  for (std::size_t i = 0; i < padded(weights.size); i += lane_count) {
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      const Real weight = weights.values[i + lane];
      const Real distance = weight > Real{0} ? maximum - logits.values[i + lane] : Real{0};
      double term = static_cast<double>(weight) * static_cast<double>(distance);
      if constexpr (std::is_same_v<Real, double>) round_now(term);
      sums[lane] += term;
    }
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

/// Weighs what a cutoff keeps, after `survey` or `study` has left the blocks' maxima: fills in their sums and returns
/// the total. Reads only blocks with a kept token.
template <class T>
inline double weigh_kept(const edited_row<T>& row, const cutoff<arithmetic<T>>& limit, arithmetic<T> maximum,
                         arithmetic<T> scale, std::span<block_mass> blocks) {
  double total = 0;
  block<arithmetic<T>> weights;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    blocks[b].sum = 0;
    if (blocks[b].maximum < static_cast<double>(limit.logit)) continue;
    weights_of(row, b * block_size, limit, maximum, scale, weights);
    blocks[b].sum = sum_of(weights);
    total += blocks[b].sum;
  }
  return total;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_REDUCE_HPP
