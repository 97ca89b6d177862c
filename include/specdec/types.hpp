#ifndef SPECDEC_TYPES_HPP
#define SPECDEC_TYPES_HPP

/// @file
/// The vocabulary of the library's own interfaces: token ids, and views of the logits a model returns.

#include <cstddef>
#include <cstdint>
#include <span>

#include "config.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A token's index in the vocabulary, 0 <= id < vocab_size.
using token_id = std::int32_t;

/// A read-only view of one row of logits: `size()` values, one per token, `stride()` elements apart.
///
/// `T` is the element type a model computes in: `float`, or `double` where exactness is studied.
/// The view owns nothing.
template <class T>
class logits_row {
 public:
  using value_type = T;

  constexpr logits_row() noexcept = default;
  constexpr logits_row(const T* data, std::size_t size, std::ptrdiff_t stride = 1) noexcept
      : data_(data), size_(size), stride_(stride) {}

  [[nodiscard]] constexpr const T* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr std::ptrdiff_t stride() const noexcept { return stride_; }
  [[nodiscard]] constexpr T operator[](std::size_t token) const noexcept {
    return data_[static_cast<std::ptrdiff_t>(token) * stride_];
  }

 private:
  const T* data_ = nullptr;
  std::size_t size_ = 0;
  std::ptrdiff_t stride_ = 1;
};

/// A read-only view of `size()` rows of logits: what `decode` returns in the common case of a matrix in memory.
///
/// Rows are `row_stride` elements apart (by default they are contiguous). The view owns nothing; by the models'
/// contract it is valid until the next call on the model that returned it.
template <class T>
class logits_view {
 public:
  using value_type = T;

  constexpr logits_view() noexcept = default;
  constexpr logits_view(const T* data, std::size_t rows, std::size_t vocab_size) noexcept
      : logits_view(data, rows, vocab_size, static_cast<std::ptrdiff_t>(vocab_size)) {}
  constexpr logits_view(const T* data, std::size_t rows, std::size_t vocab_size, std::ptrdiff_t row_stride) noexcept
      : data_(data), rows_(rows), vocab_size_(vocab_size), row_stride_(row_stride) {}

  /// The number of rows.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return rows_; }

  /// Row `index`, 0 being the earliest of the rows asked for. Precondition: index < size().
  [[nodiscard]] constexpr logits_row<T> row(std::size_t index) const noexcept {
    SPECDEC_ASSERT(index < rows_);
    return {data_ + static_cast<std::ptrdiff_t>(index) * row_stride_, vocab_size_};
  }

 private:
  const T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t vocab_size_ = 0;
  std::ptrdiff_t row_stride_ = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_TYPES_HPP
