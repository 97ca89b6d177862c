#ifndef ACCEPTANCE_PLOTS_HPP
#define ACCEPTANCE_PLOTS_HPP

/// @file
/// The study as pictures.

#include <string>
#include <string_view>
#include <vector>

#include "drawing.hpp"
#include "options.hpp"
#include "store.hpp"

namespace acceptance {

/// The pictures of the cells that the options ask for; those that have no data are left out.
///
/// - acceptance: the share of drafted tokens accepted, of those evaluated, by position in the draft; for each task and
///   temperature, from the runs with the largest gamma.
/// - tokens_per_call: tokens per call of the target against gamma, counted, beside Leviathan's formula with the alpha
///   of the largest gamma's run, and beside what that run's survival says of every smaller gamma.
/// - speedup: measured and predicted, against gamma.
///
/// Where one run tells of every smaller gamma, and what it leaves out: see `study::shortened`. The pictures show how
/// much that is.
[[nodiscard]] std::vector<picture> pictures_of(const cells& all, const options& asked,
                                               const std::vector<std::string>& tasks, std::string_view weights,
                                               std::string_view target_size);

}  // namespace acceptance

#endif  // ACCEPTANCE_PLOTS_HPP
