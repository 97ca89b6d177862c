#ifndef SPECDEC_DETAIL_FILTER_HPP
#define SPECDEC_DETAIL_FILTER_HPP

/// @file
/// From a row and the filters' settings to the law: the one function that `law` asks.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "nucleus.hpp"
#include "reduce.hpp"
#include "select.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

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
    if (by_mass) memory.row_weights.resize(std::max(memory.row_weights.size(), padded(row.size())));
    static_cast<row_summary<Real>&>(found) =
        study(row, filter_scale, blocks, by_mass ? memory.row_weights.data() : nullptr);
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
    const cutoff<Real> limit =
        cutoff_at_weight(found.limit, found.maximum, settings.filter_temperature, settings.min_p);
    weighed = weighed && limit.logit == found.limit.logit;
    found.limit = limit;
  }
  if (!weighed) found.total = weigh_kept(row, found.limit, found.maximum, scale, blocks);
  return found;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_FILTER_HPP
