#ifndef SPECDEC_VECTORS_HPP
#define SPECDEC_VECTORS_HPP

/// @file
/// What the library does with vectors, in the words that compile fastest.
///
/// A class that is no template makes whoever includes it compile all it uses. For each type of element, a span made
/// from a vector by itself, or a range inserted, costs GCC as much as the rest of the vector.

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "config.hpp"

namespace specdec::inline SPECDEC_ABI {

/// All elements of a vector.
template <class T>
[[nodiscard]] std::span<const T> view_of(const std::vector<T>& vector) noexcept {
  return {vector.data(), vector.size()};
}
/// The same, to be written to.
template <class T>
[[nodiscard]] std::span<T> space_of(std::vector<T>& vector) noexcept {
  return {vector.data(), vector.size()};
}

/// Copies elements behind the last. Precondition: they are not the vector's own.
template <class T>
void append_to(std::vector<T>& vector, std::span<const std::type_identity_t<T>> further) {
  const std::size_t size = vector.size();
  vector.resize(size + further.size());
  std::copy(further.data(), further.data() + further.size(), vector.data() + size);
}

/// Room for `size` elements, grown at least twofold: asked once a round with a little more each time, a plain reserve
/// would allocate, and copy everything, every time.
template <class Vector>
void reserve_at_least(Vector& vector, std::size_t size) {
  if (size > vector.capacity()) vector.reserve(std::max(size, 2 * vector.capacity()));
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VECTORS_HPP
