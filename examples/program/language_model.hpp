#ifndef PROGRAM_LANGUAGE_MODEL_HPP
#define PROGRAM_LANGUAGE_MODEL_HPP

/// @file
/// Models as programs use them: with their vocabulary.

#include <filesystem>

#include <model.hpp>
#include <tokenizer.hpp>

namespace program {

/// A model with its vocabulary.
struct language_model {
  std::filesystem::path path;
  toy::tokenizer tokenizer;
  toy::model model;
};

/// Loads a model. Throws std::runtime_error naming the file if it cannot be used.
[[nodiscard]] language_model load_model(const std::filesystem::path& path, const toy::load_options& how);

/// Throws std::runtime_error if the draft's vocabulary is not the target's, token for token, naming the first that
/// differs.
void require_same_vocabulary(const language_model& target, const language_model& draft);

}  // namespace program

#endif  // PROGRAM_LANGUAGE_MODEL_HPP
