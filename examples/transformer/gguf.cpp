#include "gguf.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <utility>

#include "gguf_cursor.hpp"
#include "half.hpp"

namespace toy {

using detail::cursor;
using detail::load;
using detail::scalar_bytes;
using detail::type_name;

namespace {

constexpr std::size_t most_dimensions = 4;
constexpr std::size_t q8_0_block_bytes = 2 + q8_0_block;

std::string quoted(std::string_view name) {
  // Hostile names are shortened and stripped, so that a message stays one readable line.
  std::string text = "'";
  for (const char c : name.substr(0, 80)) text += (c >= ' ' && c <= '~') ? c : '?';
  return text + (name.size() > 80 ? "...'" : "'");
}

std::string shape_text(std::span<const std::size_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool multiply(std::size_t a, std::size_t b, std::size_t& product) noexcept {
  return !__builtin_mul_overflow(a, b, &product);
}

// A tensor as its header describes it, its bytes not yet located.
struct tensor_header {
  gguf_tensor tensor;
  std::size_t bytes = 0;
  std::uint64_t offset = 0;
};

tensor_header read_tensor_header(cursor& in) {
  tensor_header header;
  gguf_tensor& tensor = header.tensor;
  tensor.name = in.string("a tensor name");
  const auto dimensions = in.number<std::uint32_t>("a number of dimensions");
  if (dimensions < 1 || dimensions > most_dimensions)
    in.fail("tensor " + quoted(tensor.name) + ": expected 1..4 dimensions, got " + std::to_string(dimensions));
  tensor.size = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = in.number<std::uint64_t>("a tensor extent");
    if (extent == 0 || extent > std::numeric_limits<std::size_t>::max() ||
        !multiply(tensor.size, static_cast<std::size_t>(extent), tensor.size))
      in.fail("tensor " + quoted(tensor.name) + ": expected extents between 1 and what memory can address, got " +
              std::to_string(extent));
    tensor.shape.push_back(static_cast<std::size_t>(extent));
  }
  const auto type = in.number<std::uint32_t>("a tensor type");
  tensor.type = static_cast<tensor_type>(type);
  bool fits = true;
  switch (tensor.type) {
    case tensor_type::float32:
      fits = multiply(tensor.size, 4, header.bytes);
      break;
    case tensor_type::float16:
    case tensor_type::bfloat16:
      fits = multiply(tensor.size, 2, header.bytes);
      break;
    case tensor_type::q8_0:
      if (tensor.shape[0] % q8_0_block != 0)
        in.fail("tensor " + quoted(tensor.name) + ": Q8_0 expects rows of a multiple of 32, got " +
                std::to_string(tensor.shape[0]));
      fits = multiply(tensor.size / q8_0_block, q8_0_block_bytes, header.bytes);
      break;
    default:
      in.fail("tensor " + quoted(tensor.name) + ": expected type F32 (0), F16 (1), Q8_0 (8) or BF16 (30), got " +
              std::to_string(type));
  }
  if (!fits) in.fail("tensor " + quoted(tensor.name) + ": expected a size that memory can address");
  header.offset = in.number<std::uint64_t>("a tensor offset");
  return header;
}

}  // namespace

std::vector<std::string_view> gguf_array::strings() const {
  if (element_ != gguf_type::string)
    throw std::runtime_error(std::string("expected an array of strings, got one of ") +
                             type_name(static_cast<std::size_t>(element_)));
  std::vector<std::string_view> result;
  result.reserve(size_);
  const std::byte* at = bytes_.data();
  for (std::size_t i = 0; i < size_; ++i) {
    const auto length = static_cast<std::size_t>(load<std::uint64_t>(at));
    result.emplace_back(reinterpret_cast<const char*>(at + sizeof(std::uint64_t)), length);
    at += sizeof(std::uint64_t) + length;
  }
  return result;
}

std::vector<double> gguf_array::numbers() const {
  const std::size_t width = scalar_bytes(element_);
  if (width == 0)
    throw std::runtime_error(std::string("expected an array of numbers, got one of ") +
                             type_name(static_cast<std::size_t>(element_)));
  std::vector<double> result(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    const std::byte* at = bytes_.data() + i * width;
    switch (element_) {
      case gguf_type::uint8:
      case gguf_type::boolean:
        result[i] = load<std::uint8_t>(at);
        break;
      case gguf_type::int8:
        result[i] = load<std::int8_t>(at);
        break;
      case gguf_type::uint16:
        result[i] = load<std::uint16_t>(at);
        break;
      case gguf_type::int16:
        result[i] = load<std::int16_t>(at);
        break;
      case gguf_type::uint32:
        result[i] = load<std::uint32_t>(at);
        break;
      case gguf_type::int32:
        result[i] = load<std::int32_t>(at);
        break;
      case gguf_type::float32:
        result[i] = static_cast<double>(load<float>(at));
        break;
      case gguf_type::uint64:
        result[i] = static_cast<double>(load<std::uint64_t>(at));
        break;
      case gguf_type::int64:
        result[i] = static_cast<double>(load<std::int64_t>(at));
        break;
      case gguf_type::float64:
        result[i] = load<double>(at);
        break;
      case gguf_type::string:
      case gguf_type::array:
        break;
    }
  }
  return result;
}

std::vector<gguf_array> gguf_array::arrays() const {
  if (element_ != gguf_type::array)
    throw std::runtime_error(std::string("expected an array of arrays, got one of ") +
                             type_name(static_cast<std::size_t>(element_)));
  static const std::string here = "array";
  cursor in(bytes_, here);
  std::vector<gguf_array> result;
  result.reserve(size_);
  for (std::size_t i = 0; i < size_; ++i) result.push_back(in.array());
  return result;
}

void gguf_tensor::read(std::size_t first, std::span<float> out) const {
  const std::byte* data = bytes.data();
  switch (type) {
    case tensor_type::float32:
      std::memcpy(out.data(), data + first * 4, out.size_bytes());
      break;
    case tensor_type::float16:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = half_to_float(load<std::uint16_t>(data + (first + i) * 2));
      break;
    case tensor_type::bfloat16:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = bfloat16_to_float(load<std::uint16_t>(data + (first + i) * 2));
      break;
    case tensor_type::q8_0:
      for (std::size_t i = 0; i < out.size(); ++i) {
        const std::byte* block = data + (first + i) / q8_0_block * q8_0_block_bytes;
        const float scale = half_to_float(load<std::uint16_t>(block));
        out[i] = scale * static_cast<float>(load<std::int8_t>(block + 2 + (first + i) % q8_0_block));
      }
      break;
  }
}

gguf_file::gguf_file(const std::filesystem::path& path) : name_(path.string()) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw std::runtime_error(name_ + ": expected a GGUF file, found none");
  if (!std::filesystem::is_regular_file(path, error))
    throw std::runtime_error(name_ + ": expected a GGUF file, found something that is not a regular file");
  const auto size = std::filesystem::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) throw std::runtime_error(name_ + ": expected a GGUF file, but it cannot be opened for reading");
  storage_ = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(size));
  in.read(reinterpret_cast<char*>(storage_.get()), static_cast<std::streamsize>(size));
  if (in.gcount() != static_cast<std::streamsize>(size))
    throw std::runtime_error(name_ + ": expected " + std::to_string(size) + " bytes, but only " +
                             std::to_string(in.gcount()) + " could be read");
  parse({storage_.get(), static_cast<std::size_t>(size)});
}

