#ifndef SPECDEC_VERIFY_RECURSIVE_REJECTION_HPP
#define SPECDEC_VERIFY_RECURSIVE_REJECTION_HPP

/// @file
/// Rejection sampling over a tree.

#include <cstddef>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/residual.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What became of a node's children: one is kept, or the text goes on with a token of the target's own.
struct sibling_choice {
  node_id kept = no_node;
  token_id next = -1;
  bool fell_back = false;
};

/// Tries the children of `here` in their order by rejection sampling: a child is kept with probability
/// min(1, p(x) / q(x)), q the law that it was drawn from; else p becomes norm((p - q)+) for the next. When all are
/// refused the token is drawn from what is left. Precondition: `here` has a child; where the row is unusable, the
/// caller has said so.
template <LogitsRows Rows, Chance C>
[[nodiscard]] sibling_choice reject_siblings(const draft& drafted, const Rows& rows, law& target, C& chance,
                                             node_id here) {
  node_id child = drafted.first_child(here);
  const token_id x = drafted.token(child);
  const double q = drafted.law_of(child).probability(x);
  if (target.accepts(rows, here, x, q, drafted.key_at(child, purpose::accept), chance)) return {.kept = child};
  const key replacement = drafted.key_behind(here, purpose::residual);
  const auto p = target.at(rows, here);
  if (!p.valid()) return {};
  if (drafted.next_sibling(child) == no_node) {
    const residual left(p, drafted.law_of(child));
    return {.next = chance.draw(replacement, left), .fell_back = left.fell_back()};
  }
  auto left = target.remainder_at(rows, here);
  left.restart();
  bool fell_back = false;
  for (;;) {
    fell_back = left.take(drafted.law_of(child)) == 0 || fell_back;
    child = drafted.next_sibling(child);
    if (child == no_node) return {.next = chance.draw(replacement, left), .fell_back = fell_back};
    const double share = drafted.law_of(child).probability(drafted.token(child));
    if (chance.accept(drafted.key_at(child, purpose::accept), left.probability(drafted.token(child)), share)) {
      return {.kept = child};
    }
  }
}

/// Walks down a tree from the root: `choose(node)` gives a node's `sibling_choice`.
template <LogitsRows Rows, Chance C, class Choose>
[[nodiscard]] verdict walk_down(const draft& drafted, const Rows& rows, law& target, C& chance, Choose&& choose) {
  node_id here = root;
  while (drafted.first_child(here) != no_node) {
    const sibling_choice choice = choose(here);
    if (choice.kept == no_node) {
      const row_fault fault = target.at(rows, here).fault();
      if (fault != row_fault::none) return {.kept = here, .fault = fault, .faulty_row = here};
      return {.kept = here, .next = choice.next, .rejected = true, .fell_back = choice.fell_back};
    }
    here = choice.kept;
  }
  const auto p = target.at(rows, here);
  if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
  return {.kept = here, .next = chance.draw(drafted.key_behind(here, purpose::bonus), p)};
}

/// Recursive rejection sampling over a tree: siblings are tried one after the other, then the children of the one that
/// is kept. Lossless for every draft, since every token is held against the law that it was drawn from: siblings may be
/// independent, drawn without replacement, or point masses. On a chain it is `rejection`, bit for bit.
/// Source: Miao et al. 2023 (SpecInfer, arXiv:2305.09781), algorithm 2; without replacement: Li et al. 2024 (EAGLE,
/// arXiv:2401.15077) and Chen et al. 2024 (Sequoia, arXiv:2402.12374).
///
/// Reads the rows along the kept path, and of those behind which no child is kept all. Time O(V) for each row that is
/// read, O(1024 k) for each refused sibling with a law of k tokens.
struct recursive_rejection {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    return walk_down(drafted, rows, target, chance,
                     [&](node_id here) { return reject_siblings(drafted, rows, target, chance, here); });
  }
};

static_assert(Verifier<recursive_rejection>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_RECURSIVE_REJECTION_HPP
