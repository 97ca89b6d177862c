#ifndef PROGRAM_MODEL_DESCRIPTION_HPP
#define PROGRAM_MODEL_DESCRIPTION_HPP

/// @file
/// What is told of a model.

#include <cstddef>
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "text.hpp"

namespace program {

/// A model, for people and programs to tell it from others.
struct model_description {
  std::filesystem::path file;
  std::size_t parameters = 0;
  std::string remark = {};  ///< what else is to be said behind it
};

/// "target.gguf, 4.3M parameters", and the remark.
[[nodiscard]] inline std::string in_words(const model_description& one) {
  return fmt::format("{}, {} parameters{}", one.file.filename().string(), parameters(one.parameters), one.remark);
}

}  // namespace program

#endif  // PROGRAM_MODEL_DESCRIPTION_HPP
