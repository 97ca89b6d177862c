#ifndef SPECDEC_LAYER_SKIP_HPP
#define SPECDEC_LAYER_SKIP_HPP

/// @file
/// Which parts of a transformer are left out when it drafts for itself.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "config.hpp"
#include "failure.hpp"

namespace specdec::inline SPECDEC_ABI {

/// For each layer of a transformer, whether its attention and whether its feed-forward block is left out: the vector z
/// in {0,1}^(2L) of Draft & Verify (Zhang et al. 2024, section 3.2). A block that is left out passes its input on, as
/// its residual connection does.
///
/// @code
/// specdec::layer_skip some(8, {3, 5, 6}, {4, 5});           // attention of layers 3, 5, 6; feed-forward of 4, 5
/// const auto first = specdec::layer_skip::early_exit(8, 3);  // layers 0, 1 and 2 run, then the output head
/// @endcode
///
/// An immutable value that never fits a model by accident: it knows for how many layers it was made.
class layer_skip {
 public:
  /// Leaves nothing out of so many layers. Throws std::invalid_argument if there are more than can be counted twice.
  explicit layer_skip(std::size_t layers) : blocks_(block_count(layers), 0) {}

  /// Leaves out the attention of these layers and the feed-forward blocks of those, in any order, the first layer being
  /// 0. Throws std::invalid_argument if there is no such layer, or as above; to name one twice is no error.
  layer_skip(std::size_t layers, const std::vector<std::size_t>& attention,
             const std::vector<std::size_t>& feed_forward)
      : layer_skip(layers) {
    for (const std::size_t layer : attention) block_of(layer, 0) = 1;
    for (const std::size_t layer : feed_forward) block_of(layer, 1) = 1;
  }

  /// Leaves out all but the first `kept` layers: early exit, the layer cap of Hugging Face's `assistant_early_exit`.
  /// Throws std::invalid_argument if there are not so many, or as above.
  [[nodiscard]] static layer_skip early_exit(std::size_t layers, std::size_t kept) {
    if (kept > layers) {
      raise<std::invalid_argument>("specdec: expected an early exit behind 0 to " + std::to_string(layers) +
                                   " layers; got " + std::to_string(kept));
    }
    layer_skip result(layers);
    std::fill(result.blocks_.begin() + static_cast<std::ptrdiff_t>(2 * kept), result.blocks_.end(), std::uint8_t{1});
    return result;
  }

  /// The number of layers of the model that this is for.
  [[nodiscard]] std::size_t layer_count() const noexcept { return blocks_.size() / 2; }

  /// Whether the layer's attention is left out. Precondition: layer < layer_count().
  [[nodiscard]] bool skips_attention(std::size_t layer) const noexcept { return skips(2 * layer); }
  /// Whether the layer's feed-forward block is left out. Precondition: layer < layer_count().
  [[nodiscard]] bool skips_feed_forward(std::size_t layer) const noexcept { return skips(2 * layer + 1); }

  /// How many of the 2 * layer_count() blocks are left out. O(layers).
  [[nodiscard]] std::size_t skipped_blocks() const noexcept {
    return static_cast<std::size_t>(std::count(blocks_.begin(), blocks_.end(), std::uint8_t{1}));
  }

  /// Throws std::invalid_argument unless this is for a model of so many layers.
  void require_layers(std::size_t layers) const {
    if (layers != layer_count()) {
      raise<std::invalid_argument>("specdec: expected a layer skip for the " + std::to_string(layers) +
                                   " layers of the model; got one for " + std::to_string(layer_count()));
    }
  }

  friend bool operator==(const layer_skip&, const layer_skip&) = default;

 private:
  [[nodiscard]] static std::size_t block_count(std::size_t layers) {
    constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / 2;
    if (layers > most) {
      raise<std::invalid_argument>("specdec: expected a layer skip for at most " + std::to_string(most) +
                                   " layers; got " + std::to_string(layers));
    }
    return 2 * layers;
  }

  [[nodiscard]] bool skips(std::size_t block) const noexcept {
    SPECDEC_ASSERT(block < blocks_.size());
    return blocks_[block] != 0;
  }

  [[nodiscard]] std::uint8_t& block_of(std::size_t layer, std::size_t which) {
    if (layer >= layer_count()) {
      raise<std::invalid_argument>("specdec: expected layers below " + std::to_string(layer_count()) +
                                   " in a layer skip; got " + std::to_string(layer));
    }
    return blocks_[2 * layer + which];
  }

  std::vector<std::uint8_t> blocks_;  ///< attention and feed-forward in turns, 1 where left out
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LAYER_SKIP_HPP
