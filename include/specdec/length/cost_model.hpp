#ifndef SPECDEC_LENGTH_COST_MODEL_HPP
#define SPECDEC_LENGTH_COST_MODEL_HPP

/// @file
/// Drafting as far as it pays: the gamma that makes most tokens per second, "none" among them.
///
/// The tokens per second of a gamma are `theory::throughput` with what is known now,
///
///     tokens_per_round(gamma) / (gamma * draft + target(gamma + 1) + overhead)
///
/// the numerator from `draft_hindsight`, the denominator from recorded or measured costs (length/costs.hpp). Leviathan,
/// Kalman and Matias 2023 (arXiv:2211.17192), theorem 3.8, is the special case of independent acceptance and free rows.

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "../concepts.hpp"
#include "../decode/outcome.hpp"
#include "../failure.hpp"
#include "../mathematics.hpp"
#include "../message.hpp"
#include "../theory.hpp"
#include "costs.hpp"
#include "hindsight.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How `cost_model` learns.
struct cost_model_options {
  /// The longest draft that is considered; 1024 at most.
  std::size_t max_gamma = 16;
  /// The share of time that may be lost to trials of other lengths. Without trials, a draft that was once bad would
  /// never be found to have become good.
  double exploration = 0.01;
  /// The share of time that may go, besides, into having the draft read what it missed, for a trial. A draft that reads
  /// a token in more than this share of a round is tried again only as far as rounds that drafted have put time by.
  double catching_up = 0.02;
  /// How many tokens of text it takes to forget.
  double horizon = 300;
  /// The probability with which the first guesses are taken to be accepted.
  double prior_acceptance = 0.7;
};

/// Drafts as many tokens as make most tokens per second by what rounds cost and what was accepted lately; none, where
/// that is fastest. Where several texts share the target's calls, as many as are best if all of them draft alike; a
/// text, though not its law, then depends on who shares them.
///
/// To begin to draft again costs what the draft has missed, which is spread over the horizon. A trial drafts one token
/// more than is best, if better guesses could make a longer draft pay; where costs are measured, every other trial
/// drafts fewer, each number in turn. It is made in one round of eight at most, when the time that trials may lose has
/// grown to what this one does if its last token is refused. Where nothing was drafted for long, what the draft has to
/// read first is no loss of the trial's but what drafting costs at all: it is paid out of a share of time of its own,
/// and spread over as long a stay as the absence was.
///
/// @tparam Costs `recorded_costs`, which makes rounds repeatable, `measured_costs`, or any `RoundCosts`
///
/// Time O(max_gamma^2) per token of text, in memory that is taken once. What it has learnt is in the policy, not in the
/// session: who goes on with a snapshot elsewhere begins to learn anew.
template <RoundCosts Costs = measured_costs>
class cost_model {
 public:
  static constexpr bool reads_clock = Costs::reads_clock;

  /// Throws std::invalid_argument for options out of range, or costs that are not valid.
  explicit cost_model(Costs costs = {}, const cost_model_options& options = {})
      : options_(checked(options)),
        costs_(std::move(costs)),
        hindsight_(options.max_gamma, options.horizon, options.prior_acceptance) {
    if constexpr (requires { costs_.validate(); }) costs_.validate();
  }

  [[nodiscard]] const cost_model_options& options() const noexcept { return options_; }
  [[nodiscard]] const Costs& costs() const noexcept { return costs_; }
  [[nodiscard]] const draft_hindsight& hindsight() const noexcept { return hindsight_; }

  /// Changes the longest draft that is considered, and forgets what was learnt of acceptance. Allocates. Throws
  /// std::invalid_argument for more than 1024.
  void limit(std::size_t max_gamma) {
    require_gamma(max_gamma);
    hindsight_ = draft_hindsight(max_gamma, options_.horizon, options_.prior_acceptance);
    options_.max_gamma = max_gamma;
  }

  [[nodiscard]] std::size_t depth(const draft_request& request) noexcept {
    const std::size_t longest = std::min({options_.max_gamma, request.max_depth, request.max_nodes});
    // The draft has yet to read a prompt, whatever it knows of another text.
    const bool is_new = request.context.size() == request.prompt_size;
    plan_ = {.sequences = std::max<std::size_t>(request.sequences, 1),
             .missed = std::min(missed_ + (is_new ? request.prompt_size : 0), request.context.size())};
    plan_.stay = std::max(options_.horizon, static_cast<double>(is_new ? 0 : missed_));
    const std::size_t best = best_gamma(longest);
    plan_.gamma = best;
    const std::size_t other = trial_beside(best, longest);
    if (other != best) {
      const double least = product(fewest_between_trials * options_.exploration, round_cost(best));
      plan_.price = std::max(price_of(other, best), least) / round_cost(0);
      plan_.is_trial = saved_ >= plan_.price && (best > 0 || put_by_ >= reading());
      if (plan_.is_trial) plan_.gamma = other;
    }
    return plan_.gamma;
  }

  void observe(const outcome& out) noexcept {
    if (out.end == round_end::failed) return;
    hindsight_.learn(out, plan_.gamma);
    if (plan_.is_trial) {
      saved_ -= plan_.price;
      ++trials_;
    }
    // Beyond what the next trial may want, nothing is saved: many trials in a row would be a loss at once.
    const double time = round_cost(out.drafted.size()) / round_cost(0);
    saved_ = std::min(saved_ + product(options_.exploration, time), std::max(saved_, product(2, plan_.price)));
    put_by_ += product(options_.catching_up, time);
    if (!out.drafted.empty()) put_by_ = std::max(put_by_ - reading(), 0.0);
    if constexpr (requires(const timed_round& round) { costs_.learn(round); }) {
      costs_.learn({out.drafted.size(), plan_.missed, plan_.sequences, out.times});
    }
    missed_ = out.drafted.empty() ? plan_.missed + out.committed : 0;
  }

