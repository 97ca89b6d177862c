#ifndef SPECDEC_DETAIL_SELECT_HPP
#define SPECDEC_DETAIL_SELECT_HPP

/// @file
/// top-k and min-p without sorting a vocabulary; what all filters share.
///
/// Each filter keeps a head of the vocabulary sorted by logit, then by id; so a `cutoff` says what is kept, and what is
/// left to do is to find it.
///
/// - top-k: the greatest logits of V/64 small groups are known from the pass that found the maximum. The k-th greatest
///   of them, nearly, bounds the k-th logit from below, and only groups that reach it are looked into: few more than k
///   tokens. O(V) for the pass, then O(V/64 + k log k).
/// - min-p: a bound on the weight is one on the logit. O(1).

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "../mathematics.hpp"
#include "reduce.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// A token with its logit.
template <class Real>
struct candidate {
  Real logit;
  token_id id;

  /// The order filters see: higher logits first, of equal ones lower ids.
  friend bool operator<(const candidate& a, const candidate& b) noexcept {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
};

/// The memory that filters work in, for one thread. Grows to what a vocabulary needs and is kept.
template <class Real>
struct filter_memory {
  std::vector<Real> tops;                   ///< the greatest logits of the lanes of each block
  std::vector<candidate<Real>> candidates;  ///< of which the first `count` mean anything
  std::size_t count = 0;
  std::vector<Real> row_weights;       ///< of every token, relative to its block's maximum
  std::vector<Real> logits;            ///< logits within a bracket, by id
  std::vector<Real> weights;           ///< their weights
  std::vector<std::size_t> ends;       ///< where those of each block end
  std::vector<double> cells;           ///< a histogram of mass
  std::vector<std::uint16_t> cell_of;  ///< the cell of each logit within a bracket
};

/// Cells of the histograms that filters use.
inline constexpr std::size_t cell_count = 1024;

/// `filter_memory` for rows of any type.
class filter_workspace {
 public:
  template <class Real>
  [[nodiscard]] filter_memory<Real>& of() noexcept {
    if constexpr (std::is_same_v<Real, float>) {
      return singles_;
    } else {
      return doubles_;
    }
  }

 private:
  filter_memory<float> singles_;
  filter_memory<double> doubles_;
};

/// Integers in the order of the floating-point numbers whose bits they are made of.
template <class Real>
[[nodiscard]] inline auto ordered(Real x) noexcept {
  using integer = std::conditional_t<sizeof(Real) == 4, std::int32_t, std::int64_t>;
  const auto bits = std::bit_cast<integer>(x);
  return bits < 0 ? static_cast<integer>(bits ^ std::numeric_limits<integer>::max()) : bits;
}

/// A number that at least `k` of the given logits reach, and not many more; -inf if fewer are finite. `count(bound)`
/// says how many reach a bound; `maximum` is the greatest. Bisects the numbers there are: at most 32 steps in float.
template <class Real, class Count>
inline Real reached_by(std::size_t k, Real maximum, Count&& count) {
  using integer = decltype(ordered(maximum));
  const auto number = [](integer i) {
    return std::bit_cast<Real>(i < 0 ? static_cast<integer>(i ^ std::numeric_limits<integer>::max()) : i);
  };
  const std::size_t enough = k + k / 4 + 16;
  integer low = ordered(-std::numeric_limits<Real>::infinity());
  integer high = static_cast<integer>(ordered(maximum) + 1);
  for (;;) {
    // Halved first: the ends may be of different signs.
    const auto middle = static_cast<integer>((low >> 1) + (high >> 1) + (low & high & 1));
    if (middle == low) break;
    const std::size_t found = count(number(middle));
    (found >= k ? low : high) = middle;
    if (found >= k && found <= enough) break;
  }
  return number(low);
}

/// The cutoff that keeps the k most probable tokens, after `survey` has left the blocks' maxima and their lanes' in
/// `memory.tops`. Leaves the kept tokens in `memory.candidates`, in no particular order. 0 < k < V.
template <class T>
inline cutoff<arithmetic<T>> cutoff_at_rank(const edited_row<T>& row, std::size_t k, arithmetic<T> maximum,
                                            std::span<const block_mass> blocks, filter_memory<arithmetic<T>>& memory) {
  using Real = arithmetic<T>;
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  const std::vector<Real>& tops = memory.tops;
  // With hardly more lanes than tokens to keep, their maxima would bound nothing; then logits themselves are counted.
  const Real bound = reached_by(k, maximum, [&](Real least) {
    if (blocks.size() * lane_count > 2 * k) return kernels_for<Real>().count(tops.data(), tops.size(), least);
    std::size_t found = 0;
    for_each_run(
        row,
        [&](std::size_t begin, std::size_t size) {
          found += kernels_for<T>().count(row.row.data() + begin, size, least);
        },
        [&](std::size_t, const block<Real>& logits) {
          found += kernels_for<Real>().count(logits.values, padded(logits.size), least);
        });
    return found;
  });

  std::vector<candidate<Real>>& kept = memory.candidates;
  kept.resize(row.size() + 1);
  std::size_t& count = memory.count;
  count = 0;
  block<Real> copy;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (blocks[b].maximum < static_cast<double>(bound)) continue;
    const std::size_t begin = b * block_size;
    const std::size_t size = std::min(block_size, row.size() - begin);
    const Real* logits = copy.values;
    if (std::is_same_v<T, Real> && row.untouched(begin) > 0) {
      if constexpr (std::is_same_v<T, Real>) logits = row.row.data() + begin;
    } else {
      gather(row, begin, copy);
    }
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      if (!(tops[b * lane_count + lane] >= bound)) continue;
      // Always written, sometimes kept: which is hard to predict.
      for (std::size_t i = lane; i < size; i += lane_count) {
        kept[count] = {logits[i], static_cast<token_id>(begin + i)};
        count += logits[i] >= bound && logits[i] > -infinity ? 1 : 0;
      }
    }
  }
  if (count < k) return {};
  const auto last = kept.begin() + static_cast<std::ptrdiff_t>(k - 1);
  const auto end = kept.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(kept.begin(), last, end);
  const bool tied = std::any_of(last + 1, end, [&](const auto& c) { return c.logit == last->logit; });
  count = k;
  return tied ? cutoff<Real>{last->logit, last->id} : cutoff<Real>{last->logit};
}

