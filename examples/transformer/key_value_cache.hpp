#ifndef TOY_KEY_VALUE_CACHE_HPP
#define TOY_KEY_VALUE_CACHE_HPP

/// @file
/// What attention reads of the past.

#include <algorithm>
#include <cstddef>

#include "aligned_buffer.hpp"
#include "kernels.hpp"
#include "packed_matrix.hpp"
#include "weights.hpp"

namespace toy {

/// Keys and values of one layer: per head, keys transposed and values as rows (see `kernels::attention_view`).
class key_value_cache {
 public:
  /// Room for `capacity` positions. Throws `std::bad_alloc`.
  key_value_cache(const hyper_parameters& shape, std::size_t capacity)
      : head_size_(shape.head_size),
        // An odd number of cache lines: a power of two would put all of a head's dimensions into a few cache sets.
        key_stride_(rounded_up(capacity, 2 * kernels::lanes) + kernels::lanes),
        value_stride_(rounded_up(shape.head_size, kernels::lanes)),
        value_rows_(rounded_up(capacity, kernels::lanes)),
        keys_(shape.key_value_heads * head_size_ * key_stride_),
        values_(shape.key_value_heads * value_rows_ * value_stride_) {}

  /// Sets a head's key and value at a position.
  void store(std::size_t head, std::size_t position, const float* key, const float* value) noexcept {
    float* column = keys_.data() + head * head_size_ * key_stride_ + position;
    for (std::size_t d = 0; d < head_size_; ++d) column[d * key_stride_] = key[d];
    std::copy_n(value, head_size_, values_.data() + (head * value_rows_ + position) * value_stride_);
  }

  /// Takes over the positions from `first` to `last` of a cache of the same shape.
  void copy(const key_value_cache& other, std::size_t first, std::size_t last) noexcept {
    const std::size_t count = last - first;
    for (std::size_t row = first; row < keys_.size(); row += key_stride_)
      std::copy_n(other.keys_.data() + row, count, keys_.data() + row);
    for (std::size_t row = first * value_stride_; row < values_.size(); row += value_rows_ * value_stride_)
      std::copy_n(other.values_.data() + row, count * value_stride_, values_.data() + row);
  }

  /// The first `positions` of a head.
  [[nodiscard]] kernels::attention_view view(std::size_t head, std::size_t positions) const noexcept {
    return {keys_.data() + head * head_size_ * key_stride_,
            key_stride_,
            values_.data() + head * value_rows_ * value_stride_,
            value_stride_,
            head_size_,
            positions};
  }

 private:
  std::size_t head_size_, key_stride_, value_stride_, value_rows_;
  aligned_buffer<float> keys_;
  aligned_buffer<float> values_;
};

}  // namespace toy

#endif  // TOY_KEY_VALUE_CACHE_HPP