 private:
  static constexpr double fewest_between_trials = 8;

  /// What was decided for a round.
  struct decision {
    std::size_t gamma = 0;
    std::size_t sequences = 1;
    std::size_t missed =
        0;            ///< tokens that the draft has yet to read, but for what rounds leave it as a matter of course
    double stay = 1;  ///< how many tokens drafting, once it is begun, is expected to last
    bool is_trial = false;
    double price = 0;  ///< what the trial that is made, or waits, may lose, in rounds that draft nothing
  };

  // Time and memory grow with its square.
  static void require_gamma(std::size_t max_gamma) {
    constexpr std::size_t most = 1024;
    if (max_gamma > most) {
      raise<std::invalid_argument>("specdec: max_gamma must be at most " + std::to_string(most) + "; got " +
                                   std::to_string(max_gamma));
    }
  }

  static const cost_model_options& checked(const cost_model_options& options) {
    require_gamma(options.max_gamma);
    const auto require = [](bool holds, const char* what, double value) {
      if (!holds) raise<std::invalid_argument>(std::string("specdec: ") + what + "; got " + number_text(value));
    };
    require(options.exploration >= 0 && options.exploration < 1, "exploration must be at least 0 and less than 1",
            options.exploration);
    require(options.catching_up >= 0 && options.catching_up < 1, "catching_up must be at least 0 and less than 1",
            options.catching_up);
    require(options.horizon >= 1 && is_finite(options.horizon), "the horizon must be a number of tokens, 1 or more",
            options.horizon);
    require(options.prior_acceptance >= 0 && options.prior_acceptance <= 1, "prior_acceptance must be from 0 to 1",
            options.prior_acceptance);
    return options;
  }

  /// A round of this gamma.
  [[nodiscard]] double round_cost(std::size_t gamma) const noexcept {
    const auto drafted = static_cast<double>(gamma);
    return product(drafted, costs_.draft(plan_.sequences)) + costs_.target(plan_.sequences * (gamma + 1));
  }

  /// What the draft has to read, but for one token, in rounds that draft nothing.
  [[nodiscard]] double reading() const noexcept {
    if (plan_.missed == 0) return 0;
    return std::max(costs_.resumption(plan_.missed) - costs_.resumption(1), 0.0) / round_cost(0);
  }

  /// The time per token with this gamma, if it brings so many a round and drafting lasts for so many.
  [[nodiscard]] double time_per_token(std::size_t gamma, double tokens, double stay) const noexcept {
    const double resumption = gamma == 0 ? 0 : costs_.resumption(plan_.missed);
    return round_cost(gamma) / tokens + resumption / stay;
  }
  [[nodiscard]] double time_per_token(std::size_t gamma) const noexcept {
    return time_per_token(gamma, hindsight_.tokens_per_round(gamma), options_.horizon);
  }

  /// The smallest of equals.
  [[nodiscard]] std::size_t best_gamma(std::size_t longest) const noexcept {
    std::size_t best = 0;
    double least = time_per_token(0);
    for (std::size_t gamma = 1; gamma <= longest; ++gamma) {
      const double time = time_per_token(gamma);
      if (time < least) best = gamma, least = time;
    }
    return best;
  }

  /// The gamma to try instead of the best; the best if none is worth it.
  [[nodiscard]] std::size_t trial_beside(std::size_t best, std::size_t longest) const noexcept {
    if constexpr (reads_clock) {
      if (trials_ % 2 == 1 && best > 0) return trials_ / 2 % best;
    }
    return could_be_longer(best, longest) ? best + 1 : best;
  }

  /// Whether a longer draft would pay, were all of its further tokens accepted.
  [[nodiscard]] bool could_be_longer(std::size_t best, std::size_t longest) const noexcept {
    const double least = time_per_token(best);
    const double tokens = hindsight_.tokens_per_round(best);
    for (std::size_t gamma = best + 1; gamma <= longest; ++gamma) {
      if (time_per_token(gamma, tokens + static_cast<double>(gamma - best), plan_.stay) < least) return true;
    }
    return false;
  }

  /// The time that a round with another gamma loses against the best, if what it drafts beyond that is refused.
  [[nodiscard]] double price_of(std::size_t other, std::size_t best) const noexcept {
    const double tokens = hindsight_.tokens_per_round(std::min(other, best));
    const double resumption = best == 0 && other > 0 ? costs_.resumption(std::min<std::size_t>(plan_.missed, 1)) : 0;
    return round_cost(other) + resumption - product(tokens, time_per_token(best));
  }

  cost_model_options options_;
  Costs costs_;
  draft_hindsight hindsight_;
  decision plan_;
  std::size_t missed_ = 0;
  double saved_ = 0;   ///< what trials may lose, in rounds that draft nothing
  double put_by_ = 0;  ///< what a draft may read for them, in the same
  std::size_t trials_ = 0;
};

static_assert(LengthPolicy<cost_model<>> && Observes<cost_model<>> && cost_model<>::reads_clock);
static_assert(!cost_model<recorded_costs>::reads_clock);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_COST_MODEL_HPP