gguf_file::gguf_file(std::span<const std::byte> bytes, std::string name)
    : name_(std::move(name)), storage_(std::make_unique_for_overwrite<std::byte[]>(bytes.size())) {
  std::copy(bytes.begin(), bytes.end(), storage_.get());
  parse({storage_.get(), bytes.size()});
}

void gguf_file::parse(std::span<const std::byte> bytes) {
  cursor in(bytes, name_);
  const auto magic = in.take(4, "the GGUF magic");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) in.fail("expected the magic 'GGUF' at byte 0, got something else");
  if (const auto version = in.number<std::uint32_t>("the version"); version != 3)
    in.fail("expected GGUF version 3, got " + std::to_string(version));
  const auto tensor_count = in.number<std::uint64_t>("the number of tensors");
  const auto key_count = in.number<std::uint64_t>("the number of metadata keys");

  // Both counts are only loop bounds: each turn consumes bytes, so a hostile count meets the end of the file.
  for (std::uint64_t i = 0; i < key_count; ++i) {
    const std::string_view key = in.string("a metadata key");
    if (!metadata_.emplace(key, in.value()).second)
      in.fail("expected metadata keys to be unique, got " + quoted(key) + " twice");
  }

  std::uint64_t alignment = 32;
  if (const auto given = find<std::uint64_t>("general.alignment")) alignment = *given;
  if (!std::has_single_bit(alignment) || alignment > 1u << 20)
    in.fail("expected general.alignment to be a power of two up to 2^20, got " + std::to_string(alignment));

  std::vector<tensor_header> headers;
  for (std::uint64_t i = 0; i < tensor_count; ++i) headers.push_back(read_tensor_header(in));

  const std::uint64_t data_start = (in.position() + alignment - 1) / alignment * alignment;
  const std::uint64_t data_size = data_start < bytes.size() ? bytes.size() - data_start : 0;
  std::uint64_t unclaimed = data_size;
  for (tensor_header& header : headers) {
    gguf_tensor& tensor = header.tensor;
    const std::string label = "tensor " + quoted(tensor.name);
    if (header.offset % alignment != 0)
      in.fail(label + ": expected an offset that is a multiple of " + std::to_string(alignment) + ", got " +
              std::to_string(header.offset));
    if (header.offset > data_size || header.bytes > data_size - header.offset)
      throw std::runtime_error(name_ + ": " + label + " needs " + std::to_string(header.bytes) + " bytes at " +
                               std::to_string(data_start) + " + " + std::to_string(header.offset) +
                               ", but the file ends at " + std::to_string(bytes.size()));
    // Tensors of different names with the same bytes would let a small file ask for any amount of memory.
    if (header.bytes > unclaimed) in.fail(label + ": expected tensors not to share bytes");
    unclaimed -= header.bytes;
    tensor.bytes = bytes.subspan(static_cast<std::size_t>(data_start + header.offset), header.bytes);
    const std::string_view tensor_name = tensor.name;
    if (!tensors_.emplace(tensor_name, std::move(tensor)).second)
      in.fail("expected tensor names to be unique, got " + quoted(tensor_name) + " twice");
  }
}

