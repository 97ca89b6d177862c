#ifndef SPECDEC_TESTS_FAULTS_SMALL_MODEL_HPP
#define SPECDEC_TESTS_FAULTS_SMALL_MODEL_HPP

/// @file
/// A model that can all that a model can, and costs next to nothing: hundreds of thousands of texts are made with it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <specdec/specdec.hpp>
#include <stdexcept>
#include <vector>

namespace faults {

using specdec::node_id;
using specdec::token_id;

/// Its logits depend on the place, on the last two tokens, and on tokens that were read with layers left out and not
/// taken back: whoever forgets to truncate gets another text. Scores trees, skips layers, has a capacity; does not know
/// its tokens.
class small_model {
 public:
  static constexpr std::size_t layers = 2;

  /// Rows of logits to choose from.
  class pool {
   public:
    /// @param noise how far the logits are from those of the pool with none
    pool(std::size_t vocab_size, float noise) : vocab_size_(vocab_size), logits_(count * vocab_size) {
      std::uint32_t state = 7;
      const auto next = [&state] {
        state = state * 1664525U + 1013904223U;
        return static_cast<float>(state >> 8) / static_cast<float>(1U << 24) - 0.5F;
      };
      for (float& logit : logits_) {
        logit = 9 * next();
        logit += noise * next();
      }
    }
    [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
    [[nodiscard]] std::span<const float> row(std::size_t i) const {
      return std::span(logits_).subspan(i % count * vocab_size_, vocab_size_);
    }

   private:
    static constexpr std::size_t count = 61;
    std::size_t vocab_size_;
    std::vector<float> logits_;
  };

  /// @param whole    what the model says; must outlive it
  /// @param in_part  what it says with layers left out
  explicit small_model(const pool& whole, const pool& in_part,
                       std::size_t capacity = std::numeric_limits<std::size_t>::max())
      : whole_(&whole), in_part_(&in_part), capacity_(capacity) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return whole_->vocab_size(); }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t layer_count() const noexcept { return layers; }

  void truncate(std::size_t n) {
    if (n > size()) throw std::logic_error("the model has no such text to keep");
    nodes_.clear();
    context_.resize(n);
    first_in_part_ = n <= first_in_part_ ? none : first_in_part_;
  }

  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    return decode_tree(tokens, {}, rows);
  }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows,
                                     const specdec::layer_skip& skipped) {
    skipped.require_layers(layers);
    if (skipped.skipped_blocks() == 0) return decode(tokens, rows);
    first_in_part_ = std::min(first_in_part_, size());
    read(tokens, rows, *in_part_);
    return {logits_.data(), rows, vocab_size()};
  }

  specdec::logits_view<float> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                          std::size_t rows) {
    nodes_.require_call(tokens, parents, rows, size());
    const std::size_t text = tokens.size() - parents.size();
    read(tokens.first(text), rows - std::min(rows, parents.size()), *whole_);
    for (std::size_t i = 0; i < parents.size(); ++i) {
      require_room(1);
      nodes_.append(tokens.subspan(text + i, 1), parents.subspan(i, 1));
      if (i + rows < parents.size()) continue;
      const auto node = static_cast<node_id>(nodes_.size());
      append_row(*whole_, nodes_.token(node), token_above(node), size() + nodes_.depth(node));
    }
    return {logits_.data(), rows, vocab_size()};
  }

  void keep(std::span<const node_id> path) {
    nodes_.require_path(path);
    for (const node_id node : path) context_.push_back(nodes_.token(node));
    nodes_.clear();
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  void require_room(std::size_t tokens) const {
    if (tokens > capacity_ - size() - nodes_.size()) throw std::length_error("the context is full");
  }

  void read(std::span<const token_id> text, std::size_t rows, const pool& from) {
    if (!text.empty()) nodes_.clear();
    require_room(text.size());
    logits_.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
      const token_id before = context_.empty() ? 0 : context_.back();
      context_.push_back(text[i]);
      if (i + rows >= text.size()) append_row(from, text[i], before, size());
    }
  }

  void append_row(const pool& from, token_id last, token_id before, std::size_t place) {
    const std::size_t in_part = &from == whole_ && first_in_part_ != none ? size() - first_in_part_ : 0;
    const auto row =
        from.row(static_cast<std::size_t>(last) * 31 + static_cast<std::size_t>(before) * 17 + place * 7 + in_part * 3);
    logits_.insert(logits_.end(), row.begin(), row.end());
  }

  [[nodiscard]] token_id token_above(node_id node) const {
    const node_id parent = nodes_.parent(node);
    return parent == specdec::root ? context_.back() : nodes_.token(parent);
  }

  const pool* whole_;
  const pool* in_part_;
  std::size_t capacity_;
  std::vector<token_id> context_;
  std::size_t first_in_part_ = none;
  specdec::tree_nodes nodes_;
  std::vector<float> logits_;
};

static_assert(specdec::DecodesTrees<small_model> && specdec::SkipsLayers<small_model>);
static_assert(specdec::HasCapacity<small_model> && !specdec::KnowsTokens<small_model>);

}  // namespace faults

#endif  // SPECDEC_TESTS_FAULTS_SMALL_MODEL_HPP