/// The cutoff that keeps tokens of weight at least `share`, 0 < share <= 1; at most what `limit` keeps. O(1): the bound
/// on the weight is one on the logit.
template <class Real>
inline cutoff<Real> cutoff_at_weight(const cutoff<Real>& limit, Real maximum, double temperature,
                                     double share) noexcept {
  const double bound = static_cast<double>(maximum) + rounded(logarithm(share) * temperature);
  constexpr auto least = static_cast<double>(std::numeric_limits<Real>::lowest());
  if (!(bound > least)) return limit;
  auto logit = static_cast<Real>(bound);
  if (static_cast<double>(logit) < bound) logit = next_number(logit, std::numeric_limits<Real>::infinity());
  return logit > limit.logit ? cutoff<Real>{logit} : limit;
}

/// The ids of the `ids.size()` most probable tokens that the cutoff keeps and that are not at -inf, in no particular
/// order; returns how many there are. Needs no memory: it looks into the blocks whose maximum, from an earlier pass,
/// may be among the first. O(V) at worst, plus O(log k) for each logit that enters the running selection.
template <class T>
inline std::size_t top(const edited_row<T>& row, const cutoff<arithmetic<T>>& limit, std::span<const block_mass> blocks,
                       std::span<token_id> ids) {
  using Real = arithmetic<T>;
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  const auto precedes = [&row](token_id a, token_id b) {
    return candidate<Real>{row[static_cast<std::size_t>(a)], a} < candidate<Real>{row[static_cast<std::size_t>(b)], b};
  };
  Real maximum = -infinity;
  for (const block_mass& b : blocks) maximum = std::max(maximum, static_cast<Real>(b.maximum));
  Real bound = reached_by(ids.size(), maximum, [&](Real least) {
    return static_cast<std::size_t>(std::count_if(
        blocks.begin(), blocks.end(), [&](const block_mass& b) { return b.maximum >= static_cast<double>(least); }));
  });
  bound = std::max({bound, limit.logit, std::numeric_limits<Real>::lowest()});
  block<Real> logits;
  std::size_t kept = 0;
  for (std::size_t begin = 0; begin < row.size(); begin += block_size) {
    if (blocks[begin / block_size].maximum < static_cast<double>(bound)) continue;
    gather(row, begin, logits);
    for (std::size_t i = 0; i < logits.size; ++i) {
      const auto id = static_cast<token_id>(begin + i);
      if (!(logits.values[i] >= bound) || !limit.keeps(logits.values[i], id)) continue;
      const auto end = [&] { return ids.begin() + static_cast<std::ptrdiff_t>(kept); };
      if (kept == ids.size()) {
        if (!precedes(id, ids.front())) continue;
        std::pop_heap(ids.begin(), end(), precedes);
        ids[--kept] = id;
      }
      ids[kept++] = id;
      std::push_heap(ids.begin(), end(), precedes);
      if (kept == ids.size()) bound = row[static_cast<std::size_t>(ids.front())];
    }
  }
  return kept;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_SELECT_HPP
