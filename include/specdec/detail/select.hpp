#ifndef SPECDEC_DETAIL_SELECT_HPP
#define SPECDEC_DETAIL_SELECT_HPP

/// @file
/// top-k, top-p and min-p without sorting a vocabulary.
///
/// Each filter keeps a head of the vocabulary sorted by logit, then by id; so a `cutoff` says what is kept, and what is
/// left to do is to find it.
///
/// - top-k: the greatest logits of V/64 small groups are known from the pass that found the maximum. The k-th greatest
///   of them, nearly, bounds the k-th logit from below, and only groups that reach it are looked into: few more than k
///   tokens. O(V) for the pass, then O(V/64 + k log k).
/// - top-p: a sample of 1/32 of the row brackets the cutoff; one pass weighs what is above the bracket and picks out the
///   few logits inside, among which the cutoff is found. A sample that misleads costs a second such pass, no more.
/// - min-p: a bound on the weight is one on the logit. O(1).

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

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
  std::vector<Real> tops;                     ///< the greatest logits of the lanes of each block
  std::vector<candidate<Real>> candidates;    ///< of which the first `count` mean anything
  std::size_t count = 0;
  std::vector<Real> logits;                   ///< logits within a bracket, by id
  std::vector<Real> weights;                  ///< their weights
  std::vector<std::size_t> ends;              ///< where those of each block end
  std::vector<double> cells;                  ///< a histogram of mass
  std::vector<std::uint16_t> cell_of;         ///< the cell of each logit within a bracket
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
                                            std::span<const block_mass> blocks,
                                            filter_memory<arithmetic<T>>& memory) {
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

/// The shortest head of `memory.candidates`, all that `limit` keeps, whose share of their mass reaches `share`.
template <class Real>
inline cutoff<Real> cutoff_at_mass_of(filter_memory<Real>& memory, const cutoff<Real>& limit, Real maximum, Real scale,
                                      double share) {
  const std::span<candidate<Real>> kept(memory.candidates.data(), memory.count);
  std::sort(kept.begin(), kept.end());
  memory.weights.resize(std::max(memory.weights.size(), padded(kept.size())));
  std::fill_n(memory.weights.begin(), padded(kept.size()), -std::numeric_limits<Real>::infinity());
  for (std::size_t i = 0; i < kept.size(); ++i) memory.weights[i] = kept[i].logit;
  Real* weights = memory.weights.data();
  kernels_for<Real>().weights(weights, padded(kept.size()), kept.empty() ? Real{0} : kept.back().logit, maximum, scale,
                              weights);
  double total = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) total += static_cast<double>(weights[i]);
  double above = 0;
  for (std::size_t i = 0; i + 1 < kept.size(); ++i) {
    above += static_cast<double>(weights[i]);
    if (above < share * total) continue;
    const bool tied = kept[i + 1].logit == kept[i].logit;
    return tied ? cutoff<Real>{kept[i].logit, kept[i].id} : cutoff<Real>{kept[i].logit};
  }
  return limit;
}

/// A range of logits, without its lower end.
template <class Real>
struct bracket {
  Real lower;
  Real upper;
};

