#ifndef SOAK_BATCH_STORM_HPP
#define SOAK_BATCH_STORM_HPP

/// @file
/// Several texts in a batch, through everything that can happen there.

#include <vector>

#include "dice.hpp"
#include "methods.hpp"
#include "plan.hpp"
#include "play.hpp"

namespace soak {

/// `play_in_storm` for a batch.
[[nodiscard]] std::vector<generation> play_batch_in_storm(const workplace& models, const plan& how, dice& chance);

}  // namespace soak

#endif  // SOAK_BATCH_STORM_HPP
