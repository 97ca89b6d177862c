#ifndef GENERATE_MODELS_HPP
#define GENERATE_MODELS_HPP

/// @file
/// The target and the draft.

#include <filesystem>
#include <optional>

#include <model.hpp>
#include <tokenizer.hpp>

#include "options.hpp"

namespace generate {

/// A model with its vocabulary.
struct language_model {
  std::filesystem::path path;
  toy::tokenizer tokenizer;
  toy::model model;
};

/// What a text is generated with.
struct model_pair {
  language_model target;
  std::optional<language_model> draft;
};

/// Loads the models. Throws std::runtime_error naming the file if one cannot be used, or if the draft's vocabulary is
/// not the target's, token for token.
[[nodiscard]] model_pair load_models(const options& asked);

}  // namespace generate

#endif  // GENERATE_MODELS_HPP
