#ifndef SPECDEC_VERIFY_BLOCK_HPP
#define SPECDEC_VERIFY_BLOCK_HPP

/// @file
/// Verification of a whole block at once.

#include <algorithm>
#include <cstddef>
#include <span>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/residual.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Block verification over a chain: how much of the draft is kept is decided for the draft as a whole, not token by
/// token. Lossless for every proposal, and it keeps at least as many tokens as `rejection` on average, for every pair
/// of models; where all laws q are point masses, exactly as many. Source: Sun et al. 2024 (arXiv:2403.10444),
/// algorithm 2.
///
/// With P_i = min(1, P_{i-1} p(x_i) / q(x_i)), a prefix of i tokens is kept with probability
/// h_i = S_i / (S_i + 1 - P_i), S_i the mass of (P_i p - q)+ behind it, and h = P at the end of the draft; the longest
/// prefix that passes wins. Tried from the end, so S_i is formed only where all longer prefixes have failed.
///
/// Reads the rows behind all drafted tokens up to one that the target makes impossible. An unusable row among them is a
/// fault, since whatever was decided without it might be decided otherwise when the model is asked again; where a mask
/// allows nothing, the draft ends in front. Time O(V) for each row that is read, no memory.
struct block_verification {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    const std::span<double> shares = target.shares();
    shares[root] = 1;
    node_id here = root;
    for (;;) {
      const node_id child = drafted.first_child(here);
      if (child == no_node) break;
      const auto p = target.at(rows, here);
      if (is_of_model(p.fault())) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      if (!p.valid()) break;
      const token_id x = drafted.token(child);
      const double share = std::min(1.0, shares[here] * p.probability(x) / drafted.law_of(child).probability(x));
      if (share == 0) return replaced(drafted, rows, target, chance, here);
      shares[child] = share;
      here = child;
    }
    if (keeps(drafted, here, shares[here], chance)) {
      const auto p = target.at(rows, here);
      if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      return {.kept = here, .next = chance.draw(drafted.key_behind(here, purpose::bonus), p)};
    }
    return replaced(drafted, rows, target, chance, drafted.parent(here));
  }

 private:
  /// Whether the prefix that ends with `last` is kept, with this probability. The empty one always is.
  template <Chance C>
  [[nodiscard]] static bool keeps(const draft& drafted, node_id last, double probability, C& chance) {
    return last == root || chance.accept(drafted.key_at(last, purpose::accept), probability, 1.0);
  }

  /// The verdict if the tokens behind `last` are refused: keeps the prefix that ends there or a shorter one.
  template <LogitsRows Rows, Chance C>
  [[nodiscard]] static verdict replaced(const draft& drafted, const Rows& rows, law& target, C& chance, node_id last) {
    for (node_id here = last;; here = drafted.parent(here)) {
      const double share = target.shares()[here];
      const residual left(target.at(rows, here), drafted.law_of(drafted.first_child(here)), share);
      // Where nothing is left and nothing was lost, 0 / 0, the token behind was certain to be kept.
      const double kept = share == 1 ? 1.0 : left.mass() / (left.mass() + 1 - share);
      if (!keeps(drafted, here, kept, chance)) continue;
      return {.kept = here,
              .next = chance.draw(drafted.key_behind(here, purpose::residual), left),
              .rejected = true,
              .fell_back = left.fell_back()};
    }
  }
};

static_assert(Verifier<block_verification>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_BLOCK_HPP
