#ifndef SOAK_EPISODE_HPP
#define SOAK_EPISODE_HPP

/// @file
/// One episode: a plan, played several times, which must come to the same.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "methods.hpp"
#include "plan.hpp"

namespace soak {

/// What came of an episode.
struct episode {
  driver runs = driver::generate;
  std::size_t method = 0;    ///< its index in the list
  std::size_t compared = 0;  ///< tokens that were compared with those of another run
  std::string description = {};
  std::vector<std::string> divergences = {};
};

/// Plays the episode of that number: a function of seed and number, but for what takes how long.
[[nodiscard]] episode play_episode(const workplace& models, std::span<const method> methods, std::uint64_t seed,
                                   std::uint32_t number);

}  // namespace soak

#endif  // SOAK_EPISODE_HPP
