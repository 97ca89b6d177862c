#ifndef MEASUREMENT_GENERATOR_HPP
#define MEASUREMENT_GENERATOR_HPP

/// @file
/// Generating behind one prompt, with any method.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <utility>

#include <specdec/specdec.hpp>

#include "any_context.hpp"

namespace measurement {

/// Any rule, those included that bend the target's law.
using any_rule = specdec::any_lossy_verifier<>;
/// A text under any rule.
using text_session = specdec::session<any_rule>;
/// Called with every round's outcome.
using round_sink = std::function<void(const specdec::outcome&)>;
/// Sets how many tokens are drafted a round; whoever makes a drafter knows how.
using gamma_setter = std::function<void(std::size_t)>;

/// A target, what drafts for it and the rule that judges the draft, generating texts behind one prompt as often as
/// wanted. An empty drafter makes it plain generation.
///
/// The models keep what they have read, so every run starts behind the prompt: its time is that of generation alone.
class generator {
 public:
  static constexpr std::size_t all_rounds = std::numeric_limits<std::size_t>::max();

  /// The target is referenced, so that a drafter may use the same context. Throws std::invalid_argument for bad
  /// options.
  template <Context Target>
  generator(Target& target, specdec::any_drafter drafter, const specdec::generate_options& options, any_rule rule = {})
      : generator(any_context(std::ref(target)), std::move(drafter), options, std::move(rule)) {}

  /// Reads the prompt, in one round whose tokens are dropped, and returns that round's statistics.
  /// Throws std::invalid_argument and std::length_error as `session::begin`.
  specdec::statistics read(
      std::span<const specdec::token_id> prompt, const round_sink& sink = [](const specdec::outcome&) {});

  /// Generates the first `rounds` rounds of a text, in the noise of `stream`, unless the user interrupts it. Throws as
  /// `specdec::speculative_generate`. Precondition: a prompt was read; rounds >= 1.
  specdec::generation run(
      std::uint32_t stream = 0, std::size_t rounds = all_rounds,
      const round_sink& sink = [](const specdec::outcome&) {});

  /// Goes on with the text of the last run where its number of rounds ended it, for so many more; without any left to
  /// go, does nothing. The statistics are those of the whole text. Throws as `run`. Precondition: a text was run.
  specdec::generation go_on(
      std::size_t rounds = all_rounds, const round_sink& sink = [](const specdec::outcome&) {});

  [[nodiscard]] any_context& target() noexcept { return target_; }
  [[nodiscard]] specdec::any_drafter& drafter() noexcept { return drafter_; }
  /// The text of the last run; within a sink, of this one.
  [[nodiscard]] const text_session& text() const noexcept { return text_; }

 private:
  generator(any_context&& target, specdec::any_drafter drafter, const specdec::generate_options& options,
            any_rule rule);

  any_context target_;
  specdec::any_drafter drafter_;
  text_session prompt_;
  text_session text_;
};

}  // namespace measurement

#endif  // MEASUREMENT_GENERATOR_HPP
