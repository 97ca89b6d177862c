#ifndef SPECDEC_DRAFT_TREE_SHAPE_HPP
#define SPECDEC_DRAFT_TREE_SHAPE_HPP

/// @file
/// Which shape a draft's tree should have.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../config.hpp"
#include "../failure.hpp"
#include "../proposal.hpp"
#include "../vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The shape of a token tree: for each node its parent. Nodes are numbered from 1 level by level, 0 is the root; the
/// children of a node follow one another, and their order is their rank, 0 for the one that is drawn first. Whatever
/// makes a shape throws std::invalid_argument for more than 65536 nodes of one depth, more than a draft can hold.
class tree_shape {
 public:
  /// No nodes: nothing is drafted.
  tree_shape() = default;

  /// `branching[d]` children below every node of depth d; its length is the depth. A chain of n is a vector of n ones.
  [[nodiscard]] static tree_shape uniform(std::span<const std::size_t> branching) {
    tree_shape shape;
    std::size_t begin = 0;
    std::size_t end = 1;
    for (std::size_t depth = 0; depth < branching.size() && begin < end; ++depth) {
      const std::size_t count = branching[depth];
      // Before there are so many; the product may not even be a number.
      if (count > draft::most_beside / (end - begin)) refuse_width(depth + 1);
      for (std::size_t node = begin; node < end; ++node) {
        for (std::size_t i = 0; i < count; ++i) shape.parents_.push_back(static_cast<node_id>(node));
      }
      begin = end;
      end = shape.parents_.size() + 1;
    }
    shape.complete();
    return shape;
  }

  /// One path of `length` nodes.
  [[nodiscard]] static tree_shape chain(std::size_t length) {
    return uniform(view_of(std::vector<std::size_t>(length, 1)));
  }

  /// From the parents of nodes 1, 2, ... Throws std::invalid_argument unless they ascend and each is a node before.
  [[nodiscard]] static tree_shape from_parents(std::span<const node_id> parents) {
    for (std::size_t i = 0; i < parents.size(); ++i) {
      if (parents[i] > i || (i > 0 && parents[i] < parents[i - 1])) {
        raise<std::invalid_argument>(
            "specdec: expected a tree's parents to ascend, each a node before its child; node " +
            std::to_string(i + 1) + " has the parent " + std::to_string(parents[i]));
      }
    }
    tree_shape shape;
    append_to(shape.parents_, parents);
    shape.complete();
    return shape;
  }

  /// The number of nodes.
  [[nodiscard]] std::size_t size() const noexcept { return parents_.size(); }
  /// The greatest depth of a node.
  [[nodiscard]] std::size_t depth() const noexcept { return depths_.empty() ? 0 : depths_.back(); }
  /// The number of nodes of at most that depth: nodes 1 to this. O(log size).
  [[nodiscard]] std::size_t size_within(std::size_t depth) const noexcept {
    return static_cast<std::size_t>(std::upper_bound(depths_.begin(), depths_.end(), depth) - depths_.begin());
  }
  /// The parents of nodes 1, 2, ...
  [[nodiscard]] std::span<const node_id> parents() const noexcept { return view_of(parents_); }
  /// The depth of a node; 0 for the root.
  [[nodiscard]] std::size_t depth_of(node_id node) const noexcept { return node == root ? 0 : depths_[node - 1]; }
  /// A node's place among its siblings. Precondition: not the root.
  [[nodiscard]] std::size_t rank_of(node_id node) const noexcept { return node - first_child(parents_[node - 1]); }
  /// How many children a node has.
  [[nodiscard]] std::size_t child_count(node_id node) const noexcept {
    return first_children_[node + 1] - first_children_[node];
  }
  /// Its first child, if it has any; the others follow.
  [[nodiscard]] node_id first_child(node_id node) const noexcept { return first_children_[node]; }
  /// Whether no node has two children.
  [[nodiscard]] bool is_chain() const noexcept { return depth() == size(); }

  friend bool operator==(const tree_shape& a, const tree_shape& b) { return a.parents_ == b.parents_; }

 private:
  void complete() {
    first_children_.assign(parents_.size() + 2, static_cast<node_id>(parents_.size() + 1));
    for (std::size_t i = parents_.size(); i > 0; --i) first_children_[parents_[i - 1]] = static_cast<node_id>(i);
    for (std::size_t i = first_children_.size() - 1; i > 0; --i) {
      first_children_[i - 1] = std::min(first_children_[i - 1], first_children_[i]);
    }
    std::size_t width = 0;
    for (const node_id parent : parents_) {
      const std::size_t depth = depth_of(parent) + 1;
      width = depths_.empty() || depth > depths_.back() ? 1 : width + 1;
      if (width > draft::most_beside) refuse_width(depth);
      depths_.push_back(depth);
    }
  }

