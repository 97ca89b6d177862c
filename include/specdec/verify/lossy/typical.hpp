#ifndef SPECDEC_VERIFY_LOSSY_TYPICAL_HPP
#define SPECDEC_VERIFY_LOSSY_TYPICAL_HPP

/// @file
/// Verification that keeps what is typical of the target. Not exact.

#include <algorithm>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>

#include "../../concepts.hpp"
#include "../../failure.hpp"
#include "../../mathematics.hpp"
#include "../../message.hpp"
#include "../../proposal.hpp"
#include "../../sampling/law.hpp"
#include "../verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Typical acceptance over a tree: a drafted token is kept if p(x) > min(epsilon, delta e^-H(p)), H the entropy of p in
/// nats, so the surer the target is, the more it asks. The longest path of such tokens is kept, of equally long ones
/// the most probable; the token behind it is drawn from p. **Lossy**: the draft's laws do not matter, so what it drafts
/// too often is emitted too often. At temperature 0 it keeps the target's own choices only. Source: Cai et al. 2024
/// (Medusa, arXiv:2401.10774), section 3.3; the defaults are those of its generation.
///
/// Reads every row behind which something could be kept; one of them that is unusable is a fault, but where a mask
/// allows nothing. Time O(V) for each.
class typical_acceptance {
 public:
  static constexpr bool lossless = false;

  /// Throws std::invalid_argument unless 0 <= epsilon < 1 and delta >= 0.
  explicit typical_acceptance(double epsilon = 0.09, double delta = 0.3) : epsilon_(epsilon), delta_(delta) {
    if (!(epsilon >= 0 && epsilon < 1 && delta >= 0)) {
      raise<std::invalid_argument>("specdec: expected typical acceptance with 0 <= epsilon < 1 and delta >= 0; got " +
                                   number_text(epsilon) + " and " + number_text(delta));
    }
  }

  [[nodiscard]] double epsilon() const noexcept { return epsilon_; }
  [[nodiscard]] double delta() const noexcept { return delta_; }

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    // The logarithms of the paths' probabilities under the target; those that are not kept have none.
    const std::span<double> likelihood = target.shares();
    std::fill(likelihood.begin(), likelihood.end(), refused);
    likelihood[root] = 0;
    node_id best = root;
    for (node_id node = root; node <= drafted.size(); ++node) {
      if (likelihood[node] == refused) continue;
      const bool longer = drafted.depth(node) > drafted.depth(best);
      const bool as_long = drafted.depth(node) == drafted.depth(best);
      if (longer || (as_long && likelihood[node] > likelihood[best])) best = node;
      if (drafted.first_child(node) == no_node) continue;
      const auto p = target.at(rows, node);
      if (is_of_model(p.fault())) return {.kept = node, .fault = p.fault(), .faulty_row = node};
      if (!p.valid()) continue;
      const double least = std::min(epsilon_, delta_ * exponential(-p.entropy()));
      for (node_id child = drafted.first_child(node); child != no_node; child = drafted.next_sibling(child)) {
        const double probability = p.probability(drafted.token(child));
        if (probability > least) likelihood[child] = likelihood[node] + logarithm(probability);
      }
    }
    const auto p = target.at(rows, best);
    if (!p.valid()) return {.kept = best, .fault = p.fault(), .faulty_row = best};
    return {.kept = best,
            .next = chance.draw(drafted.key_behind(best, purpose::bonus), p),
            .rejected = drafted.first_child(best) != no_node};
  }

 private:
  static constexpr double refused = -std::numeric_limits<double>::infinity();

  double epsilon_;
  double delta_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_LOSSY_TYPICAL_HPP
