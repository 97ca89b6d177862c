#ifndef GENERATE_OPTIONS_HPP
#define GENERATE_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <filesystem>
#include <optional>

#include <model.hpp>
#include <program/values.hpp>

#include "request.hpp"

namespace generate {

using program::usage_error;

/// What the user asks for.
struct options : request {
  std::filesystem::path target;
  /// Nothing stands for no draft model.
  std::optional<std::filesystem::path> draft;
  /// 0 is one per processor.
  unsigned threads = 0;
  toy::weight_format weights = toy::weight_format::float16;
  /// 0 is none.
  std::size_t ballast = 0;
};

/// The options on the command line; nothing if it asked for help or the version, which are then printed.
/// Reads the prompt's file, or standard input. Throws `usage_error`, and std::runtime_error if a file cannot be read.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace generate

#endif  // GENERATE_OPTIONS_HPP