  [[noreturn]] static void refuse_width(std::size_t depth) {
    raise<std::invalid_argument>("specdec: expected a tree of at most " + std::to_string(draft::most_beside) +
                                 " nodes of one depth; got more at depth " + std::to_string(depth));
  }

  std::vector<node_id> parents_;
  std::vector<std::size_t> depths_;
  std::vector<node_id> first_children_ = {
      1, 1};  ///< one more than there are nodes with the root: where the next ones' begin
};

/// How often siblings are kept: the probability that the child of a given rank is kept, if its parent is kept and it
/// has that child; by the parent's depth, where that was measured.
///
/// Ranks exclude one another, so a node's probabilities have a sum of at most 1. Beyond the last depth that is known,
/// the last one stands for all; beyond the last rank nothing is kept.
class sibling_acceptance {
 public:
  /// The same at every depth. Throws std::invalid_argument if one is not from 0 to 1.
  explicit sibling_acceptance(std::span<const double> by_rank) : sibling_acceptance(by_rank, by_rank.size()) {}

  /// A table, `ranks` entries for each depth of the parent. Throws as above, and if there is no whole row of them.
  sibling_acceptance(std::span<const double> by_depth_and_rank, std::size_t ranks) : ranks_(ranks) {
    if (ranks == 0 || by_depth_and_rank.empty() || by_depth_and_rank.size() % ranks != 0) {
      raise<std::invalid_argument>("specdec: expected acceptance by depth and rank, " + std::to_string(ranks) +
                                   " ranks for each depth; got " + std::to_string(by_depth_and_rank.size()) +
                                   " entries");
    }
    for (const double p : by_depth_and_rank) {
      if (!(p >= 0 && p <= 1)) {
        raise<std::invalid_argument>("specdec: expected probabilities of acceptance from 0 to 1; got " +
                                     std::to_string(p));
      }
    }
    append_to(values_, by_depth_and_rank);
  }

  [[nodiscard]] std::size_t ranks() const noexcept { return ranks_; }
  /// How many depths are told apart.
  [[nodiscard]] std::size_t depths() const noexcept { return values_.size() / ranks_; }
  [[nodiscard]] double operator()(std::size_t parent_depth, std::size_t rank) const noexcept {
    if (rank >= ranks_) return 0;
    return values_[std::min(parent_depth, values_.size() / ranks_ - 1) * ranks_ + rank];
  }

 private:
  std::size_t ranks_;
  std::vector<double> values_;
};

/// What the parts of a round cost, in any one unit of time.
struct tree_costs {
  double draft_level = 0;          ///< drafting one level of a tree, whatever its width
  double draft_node = 0;           ///< and for each of its nodes
  std::span<const double> target;  ///< target[n-1]: one target call that scores n tokens
  double overhead = 0;             ///< everything else in a round
};

namespace theory {

/// Tokens per target call with a tree: 1 and, for every node, the probability that the path to it is kept.
[[nodiscard]] inline double expected_tokens(const tree_shape& shape, const sibling_acceptance& acceptance) {
  std::vector<double> kept(shape.size() + 1, 1.0);
  double sum = 1;
  for (node_id node = 1; node <= shape.size(); ++node) {
    const node_id parent = shape.parents()[node - 1];
    kept[node] = kept[parent] * acceptance(shape.depth_of(parent), shape.rank_of(node));
    sum += kept[node];
  }
  return sum;
}

/// The time of a round. Precondition: costs.target has shape.size() + 1 entries or more.
[[nodiscard]] inline double round_time(const tree_shape& shape, const tree_costs& costs) noexcept {
  SPECDEC_ASSERT(shape.size() < costs.target.size());
  return static_cast<double>(shape.depth()) * costs.draft_level + static_cast<double>(shape.size()) * costs.draft_node +
         costs.target[shape.size()] + costs.overhead;
}

}  // namespace theory

/// Sequoia's dynamic programme: the trees that yield most tokens per target call, for every number of nodes and depth.
/// Source: Chen et al. 2024 (arXiv:2402.12374), section 4.1, with acceptance that may depend on the depth.
///
/// F(n, d), the most that n nodes below a node of depth d can add, is the best split of them among its children:
/// the first child's own worth and subtree, then what its siblings make of the rest. Solved for every
/// greatest depth: time O(n^2 depth^2 ranks) once, memory O(n depth^2 ranks). A shape is then read off in O(n).
class best_trees {
 public:
  /// Throws std::invalid_argument if `most_nodes` exceeds 512.
  best_trees(const sibling_acceptance& acceptance, std::size_t most_nodes, std::size_t most_depth)
      : most_nodes_(most_nodes), most_depth_(std::min(most_nodes, most_depth)), ranks_(acceptance.ranks()) {
    constexpr std::size_t most = 512;
    if (most_nodes > most) {
      raise<std::invalid_argument>("specdec: expected trees of at most " + std::to_string(most) + " nodes; got " +
                                   std::to_string(most_nodes));
    }
    // What a node's children can add depends on how deep they may go.
    const std::size_t entries = index(most_depth_ + 1, 0, 0, 0);
    gains_.resize(entries);
    taken_.resize(entries);
    for (std::size_t deepest = 0; deepest <= most_depth_; ++deepest) solve(acceptance, deepest);
  }

