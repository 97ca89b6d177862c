#ifndef SPECDEC_DETAIL_NUCLEUS_HPP
#define SPECDEC_DETAIL_NUCLEUS_HPP

/// @file
/// top-p without sorting a vocabulary: a sample of 1/32 of the row brackets the cutoff; one pass weighs what is above
/// the bracket and picks out the few logits inside, among which the cutoff is found. A sample that misleads costs a
/// second such pass, no more. Where top-k has left few candidates, they are sorted.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "../mathematics.hpp"
#include "reduce.hpp"
#include "select.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

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
            memory.logits.begin() + static_cast<std::ptrdiff_t>(padded(count)), -std::numeric_limits<Real>::infinity());
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
  // Four standard deviations of what the sample has below a cell. The weights of a cell are nearly those of its top.
  constexpr double certainty = 4;
  constexpr double cell_to_cell = 1.0442737824274138;
  const double tail = (found.total - goal) * static_cast<double>(count) / static_cast<double>(row.size());
  double below = 0;
  double squares = 0;
  double weight_of_cell = 0x1p-64;
  bool lower_is_known = false;
  for (std::size_t cell = cell_count; cell-- > 0;) {
    below += memory.cells[cell];
    squares += rounded(memory.cells[cell] * weight_of_cell);
    weight_of_cell *= cell_to_cell;
    const double noise = rounded(certainty * square_root(squares));
    if (!lower_is_known && below + noise > tail) {
      lower_is_known = true;
      if (cell + 1 < cell_count) range.lower = found.maximum - static_cast<Real>(cell + 1) / per_logit;
    }
    if (below - noise >= tail) {
      range.upper = found.maximum - static_cast<Real>(cell) / per_logit;
      break;
    }
  }
  return range;
}

/// A row that was split at a bracket. The logits within, their weights and cells are in the memory, by id.
struct bracketed_row {
  double above = 0;  ///< the mass of what is more probable
  double within = 0;
  std::size_t count = 0;  ///< tokens within
};

/// Fills the histogram of what is within a bracket: cells of equal width, the last one for all that has no mass, too.
/// Returns the mass.
template <class Real>
inline double fill_cells(const bracket<Real>& range, std::size_t count, Real maximum, Real scale,
                         filter_memory<Real>& memory) {
  const Real bottom = std::max(range.lower, maximum - Real{126} / scale);
  const Real per_logit = static_cast<Real>(cell_count) / std::max(range.upper - bottom, Real{1} / scale / 1024);
  std::fill(memory.cells.begin(), memory.cells.end(), 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    const Real distance = (range.upper - memory.logits[i]) * per_logit;
    constexpr auto last = static_cast<Real>(cell_count - 1);
    memory.cell_of[i] = static_cast<std::uint16_t>(distance < last ? distance : last);
    memory.cells[memory.cell_of[i]] += static_cast<double>(memory.weights[i]);
  }
  double mass = 0;
  for (const double cell : memory.cells) mass += cell;
  return mass;
}

/// Splits a row at a bracket, after `study` has left every token's weight in `memory.row_weights`. Leaves the mass of
/// what is above in `blocks`, and in `memory.ends` where the tokens of each block end among those within.
template <class T>
inline bracketed_row split(const edited_row<T>& row, const bracket<arithmetic<T>>& range, arithmetic<T> maximum,
                           arithmetic<T> scale, std::span<block_mass> blocks, filter_memory<arithmetic<T>>& memory) {
  using Real = arithmetic<T>;
  bracketed_row parts;
  const auto select = [&](std::size_t b, const auto& picked) {
    const Real share_of_block = weight(static_cast<Real>(blocks[b].maximum), maximum, scale);
    blocks[b].sum = rounded(static_cast<double>(picked.mass) * static_cast<double>(share_of_block));
    parts.above += blocks[b].sum;
    parts.count += picked.count;
    memory.ends[b] = parts.count;
  };
  for_each_run(
      row,
      [&](std::size_t begin, std::size_t size) {
        for (const std::size_t end = begin + size; begin < end; begin += block_size) {
          select(begin / block_size,
                 kernels_for<T>().select_between(row.row.data() + begin, memory.row_weights.data() + begin, block_size,
                                                 range.lower, range.upper, memory.logits.data() + parts.count));
        }
      },
      [&](std::size_t begin, const block<Real>& logits) {
        select(begin / block_size,
               kernels_for<Real>().select_between(logits.values, memory.row_weights.data() + begin, padded(logits.size),
                                                  range.lower, range.upper, memory.logits.data() + parts.count));
      });
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  std::fill_n(memory.logits.begin() + static_cast<std::ptrdiff_t>(parts.count), padded(parts.count) - parts.count,
              -infinity);
  kernels_for<Real>().weights(memory.logits.data(), padded(parts.count), -infinity, maximum, scale,
                              memory.weights.data());
  parts.within = fill_cells(range, parts.count, maximum, scale, memory);
  return parts;
}

