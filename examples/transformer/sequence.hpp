#ifndef TOY_SEQUENCE_HPP
#define TOY_SEQUENCE_HPP

/// @file
/// What one sequence has read: the bookkeeping of a context, without its arithmetic.

#include <cstddef>
#include <span>
#include <vector>

#include <specdec/model/tree_nodes.hpp>
#include <specdec/types.hpp>

#include "activations.hpp"
#include "key_value_cache.hpp"
#include "weights.hpp"

namespace toy {

/// A text, its keys and values in every layer, and the nodes of a tree that is open below it.
///
/// Text lies in the cache, a token at its position. Nodes lie apart, one row of keys and values each, since several may
/// have one position. For a node's attention its path is laid into the cache behind the text, where the same tokens
/// would be if they were text: so the sums over the keys are made in the same order, and have the same bits.
class sequence {
 public:
  /// All memory for text is reserved here. Throws `std::bad_alloc`.
  sequence(const hyper_parameters& shape, std::size_t capacity);

  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::span<const specdec::token_id> tokens() const noexcept { return tokens_; }
  [[nodiscard]] const specdec::tree_nodes& nodes() const noexcept { return nodes_; }
  [[nodiscard]] key_value_cache& cache(std::size_t layer) noexcept { return caches_[layer]; }

  /// Makes room for so many nodes in all. Throws `std::bad_alloc`; nothing has changed then.
  void reserve_nodes(std::size_t count);

  /// Appends a token of text, whose keys and values the caller stores. Precondition: there is room.
  void append(specdec::token_id token) noexcept { tokens_.push_back(token); }
  /// Appends a node. Precondition: there is room, which was reserved.
  void append_node(specdec::token_id token, specdec::node_id parent) noexcept {
    nodes_.append({&token, 1}, {&parent, 1});
  }
  /// Sets a node's keys and values in a layer: those of all heads, keys before values.
  void store_node(std::size_t layer, specdec::node_id node, const float* keys_and_values) noexcept;
  /// Stores the path to a node in a head's cache, behind the text, but for its first `shared` nodes, which are there.
  void lay_path(std::size_t layer, std::size_t head, specdec::node_id node, std::size_t shared) noexcept;

  /// Makes a path text and forgets all nodes. O(path). Precondition: it is one, see
  /// `specdec::tree_nodes::require_path`.
  void keep(std::span<const specdec::node_id> path) noexcept;
  void forget_nodes() noexcept { nodes_.clear(); }
  /// Keeps the first `size` tokens and no node. Precondition: there are so many.
  void truncate(std::size_t size) noexcept;

  /// Becomes a copy of a sequence of the same shape and capacity, of which it has the first `shared` tokens, with their
  /// keys and values, already. Throws `std::bad_alloc`; nothing has changed then.
  void copy(const sequence& other, std::size_t shared);

 private:
  std::size_t capacity_;
  std::size_t key_value_heads_;
  std::size_t head_size_;
  std::vector<specdec::token_id> tokens_;
  std::vector<key_value_cache> caches_;
  specdec::tree_nodes nodes_;
  std::vector<activations> node_rows_;  // a row per node, in every layer
};

}  // namespace toy

#endif  // TOY_SEQUENCE_HPP
