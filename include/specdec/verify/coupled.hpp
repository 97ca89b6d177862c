#ifndef SPECDEC_VERIFY_COUPLED_HPP
#define SPECDEC_VERIFY_COUPLED_HPP

/// @file
/// Sampling with noise that target and draft share.

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../sampling/law.hpp"
#include "naive.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Coupled sampling: the target's token at every place is the winner of a race whose noise belongs to the place in the
/// text alone (see `RacingChance`). The drafter draws with the same noise, so that where its law is like the target's
/// it names the same token. What is emitted is the target's winner in any case: lossless for every draft.
///
/// The text depends on prompt, seed and stream alone: it is the same with any drafter, any draft length and none at
/// all, token for token at any temperature, if the target gives a row the same bits whatever the size of its call.
///
/// A chain's token is kept with probability sum_i 1 / sum_j max(p_j / p_i, q_j / q_i), at least (1 - d) / (1 + d) for
/// laws at total variation d, where `rejection` keeps 1 - d.
/// Source: Daliri, Musco and Suresh 2024 (arXiv:2408.07978), Gumbel coupling, in its exponential form.
///
/// Reads the rows along the kept path. Time O(V) for each, with a block of random bits for every four possible tokens;
/// no memory. Needs a source of randomness that can race.
struct coupled {
  static constexpr bool lossless = true;
  [[nodiscard]] static constexpr bool shares_noise() noexcept { return true; }

  template <LogitsRows Rows, RacingChance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    node_id here = root;
    for (;;) {
      const auto p = target.at(rows, here);
      if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      const token_id next = chance.race(drafted.position_of(drafted.depth(here) + 1), p);
      const node_id child = child_with(drafted, here, next);
      if (child == no_node) {
        return {.kept = here, .next = next, .rejected = drafted.first_child(here) != no_node};
      }
      here = child;
    }
  }
};

static_assert(Verifier<coupled>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_COUPLED_HPP
