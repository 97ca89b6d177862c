#ifndef TOY_FORWARD_PASS_HPP
#define TOY_FORWARD_PASS_HPP

/// @file
/// The arithmetic of a context: tokens through the layers.

#include <cstddef>
#include <span>
#include <vector>

#include <specdec/layer_skip.hpp>
#include <specdec/types.hpp>

#include "activations.hpp"
#include "rotation.hpp"
#include "sequence.hpp"
#include "weights.hpp"

namespace toy {

/// What one sequence is to read: text, and then a node for each parent. See `specdec::DecodesTrees`.
struct feed {
  sequence* to;
  std::span<const specdec::token_id> tokens;
  std::span<const specdec::node_id> parents;
  /// The logits behind so many of the last tokens are wanted.
  std::size_t rows;
};

/// Memory for the activations of some tokens, and what computes them. The tokens that go through the layers together
/// may belong to different sequences; no token's bits show its company.
class forward_pass {
 public:
  /// For up to `most_tokens` at once, of sequences of this capacity. The model must outlive this. Throws
  /// `std::bad_alloc`.
  forward_pass(const weights& model, std::size_t most_tokens, std::size_t capacity);

  /// Makes room for the logits of a call. Throws `std::bad_alloc`.
  void reserve_logits(std::size_t rows);

  /// Appends what is fed to its sequences, and computes the logits that are wanted, feed after feed. Preconditions: the
  /// feeds are legal and for different sequences, there is room for everything, and no layer is left out for nodes.
  void read(std::span<const feed> feeds, const specdec::layer_skip& skipped) noexcept;

  /// The logits of the last `read`, which wanted so many.
  [[nodiscard]] specdec::logits_view<float> logits(std::size_t rows) const noexcept;

 private:
  // One of the tokens that go through the layers together.
  struct entry {
    sequence* owner;
    specdec::token_id token;
    specdec::node_id node;  // or specdec::root, for a token of the text
    std::size_t position;   // how many tokens it sees before itself
    std::size_t shared;     // of a node: how much of its path was laid into the cache for the entry before
    bool wanted;            // whether its logits are
  };

  void add(const feed& from, std::size_t index) noexcept;
  void run(const specdec::layer_skip& skipped) noexcept;
  void attention(std::size_t layer) noexcept;
  void attend(std::size_t layer, std::size_t first_head, std::size_t last_head) noexcept;
  void feed_forward(const layer_weights& layer) noexcept;
  void output() noexcept;

  template <class Body>
  void spread(std::size_t units, std::size_t work, const Body& body) const noexcept;
  void multiply(const packed_matrix& matrix, std::size_t rows, float* y, std::size_t y_stride,
                const activations& x) const noexcept;
  void normalize(std::size_t from, std::size_t to, const aligned_buffer<float>& weight) noexcept;

  const weights* model_;
  std::size_t most_tokens_;
  std::vector<entry> entries_;
  rotation rotary_;
  aligned_buffer<float> scores_;
  activations residual_, normed_, projected_, attended_, delta_, hidden_, logits_;
  std::size_t logits_made_ = 0;
};

}  // namespace toy

#endif  // TOY_FORWARD_PASS_HPP
