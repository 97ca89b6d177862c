#ifndef TOY_INERT_HPP
#define TOY_INERT_HPP

/// @file
/// Units that widen a feed-forward block and change nothing that it says: their outputs are multiplied by zeros.

#include <cstddef>
#include <cstdint>
#include <span>

#include "gguf.hpp"

namespace toy {

/// Small weights that every 16-bit format represents exactly: multiples of 2^-13 below 2^-6.
class inert_weights {
 public:
  explicit inert_weights(std::uint64_t stream) noexcept : state_(stream * 0x9e3779b97f4a7c15u + 1) {}

  void fill(std::span<float> values) noexcept {
    std::size_t i = 0;
    while (i < values.size()) {
      // Knuth's MMIX generator; its upper bits are good enough for weights that nothing depends on.
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      for (unsigned byte = 4; byte < 8 && i < values.size(); ++byte, ++i)
        values[i] = static_cast<float>(static_cast<std::int8_t>(state_ >> (8 * byte) & 0xff)) * 0x1p-13f;
    }
  }

 private:
  std::uint64_t state_;
};

/// How many inert units a block needs for the file's model to have about so many parameters; 0 if it has them.
[[nodiscard]] inline std::size_t inert_units(const gguf_file& file, std::size_t width, std::size_t layers,
                                             std::size_t parameters) noexcept {
  std::size_t present = 0;
  for (const auto& [name, tensor] : file.tensors()) present += tensor.size;
  return parameters > present ? (parameters - present) / (3 * width * layers) : 0;
}

}  // namespace toy

#endif  // TOY_INERT_HPP
