#ifndef TOY_GGUF_CURSOR_HPP
#define TOY_GGUF_CURSOR_HPP

/// @file
/// Reading a GGUF file front to back without ever leaving it: the part of gguf.hpp that its users do not see.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "gguf.hpp"

namespace toy::detail {

static_assert(std::endian::native == std::endian::little, "GGUF is little endian and read in place");

/// Real files nest arrays at most twice; the bound keeps hostile ones from exhausting the stack.
inline constexpr int deepest_array = 8;

/// The value whose bytes start at `bytes`, which need no alignment.
template <class T>
T load(const std::byte* bytes) noexcept {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// What messages call a metadata type.
inline const char* type_name(std::size_t type) noexcept {
  static constexpr std::array names{"uint8",   "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                                    "boolean", "string", "array",  "uint64", "int64",  "float64"};
  return type < names.size() ? names[type] : "unknown";
}

/// The encoded size of a scalar type; 0 for strings and arrays.
inline std::size_t scalar_bytes(gguf_type type) noexcept {
  static constexpr std::array<std::uint8_t, 13> bytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return bytes[static_cast<std::size_t>(type)];
}

/// A position in a file that only moves over bytes that exist; `fail` and everything else throw `std::runtime_error`.
class cursor {
 public:
  cursor(std::span<const std::byte> bytes, const std::string& file) noexcept : bytes_(bytes), file_(&file) {}

  std::size_t position() const noexcept { return position_; }
  std::size_t remaining() const noexcept { return bytes_.size() - position_; }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(*file_ + ": " + what + " (at byte " + std::to_string(position_) + ")");
  }

  std::span<const std::byte> take(std::uint64_t count, const char* what) {
    if (count > remaining())
      fail(std::string("expected ") + std::to_string(count) + " bytes of " + what + ", but the file ends at " +
           std::to_string(bytes_.size()));
    const auto taken = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += taken.size();
    return taken;
  }

  template <class T>
  T number(const char* what) {
    return load<T>(take(sizeof(T), what).data());
  }

  std::string_view string(const char* what) {
    const auto length = number<std::uint64_t>(what);
    const auto text = take(length, what);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  gguf_type type() {
    const auto type = number<std::uint32_t>("a value type");
    if (type > static_cast<std::uint32_t>(gguf_type::float64))
      fail("expected a value type 0..12, got " + std::to_string(type));
    return static_cast<gguf_type>(type);
  }

  bool boolean() {
    const auto value = number<std::uint8_t>("a boolean");
    if (value > 1) fail("expected a boolean 0 or 1, got " + std::to_string(value));
    return value == 1;
  }

  gguf_array array(int depth = 1) {
    if (depth > deepest_array) fail("arrays nested deeper than " + std::to_string(deepest_array));
    const gguf_type element = type();
    const auto count = number<std::uint64_t>("an array length");
    const std::size_t start = position_;
    if (const std::size_t width = scalar_bytes(element); width != 0) {
      if (count > remaining() / width)
        fail("expected an array of " + std::to_string(count) + " elements of " + std::to_string(width) +
             " bytes, but the file ends at " + std::to_string(bytes_.size()));
      if (element == gguf_type::boolean) {
        for (std::uint64_t i = 0; i < count; ++i) boolean();
      } else {
        take(count * width, "an array");
      }
    } else {
      // Every element has a length of its own, so a hostile count runs into the end of the file soon enough.
      for (std::uint64_t i = 0; i < count; ++i) {
        if (element == gguf_type::string) {
          string("a string in an array");
        } else {
          array(depth + 1);
        }
      }
    }
    return {element, static_cast<std::size_t>(count), bytes_.subspan(start, position_ - start)};
  }

  gguf_value value() {
    switch (type()) {
      case gguf_type::uint8:
        return number<std::uint8_t>("a uint8");
      case gguf_type::int8:
        return number<std::int8_t>("an int8");
      case gguf_type::uint16:
        return number<std::uint16_t>("a uint16");
      case gguf_type::int16:
        return number<std::int16_t>("an int16");
      case gguf_type::uint32:
        return number<std::uint32_t>("a uint32");
      case gguf_type::int32:
        return number<std::int32_t>("an int32");
      case gguf_type::float32:
        return number<float>("a float32");
      case gguf_type::boolean:
        return boolean();
      case gguf_type::string:
        return string("a string");
      case gguf_type::array:
        return array();
      case gguf_type::uint64:
        return number<std::uint64_t>("a uint64");
      case gguf_type::int64:
        return number<std::int64_t>("an int64");
      case gguf_type::float64:
        return number<double>("a float64");
    }
    fail("expected a value type");
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  const std::string* file_;
};

}  // namespace toy::detail

#endif  // TOY_GGUF_CURSOR_HPP
