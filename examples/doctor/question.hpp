#ifndef DOCTOR_QUESTION_HPP
#define DOCTOR_QUESTION_HPP

/// @file
/// What is asked of the doctor, whichever engine the patient is of.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <specdec/sampling/params.hpp>

namespace doctor {

/// Texts to examine a pair on, and how long.
struct question {
  /// One text to begin with, instead of a file of them.
  std::optional<std::string> prompt;
  std::filesystem::path prompts;
  specdec::sampling_params sampling{.temperature = 0.8, .top_p = 0.95};
  /// Nothing stands for the target's.
  std::optional<double> draft_temperature;
  std::size_t draft_top = 64;
  std::uint64_t seed = 1;
  double seconds = 60;
  /// How long to compare the forecasts with whole texts; nothing for not at all.
  std::optional<double> check_seconds;
  bool json = false;
  bool color = true;
};

}  // namespace doctor

#endif  // DOCTOR_QUESTION_HPP
