#ifndef GENERATE_MEASUREMENT_HPP
#define GENERATE_MEASUREMENT_HPP

/// @file
/// What speculation gains: measured, and predicted from its parts.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <model.hpp>
#include <specdec/specdec.hpp>

#include "interruption.hpp"

namespace generate {

/// A context of the target's own and what drafts for it, generating texts behind one prompt as often as wanted.
///
/// Both keep what they have read, so every run starts behind the prompt: its time is that of generation alone.
template <specdec::Drafter Draft>
class generator {
 public:
  /// The drafter is referenced, not owned. Throws std::invalid_argument for bad options.
  generator(const toy::model& target, Draft& drafter, const specdec::generate_options& options)
      : target_(target), drafter_(&drafter), prompt_(target.vocab_size(), options), text_(prompt_) {
    prompt_.limit(target_.capacity());
  }

  /// Reads the prompt, in one round whose tokens are dropped, and returns that round's statistics.
  /// Throws std::invalid_argument and std::length_error as `session::begin`.
  specdec::statistics read(std::span<const specdec::token_id> prompt) {
    // The first use of memory is not the prompt's fault.
    (void)target_.decode(prompt.first(std::min<std::size_t>(prompt.size(), 1)), 0);
    target_.truncate(0);
    prompt_.begin(prompt);
    text_ = prompt_;
    specdec::speculative_generate(text_, target_, *drafter_, [](const specdec::outcome&) { return false; });
    return text_.stats();
  }

  /// Generates the first `rounds` rounds of a text, in the noise of `stream`, unless the user interrupts it. Throws as
  /// `specdec::speculative_generate`.
  template <class Sink>
  specdec::generation run(std::uint32_t stream, std::size_t rounds, Sink&& sink) {
    specdec::generation result;
    result.candidates_per_token = prompt_.options().top_log_probabilities;
    const auto keep = [&](const specdec::outcome& out) {
      const auto candidates = out.top.entries();
      result.tokens.insert(result.tokens.end(), out.tokens.begin(), out.tokens.end());
      result.candidates.insert(result.candidates.end(), candidates.begin(), candidates.end());
      result.text += out.text;
      sink(out);
      return --rounds > 0;
    };
    // The target tells what it holds, so no text feeds the prompt again, whichever text was the last.
    text_ = prompt_.fork(stream);
    specdec::speculative_generate(text_, target_, *drafter_, keep, interruption{});
    result.status = text_.status();
    result.stats = text_.stats();
    return result;
  }

  /// All rounds of the first text.
  template <class Sink>
  specdec::generation run(Sink&& sink) {
    return run(0, static_cast<std::size_t>(-1), std::forward<Sink>(sink));
  }

  [[nodiscard]] toy::context& target() noexcept { return target_; }
  /// The text of the last run.
  [[nodiscard]] const specdec::session<>& text() const noexcept { return text_; }

 private:
  toy::context target_;
  Draft* drafter_;
  specdec::session<> prompt_;
  specdec::session<> text_;
};

using text_drafter = specdec::model_drafter<toy::context>;
using speculative_generator = generator<text_drafter>;
using plain_generator = generator<specdec::no_draft>;

/// The share of rounds that accepted the first 1, 2, .. gamma drafted tokens, as `specdec::theory` takes it.
[[nodiscard]] std::vector<double> survival_of(const specdec::statistics& stats, std::size_t gamma);

/// What the parts of a round cost, in seconds.
struct costs {
  double draft_token = 0;
  /// target_call[n-1]: the target scores n tokens.
  std::vector<double> target_call;
};

/// Measures the parts of a round one by one, at places along the generated text.
class cost_meter {
 public:
  /// Calls of the target are measured for these numbers of tokens, ascending, the first being 1.
  explicit cost_meter(std::span<const std::size_t> sizes) : sizes_(sizes.begin(), sizes.end()), calls_(sizes.size()) {}

  /// Measures at some places of the text that the generator has just made, if it is long enough and the user does
  /// not interrupt it. Leaves the contexts shorter.
  void measure(speculative_generator& generator, text_drafter& drafter);

  /// Medians so far, for all numbers of tokens up to the last of `sizes`, interpolated between them; nothing if no text
  /// was long enough.
  [[nodiscard]] std::optional<costs> result() const;

 private:
  std::vector<std::size_t> sizes_;
  std::vector<double> drafting_;
  std::vector<std::vector<double>> calls_;
};

/// Runs of the same text, and how many there were; `stats` are those of the run that took the median time.
struct measurement {
  specdec::statistics stats;
  std::size_t runs = 0;
};

/// What was measured of a text, with speculation and without, and what theory makes of the parts.
struct comparison {
  measurement speculative, plain;
  /// Of one token and of gamma+1; nothing if the text is too short to measure them.
  std::optional<costs> parts;
  double predicted_speedup = 0;
};

/// Runs both ways of generating and their parts in turns, so that what disturbs the machine disturbs all alike, until
/// the times mean something. Nothing if the user interrupts it.
[[nodiscard]] std::optional<comparison> compare(speculative_generator& speculative, text_drafter& drafter,
                                                plain_generator& plain);

/// Sets the number of drafted tokens to what theory prefers, for the acceptance in a few rounds of this text and its
/// costs.
void choose_gamma(speculative_generator& generator, text_drafter& drafter);

}  // namespace generate

#endif  // GENERATE_MEASUREMENT_HPP
