#ifndef STUDY_WORK_HPP
#define STUDY_WORK_HPP

/// @file
/// Running a method on prompts: to count what is accepted, or to time its rounds.

#include <cstddef>
#include <span>
#include <vector>

#include <measurement/method.hpp>
#include <measurement/quality.hpp>
#include <measurement/race.hpp>
#include <specdec/specdec.hpp>

namespace study {

using tokens = std::vector<specdec::token_id>;

/// A method with a gamma at a temperature.
struct setting {
  const measurement::method* method = nullptr;
  std::size_t gamma = 0;
  double temperature = 0;
  std::size_t tokens = 0;  ///< behind each prompt. No token ends a text, so that every one is as long
  std::uint64_t seed = 1;

  [[nodiscard]] specdec::generate_options options() const;
  /// The method's own defaults, but that drafts keep their whole law: the vocabulary is small, so a copy costs nothing
  /// against the target, and more is accepted.
  [[nodiscard]] measurement::method_settings method_settings() const;
};

/// What became of drafts. A function of models, prompts and setting alone.
struct counted {
  specdec::statistics stats;
  measurement::tally counts;
  measurement::quality text;

  counted& operator+=(const counted& other);
  /// Delivered tokens per call of the target; 0 without rounds.
  [[nodiscard]] double tokens_per_call() const noexcept;
};

/// Generates behind all prompts and counts; less if the user interrupts it.
[[nodiscard]] counted count(const setting& how, const measurement::model_pair& models, std::span<const tokens> prompts);

/// Races `rounds` rounds in all, spread over the first prompts, in case one is odd; less if the user interrupts it. A
/// method that learns how far to draft has learnt it behind all prompts before, as where it is counted: its first
/// rounds are not what its others cost.
/// @param stand_in  the models of a cheaper target with the same law, to learn with
[[nodiscard]] measurement::race_record time(const setting& how, const measurement::model_pair& models,
                                            const measurement::model_pair& stand_in, std::span<const tokens> prompts,
                                            std::size_t rounds);

/// What a run says of a smaller gamma where every round drafts as much as it may: as many rounds, each as far as it
/// goes.
///
/// The first n tokens of a longer draft are the draft of n tokens, and a rule that judges a token by what comes before
/// it gives them the same fate: for a round that begins at a given place this is exact. It leaves out that rounds with
/// shorter drafts begin at other places, more often within a stretch that is easy to guess.
[[nodiscard]] measurement::tally shortened(const specdec::statistics& longer, std::size_t gamma);

}  // namespace study

#endif  // STUDY_WORK_HPP
