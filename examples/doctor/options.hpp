#ifndef DOCTOR_OPTIONS_HPP
#define DOCTOR_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <filesystem>
#include <optional>

#include <model.hpp>
#include <program/values.hpp>

#include "question.hpp"

namespace doctor {

/// What the user asks for.
struct options : question {
  std::filesystem::path target, draft;
  /// 0 is one per processor.
  unsigned threads = 0;
  toy::weight_format weights = toy::weight_format::float16;
  /// 0 is none.
  std::size_t ballast = 0, draft_ballast = 0;
};

/// The options on the command line; nothing if it asked for help or the version, which are then printed. Throws
/// `program::usage_error`.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace doctor

#endif  // DOCTOR_OPTIONS_HPP
