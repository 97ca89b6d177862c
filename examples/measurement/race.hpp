#ifndef MEASUREMENT_RACE_HPP
#define MEASUREMENT_RACE_HPP

/// @file
/// A method and plain decoding in turns, round by round, and what the parts of a round cost beside them.
///
/// On a machine whose speed drifts, or that others use too, two runs one after the other compare two moments. Here
/// every round of the method is followed by a round of plain decoding, and every few rounds its parts are timed alone
/// on a twin: whatever slows one slows all. The twin is asked all that the method is asked, and told all that it is
/// told, so that whatever learns how far to draft has learnt the same.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <specdec/specdec.hpp>

#include "generator.hpp"
#include "method.hpp"
#include "quality.hpp"

namespace measurement {

/// Seconds of one round of a method, and of the round of plain decoding behind it.
struct timed_round {
  std::size_t drafted = 0;
  double draft = 0, target = 0, verify = 0;
  double plain = 0, plain_verify = 0;  ///< the whole plain round, and of it what is not the call of the target

  [[nodiscard]] double seconds() const noexcept { return draft + target + verify; }
};

/// Seconds of the parts of a round, each timed alone: drafting, scoring what was drafted, and scoring a single token.
struct timed_parts {
  std::size_t drafted = 0;
  double draft = 0, target = 0, single = 0;
};

/// How much text came of which rounds.
struct tally {
  std::vector<std::uint64_t> drafted;  ///< drafted[n]: rounds that drafted n tokens
  std::uint64_t delivered = 0;         ///< tokens that all of them made

  void add(const specdec::outcome& out);
  tally& operator+=(const tally& other);
  [[nodiscard]] std::uint64_t rounds() const noexcept;
};

/// All that a race writes down.
struct race_record {
  std::vector<timed_round> rounds;
  std::vector<timed_parts> parts;
  specdec::statistics speculative, plain;
  tally counts;
  quality text;  ///< of what the method wrote

  race_record& operator+=(const race_record& other);
};

/// The method's tokens per second over plain decoding's, from the sums of their times. Precondition: there are rounds.
[[nodiscard]] double speedup_by_sums(const race_record& record);

/// The same from whole rounds' medians, of which a neighbour's burst moves none: a round that drafted n tokens counts
/// as the median of its kind; of a kind without any, as its nearest neighbours say. `counts` may be of other texts than
/// those that were timed. Precondition: there are rounds.
[[nodiscard]] double speedup_by_medians(const tally& counts, std::span<const timed_round> rounds);

/// What should come of it, from the parts alone: tokens per round over what a round's draft, its target call and its
/// verification cost, against a call for a single token. Precondition: there are rounds and parts.
[[nodiscard]] double predicted_speedup(const tally& counts, std::span<const timed_parts> parts,
                                       std::span<const timed_round> rounds);

/// What a round costs, in seconds, by the number of drafted tokens.
class cost_by_length {
 public:
  void add(std::size_t drafted, double seconds);
  /// The median of those with so many drafted tokens; between lengths that were timed, interpolated; beyond them, on
  /// the line through the shortest and the longest that were, where it rises. Precondition: there is one.
  [[nodiscard]] double at(std::size_t drafted) const;
  /// The mean over the rounds of a tally. Precondition: both have rounds.
  [[nodiscard]] double mean_over(const tally& counts) const;

 private:
  std::vector<std::vector<double>> samples_;
};

/// One method against plain decoding, with contexts for both and for a twin whose parts are timed.
class race {
 public:
  /// The models must outlive the race. Throws as `method::assemble`.
  /// @param gamma        the most tokens drafted a round
  /// @param probe_every  the parts of every so many rounds are timed; 0 for none
  race(const method& method, const model_pair& models, const method_settings& settings, std::size_t gamma,
       const specdec::generate_options& options, std::size_t probe_every = 3);

  race(const race&) = delete;
  race& operator=(const race&) = delete;

  /// Has the method write behind a prompt, so that it has learnt how far to draft before it is timed. Throws as
  /// `generator::run`.
  /// @param stand_in  a context of a cheaper target with the same law, if the method does not draft with the target
  void rehearse(std::span<const specdec::token_id> prompt, toy::context* stand_in = nullptr);

  /// Generates behind the prompt until options.max_tokens, or for so many rounds. Of a text that the user interrupts,
  /// what is there. Throws as `generator::read` and `generator::run`.
  [[nodiscard]] race_record run(std::span<const specdec::token_id> prompt, std::uint32_t stream = 0,
                                std::size_t rounds = generator::all_rounds);

 private:
  /// Has the twin draft what the method drafted for a text in its last round.
  void draft_again(const text_session& text);
  /// The same, and times that and what the target does with it.
  [[nodiscard]] timed_parts time_parts(const text_session& text);
  /// Makes the twin's target hold what the method's did before its last round.
  void feed_twin(const text_session& text);
  /// The text as it was before the method's last round.
  [[nodiscard]] std::span<const specdec::token_id> before_round(const text_session& text) const;

  std::size_t probe_every_;
  toy::context target_, plain_target_, twin_target_;
  assembled_method twin_;
  specdec::draft twin_draft_;
  specdec::draft_request asked_;  ///< what the method was asked last; its context may be gone
  generator speculative_, plain_;
};

}  // namespace measurement

#endif  // MEASUREMENT_RACE_HPP
