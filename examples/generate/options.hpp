#ifndef GENERATE_OPTIONS_HPP
#define GENERATE_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <measurement/method.hpp>
#include <model.hpp>
#include <program/values.hpp>
#include <specdec/decode/options.hpp>

namespace generate {

using program::usage_error;

/// What the user asks for.
struct options {
  const measurement::method* method = &measurement::find_method("rejection");  ///< never null
  measurement::method_settings method_settings;
  std::filesystem::path target;
  /// Nothing stands for no draft model.
  std::optional<std::filesystem::path> draft;
  std::string prompt;
  std::size_t predict = 128;
  std::size_t min_tokens = 0;
  std::vector<std::string> stop_texts;
  /// Nothing is one text, and is not called a sample.
  std::optional<std::uint32_t> samples;
  /// Nothing stands for auto: the value that suits the measured costs and acceptance best.
  std::optional<std::size_t> gamma;
  /// What the bundled models write best with.
  specdec::sampling_params sampling{.temperature = 0.8, .top_p = 0.95};
  std::uint64_t seed = 1;
  /// 0 is one per processor.
  unsigned threads = 0;
  toy::weight_format weights = toy::weight_format::float16;
  /// 0 is none.
  std::size_t ballast = 0;
  bool ignore_eos = false;
  bool baseline = true;
  bool trace = false;
  bool json = false;
  specdec::log_probability_of log_probabilities = specdec::log_probability_of::law;
  std::size_t top_log_probabilities = 0;
  bool color = true;
};

/// The options on the command line; nothing if it asked for help or the version, which are then printed.
/// Reads the prompt's file, or standard input. Throws `usage_error`, and std::runtime_error if a file cannot be read.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace generate

#endif  // GENERATE_OPTIONS_HPP
