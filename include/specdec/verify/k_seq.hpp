#ifndef SPECDEC_VERIFY_K_SEQ_HPP
#define SPECDEC_VERIFY_K_SEQ_HPP

/// @file
/// Several independent drafts of one token, weighed together.

#include <algorithm>
#include <cstddef>
#include <limits>

#include "../concepts.hpp"
#include "../mathematics.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "recursive_rejection.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What K-SEQ makes of p, q and the number of drafts.
struct k_seq_plan {
  double rho = 1;      ///< a draft x is kept with probability min(1, p(x) / (rho q(x)))
  double overlap = 0;  ///< beta = sum min(q, p / rho): the probability that one draft is kept
  double factor = 0;   ///< (1 - (1 - beta)^K) / beta: when none is, the token is drawn from p - factor min(q, p / rho)
};

/// The least rho at which K-SEQ is exact, rounded up: where (1 - (1 - beta(rho))^K) = rho beta(rho), between 1 and K.
/// `p(token)` is the target's law. O(k) for each of about 60 steps, k the tokens that q can draw.
/// Source: Sun et al. 2023 (SpecTr, arXiv:2310.15141), algorithm 2 and theorem 2.
template <class Law>
[[nodiscard]] k_seq_plan plan_k_seq(const Law& p, const proposal& q, std::size_t count) {
  const auto at = [&](double rho) {
    k_seq_plan plan{rho, 0, 0};
    const auto add = [&](token_id token, double weight) {
      plan.overlap += std::min(weight / q.total(), p.probability(token) / rho);
    };
    if (q.shape() == proposal::form::point_mass) add(q.token(), 1.0);
    for (std::size_t i = 0; i < q.weights().size(); ++i) {
      const token_id token = q.shape() == proposal::form::sparse ? q.ids()[i] : static_cast<token_id>(i);
      add(token, static_cast<double>(q.weights()[i]));
    }
    double all_refused = 1;
    for (std::size_t i = 0; i < count; ++i) all_refused *= 1 - std::min(1.0, plan.overlap);
    plan.factor = plan.overlap > 0 ? (1 - all_refused) / plan.overlap : 0;
    return plan;
  };
  double low = 1;
  double high = static_cast<double>(count);
  if (at(low).factor <= low) return at(low);
  while (next_number(low, high) < high) {
    const double middle = low + (high - low) / 2;
    (at(middle).factor <= middle ? high : low) = middle;
  }
  return at(high);
}

/// K-SEQ over a tree: the independent drafts of one place are weighed together, each kept with a probability that is
/// lower than on its own but with less lost for the ones behind; within 1 - 1/e of what any rule can keep.
/// Lossless for every draft: where a node's children were not drawn by one `draft::extend_independently` they are tried
/// as `recursive_rejection` does. Source: Sun et al. 2023 (SpecTr, arXiv:2310.15141), algorithm 2.
///
/// Reads the rows along the kept path. Time O(V) for each, and about 60 passes over the tokens that q can draw.
struct k_seq {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    return walk_down(drafted, rows, target, chance, [&](node_id here) {
      const node_id first = drafted.first_child(here);
      const bool together = drafted.has_independent_children(here) && drafted.next_sibling(first) != no_node;
      return together ? choose(drafted, rows, target, chance, here)
                      : reject_siblings(drafted, rows, target, chance, here);
    });
  }

 private:
  template <LogitsRows Rows, Chance C>
  [[nodiscard]] static sibling_choice choose(const draft& drafted, const Rows& rows, law& target, C& chance,
                                             node_id here) {
    const auto p = target.at(rows, here);
    if (!p.valid()) return {};
    const node_id first = drafted.first_child(here);
    const proposal q = drafted.law_of(first);
    std::size_t count = 0;
    for (node_id child = first; child != no_node; child = drafted.next_sibling(child)) ++count;
    const k_seq_plan plan = plan_k_seq(p, q, count);
    for (node_id child = first; child != no_node; child = drafted.next_sibling(child)) {
      const token_id x = drafted.token(child);
      if (chance.accept(drafted.key_at(child, purpose::accept), p.probability(x), plan.rho * q.probability(x))) {
        return {.kept = child};
      }
    }
    auto left = target.remainder_at(rows, here);
    left.restart();
    const bool some_left = left.take_overlap(q, plan.rho, plan.factor);
    return {.next = chance.draw(drafted.key_behind(here, purpose::residual), left), .fell_back = !some_left};
  }
};

static_assert(Verifier<k_seq>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_K_SEQ_HPP
