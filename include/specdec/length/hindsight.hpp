#ifndef SPECDEC_LENGTH_HINDSIGHT_HPP
#define SPECDEC_LENGTH_HINDSIGHT_HPP

/// @file
/// What drafts of every length would have brought, learnt from those that were drafted.
///
/// Behind the same text a guess is accepted with probability min(1, q(x)/p(x)), x being the token that came: that
/// depends on the text alone, not on where rounds begin. So what became of the guesses of some rounds can be played
/// again for every gamma, and counts the rounds which that gamma would have taken for the same text. To cut the
/// survival of long drafts short would tell less: with short drafts a round often begins in the middle of a stretch
/// that is easy to guess, with long ones mostly behind a token that was not.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "../decode/outcome.hpp"
#include "../mathematics.hpp"
#include "../theory.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Learns from rounds, and forgets. What it says is from a long memory, which is sure, and from a short one, which
/// follows the text; the more tokens were refused lately, the more the short one has to tell. A drafted token was
/// accepted or refused; the one that the target added behind a draft that was accepted whole was not judged, and counts
/// as accepted with the probability of its place.
///
/// Time O(max_gamma^2) per token of text, memory as much; allocates when it is made.
class draft_hindsight {
 public:
  /// @param horizon  a token counts for 1/e of a new one once so many have followed it; at least 1
  /// @param prior    the probability with which a token is taken to be accepted until there is experience
  draft_hindsight(std::size_t max_gamma, double horizon, double prior)
      : memory_(1 - 1 / horizon),
        short_memory_(std::max(1 - short_horizons / horizon, 0.0)),
        long_memory_(1 - 1 / (long_horizons * horizon)),
        long_judged_(prior_judged),
        long_accepted_(product(prior_judged, prior)),
        tokens_(prior_tokens),
        recent_tokens_(prior_tokens),
        judged_(max_gamma),
        accepted_(max_gamma),
        acceptance_(max_gamma + 1),
        independent_(max_gamma + 1),
        rounds_(max_gamma + 1),
        recent_rounds_(max_gamma + 1),
        under_way_((max_gamma + 1) * (max_gamma + 2) / 2) {
    for (std::size_t gamma = 0; gamma <= max_gamma; ++gamma) {
      rounds_[gamma] = recent_rounds_[gamma] = prior_tokens / theory::expected_tokens(prior, gamma);
      round_of(gamma)[0] = 1;
    }
    conclude();
  }

  [[nodiscard]] std::size_t max_gamma() const noexcept { return judged_.size(); }

  /// The probability that a token is accepted behind so many accepted ones of a draft.
  [[nodiscard]] double acceptance(std::size_t behind) const noexcept {
    return acceptance_[std::min(behind, max_gamma())];
  }

  /// Tokens per call of the target with so many drafted tokens a round; 1 for none. Precondition: gamma <= max_gamma().
  /// What is remembered counts as far as it was judged; for the rest the tokens of a draft count as independent.
  [[nodiscard]] double tokens_per_round(std::size_t gamma) const noexcept {
    const double rounds_per_token = product(1 - recent_share_, rounds_[gamma] / tokens_) +
                                    product(recent_share_, recent_rounds_[gamma] / recent_tokens_);
    const double remembered = 1 / rounds_per_token;
    return product(known_, remembered) + product(1 - known_, independent_[gamma]);
  }

  /// Takes in a round for which so many tokens were to be drafted. A draft that ended by itself before that would have
  /// ended there in any round: it counts as if its next token had been refused.
  void learn(const outcome& out, std::size_t asked) noexcept {
    if (out.end == round_end::failed) return;
    for (std::size_t i = 0; i < out.accepted; ++i) judge(i, true);
    if (out.end == round_end::rejected || (out.end == round_end::all_accepted && out.accepted < asked)) {
      judge(out.accepted, false);
    } else if (out.end == round_end::all_accepted) {
      pass(acceptance(out.accepted));
    }
    if (out.status != session_status::running && out.status != session_status::stopped) end_text();
    conclude();
  }

