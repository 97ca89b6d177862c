#ifndef SPECDEC_LENGTH_ADAPTIVE_EXIT_HPP
#define SPECDEC_LENGTH_ADAPTIVE_EXIT_HPP

/// @file
/// A confidence threshold that follows the acceptance rate.
///
/// Source: Zhang et al. 2024, "Draft & verify: lossless large language model acceleration via self-speculative
/// decoding" (arXiv:2309.08168), the adaptive draft-exiting mechanism; defaults, and the names of the first two
/// parameters, are the authors' implementation's.

#include <cstddef>

#include "../concepts.hpp"
#include "../decode/outcome.hpp"
#include "../mathematics.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Drafts up to `max_step_draft` tokens, and none behind one whose draft probability was below `th_stop_draft`. Behind
/// every round, with the acceptance rate r averaged as r <- beta1 r + (1 - beta1) accepted/drafted,
///
///     t = th + epsilon if r < alpha; th if the draft was as long as it may be; th - epsilon otherwise
///     th <- beta2 th + (1 - beta2) t
///
/// O(1). Nothing changes where nothing was drafted, or where the text ended inside the draft.
///
/// The authors start at 0.8 for greedy text and at 0.5 for sampled text, where they look at the draft's probability
/// before temperature and filters; here it is that of the law drawn from.
struct adaptive_exit {
  static constexpr bool reads_clock = false;

  std::size_t max_step_draft = 8;
  double th_stop_draft = 0.8;
  double beta1 = 0.5;
  double alpha = 0.9;
  double epsilon = 0.01;
  double beta2 = 0.9;
  double acceptance_rate = 0;  ///< r

  [[nodiscard]] constexpr std::size_t depth(const draft_request&) const noexcept { return max_step_draft; }
  [[nodiscard]] constexpr bool goes_on(double probability) const noexcept { return probability >= th_stop_draft; }

  void observe(const outcome& out) noexcept {
    if (out.drafted.empty() || out.end == round_end::text_ended) return;
    const double matched = static_cast<double>(out.accepted) / static_cast<double>(out.drafted.size());
    acceptance_rate = mix(beta1, acceptance_rate, matched);
    double wanted = th_stop_draft;
    if (acceptance_rate < alpha) {
      wanted += epsilon;
    } else if (out.drafted.size() < max_step_draft) {
      wanted -= epsilon;
    }
    th_stop_draft = mix(beta2, th_stop_draft, wanted);
  }

 private:
  static double mix(double share, double a, double b) noexcept { return product(share, a) + product(1 - share, b); }
};

static_assert(EndsBehindToken<adaptive_exit> && Observes<adaptive_exit>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_ADAPTIVE_EXIT_HPP
