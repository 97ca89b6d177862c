#ifndef SPECDEC_VERIFY_TRAVERSAL_HPP
#define SPECDEC_VERIFY_TRAVERSAL_HPP

/// @file
/// Verification of a tree from its leaves.

#include <algorithm>
#include <span>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Traversal verification over a tree: paths are kept as a whole, tried from the leaves up, so that a token is not lost
/// for being unlikely if what follows makes up for it. Lossless for every draft whose siblings were drawn one after the
/// other (`draft::extend`, `draft::extend_distinctly`, `draft::extend_independently`). On a chain it is block
/// verification.
/// Source: Weng et al. 2025 (arXiv:2505.12398).
///
/// A node has a share w, min(1, w_parent p(x) / q(x)). The leaf that comes first is kept with probability w; then the
/// text goes on with a token from its p. If not, it is deleted: at its parent p <- norm((w p - q)+) and
/// w <- S / (S + 1 - w), S the mass before normalisation, and its next sibling is tried; a node without children left
/// is a leaf. The root is always kept.
///
/// May read every row. An unusable one is a fault, since whatever was decided without it might be decided otherwise
/// when the model is asked again; where a mask allows nothing, the node counts as having no children. Time O(V) for
/// each row that is read, O(1024 k) for each deleted node with a law of k tokens.
struct traversal {
  static constexpr bool lossless = true;

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    const std::span<double> shares = target.shares();
    shares[root] = 1;
    node_id here = root;
    node_id child = enter(drafted, rows, target, root);
    bool fell_back = false;
    for (;;) {
      for (; child != no_node; child = enter(drafted, rows, target, here)) {
        if (child == root) return failed(rows, target, here);
        const token_id x = drafted.token(child);
        const double p = target.remainder_at(rows, here).probability(x);
        shares[child] = std::min(1.0, shares[here] * p / drafted.law_of(child).probability(x));
        here = child;
      }
      const bool kept =
          here == root || (shares[here] > 0 && chance.accept(drafted.key_at(here, purpose::accept), shares[here], 1.0));
      if (kept) return keep(drafted, rows, target, chance, here, fell_back);
      const node_id parent = drafted.parent(here);
      child = drafted.next_sibling(here);
      double& share = shares[parent];
      // Whoever has no share has no text behind it either: its other children need not be looked at.
      const double left = target.remainder_at(rows, parent).take(drafted.law_of(here), share);
      fell_back = fell_back || (share == 1 && left == 0);
      share = share == 1 ? 1.0 : left / (left + 1 - share);
      if (share == 0) child = no_node;
      here = parent;
    }
  }

 private:
  /// Takes up the law behind `node`; its first child, `no_node` if the walk ends here, or the root, which is nobody's
  /// child, if the row is unusable.
  template <LogitsRows Rows>
  [[nodiscard]] static node_id enter(const draft& drafted, const Rows& rows, law& target, node_id node) {
    if (drafted.first_child(node) == no_node || target.shares()[node] == 0) return no_node;
    if (const auto p = target.at(rows, node); !p.valid()) return is_of_model(p.fault()) ? root : no_node;
    target.remainder_at(rows, node).restart();
    return drafted.first_child(node);
  }

  /// The verdict where the row behind `node` is unusable.
  template <LogitsRows Rows>
  [[nodiscard]] static verdict failed(const Rows& rows, law& target, node_id node) {
    return {.kept = node, .fault = target.at(rows, node).fault(), .faulty_row = node};
  }

  /// The verdict that keeps the path to `node`, none of whose children were kept.
  template <LogitsRows Rows, Chance C>
  [[nodiscard]] static verdict keep(const draft& drafted, const Rows& rows, law& target, C& chance, node_id node,
                                    bool fell_back) {
    const auto p = target.at(rows, node);
    if (!p.valid()) return failed(rows, target, node);
    if (drafted.first_child(node) == no_node) {
      return {.kept = node, .next = chance.draw(drafted.key_behind(node, purpose::bonus), p)};
    }
    const auto left = target.remainder_at(rows, node);
    return {.kept = node,
            .next = chance.draw(drafted.key_behind(node, purpose::residual), left),
            .rejected = true,
            .fell_back = fell_back};
  }
};

static_assert(Verifier<traversal>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_TRAVERSAL_HPP
