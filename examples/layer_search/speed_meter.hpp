#ifndef LAYER_SEARCH_SPEED_METER_HPP
#define LAYER_SEARCH_SPEED_METER_HPP

/// @file
/// How fast a model generates, by itself and drafting for itself.

#include <cstddef>
#include <span>
#include <vector>

#include <model.hpp>
#include <specdec/specdec.hpp>

namespace layer_search {

using prompt = std::vector<specdec::token_id>;

/// Plain generation against self-speculation, on the same prompts, by turns.
struct comparison {
  double plain_tokens_per_second = 0;
  double tokens_per_second = 0;
  /// Medians, and the smallest and greatest of all repetitions.
  double speedup = 0, least = 0, most = 0;
  specdec::statistics stats;  ///< of the last repetition
};

/// Times whole generations on one context, the reading of the prompts excluded.
class speed_meter {
 public:
  /// Drafts as Draft & Verify does: up to 8 tokens, with its adaptive threshold and its defaults.
  /// @param options max_tokens, sampling and seed; texts do not end before max_tokens
  speed_meter(const toy::model& model, const specdec::generate_options& options);

  /// Tokens per second of self-speculation, all prompts together: of two runs each prompt's faster one counts, since
  /// other programs only ever slow one down. NaN if the user interrupts.
  [[nodiscard]] double tokens_per_second(std::span<const prompt> prompts, const specdec::layer_skip& skip);

  /// Plain and self-speculative generation by turns, `repetitions` times. Says nothing if the user interrupts.
  /// Precondition: repetitions >= 1.
  [[nodiscard]] comparison compare(std::span<const prompt> prompts, const specdec::layer_skip& skip,
                                   std::size_t repetitions);

 private:
  [[nodiscard]] specdec::statistics run(const prompt& start, const specdec::layer_skip* skip);

  toy::context target_;
  specdec::generate_options options_;
};

}  // namespace layer_search

#endif  // LAYER_SEARCH_SPEED_METER_HPP
