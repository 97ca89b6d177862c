#ifndef TOY_GGUF_HPP
#define TOY_GGUF_HPP

/// @file
/// A reader of GGUF version 3 model files: typed metadata and tensors.
///
/// The file is read whole and checked once, at construction: every count, length, offset and type lies inside the
/// bytes that are there, or `std::runtime_error` says which file, what was expected and what came. After that no
/// access can leave the buffer. Memory beyond the file itself is proportional to the number of keys and tensors.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace toy {

/// The metadata types, numbered as in the file.
enum class gguf_type : std::uint32_t {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  float32,
  boolean,
  string,
  array,
  uint64,
  int64,
  float64,
};

/// An array value: a checked view of `size` encoded elements, decoded on demand. Valid while its file lives.
class gguf_array {
 public:
  gguf_array() = default;
  gguf_array(gguf_type element, std::size_t size, std::span<const std::byte> bytes) noexcept
      : element_(element), size_(size), bytes_(bytes) {}

  [[nodiscard]] gguf_type element() const noexcept { return element_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// The elements as the file has them.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// The elements of an array of strings. Throws `std::runtime_error` for any other element type. O(bytes).
  [[nodiscard]] std::vector<std::string_view> strings() const;
  /// The elements of an array of numbers or booleans, as doubles. Throws `std::runtime_error` otherwise.
  [[nodiscard]] std::vector<double> numbers() const;
  /// The elements of an array of arrays. Throws `std::runtime_error` for any other element type.
  [[nodiscard]] std::vector<gguf_array> arrays() const;

 private:
  gguf_type element_ = gguf_type::uint8;
  std::size_t size_ = 0;
  std::span<const std::byte> bytes_;
};

/// One metadata value; the alternative's index is its `gguf_type`.
using gguf_value = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                                float, bool, std::string_view, gguf_array, std::uint64_t, std::int64_t, double>;

/// The tensor formats this reader decodes, numbered as in the file.
enum class tensor_type : std::uint32_t { float32 = 0, float16 = 1, q8_0 = 8, bfloat16 = 30 };

/// The weights that share a scale in q8_0.
inline constexpr std::size_t q8_0_block = 32;

/// One tensor: a view into its file.
struct gguf_tensor {
  std::string_view name;
  tensor_type type = tensor_type::float32;
  /// Extents, fastest-varying first: a matrix is {columns, rows}.
  std::vector<std::size_t> shape;
  /// The number of elements, the product of `shape`.
  std::size_t size = 0;
  std::span<const std::byte> bytes;

  /// Decodes elements [first, first + out.size()) to float32; float32 and both 16-bit formats come out exactly.
  /// Precondition: the range lies inside [0, size), and for q8_0 starts and ends on a block of 32.
  void read(std::size_t first, std::span<float> out) const;
};

/// A parsed file. Movable; views taken from it stay valid while it, or what it was moved to, lives.
class gguf_file {
 public:
  /// Reads and checks the file at `path`. Throws `std::runtime_error` if it is missing, unreadable or not GGUF v3.
  explicit gguf_file(const std::filesystem::path& path);
  /// Checks `bytes` as if read from a file called `name`.
  gguf_file(std::span<const std::byte> bytes, std::string name);

  /// What messages call this file.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The file's metadata by key.
  [[nodiscard]] const std::map<std::string_view, gguf_value>& metadata() const noexcept { return metadata_; }
  /// The file's tensors by name.
  [[nodiscard]] const std::map<std::string_view, gguf_tensor>& tensors() const noexcept { return tensors_; }

  /// The value of `key` as `T`, one of std::uint64_t (any integer type, not negative), double (either real type),
  /// bool, std::string_view and gguf_array; nothing if the key is absent. Throws `std::runtime_error` if the value
  /// has another type.
  template <class T>
  [[nodiscard]] std::optional<T> find(std::string_view key) const;
  /// As `find`, but an absent key throws `std::runtime_error`.
  template <class T>
  [[nodiscard]] T get(std::string_view key) const;

  /// The tensor called `name`, or null.
  [[nodiscard]] const gguf_tensor* find_tensor(std::string_view name) const noexcept;
  /// The tensor called `name`, checked to have this shape. Throws `std::runtime_error` if it is absent or has another.
  [[nodiscard]] const gguf_tensor& tensor(std::string_view name, std::span<const std::size_t> shape) const;

 private:
  void parse(std::span<const std::byte> bytes);

  std::string name_;
  std::unique_ptr<std::byte[]> storage_;
  std::map<std::string_view, gguf_value> metadata_;
  std::map<std::string_view, gguf_tensor> tensors_;
};

}  // namespace toy

#endif  // TOY_GGUF_HPP
