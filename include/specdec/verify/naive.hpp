#ifndef SPECDEC_VERIFY_NAIVE_HPP
#define SPECDEC_VERIFY_NAIVE_HPP

/// @file
/// Sampling from the target alone, with the draft as a bet on what comes.

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The child of `parent` that carries `token`, or `no_node`. O(children).
[[nodiscard]] inline node_id child_with(const draft& drafted, node_id parent, token_id token) noexcept {
  node_id child = drafted.first_child(parent);
  while (child != no_node && drafted.token(child) != token) child = drafted.next_sibling(child);
  return child;
}

/// Naive sampling over a tree: draws the target's own token at every place, and goes on while a child carries it.
/// Lossless for every draft, whatever law it was drawn from; a drafted token is kept with probability p(x), so a set of
/// fixed candidates is used as well as any rule can use it, one that was sampled is not.
/// Source: Miao et al. 2023 (arXiv:2305.09781), there the baseline of multi-step speculative sampling; the acceptance
/// rule of EAGLE-2 (Li et al. 2024, arXiv:2406.16858) over its fixed candidates gives the same law.
///
/// Reads the rows along the kept path. Time O(V) for each, no memory.
struct naive_sampling {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    node_id here = root;
    for (;;) {
      const auto p = target.at(rows, here);
      if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      const token_id next = chance.draw(drafted.key_behind(here, purpose::bonus), p);
      const node_id child = child_with(drafted, here, next);
      if (child == no_node) {
        return {.kept = here, .next = next, .rejected = drafted.first_child(here) != no_node};
      }
      here = child;
    }
  }
};

static_assert(Verifier<naive_sampling>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_NAIVE_HPP
