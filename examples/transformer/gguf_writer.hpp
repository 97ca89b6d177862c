#ifndef TOY_GGUF_WRITER_HPP
#define TOY_GGUF_WRITER_HPP

/// @file
/// A writer of GGUF version 3 model files: typed metadata, and tensors encoded as they are written, row by row.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf.hpp"

namespace toy {

/// Bytes, appended in little-endian order.
class byte_writer {
 public:
  template <class T>
  byte_writer& number(T value) {
    return raw(std::as_bytes(std::span(&value, 1)));
  }
  byte_writer& raw(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  byte_writer& raw(std::string_view text) { return raw(std::as_bytes(std::span(text))); }
  byte_writer& string(std::string_view text) { return number<std::uint64_t>(text.size()).raw(text); }
  byte_writer& append(const byte_writer& other) { return raw(other.bytes_); }
  byte_writer& pad(std::size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  void clear() noexcept { bytes_.clear(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// A GGUF file in the making. Keys and tensors stand in the file in the order in which they are named here; that keys
/// differ is for the caller to see to.
class gguf_writer {
 public:
  /// Fills one row of a tensor, `values` being as long as the tensor's first extent. Asked for the rows 0, 1, .. once
  /// for every time the file is written.
  using row_source = std::function<void(std::size_t row, std::span<float> values)>;

  template <class T>
  gguf_writer& value(std::string_view key, gguf_type type, T content) {
    begin(key, type).number(content);
    return *this;
  }
  gguf_writer& value(std::string_view key, std::uint32_t content) { return value(key, gguf_type::uint32, content); }
  gguf_writer& value(std::string_view key, float content) { return value(key, gguf_type::float32, content); }
  gguf_writer& value(std::string_view key, std::string_view content) {
    begin(key, gguf_type::string).string(content);
    return *this;
  }
  gguf_writer& strings(std::string_view key, const std::vector<std::string>& content) {
    array(key, gguf_type::string, content.size());
    for (const std::string& text : content) metadata_.string(text);
    return *this;
  }
  template <class T>
  gguf_writer& numbers(std::string_view key, gguf_type type, const std::vector<T>& content) {
    array(key, type, content.size());
    for (const T number : content) metadata_.number(number);
    return *this;
  }
  /// A key with the header of an array, whose elements are written through `metadata()`.
  gguf_writer& array(std::string_view key, gguf_type element, std::uint64_t count) {
    begin(key, gguf_type::array).number(static_cast<std::uint32_t>(element)).number(count);
    return *this;
  }
  [[nodiscard]] byte_writer& metadata() noexcept { return metadata_; }
  /// A key with the value that it has in another file.
  gguf_writer& copy(std::string_view key, const gguf_value& content);

  /// A tensor whose rows `rows` tells. Throws std::invalid_argument if the type is q8_0 and rows are no multiple of its
  /// block.
  gguf_writer& tensor(std::string_view name, const std::vector<std::size_t>& shape, tensor_type type, row_source rows);
  /// A tensor of these values. Precondition: as many as the shape says.
  gguf_writer& tensor(std::string_view name, const std::vector<std::size_t>& shape, tensor_type type,
                      const std::vector<float>& values);

  /// What stands before the tensors' bytes, less the padding between.
  [[nodiscard]] byte_writer header() const;
  /// Writes the file; whether the stream took it, its state tells. Memory: one row.
  void write(std::ostream& out) const;
  /// The file in memory.
  [[nodiscard]] std::vector<std::byte> bytes() const;

 private:
  struct pending_tensor {
    std::vector<std::size_t> shape;
    tensor_type type;
    row_source rows;
  };
  using sink = std::function<void(std::span<const std::byte>)>;

  byte_writer& begin(std::string_view key, gguf_type type) {
    ++keys_;
    return metadata_.string(key).number(static_cast<std::uint32_t>(type));
  }
  void write_to(const sink& take) const;

  byte_writer metadata_, infos_;
  std::vector<pending_tensor> tensors_;
  std::uint64_t keys_ = 0;
  std::size_t data_bytes_ = 0;
};

}  // namespace toy

#endif  // TOY_GGUF_WRITER_HPP
