#ifndef SPECDEC_SAMPLING_PARAMS_HPP
#define SPECDEC_SAMPLING_PARAMS_HPP

/// @file
/// How tokens are chosen from logits.

#include <cmath>
#include <stdexcept>
#include <string>

#include "../config.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The user's choice of law: how a row of logits becomes a probability law over tokens.
struct sampling_params {
  /// Logits are divided by the temperature before the softmax. 1 is the model's own law; 0 is greedy: all probability
  /// on the highest logit, ties going to the lowest token id.
  double temperature = 1.0;

  /// Throws std::invalid_argument unless the temperature is 0 or a finite number from 1e-6 up.
  void validate() const {
    constexpr double smallest = 1e-6;
    const bool usable = temperature == 0 || (temperature >= smallest && std::isfinite(temperature));
    if (!usable) {
      throw std::invalid_argument("specdec: the temperature must be 0 (greedy) or a finite number from 1e-6 up; got " +
                                  std::to_string(temperature));
    }
  }
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_PARAMS_HPP
