#ifndef TOY_ROTATION_HPP
#define TOY_ROTATION_HPP

/// @file
/// Rotary positions.

#include <cmath>
#include <cstddef>

#include "aligned_buffer.hpp"
#include "weights.hpp"

namespace toy {

/// The angle's sine and cosine per position and pair of dimensions.
class rotation {
 public:
  /// For the positions from 0 to capacity - 1. Throws `std::bad_alloc`.
  rotation(const hyper_parameters& shape, std::size_t capacity)
      : pairs_(shape.rotary_size / 2), cosine_(capacity * pairs_), sine_(capacity * pairs_) {
    for (std::size_t i = 0; i < pairs_; ++i) {
      const double frequency =
          std::pow(shape.rotary_base, -2.0 * static_cast<double>(i) / static_cast<double>(shape.rotary_size));
      for (std::size_t position = 0; position < capacity; ++position) {
        const double angle = static_cast<double>(position) * frequency;
        cosine_.data()[position * pairs_ + i] = static_cast<float>(std::cos(angle));
        sine_.data()[position * pairs_ + i] = static_cast<float>(std::sin(angle));
      }
    }
  }

  /// Rotates one head's query or key.
  void apply(std::size_t position, float* head) const noexcept {
    const float* cosine = cosine_.data() + position * pairs_;
    const float* sine = sine_.data() + position * pairs_;
    for (std::size_t i = 0; i < pairs_; ++i) {
      const float a = head[2 * i], b = head[2 * i + 1];
      head[2 * i] = a * cosine[i] - b * sine[i];
      head[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
  }

 private:
  std::size_t pairs_;
  aligned_buffer<float> cosine_, sine_;
};

}  // namespace toy

#endif  // TOY_ROTATION_HPP
