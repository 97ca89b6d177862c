#ifndef GENERATE_TOY_ENGINE_HPP
#define GENERATE_TOY_ENGINE_HPP

/// @file
/// The toy transformer as an engine.

#include <memory>

#include "engine.hpp"
#include "options.hpp"

namespace generate {

/// Loads the models. Throws std::runtime_error naming the file if one cannot be used, or if the draft's vocabulary is
/// not the target's, token for token, where the method needs it to be.
[[nodiscard]] std::unique_ptr<engine> load_toy_engine(const options& asked);

}  // namespace generate

#endif  // GENERATE_TOY_ENGINE_HPP
