#ifndef SPECDEC_VERIFY_GREEDY_HPP
#define SPECDEC_VERIFY_GREEDY_HPP

/// @file
/// Greedy verification: keep drafted tokens while each is the target's most probable one.
///
/// Source: Stern, Shazeer and Uszkoreit 2018 (arXiv:1811.03115), the "verify" step of blockwise parallel decoding.

#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Emits the target's greedy text whatever the temperature: ties go to the lowest id, no randomness is used.
/// Lossless with respect to greedy decoding. O(V) for each row that is read.
///
/// `rejection` at temperature 0 gives the same tokens; this rule states the intent and never looks at q.
struct greedy {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C&) const {
    node_id here = root;
    for (;;) {
      const auto p = target.at(rows, here);
      if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      const node_id child = drafted.first_child(here);
      if (child == no_node) return {.kept = here, .next = p.mode()};
      if (drafted.token(child) != p.mode()) return {.kept = here, .next = p.mode(), .rejected = true};
      here = child;
    }
  }
};

static_assert(Verifier<greedy>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_GREEDY_HPP