/// The least probable token of the shortest head with a mass of `goal`, if that ends within the bracket: its place in
/// `memory.candidates`, which are then the tokens of its cell, sorted; for ids they have their places in the bracket,
/// which have the same order. Leaves no candidates if what is above is head enough. A token without mass is never the
/// last, however sums were rounded.
template <class Real>
inline std::size_t find_last_kept(const bracketed_row& parts, double goal, filter_memory<Real>& memory) {
  double above = parts.above;
  std::size_t crossing = cell_count;
  for (std::size_t cell = 0; cell < cell_count; ++cell) {
    const double reached = crossing < cell_count ? above + memory.cells[crossing] : above;
    if (reached >= goal) break;
    if (!(memory.cells[cell] > 0)) continue;
    above = reached;
    crossing = cell;
  }
  memory.count = 0;
  for (std::size_t i = 0; i < parts.count; ++i) {
    if (memory.cell_of[i] != crossing) continue;
    memory.candidates[memory.count++] = {memory.logits[i], static_cast<token_id>(i)};
  }
  const std::span<candidate<Real>> tokens(memory.candidates.data(), memory.count);
  std::sort(tokens.begin(), tokens.end());
  const auto mass = [&](std::size_t i) {
    return static_cast<double>(memory.weights[static_cast<std::size_t>(tokens[i].id)]);
  };
  std::size_t at = 0;
  for (; at + 1 < tokens.size() && mass(at + 1) > 0; ++at) {
    above += mass(at);
    if (above >= goal) break;
  }
  return at;
}

/// The shortest head of the vocabulary whose share of the row's mass reaches `share`, 0 < share < 1, after `study` has
/// left every token's weight in `memory.row_weights`. Leaves the sums of what is kept in `blocks` and in `found.total`.
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

  double goal = rounded(share * found.total);
  bracket<Real> range = guess_cutoff(row, found, scale, goal, memory);
  bracketed_row parts = split(row, range, found.maximum, scale, blocks, memory);
  if (parts.above >= goal && range.upper < found.maximum) {
    range = {range.upper, found.maximum};
    parts = split(row, range, found.maximum, scale, blocks, memory);
  } else if (parts.above + parts.within < goal && range.lower > -infinity) {
    range = {-infinity, range.lower};
    parts = split(row, range, found.maximum, scale, blocks, memory);
  }
  // Then all mass is in sight, and a share near 1 is one of the very sums that are compared with it: the rounding of
  // others, small as it is, would keep or drop the whole tail.
  if (range.lower == -infinity) goal = rounded(share * (parts.above + parts.within));

  const std::size_t at = find_last_kept(parts, goal, memory);
  const std::span<const candidate<Real>> tokens(memory.candidates.data(), memory.count);
  cutoff<Real> kept{range.upper, -1};
  std::size_t at_cutoff = 0;
  bool tied = false;
  if (!tokens.empty()) {
    kept = {tokens[at].logit};
    tied = at + 1 < tokens.size() && tokens[at + 1].logit == kept.logit;
    at_cutoff = tied ? static_cast<std::size_t>(tokens[at].id) + 1 : parts.count;
  }

  // What is kept of each block; and the id of the last token that is, if not all at the cutoff are.
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
    if (tied && at_cutoff > first && at_cutoff <= position) {
      auto equal = std::count(memory.logits.begin() + static_cast<std::ptrdiff_t>(first),
                              memory.logits.begin() + static_cast<std::ptrdiff_t>(at_cutoff), kept.logit);
      std::size_t i = b * block_size;
      for (; equal > 0; ++i) equal -= row[i] == kept.logit ? 1 : 0;
      kept.last = static_cast<token_id>(i - 1);
    }
  }
  return kept;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_NUCLEUS_HPP