/// Where the head with a mass of `goal` probably ends, guessed from a sample of the row.
template <class T>
inline bracket<arithmetic<T>> guess_cutoff(const edited_row<T>& row, const row_summary<arithmetic<T>>& found,
                                           arithmetic<T> scale, double goal, filter_memory<arithmetic<T>>& memory) {
  using Real = arithmetic<T>;
  bracket<Real> range{-std::numeric_limits<Real>::infinity(), found.maximum};
  constexpr std::size_t sampled = 32;  // consecutive ones of every block
  const std::size_t blocks = row.size() / block_size;
  if (blocks < 4) return range;

  const std::size_t count = blocks * sampled;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = b * block_size + b * 7 % (block_size / sampled) * sampled;
    for (std::size_t i = 0; i < sampled; ++i) {
      // Edits are passed over: there are few, and this is only a guess.
      const bool forbidden = !row.allowed.empty() && (row.allowed[begin / word_bits] >> i & 1U) == 0;
      memory.logits[b * sampled + i] =
          forbidden ? -std::numeric_limits<Real>::infinity() : static_cast<Real>(row.row[begin + i]);
    }
  }
  std::fill(memory.logits.begin() + static_cast<std::ptrdiff_t>(count),
            memory.logits.begin() + static_cast<std::ptrdiff_t>(padded(count)),
            -std::numeric_limits<Real>::infinity());
  kernels_for<Real>().weights(memory.logits.data(), padded(count), -std::numeric_limits<Real>::infinity(),
                              found.maximum, scale, memory.weights.data());

  // Cells a sixteenth of a bit wide; the mass from below counts, because there the sample is good: the many unlikely
  // tokens, not the few that hold most of the mass.
  const Real per_logit = scale * 16;
  std::fill(memory.cells.begin(), memory.cells.end(), 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    const Real distance = (found.maximum - memory.logits[i]) * per_logit;
    constexpr auto last = static_cast<Real>(cell_count - 1);
    const auto cell = static_cast<std::size_t>(distance < last ? std::max(distance, Real{0}) : last);
    memory.cells[cell] += static_cast<double>(memory.weights[i]);
  }
  constexpr double margin = 0.13;  // 3.5 standard deviations for 1/32 of 128k logits drawn from N(0, 3)
  const double tail = (found.total - goal) * static_cast<double>(count) / static_cast<double>(row.size());
  double below = 0;
  for (std::size_t cell = cell_count; cell-- > 0;) {
    const bool reached_already = below > tail * (1 - margin);
    below += memory.cells[cell];
    if (!reached_already && below > tail * (1 - margin) && cell + 1 < cell_count) {
      range.lower = found.maximum - static_cast<Real>(cell + 1) / per_logit;
    }
    if (below >= tail * (1 + margin)) {
      range.upper = found.maximum - static_cast<Real>(cell) / per_logit;
      break;
    }
  }
  return range;
}

