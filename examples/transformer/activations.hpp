#ifndef TOY_ACTIVATIONS_HPP
#define TOY_ACTIVATIONS_HPP

/// @file
/// Rows of floats on their way through the layers.

#include <cstddef>

#include <Eigen/Core>

#include "aligned_buffer.hpp"
#include "kernels.hpp"
#include "packed_matrix.hpp"

namespace toy {

/// A number of rows of one width, each padded to whole cache lines. The padding begins as zero, and so it must stay
/// where kernels read it: a row serves one token after another, and these must not see each other.
class activations {
 public:
  activations() = default;
  /// Rows of zeros. Throws `std::bad_alloc`.
  activations(std::size_t rows, std::size_t width)
      : rows_(rows), width_(width), stride_(rounded_up(width, kernels::lanes)), values_(rows * stride_) {}

  [[nodiscard]] float* row(std::size_t index) noexcept { return values_.data() + index * stride_; }
  [[nodiscard]] const float* row(std::size_t index) const noexcept { return values_.data() + index * stride_; }
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  /// The first `count` rows, as the kernels take them.
  [[nodiscard]] kernels::rows_view view(std::size_t count) const noexcept { return {values_.data(), stride_, count}; }
  /// The first `count` rows as the columns of an array, without the padding.
  [[nodiscard]] auto columns(std::size_t count) noexcept {
    using strided = Eigen::Map<Eigen::ArrayXXf, Eigen::Unaligned, Eigen::OuterStride<>>;
    return strided(values_.data(), static_cast<Eigen::Index>(width_), static_cast<Eigen::Index>(count),
                   Eigen::OuterStride<>(static_cast<Eigen::Index>(stride_)));
  }

 private:
  std::size_t rows_ = 0;
  std::size_t width_ = 0;
  std::size_t stride_ = 0;
  aligned_buffer<float> values_;
};

}  // namespace toy

#endif  // TOY_ACTIVATIONS_HPP