 private:
  /// How many times as fast the short memory forgets.
  static constexpr double short_horizons = 8;
  /// In refused tokens, what the long memory weighs beside the short one.
  static constexpr double long_weight = 10;
  /// How many horizons a draft's quality on the whole is remembered, which is believed where there is nothing newer.
  static constexpr double long_horizons = 16;
  /// The weights of what is believed beforehand, in judged tokens, and in tokens of text.
  static constexpr double prior_judged = 4;
  static constexpr double prior_tokens = 16;
  /// In judged tokens, what a place of the draft takes over from the place before.
  static constexpr double inherited = 2;

  /// For a round of that gamma, the probabilities that it has 0, 1, .. gamma tokens already.
  [[nodiscard]] double* round_of(std::size_t gamma) noexcept { return under_way_.data() + gamma * (gamma + 1) / 2; }

  void judge(std::size_t place, bool accepted) noexcept {
    const double kept = accepted ? 1 : 0;
    pass(kept);
    long_judged_ = product(long_judged_, long_memory_) + 1;
    long_accepted_ = product(long_accepted_, long_memory_) + kept;
    if (place >= max_gamma()) return;
    judged_[place] += 1;
    accepted_[place] += kept;
  }

  /// Goes on by a token, the guess for which was, or would have been, accepted with that probability.
  void pass(double accepted) noexcept {
    for (double& count : judged_) count = product(count, memory_);
    for (double& count : accepted_) count = product(count, memory_);
    tokens_ = product(tokens_, memory_) + 1;
    recent_tokens_ = product(recent_tokens_, short_memory_) + 1;
    for (std::size_t gamma = 0; gamma <= max_gamma(); ++gamma) {
      double* const round = round_of(gamma);
      double ended = round[gamma];
      for (std::size_t i = gamma; i-- > 0;) {
        const double kept = product(round[i], accepted);
        ended += round[i] - kept;
        round[i + 1] = kept;
      }
      round[0] = ended;
      rounds_[gamma] = product(rounds_[gamma], memory_) + ended;
      recent_rounds_[gamma] = product(recent_rounds_[gamma], short_memory_) + ended;
    }
  }

  /// Rounds that the text's end interrupted have brought some tokens, so they count for as much of a round.
  void end_text() noexcept {
    for (std::size_t gamma = 1; gamma <= max_gamma(); ++gamma) {
      double* const round = round_of(gamma);
      double part = 0;
      for (std::size_t i = 1; i <= gamma; ++i) {
        part += product(round[i], static_cast<double>(i)) / static_cast<double>(gamma + 1);
        round[i] = 0;
      }
      round[0] = 1;
      rounds_[gamma] += part;
      recent_rounds_[gamma] += part;
    }
  }

  /// Draws the conclusions.
  void conclude() noexcept {
    double rate = long_accepted_ / long_judged_;
    double survival = 1;
    double judged = 0;
    independent_[0] = 1;
    for (std::size_t i = 0; i < max_gamma(); ++i) {
      rate = (accepted_[i] + product(inherited, rate)) / (judged_[i] + inherited);
      acceptance_[i] = rate;
      survival = product(survival, rate);
      independent_[i + 1] = independent_[i] + survival;
      judged += judged_[i];
    }
    acceptance_[max_gamma()] = rate;
    known_ = std::min(judged / tokens_, 1.0);
    const double refused = recent_rounds_[max_gamma()];
    recent_share_ = refused / (refused + long_weight);
  }

  double memory_;
  double short_memory_;
  double long_memory_;
  double long_judged_;                 ///< judged tokens, long remembered
  double long_accepted_;               ///< those that were accepted
  double tokens_;                      ///< tokens of the text
  double recent_tokens_;               ///< the same in short memory
  double recent_share_ = 0;            ///< what the short memory counts for
  double known_ = 0;                   ///< the share of them that was judged
  std::vector<double> judged_;         ///< judged tokens by their place in the draft
  std::vector<double> accepted_;       ///< those that were accepted
  std::vector<double> acceptance_;     ///< the rate of each place, and of those behind
  std::vector<double> independent_;    ///< tokens per round that these rates make, by gamma
  std::vector<double> rounds_;         ///< rounds that the tokens would have taken, by gamma
  std::vector<double> recent_rounds_;  ///< the same in short memory
  std::vector<double> under_way_;      ///< the state of the round under way, for each gamma
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_HINDSIGHT_HPP
