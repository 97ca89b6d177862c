#ifndef SPECDEC_VERIFY_REJECTION_HPP
#define SPECDEC_VERIFY_REJECTION_HPP

/// @file
/// Token-by-token rejection sampling, the founding rule.
///
/// For a chain x_1 .. x_n drawn from q_1 .. q_n: accept x_i with probability min(1, p_i(x_i) / q_i(x_i)); at the first
/// refusal emit a token from norm((p_i - q_i)+); if all are accepted emit one from p_{n+1}. The emitted law is p:
/// min(p, q) + (1 - sum min(p, q)) * norm((p - q)+) = p.
///
/// Sources: Leviathan, Kalman and Matias 2023 (arXiv:2211.17192), algorithm 1; Chen et al. 2023 (arXiv:2302.01318),
/// algorithm 2. With a point-mass q it is sample-and-compare; with a greedy p it is the greedy rule.

#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/residual.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Rejection sampling over a chain, with every q(x) multiplied by `lenience` where it is compared with p(x): 1 is the
/// rule that `rejection` states, less is `lenient`. Lazy: row i+1 is read only after token i was accepted, a residual
/// is formed only at a refusal. Time O(V) for each row that is read, no memory. Precondition: 0 < lenience <= 1.
template <LogitsRows Rows, Chance C>
[[nodiscard]] verdict reject_along_chain(const draft& drafted, const Rows& rows, law& target, C& chance,
                                         double lenience) {
  node_id here = root;
  for (;;) {
    const std::size_t depth = drafted.depth(here) + 1;
    const node_id child = drafted.first_child(here);
    if (child != no_node) {
      const token_id x = drafted.token(child);
      const double q = lenience * drafted.law_of(child).probability(x);
      if (target.accepts(rows, here, x, q, drafted.key_of(depth, purpose::accept), chance)) {
        here = child;
        continue;
      }
    }
    const auto p = target.at(rows, here);
    if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
    if (child == no_node) {
      return {.kept = here, .next = chance.draw(drafted.key_of(depth, purpose::bonus), p)};
    }
    const residual left(p, drafted.law_of(child));
    return {.kept = here,
            .next = chance.draw(drafted.key_of(depth, purpose::residual), left),
            .rejected = true,
            .fell_back = left.fell_back()};
  }
}

/// Rejection sampling over a chain. Lossless for every proposal. Laziness and cost are those of `reject_along_chain`.
struct rejection {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    return reject_along_chain(drafted, rows, target, chance, 1.0);
  }
};

static_assert(Verifier<rejection>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_REJECTION_HPP