  /// The most tokens per target call of a tree with `nodes` nodes and `depth` levels at most.
  [[nodiscard]] double expected_tokens(std::size_t nodes, std::size_t depth) const noexcept {
    return 1 + gain(std::min(depth, most_depth_), 0, 0, std::min(nodes, most_nodes_));
  }

  /// The tree that reaches it. Nodes that would add nothing are left out.
  [[nodiscard]] tree_shape shape(std::size_t nodes, std::size_t depth) const {
    const std::size_t deepest = std::min(depth, most_depth_);
    std::size_t best = std::min(nodes, most_nodes_);
    while (best > 0 && gain(deepest, 0, 0, best - 1) == gain(deepest, 0, 0, best)) --best;
    std::vector<node_id> parents;
    // Of the root and every node: its depth, and the nodes below it.
    std::vector<std::size_t> depths{0};
    std::vector<std::size_t> below{best};
    for (std::size_t node = 0; node < below.size(); ++node) {
      std::size_t rest = below[node];
      for (std::size_t rank = 0; rest > 0; ++rank) {
        const std::size_t taken = taken_[index(deepest, depths[node], rank, rest)];
        if (taken == 0) break;
        parents.push_back(static_cast<node_id>(node));
        depths.push_back(depths[node] + 1);
        below.push_back(taken - 1);
        rest -= taken;
      }
    }
    return tree_shape::from_parents(view_of(parents));
  }

  /// The tree with most tokens per unit of time; the empty one if drafting does not pay. A chain where no other tree
  /// does better. Trees have as many nodes as costs.target allows, at most.
  [[nodiscard]] tree_shape fastest(const tree_costs& costs) const {
    tree_shape best;
    if (costs.target.empty()) return best;
    double highest = 1 / theory::round_time(best, costs);
    for (std::size_t depth = 1; depth <= most_depth_; ++depth) {
      for (std::size_t nodes = depth; nodes <= std::min(most_nodes_, costs.target.size() - 1); ++nodes) {
        const double time = static_cast<double>(depth) * costs.draft_level +
                            static_cast<double>(nodes) * costs.draft_node + costs.target[nodes] + costs.overhead;
        const double speed = (1 + gain(depth, 0, 0, nodes)) / time;
        if (!(speed > highest)) continue;
        highest = speed;
        best = shape(nodes, depth);
      }
    }
    return best;
  }

 private:
  /// Where the entries of trees of at most `deepest` levels stand: behind those of all that are less deep.
  [[nodiscard]] std::size_t index(std::size_t deepest, std::size_t depth, std::size_t rank,
                                  std::size_t nodes) const noexcept {
    const std::size_t depths_before = deepest * (deepest + 1) / 2;
    return ((depths_before + depth) * (ranks_ + 1) + rank) * (most_nodes_ + 1) + nodes;
  }

  [[nodiscard]] double gain(std::size_t deepest, std::size_t depth, std::size_t rank,
                            std::size_t nodes) const noexcept {
    return gains_[index(deepest, depth, rank, nodes)];
  }

  void solve(const sibling_acceptance& acceptance, std::size_t deepest) {
    for (std::size_t depth = deepest; depth-- > 0;) {
      for (std::size_t rank = ranks_; rank-- > 0;) {
        const double kept = acceptance(depth, rank);
        for (std::size_t nodes = 1; nodes <= most_nodes_; ++nodes) {
          double best = 0;
          std::size_t taken = 0;
          for (std::size_t own = 1; own <= nodes; ++own) {
            const double sum =
                kept * (1 + gain(deepest, depth + 1, 0, own - 1)) + gain(deepest, depth, rank + 1, nodes - own);
            if (!(sum > best)) continue;
            best = sum;
            taken = own;
          }
          gains_[index(deepest, depth, rank, nodes)] = best;
          taken_[index(deepest, depth, rank, nodes)] = static_cast<std::uint32_t>(taken);
        }
      }
    }
  }

  std::size_t most_nodes_;
  std::size_t most_depth_;
  std::size_t ranks_;
  /// In trees of at most so many levels: the most that n nodes add as the children of rank r and later, and their
  /// descendants, of a node of depth d.
  std::vector<double> gains_;
  std::vector<std::uint32_t> taken_;  ///< how many of them the child of rank r gets, itself included
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_TREE_SHAPE_HPP
