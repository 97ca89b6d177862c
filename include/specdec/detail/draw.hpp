#ifndef SPECDEC_DETAIL_DRAW_HPP
#define SPECDEC_DETAIL_DRAW_HPP

/// @file
/// Inverse transform by block sums: whole blocks are passed by their sums, one is scanned. So a draw reads one block,
/// and its answer does not depend on the instruction set.

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>

#include "reduce.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// The first token of a block at which the running sum, `passed` before it, exceeds `goal`; where rounding leaves the
/// goal beyond the block's last weight, the last token of positive weight; -1 if there is none.
template <class Real>
inline token_id scan(const block<Real>& weights, std::size_t begin, double passed, double goal) noexcept {
  token_id chosen = -1;
  for (std::size_t i = 0; i < weights.size; ++i) {
    if (!(weights.values[i] > Real{0})) continue;
    chosen = static_cast<token_id>(begin + i);
    passed += static_cast<double>(weights.values[i]);
    if (goal < passed) break;
  }
  return chosen;
}

/// A place in an inverse transform: a part of the vocabulary, and the sum of all weights before it.
struct part_of_sum {
  std::size_t index;
  double passed;
};

/// The first of the parts [first, last) at which the running sum, `passed` before them, exceeds `goal`; `sum(i)` is the
/// sum of part i. Where rounding leaves the goal beyond them all, the last part of positive sum; `last` if there is
/// none.
template <class Sum>
inline part_of_sum find_part(std::size_t first, std::size_t last, double passed, double goal, Sum&& sum) {
  part_of_sum chosen{last, passed};
  for (std::size_t i = first; i < last; ++i) {
    const double mass = sum(i);
    if (!(mass > 0)) continue;
    chosen = {i, passed};
    passed += mass;
    if (goal < passed) break;
  }
  return chosen;
}

/// Inverse transform over blocks [first, last): the token at which the running sum of weights, `passed` before them,
/// exceeds `goal`. `sum(b)` is the sum of block b's weights, `fill(begin, block)` computes them, a zero for those that
/// cannot be drawn. Returns -1 only if no block has a positive sum.
template <class Real, class Sum, class Fill>
inline token_id draw_by_blocks(std::size_t first, std::size_t last, double passed, double goal, Sum&& sum,
                               Fill&& fill) {
  const part_of_sum chosen = find_part(first, last, passed, goal, sum);
  if (chosen.index == last) return -1;
  block<Real> weights;
  fill(chosen.index * block_size, weights);
  return scan(weights, chosen.index * block_size, chosen.passed, goal);
}

/// own - taken * unit, no less than 0.
inline double left_without(double own, double taken, double unit) noexcept {
  return std::max(0.0, own - rounded(taken * unit));
}

/// own - factor * min(taken * unit, own / rho), no less than 0.
inline double left_without_overlap(double own, double taken, double unit, double rho, double factor) noexcept {
  const double overlap = std::min(rounded(taken * unit), own / rho);
  return std::max(0.0, own - rounded(factor * overlap));
}

/// Makes every weight left(weight, its counterpart), rounded to a `Real`. O(V).
template <class Real, class Left>
inline void replace_all(std::span<double> weights, std::span<const float> counterparts, Left&& left) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<double>(static_cast<Real>(left(weights[i], static_cast<double>(counterparts[i]))));
  }
}

/// Takes `amount` from one weight, down to no less than 0, if it lies in the block that starts at `begin`.
template <class Real>
inline void subtract_one(block<Real>& weights, std::size_t begin, token_id token, Real amount) noexcept {
  const std::size_t index = static_cast<std::size_t>(token) - begin;
  if (index < weights.size) weights.values[index] = std::max(Real{0}, weights.values[index] - amount);
}

/// Takes weights[i] * factor from token ids[i] for all ids (ascending) in the block, down to no less than 0.
template <class Real>
inline void subtract_sparse(block<Real>& from, std::size_t begin, std::span<const token_id> ids,
                            std::span<const float> weights, Real factor) noexcept {
  const auto first = std::lower_bound(ids.begin(), ids.end(), static_cast<token_id>(begin));
  for (auto at = static_cast<std::size_t>(first - ids.begin()); at < ids.size(); ++at) {
    if (static_cast<std::size_t>(ids[at]) >= begin + from.size) break;
    subtract_one(from, begin, ids[at], rounded(static_cast<Real>(weights[at]) * factor));
  }
}

/// Takes weights[begin + i] * factor from every token of the block, down to no less than 0; returns what is left.
template <class Real>
inline double subtract_dense(block<Real>& from, std::size_t begin, std::span<const float> weights, Real factor) {
  if (from.size == block_size) {
    return static_cast<double>(kernels_for<Real>().subtract(from.values, weights.data() + begin, block_size, factor));
  }
  block<float> taken = {};
  std::copy_n(weights.data() + begin, from.size, taken.values);
  return static_cast<double>(kernels_for<Real>().subtract(from.values, taken.values, padded(from.size), factor));
}

/// The sum of some weights in double, block by block, and whether they are legal. O(V).
inline weight_total total_weight_of(std::span<const float> weights) {
  const std::size_t whole = weights.size() / block_size * block_size;
  weight_total found = total_weight_of(weights.data(), whole);
  if (whole < weights.size()) {
    block<float> rest = {};
    std::copy(weights.begin() + static_cast<std::ptrdiff_t>(whole), weights.end(), rest.values);
    const weight_total more = total_weight_of(rest.values, padded(weights.size() - whole));
    found.sum += more.sum;
    found.legal = found.legal && more.legal;
  }
  return found;
}

/// Inverse transform over weights that are there already: the token at which their running sum, in double, exceeds
/// `goal`. One pass up to that token.
inline token_id draw_from_weights(std::span<const float> weights, double goal) {
  const auto sum_of = [&](std::size_t b) {
    return total_weight_of(weights.subspan(b * block_size, std::min(block_size, weights.size() - b * block_size))).sum;
  };
  return draw_by_blocks<float>(0, block_count(weights.size()), 0, goal, sum_of,
                               [&](std::size_t begin, block<float>& out) {
                                 out.size = std::min(block_size, weights.size() - begin);
                                 std::copy_n(weights.data() + begin, out.size, out.values);
                               });
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_DRAW_HPP
