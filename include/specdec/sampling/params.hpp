#ifndef SPECDEC_SAMPLING_PARAMS_HPP
#define SPECDEC_SAMPLING_PARAMS_HPP

/// @file
/// How tokens are chosen from logits.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../config.hpp"
#include "../failure.hpp"
#include "../mathematics.hpp"
#include "../message.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Where the temperature stands among the filters.
enum class filter_order : std::uint8_t {
  hugging_face,  ///< temperature, top-k, top-p, min-p: the filters see the tempered law
  llama_cpp,     ///< top-k, top-p, min-p, temperature: the filters see the model's own law
};

/// An amount added to one token's logit; -inf forbids the token.
struct logit_bias {
  token_id token = -1;
  double amount = 0;

  friend bool operator==(const logit_bias&, const logit_bias&) = default;
};

/// The user's choice of law: how a row of logits becomes a probability law over tokens.
///
/// Applied in this order: penalties, bias, then temperature and filters as `order` says. Each filter sees what the one
/// before it left, renormalised. Of tokens with equal logits the lower id counts as the more probable one.
struct sampling_params {
  /// Logits are divided by the temperature before the softmax. 1 is the model's own law; 0 is greedy: all probability
  /// on the highest logit, whatever the filters.
  double temperature = 1.0;

  /// Keep the k most probable tokens; 0 keeps all.
  std::size_t top_k = 0;
  /// Keep the most probable tokens up to and including the one with which their mass reaches this; 1 keeps all.
  double top_p = 1.0;
  /// Keep tokens at least this many times as probable as the most probable one; 0 keeps all.
  double min_p = 0.0;
  filter_order order = filter_order::hugging_face;

  /// Positive logits of tokens that occur in the window are divided by this, negative ones multiplied (Keskar et al.
  /// 2019, section 4.1); 1 does nothing.
  double repetition_penalty = 1.0;
  /// Taken from a token's logit for every time it occurs in the window.
  double frequency_penalty = 0.0;
  /// Taken from a token's logit if it occurs in the window at all.
  double presence_penalty = 0.0;
  /// How many of the last tokens the penalties look at; 0 looks at none.
  std::size_t penalty_window = 64;
  /// Whether the prompt counts. If not, the window holds generated tokens only.
  bool penalize_prompt = true;

  /// Amounts added to single logits, after penalties. A token named twice gets both.
  std::vector<logit_bias> bias = {};

  [[nodiscard]] bool penalizes() const noexcept {
    return penalty_window > 0 && (repetition_penalty != 1 || frequency_penalty != 0 || presence_penalty != 0);
  }
  [[nodiscard]] bool filters() const noexcept { return top_k > 0 || top_p < 1 || min_p > 0; }

  friend bool operator==(const sampling_params&, const sampling_params&) = default;

  /// Throws std::invalid_argument, saying what is expected of the first parameter that is out of range.
  void validate(std::size_t vocab_size) const {
    constexpr double coldest = 1e-6;
    constexpr double hottest = 1e30;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    require(temperature == 0 || (temperature >= coldest && temperature <= hottest),
            "the temperature must be 0 (greedy) or from 1e-6 to 1e30", temperature);
    require(top_p > 0 && top_p <= 1, "top_p must be above 0 and at most 1", top_p);
    require(min_p >= 0 && min_p <= 1, "min_p must be from 0 to 1", min_p);
    require(repetition_penalty > 0 && repetition_penalty < infinity,
            "the repetition penalty must be a finite number above 0", repetition_penalty);
    require(is_finite(frequency_penalty), "the frequency penalty must be a finite number", frequency_penalty);
    require(is_finite(presence_penalty), "the presence penalty must be a finite number", presence_penalty);
    for (const logit_bias& b : bias) {
      if (b.token < 0 || static_cast<std::size_t>(b.token) >= vocab_size) {
        raise<std::invalid_argument>("specdec: a bias must be on one of the vocabulary's " +
                                     std::to_string(vocab_size) + " tokens; got token " + std::to_string(b.token));
      }
      require(b.amount < infinity, "a bias must be a finite number or -inf", b.amount);
    }
  }

 private:
  static void require(bool holds, const char* expectation, double came) {
    if (!holds) {
      raise<std::invalid_argument>(std::string("specdec: ") + expectation + "; got " + number_text(came));
    }
  }
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_PARAMS_HPP
