#ifndef DOCTOR_REPLAY_HPP
#define DOCTOR_REPLAY_HPP

/// @file
/// One recorded run with long drafts, as it would have been with any shorter ones.
///
/// Behind the same text the draft's guess is accepted with probability min(1, q(x)/p(x)), x being the token that came:
/// that depends on the text alone, not on where rounds begin. So the fates of a run with long drafts hold for every
/// gamma, and replaying the rounds over them counts what that gamma would have accepted. It does more than cut the
/// long run's survival short: with short drafts a round often begins in the middle of a stretch that is easy to guess,
/// with long ones mostly behind a token that was not.

#include <cstddef>
#include <span>
#include <vector>

#include "recording.hpp"

namespace doctor {

/// Rounds and what they accepted; expectations, as the fate of unjudged tokens is.
struct tally {
  double rounds = 0;
  /// accepted_at[i]: rounds that accepted their first i+1 drafted tokens.
  std::vector<double> accepted_at;

  tally& operator+=(const tally& other);
  /// As `specdec::theory` takes it; zeros if there was no round.
  [[nodiscard]] std::vector<double> survival() const;
};

/// The share of guesses that were accepted among those behind `behind` accepted ones.
struct acceptance {
  double accepted = 0;
  double judged = 0;

  [[nodiscard]] double rate() const noexcept { return judged > 0 ? accepted / judged : 0; }
};
[[nodiscard]] acceptance acceptance_behind(std::span<const trace> traces, std::size_t behind);

/// The text's rounds with gamma drafted tokens each.
/// @param unjudged the probability that an unjudged guess would have been accepted
/// Complexity: O(text * gamma) if guesses are unjudged, O(text) else.
[[nodiscard]] tally replay(const trace& text, std::size_t gamma, double unjudged);

}  // namespace doctor

#endif  // DOCTOR_REPLAY_HPP
