#ifndef SOAK_PLAY_HPP
#define SOAK_PLAY_HPP

/// @file
/// Generating the texts of an episode: plainly, as they are meant to be, and through everything that can happen.

#include <optional>
#include <vector>

#include "dice.hpp"
#include "methods.hpp"
#include "plan.hpp"
#include "transcript.hpp"

namespace soak {

/// A text, and what became of its fork.
struct generation {
  transcript text;
  std::optional<transcript> fork;
};

/// Without drafts, one token a round.
[[nodiscard]] transcript play_plainly(const workplace& models, const plan& how, const text_plan& wanted);

/// By the plan, alone and undisturbed.
[[nodiscard]] generation play_calmly(const workplace& models, const plan& how, const text_plan& wanted);

/// By the plan, one generation for each of its texts, while models and sinks fail, somebody asks for an end, sessions
/// are copied, turned to bytes and back, contexts are emptied, rounds abandoned, texts leave their batch and join
/// again. Throws what nothing of that explains.
[[nodiscard]] std::vector<generation> play_in_storm(const workplace& models, const plan& how, dice& chance);

}  // namespace soak

#endif  // SOAK_PLAY_HPP