/// The shortest head of the vocabulary whose share of the row's mass reaches `share`, 0 < share < 1, after `study`.
/// Leaves the sums of what is kept in `blocks` and in `found.total`.
template <class T>
inline cutoff<arithmetic<T>> cutoff_at_mass(const edited_row<T>& row, row_summary<arithmetic<T>>& found,
                                            arithmetic<T> scale, double share, std::span<block_mass> blocks,
                                            filter_memory<arithmetic<T>>& memory) {
  using Real = arithmetic<T>;
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  memory.logits.resize(std::max(memory.logits.size(), padded(row.size()) + lane_count));
  memory.weights.resize(std::max(memory.weights.size(), padded(row.size())));
  memory.candidates.resize(row.size() + 1);
  memory.ends.resize(blocks.size());
  memory.cells.resize(cell_count);
  memory.cell_of.resize(std::max(memory.cell_of.size(), row.size()));

  const double goal = share * found.total;
  bracket<Real> range = guess_cutoff(row, found, scale, goal, memory);
  double above = 0;
  double within = 0;
  std::size_t count = 0;
  for (bool guessed = true;; guessed = false) {
    above = 0;
    count = 0;
    const auto select = [&](std::size_t b, const auto& picked) {
      blocks[b].sum = static_cast<double>(picked.mass);
      above += blocks[b].sum;
      count += picked.count;
      memory.ends[b] = count;
    };
    for_each_run(
        row,
        [&](std::size_t begin, std::size_t size) {
          for (const std::size_t end = begin + size; begin < end; begin += block_size) {
            select(begin / block_size,
                   kernels_for<T>().select_between(row.row.data() + begin, block_size, range.lower, range.upper,
                                                   found.maximum, scale, memory.logits.data() + count));
          }
        },
        [&](std::size_t begin, const block<Real>& logits) {
          select(begin / block_size,
                 kernels_for<Real>().select_between(logits.values, padded(logits.size), range.lower, range.upper,
                                                    found.maximum, scale, memory.logits.data() + count));
        });
    std::fill_n(memory.logits.begin() + static_cast<std::ptrdiff_t>(count), padded(count) - count, -infinity);
    kernels_for<Real>().weights(memory.logits.data(), padded(count), -infinity, found.maximum, scale,
                                memory.weights.data());
    within = static_cast<double>(kernels_for<Real>().sum(memory.weights.data(), padded(count)));
    if (!guessed) break;
    if (above >= goal && range.upper < found.maximum) {
      range = {range.upper, found.maximum};
    } else if (above + within < goal && range.lower > -infinity) {
      range = {-infinity, range.lower};
    } else {
      break;
    }
  }

  // The cell of the bracket in which the goal is reached.
  const Real bottom = std::max(range.lower, found.maximum - Real{126} / scale);
  const Real per_logit = static_cast<Real>(cell_count) / std::max(range.upper - bottom, Real{1} / scale / 1024);
  const auto cell_of = [&](Real x) {
    const Real distance = (range.upper - x) * per_logit;
    constexpr auto last = static_cast<Real>(cell_count - 1);
    return static_cast<std::uint16_t>(distance < last ? distance : last);
  };
  std::fill(memory.cells.begin(), memory.cells.end(), 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    memory.cell_of[i] = cell_of(memory.logits[i]);
    memory.cells[memory.cell_of[i]] += static_cast<double>(memory.weights[i]);
  }
  std::size_t crossing = 0;
  while (crossing + 1 < cell_count && above + memory.cells[crossing] < goal) above += memory.cells[crossing++];
  // Rounding may have left the goal beyond the last of them.
  while (crossing > 0 && !(memory.cells[crossing] > 0)) --crossing;

  // Positions in the bracket stand in for ids: they have the same order.
  memory.count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (memory.cell_of[i] != crossing) continue;
    memory.candidates[memory.count++] = {memory.logits[i], static_cast<token_id>(i)};
  }
  const std::span<candidate<Real>> ties(memory.candidates.data(), memory.count);
  std::sort(ties.begin(), ties.end());
  std::size_t at = 0;
  for (; at + 1 < ties.size(); ++at) {
    above += static_cast<double>(memory.weights[static_cast<std::size_t>(ties[at].id)]);
    if (above >= goal) break;
  }
  cutoff<Real> kept{range.lower};
  auto last_position = static_cast<token_id>(count);
  if (!ties.empty()) {
    kept.logit = ties[at].logit;
    last_position = ties[at].id;
  }

  // What is kept of each block; and the id of the last token that is, if not all at the cutoff are.
  const bool tied = at + 1 < ties.size() && ties[at + 1].logit == kept.logit;
  const std::size_t at_cutoff = tied ? static_cast<std::size_t>(last_position) + 1 : count;
  found.total = 0;
  std::size_t position = 0;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const std::size_t first = position;
    // Selected, not branched on: which are kept is hard to predict.
    double sum = 0;
    for (; position < memory.ends[b]; ++position) {
      const Real x = memory.logits[position];
      const bool keeps = (x > kept.logit) | ((x == kept.logit) & (position < at_cutoff));
      sum += static_cast<double>(keeps ? memory.weights[position] : Real{0});
    }
    blocks[b].sum += sum;
    found.total += blocks[b].sum;
    if (tied && static_cast<std::size_t>(last_position) >= first && static_cast<std::size_t>(last_position) < position) {
      auto equal = std::count(memory.logits.begin() + static_cast<std::ptrdiff_t>(first),
                              memory.logits.begin() + last_position + 1, kept.logit);
      std::size_t i = b * block_size;
      for (; equal > 0; ++i) equal -= row[i] == kept.logit ? 1 : 0;
      kept.last = static_cast<token_id>(i - 1);
    }
  }
  return kept;
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

