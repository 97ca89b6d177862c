#include "packed_matrix.hpp"

#include <algorithm>

#include "half.hpp"

namespace toy {

using namespace kernels;

packed_matrix::packed_matrix(std::size_t rows, std::size_t columns, weight_format format)
    : rows_(rows), padded_columns_(rounded_up(columns, lanes)), format_(format) {
  const std::size_t size = padded_rows() * padded_columns_;
  if (format == weight_format::float16) {
    halves_ = aligned_buffer<std::uint16_t>(size);
  } else {
    floats_ = aligned_buffer<float>(size);
  }
}

std::size_t packed_matrix::offset(std::size_t row, std::size_t column) const noexcept {
  const std::size_t block_row = row / block_rows * block_rows;
  const std::size_t rows_in_block = std::min(block_rows, padded_rows() - block_row);
  const std::size_t chunk = column / chunk_columns * chunk_columns;
  const std::size_t chunk_size = std::min(chunk_columns, padded_columns_ - chunk);
  const std::size_t group_row = (row - block_row) / group_rows * group_rows;
  return block_row * padded_columns_ + chunk * rows_in_block + group_row * chunk_size +
         (column - chunk) / lanes * lanes * group_rows + row % group_rows * lanes + column % lanes;
}

void packed_matrix::set_row(std::size_t row, std::span<const float> values) noexcept {
  for (std::size_t k = 0; k < values.size(); k += lanes) {
    const std::size_t at = offset(row, k);
    const std::size_t count = std::min(lanes, values.size() - k);
    for (std::size_t i = 0; i < count; ++i) {
      if (format_ == weight_format::float16) {
        halves_.data()[at + i] = float_to_half(values[k + i]);
      } else {
        floats_.data()[at + i] = values[k + i];
      }
    }
  }
}

void packed_matrix::copy_row(std::size_t row, std::span<float> out) const noexcept {
  for (std::size_t k = 0; k < out.size(); k += lanes) {
    const std::size_t at = offset(row, k);
    const std::size_t count = std::min(lanes, out.size() - k);
    for (std::size_t i = 0; i < count; ++i)
      out[k + i] = format_ == weight_format::float16 ? half_to_float(halves_.data()[at + i]) : floats_.data()[at + i];
  }
}

std::size_t packed_matrix::bytes() const noexcept {
  return floats_.size() * sizeof(float) + halves_.size() * sizeof(std::uint16_t);
}

matrix_view packed_matrix::view() const noexcept {
  const bool half = format_ == weight_format::float16;
  return {half ? static_cast<const void*>(halves_.data()) : floats_.data(), half, padded_rows() / group_rows,
          padded_columns_};
}

}  // namespace toy
