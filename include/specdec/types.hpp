#ifndef SPECDEC_TYPES_HPP
#define SPECDEC_TYPES_HPP

/// @file
/// The vocabulary of the library's own interfaces: token ids, and views of the logits a model returns.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "config.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A token's index in the vocabulary, 0 <= id < vocab_size.
using token_id = std::int32_t;

/// A number as bfloat16 stores it: the upper half of a float. Storage only; it converts to float exactly.
struct bfloat16 {
  std::uint16_t bits = 0;

  [[nodiscard]] constexpr operator float() const noexcept { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

/// A number as IEEE 754 binary16 stores it. Storage only; it converts to float exactly.
struct float16 {
  std::uint16_t bits = 0;

  /// The steps of the conversion, named for those who do many at once: the magnitude moves to where a float has it, and
  /// the difference of the exponents' biases, 127 - 15, is made up by a product. Infinities and NaN keep their
  /// fraction.
  static constexpr std::uint32_t sign_mask = 0x8000;
  static constexpr std::uint32_t magnitude_mask = 0x7FFF;
  static constexpr int shift = 13;
  static constexpr float scale = 0x1p112F;
  static constexpr std::uint32_t special_from = 0x7C00;
  static constexpr std::uint32_t special_bits = 0x7F800000;

  [[nodiscard]] constexpr operator float() const noexcept {
    const std::uint32_t magnitude = (bits & magnitude_mask) << shift;
    const std::uint32_t value = (bits & magnitude_mask) >= special_from
                                    ? magnitude | special_bits
                                    : std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * scale);
    return std::bit_cast<float>(value | (bits & sign_mask) << 16);
  }
};

/// The type in which logits of type T are computed with: their own, or float for those that are stored in 16 bits.
template <class T>
struct arithmetic_type {
  using type = T;
};
template <>
struct arithmetic_type<float16> {
  using type = float;
};
template <>
struct arithmetic_type<bfloat16> {
  using type = float;
};
template <class T>
using arithmetic = typename arithmetic_type<T>::type;

/// A read-only view of one row of logits: `size()` values, one per token, `stride()` elements apart.
///
/// `T` is the type a model stores them in: `float`, `float16`, `bfloat16`, or `double` where exactness is studied.
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
