#ifndef DOCTOR_OPTIONS_HPP
#define DOCTOR_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <model.hpp>
#include <program/values.hpp>
#include <specdec/sampling/params.hpp>

namespace doctor {

/// What the user asks for.
struct options {
  std::filesystem::path target, draft;
  /// One text to begin with, instead of a file of them.
  std::optional<std::string> prompt;
  std::filesystem::path prompts;
  specdec::sampling_params sampling{.temperature = 0.8, .top_p = 0.95};
  /// Nothing stands for the target's.
  std::optional<double> draft_temperature;
  std::size_t draft_top = 64;
  std::uint64_t seed = 1;
  /// 0 is one per processor.
  unsigned threads = 0;
  toy::weight_format weights = toy::weight_format::float16;
  /// 0 is none.
  std::size_t ballast = 0, draft_ballast = 0;
  double seconds = 60;
  /// How long to compare the forecasts with whole texts; nothing for not at all.
  std::optional<double> check_seconds;
  bool json = false;
  bool color = true;
};

/// The options on the command line; nothing if it asked for help or the version, which are then printed. Throws
/// `program::usage_error`.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace doctor

#endif  // DOCTOR_OPTIONS_HPP