/// The ids of the `ids.size()` most probable tokens that the cutoff keeps and that are not at -inf, in no particular
/// order; returns how many there are. Needs no memory: it looks into the blocks whose maximum, from an earlier pass,
/// may be among the first. O(V) at worst, plus O(log k) for each logit that enters the running selection.
template <class T>
inline std::size_t top(const edited_row<T>& row, const cutoff<arithmetic<T>>& limit,
                       std::span<const block_mass> blocks, std::span<token_id> ids) {
  using Real = arithmetic<T>;
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  const auto precedes = [&row](token_id a, token_id b) {
    return candidate<Real>{row[static_cast<std::size_t>(a)], a} < candidate<Real>{row[static_cast<std::size_t>(b)], b};
  };
  Real maximum = -infinity;
  for (const block_mass& b : blocks) maximum = std::max(maximum, static_cast<Real>(b.maximum));
  Real bound = reached_by(ids.size(), maximum, [&](Real least) {
    return static_cast<std::size_t>(std::count_if(blocks.begin(), blocks.end(), [&](const block_mass& b) {
      return b.maximum >= static_cast<double>(least);
    }));
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

/// What filters there are, and the temperatures: that of the law and that of the law the filters see.
struct filter_settings {
  double temperature = 1;
  double filter_temperature = 1;
  std::size_t top_k = 0;
  double top_p = 1;
  double min_p = 0;
};

/// A row's law: what `study` finds and where the filters cut.
template <class Real>
struct filtered_row : row_summary<Real> {
  cutoff<Real> limit;
};

/// The law of a row: its maximum, where the filters cut, and the mass of every block of what they keep. A pure function
/// of the row and the settings; `blocks` gets one entry per block. At temperature 0 only the maximum is found.
/// Reads the row once, and once more from the cache for a bare top-p.
template <class T>
inline filtered_row<arithmetic<T>> study_filtered(const edited_row<T>& row, const filter_settings& settings,
                                                  filter_workspace& workspace, std::span<block_mass> blocks) {
  using Real = arithmetic<T>;
  const bool greedy = settings.temperature == 0;
  const bool by_rank = settings.top_k > 0 && settings.top_k < row.size();
  const bool by_mass = settings.top_p < 1;
  const Real scale = greedy ? Real{0} : exponent_scale<Real>(1 / settings.temperature);
  const Real filter_scale = greedy ? Real{0} : exponent_scale<Real>(1 / settings.filter_temperature);
  filter_memory<Real>& memory = workspace.of<Real>();

  filtered_row<Real> found;
  const bool surveyed = greedy || by_rank || (!by_mass && settings.min_p > 0);
  if (surveyed) {
    memory.tops.resize(padded(blocks.size() * lane_count), -std::numeric_limits<Real>::infinity());
    static_cast<row_summary<Real>&>(found) = survey(row, blocks, std::span(memory.tops));
  } else {
    static_cast<row_summary<Real>&>(found) = study(row, filter_scale, blocks);
  }
  if (greedy || found.has_nan || found.highest < 0 || found.maximum == std::numeric_limits<Real>::infinity()) {
    return found;
  }

  bool weighed = !surveyed && scale == filter_scale;
  if (by_rank) {
    found.limit = cutoff_at_rank(row, settings.top_k, found.maximum, blocks, memory);
    if (by_mass) {
      found.limit = cutoff_at_mass_of(memory, found.limit, found.maximum, filter_scale, settings.top_p);
    }
  } else if (by_mass) {
    found.limit = cutoff_at_mass(row, found, filter_scale, settings.top_p, blocks, memory);
  }
  if (settings.min_p > 0) {
    const cutoff<Real> limit = cutoff_at_weight(found.limit, found.maximum, settings.filter_temperature, settings.min_p);
    weighed = weighed && limit.logit == found.limit.logit;
    found.limit = limit;
  }
  if (!weighed) found.total = weigh_kept(row, found.limit, found.maximum, scale, blocks);
  return found;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_SELECT_HPP
