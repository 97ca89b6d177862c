#ifndef TOY_PACKED_MATRIX_HPP
#define TOY_PACKED_MATRIX_HPP

/// @file
/// A weight matrix in the order in which the kernels read it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "aligned_buffer.hpp"
#include "kernels.hpp"

namespace toy {

/// How weights are kept in memory.
enum class weight_format { float32, float16 };

/// `size` rounded up to a multiple of `unit`.
[[nodiscard]] constexpr std::size_t rounded_up(std::size_t size, std::size_t unit) noexcept {
  return (size + unit - 1) / unit * unit;
}

/// Rows of weights, packed as kernels.hpp describes. Rows and columns that only pad are zero.
class packed_matrix {
 public:
  packed_matrix() = default;
  /// A matrix of zeros. Throws `std::bad_alloc`.
  packed_matrix(std::size_t rows, std::size_t columns, weight_format format);

  /// Sets the row's first `values.size()` columns, rounding to binary16 if the matrix keeps that.
  /// Precondition: row < rows and values.size() <= columns.
  void set_row(std::size_t row, std::span<const float> values) noexcept;
  /// Copies the row's first `out.size()` columns, as float32. Precondition as above.
  void copy_row(std::size_t row, std::span<float> out) const noexcept;

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t padded_rows() const noexcept { return rounded_up(rows_, kernels::group_rows); }
  /// The size of the weights in memory, padding included.
  [[nodiscard]] std::size_t bytes() const noexcept;
  [[nodiscard]] kernels::matrix_view view() const noexcept;

 private:
  std::size_t offset(std::size_t row, std::size_t column) const noexcept;

  std::size_t rows_ = 0;
  std::size_t padded_columns_ = 0;
  weight_format format_ = weight_format::float32;
  aligned_buffer<float> floats_;
  aligned_buffer<std::uint16_t> halves_;
};

}  // namespace toy

#endif  // TOY_PACKED_MATRIX_HPP
