#ifndef SPECDEC_TESTS_SETTINGS_HPP
#define SPECDEC_TESTS_SETTINGS_HPP

/// @file
/// Sampling parameters to test with.

#include <cstddef>
#include <limits>
#include <specdec/sampling/params.hpp>
#include <string>
#include <vector>

namespace laws {

/// Each parameter alone, then combinations of all of them; for a vocabulary of at least 3 tokens.
inline std::vector<specdec::sampling_params> all_settings(std::size_t top_k, double min_p) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<specdec::sampling_params> settings{
      {},
      {.temperature = 0},
      {.temperature = 0.7},
      {.top_k = top_k},
      {.top_p = 0.6},
      {.min_p = min_p},
      {.repetition_penalty = 1.3},
      {.frequency_penalty = 0.4},
      {.presence_penalty = -0.5},
      {.repetition_penalty = 1.2, .penalty_window = 2},
      {.frequency_penalty = 0.6, .penalize_prompt = false},
      {.bias = {{1, 0.9}}},
      {.bias = {{0, -infinity}}},
      {.bias = {{2, -0.5}, {0, 0.25}, {2, -0.5}}},
  };
  for (const auto order : {specdec::filter_order::hugging_face, specdec::filter_order::llama_cpp}) {
    for (const double temperature : {0.0, 0.6, 1.4}) {
      settings.push_back({.temperature = temperature, .top_k = top_k, .top_p = 0.8, .order = order});
      settings.push_back({.temperature = temperature, .top_p = 0.9, .min_p = min_p, .order = order});
      settings.push_back({.temperature = temperature,
                          .top_k = top_k,
                          .top_p = 0.85,
                          .min_p = min_p / 2,
                          .order = order,
                          .repetition_penalty = 1.25,
                          .frequency_penalty = 0.2,
                          .presence_penalty = 0.1,
                          .penalty_window = 3,
                          .bias = {{1, 0.3}, {2, -0.7}}});
    }
  }
  return settings;
}

inline std::string describe(const specdec::sampling_params& s) {
  return "temperature " + std::to_string(s.temperature) + ", top_k " + std::to_string(s.top_k) + ", top_p " +
         std::to_string(s.top_p) + ", min_p " + std::to_string(s.min_p) + ", order " +
         std::to_string(static_cast<int>(s.order)) + ", penalties " + std::to_string(s.repetition_penalty) + " " +
         std::to_string(s.frequency_penalty) + " " + std::to_string(s.presence_penalty) + ", window " +
         std::to_string(s.penalty_window) + ", biases " + std::to_string(s.bias.size());
}

}  // namespace laws

#endif  // SPECDEC_TESTS_SETTINGS_HPP
