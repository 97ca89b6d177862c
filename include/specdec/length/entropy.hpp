#ifndef SPECDEC_LENGTH_ENTROPY_HPP
#define SPECDEC_LENGTH_ENTROPY_HPP

/// @file
/// Ending a draft where the draft model is undecided.
///
/// A law of entropy H (in nats) is accepted with a probability of about 1 - sqrt(w H) at least, w being a constant of
/// the pair. Where that is below a threshold, drafting ends.
///
/// Source: Agrawal, Jeon and Lee 2024, "AdaEDL: early draft stopping for speculative decoding of large language models
/// via an entropy-based lower bound on token acceptance probability" (arXiv:2410.18351), with its w, there gamma, of
/// 0.2; the threshold follows the acceptance rate as in Draft & Verify (Zhang et al. 2024).

#include <cstddef>

#include "../concepts.hpp"
#include "../decode/outcome.hpp"
#include "../mathematics.hpp"
#include "adaptive_exit.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Draws no token from a law of which less than the threshold is sure to be accepted, and no more than
/// `threshold.max_step_draft` in all. The threshold, lambda in the paper, is `threshold.th_stop_draft`, and moves
/// behind every round as `adaptive_exit` says. The first token of a draft is drawn in any case: from rounds without a
/// draft a threshold that is too high would never learn that it is. O(1), besides the entropy, which is O(V) for every
/// drafted token.
struct adaedl {
  static constexpr bool reads_clock = false;

  double entropy_weight = 0.2;  ///< w
  adaptive_exit threshold = {.th_stop_draft = 0.4};
  bool begins = true;  ///< nothing was drawn for the draft yet

  [[nodiscard]] constexpr std::size_t depth(const draft_request&) noexcept {
    begins = true;
    return threshold.max_step_draft;
  }
  [[nodiscard]] bool draws_at_entropy(double nats) noexcept {
    const bool is_first = begins;
    begins = false;
    return is_first || 1 - square_root(entropy_weight * nats) >= threshold.th_stop_draft;
  }
  void observe(const outcome& out) noexcept { threshold.observe(out); }
};

static_assert(EndsBeforeEntropy<adaedl> && Observes<adaedl>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_ENTROPY_HPP
