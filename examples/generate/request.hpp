#ifndef GENERATE_REQUEST_HPP
#define GENERATE_REQUEST_HPP

/// @file
/// What a text shall be, whichever engine writes it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <measurement/method.hpp>
#include <specdec/decode/options.hpp>

namespace generate {

/// A prompt, and how to go on from it.
struct request {
  const measurement::method* method = &measurement::find_method("rejection");  ///< never null
  measurement::method_settings method_settings;
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
  bool ignore_eos = false;
  bool baseline = true;
  bool trace = false;
  bool json = false;
  specdec::log_probability_of log_probabilities = specdec::log_probability_of::law;
  std::size_t top_log_probabilities = 0;
  bool color = true;
};

}  // namespace generate

#endif  // GENERATE_REQUEST_HPP
