#include "sequence.hpp"

#include <algorithm>
#include <utility>

namespace toy {

using specdec::node_id;
using specdec::token_id;

sequence::sequence(const hyper_parameters& shape, std::size_t capacity)
    : capacity_(capacity),
      key_value_heads_(shape.key_value_heads),
      head_size_(shape.head_size),
      node_rows_(shape.layers) {
  tokens_.reserve(capacity);
  caches_.reserve(shape.layers);
  for (std::size_t i = 0; i < shape.layers; ++i) caches_.emplace_back(shape, capacity);
}

void sequence::reserve_nodes(std::size_t count) {
  nodes_.reserve(count);
  if (count <= node_rows_.front().rows()) return;
  constexpr std::size_t at_once = 64;
  const std::size_t rows = rounded_up(std::max(count, 2 * node_rows_.front().rows()), at_once);
  std::vector<activations> larger;
  larger.reserve(node_rows_.size());
  for (const activations& old : node_rows_) {
    activations& added = larger.emplace_back(rows, 2 * key_value_heads_ * head_size_);
    if (!nodes_.empty()) std::copy_n(old.row(0), nodes_.size() * old.stride(), added.row(0));
  }
  node_rows_ = std::move(larger);
}

void sequence::store_node(std::size_t layer, node_id node, const float* keys_and_values) noexcept {
  std::copy_n(keys_and_values, 2 * key_value_heads_ * head_size_, node_rows_[layer].row(node - 1));
}

void sequence::lay_path(std::size_t layer, std::size_t head, node_id node, std::size_t shared) noexcept {
  for (; nodes_.depth(node) > shared; node = nodes_.parent(node)) {
    const float* key = node_rows_[layer].row(node - 1) + head * head_size_;
    caches_[layer].store(head, size() + nodes_.depth(node) - 1, key, key + key_value_heads_ * head_size_);
  }
}

void sequence::keep(std::span<const node_id> path) noexcept {
  if (!path.empty()) {
    for (std::size_t layer = 0; layer < caches_.size(); ++layer)
      for (std::size_t head = 0; head < key_value_heads_; ++head) lay_path(layer, head, path.back(), 0);
    for (const node_id node : path) tokens_.push_back(nodes_.token(node));
  }
  forget_nodes();
}

void sequence::truncate(std::size_t size) noexcept {
  tokens_.resize(size);
  forget_nodes();
}

void sequence::copy(const sequence& other, std::size_t shared) {
  reserve_nodes(other.nodes_.size());
  nodes_ = other.nodes_;
  for (std::size_t l = 0; l < caches_.size(); ++l) {
    caches_[l].copy(other.caches_[l], shared, other.size());
    if (!nodes_.empty())
      std::copy_n(other.node_rows_[l].row(0), nodes_.size() * node_rows_[l].stride(), node_rows_[l].row(0));
  }
  tokens_ = other.tokens_;
}

}  // namespace toy