template <class T>
std::optional<T> gguf_file::find(std::string_view key) const {
  const auto entry = metadata_.find(key);
  if (entry == metadata_.end()) return std::nullopt;
  const gguf_value& value = entry->second;
  const char* expected = "";
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    expected = "a non-negative integer";
    const auto integer = std::visit(
        [](const auto& held) -> std::optional<std::uint64_t> {
          using held_type = std::remove_cvref_t<decltype(held)>;
          if constexpr (std::is_integral_v<held_type> && !std::is_same_v<held_type, bool>) {
            if (std::in_range<std::uint64_t>(held)) return static_cast<std::uint64_t>(held);
          }
          return std::nullopt;
        },
        value);
    if (integer) return integer;
  } else if constexpr (std::is_same_v<T, double>) {
    expected = "a real number";
    if (const auto* real = std::get_if<double>(&value)) return *real;
    if (const auto* real = std::get_if<float>(&value)) return static_cast<double>(*real);
  } else {
    expected = std::is_same_v<T, bool> ? "a boolean" : std::is_same_v<T, gguf_array> ? "an array" : "a string";
    if (const T* held = std::get_if<T>(&value)) return *held;
  }
  throw std::runtime_error(name_ + ": expected " + quoted(key) + " to be " + expected + ", got a value of type " +
                           type_name(value.index()));
}

template <class T>
T gguf_file::get(std::string_view key) const {
  if (auto value = find<T>(key)) return *value;
  throw std::runtime_error(name_ + ": expected the metadata key " + quoted(key) + ", found none");
}

template std::optional<std::uint64_t> gguf_file::find(std::string_view) const;
template std::optional<double> gguf_file::find(std::string_view) const;
template std::optional<bool> gguf_file::find(std::string_view) const;
template std::optional<std::string_view> gguf_file::find(std::string_view) const;
template std::optional<gguf_array> gguf_file::find(std::string_view) const;
template std::uint64_t gguf_file::get(std::string_view) const;
template double gguf_file::get(std::string_view) const;
template bool gguf_file::get(std::string_view) const;
template std::string_view gguf_file::get(std::string_view) const;
template gguf_array gguf_file::get(std::string_view) const;

const gguf_tensor* gguf_file::find_tensor(std::string_view name) const noexcept {
  const auto entry = tensors_.find(name);
  return entry == tensors_.end() ? nullptr : &entry->second;
}

const gguf_tensor& gguf_file::tensor(std::string_view name, std::span<const std::size_t> shape) const {
  const gguf_tensor* tensor = find_tensor(name);
  if (!tensor) throw std::runtime_error(name_ + ": expected the tensor " + quoted(name) + ", found none");
  if (!std::ranges::equal(tensor->shape, shape))
    throw std::runtime_error(name_ + ": expected tensor " + quoted(name) + " of shape " + shape_text(shape) +
                             " (columns first), got " + shape_text(tensor->shape));
  return *tensor;
}

}  // namespace toy
