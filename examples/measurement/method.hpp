#ifndef MEASUREMENT_METHOD_HPP
#define MEASUREMENT_METHOD_HPP

/// @file
/// The published methods by name, each ready to run on the toy backend, and many on any engine.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <model.hpp>
#include <program/language_model.hpp>
#include <specdec/specdec.hpp>

#include "any_context.hpp"
#include "generator.hpp"

namespace measurement {

/// More tokens than this in one call of the target never pay.
inline constexpr std::size_t most_drafted = 64;

/// A target, and the model that drafts for it, if one does.
struct model_pair {
  program::language_model target;
  std::optional<program::language_model> draft;
};

/// What a method drafts with.
enum class draft_source {
  nothing,        ///< neither does it draft
  text,           ///< the text so far
  target,         ///< the target itself
  model,          ///< a model with the target's vocabulary
  foreign_model,  ///< a model with a vocabulary of its own
};

/// Whether that is a model of its own.
[[nodiscard]] constexpr bool is_model(draft_source source) noexcept {
  return source == draft_source::model || source == draft_source::foreign_model;
}

/// Hugging Face's schedules of assisted generation.
enum class assistant_schedule { constant, heuristic };

/// The parameters of all methods, under the names and with the defaults of their papers or originals.
struct method_settings {
  std::size_t draft_top = 64;  ///< `model_drafter_options::top`, for every method with a model that samples
  bool greedy = false;         ///< whether the target is greedy; some defaults depend on it

  double lenience = 0.5;

  assistant_schedule num_assistant_tokens_schedule = assistant_schedule::constant;
  double assistant_confidence_threshold = 0.4;

  std::size_t max_matching_ngram_size = 2;

  double max_spec_factor = specdec::suffix_options{}.max_spec_factor;  ///< 1 in the original, without doubt
  double doubt = specdec::suffix_options{}.doubt;
  double min_token_prob = 0.1;

  std::size_t target_lookbehind = 10;
  std::size_t assistant_lookbehind = 10;

  /// A text to count n-grams in; nothing is the bundled prompts.
  std::optional<std::string> ngram_text = std::nullopt;
  std::size_t ngram_order = 2;

  double fallback_threshold = 0.6;
  double rollback_threshold = 5.0;

  /// Nothing is every second layer, all but the first and the last.
  std::optional<specdec::layer_skip> skip = std::nullopt;
  /// Nothing is 0.8 for a greedy target, 0.5 otherwise.
  std::optional<double> th_stop_draft = std::nullopt;

  /// After how many layers the target's draft leaves; nothing is half of them.
  std::optional<std::size_t> assistant_early_exit = std::nullopt;
};

/// A method at work for one target: what drafts, and what judges. Movable; a target that drafts for itself must outlive
/// it.
struct assembled_method {
  specdec::any_drafter drafter;
  any_rule rule = {};
  /// Sets the number of tokens drafted a round: the greatest, or the first where a schedule moves it.
  gamma_setter set_gamma;
};

/// A published way to generate.
struct method {
  std::string_view name;
  std::string_view summary;  ///< what it does, in one line
  std::string_view source;   ///< authors and year
  bool lossless;             ///< whether the text has the target's law
  draft_source drafts_with;
  bool fixed_depth;  ///< whether every round drafts as much as it may
  /// The tokens drafted a round at most where the user does not say.
  std::size_t default_gamma;

  assembled_method (*assemble)(const model_pair& models, toy::context& target, const method_settings& settings);

  /// The same on any engine, with a context for the draft model, or an empty one where the method drafts without; null
  /// if it needs more of an engine than contexts.
  assembled_method (*assemble_anywhere)(any_context draft, const method_settings& settings) = nullptr;
  /// Whether its drafts branch, so that the contexts must score trees.
  bool drafts_trees = false;
};

/// All methods, plain decoding first.
[[nodiscard]] std::span<const method> methods();

/// The method of that name. Throws `program::usage_error`, listing all names, if there is none.
[[nodiscard]] const method& find_method(std::string_view name);

}  // namespace measurement

#endif  // MEASUREMENT_METHOD_HPP
