#ifndef SPECDEC_MODEL_TREE_NODES_HPP
#define SPECDEC_MODEL_TREE_NODES_HPP

/// @file
/// What a model that scores trees has to remember of the nodes it was fed.

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../config.hpp"
#include "../failure.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "../vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The nodes of a model's open tree: their tokens, parents and depths, in the numbering of `DecodesTrees`. For whoever
/// writes a model; it also words the errors, so that all models refuse the same calls.
///
/// Does not allocate unless there are more nodes than ever before.
class tree_nodes {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
  [[nodiscard]] bool empty() const noexcept { return tokens_.empty(); }
  [[nodiscard]] token_id token(node_id node) const noexcept { return tokens_[node - 1]; }
  [[nodiscard]] node_id parent(node_id node) const noexcept { return parents_[node - 1]; }
  /// Nodes on the path from below the root down to and including `node`; 0 for the root.
  [[nodiscard]] std::size_t depth(node_id node) const noexcept { return node == root ? 0 : depths_[node - 1]; }

  /// The depth of the last node that lies on the paths to both. O(depth).
  [[nodiscard]] std::size_t shared_depth(node_id a, node_id b) const noexcept {
    // A parent has a lower number than its children.
    while (a != b) (a > b ? a : b) = parent(a > b ? a : b);
    return depth(a);
  }

  /// Throws std::invalid_argument, saying what was expected and what came, unless decode_tree(tokens, parents, rows) is
  /// a legal call of a model whose text has `text_size` tokens and whose open tree this is.
  void require_call(std::span<const token_id> tokens, std::span<const node_id> parents, std::size_t rows,
                    std::size_t text_size) const {
    const auto at_most_tokens = [&](std::size_t count, const char* what) {
      if (count <= tokens.size()) return;
      raise<std::invalid_argument>("specdec: expected at most as many " + std::string(what) + " as tokens (" +
                                   std::to_string(tokens.size()) + "); got " + std::to_string(count));
    };
    at_most_tokens(parents.size(), "parents");
    at_most_tokens(rows, "rows");
    if (!parents.empty() && text_size + tokens.size() == parents.size()) {
      raise<std::invalid_argument>("specdec: expected a text for the tree to hang below; the context is empty");
    }
    const std::size_t before = tokens.size() > parents.size() ? 0 : size();
    for (std::size_t i = 0; i < parents.size(); ++i) {
      if (parents[i] <= before + i) continue;
      raise<std::invalid_argument>("specdec: expected the parent of node " + std::to_string(before + i + 1) +
                                   " to be a node from 0 to " + std::to_string(before + i) + "; got " +
                                   std::to_string(parents[i]));
    }
  }

  /// Throws std::invalid_argument unless `path` leads down from below the root, each node the child of the one before.
  void require_path(std::span<const node_id> path) const {
    node_id above = root;
    for (const node_id node : path) {
      if (node == root || node > size()) {
        raise<std::invalid_argument>("specdec: expected " +
                                     (empty() ? std::string("an empty path, since no tree is open")
                                              : "a path of nodes from 1 to " + std::to_string(size())) +
                                     "; got node " + std::to_string(node));
      }
      if (parent(node) != above) {
        raise<std::invalid_argument>(
            "specdec: expected a path of which each node is the child of the one before; node " + std::to_string(node) +
            " is the child of " + std::to_string(parent(node)) + ", not of " + std::to_string(above));
      }
      above = node;
    }
  }

  /// Makes room for `nodes` in all.
  void reserve(std::size_t nodes) {
    reserve_at_least(tokens_, nodes);
    reserve_at_least(parents_, nodes);
    reserve_at_least(depths_, nodes);
  }

  /// Appends nodes, one token for each parent. Precondition: `require_call` found no fault.
  void append(std::span<const token_id> tokens, std::span<const node_id> parents) {
    reserve(size() + tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      depths_.push_back(static_cast<std::uint32_t>(depth(parents[i]) + 1));
      tokens_.push_back(tokens[i]);
      parents_.push_back(parents[i]);
    }
  }

  void clear() noexcept {
    tokens_.clear();
    parents_.clear();
    depths_.clear();
  }

  /// Appends the nodes from below the root down to `node`. O(depth).
  void append_path(node_id node, std::vector<node_id>& path) const {
    const std::size_t first = path.size();
    path.resize(first + depth(node));
    for (; node != root; node = parent(node)) path[first + depth(node) - 1] = node;
  }

 private:
  std::vector<token_id> tokens_;
  std::vector<node_id> parents_;
  std::vector<std::uint32_t> depths_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_TREE_NODES_HPP
