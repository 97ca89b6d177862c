#ifndef GENERATE_MODELS_HPP
#define GENERATE_MODELS_HPP

/// @file
/// The target and the draft.

#include <measurement/method.hpp>
#include <program/language_model.hpp>

#include "options.hpp"

namespace generate {

using program::language_model;

using measurement::model_pair;

/// Loads the models. Throws std::runtime_error naming the file if one cannot be used, or if the draft's vocabulary is
/// not the target's, token for token, where the method needs it to be.
[[nodiscard]] model_pair load_models(const options& asked);

}  // namespace generate

#endif  // GENERATE_MODELS_HPP
