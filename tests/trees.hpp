#ifndef SPECDEC_TESTS_TREES_HPP
#define SPECDEC_TESTS_TREES_HPP

/// @file
/// Trees of tokens for models to score.

#include <algorithm>
#include <cstddef>
#include <random>
#include <specdec/proposal.hpp>
#include <specdec/types.hpp>
#include <vector>

namespace trees {

using specdec::node_id;
using specdec::token_id;

/// Nodes 1, 2, .. with their parents, as `decode_tree` takes them.
struct tree {
  std::vector<token_id> tokens;
  std::vector<node_id> parents;

  [[nodiscard]] std::size_t size() const { return tokens.size(); }
  /// The nodes from below the root down to `node`.
  [[nodiscard]] std::vector<node_id> path_to(node_id node) const {
    std::vector<node_id> path;
    for (; node != specdec::root; node = parents[node - 1]) path.push_back(node);
    std::reverse(path.begin(), path.end());
    return path;
  }
  [[nodiscard]] std::vector<token_id> tokens_to(node_id node) const {
    std::vector<token_id> text;
    for (const node_id step : path_to(node)) text.push_back(tokens[step - 1]);
    return text;
  }
};

/// Any tree of so many nodes: bushy, or for a great `depth_bias` nearly a chain.
inline tree random_tree(std::size_t nodes, std::size_t vocab_size, std::size_t depth_bias, std::minstd_rand& random) {
  tree grown;
  for (std::size_t i = 0; i < nodes; ++i) {
    const std::size_t any = random() % (i + 1);
    grown.parents.push_back(static_cast<node_id>(random() % (depth_bias + 1) == 0 ? any : i));
    grown.tokens.push_back(static_cast<token_id>(random() % vocab_size));
  }
  return grown;
}

}  // namespace trees

#endif  // SPECDEC_TESTS_TREES_HPP
