#include "gguf_writer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <ostream>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "half.hpp"

namespace toy {
namespace {

constexpr std::size_t alignment = 32;

std::size_t elements_of(const std::vector<std::size_t>& shape) {
  std::size_t product = 1;
  for (const std::size_t extent : shape) product *= extent;
  return product;
}

std::size_t encoded_bytes(tensor_type type, std::size_t elements) {
  switch (type) {
    case tensor_type::float32:
      return elements * 4;
    case tensor_type::float16:
    case tensor_type::bfloat16:
      return elements * 2;
    case tensor_type::q8_0:
      return elements / q8_0_block * (2 + q8_0_block);
  }
  return 0;
}

std::size_t padded(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

void encode_block(std::span<const float> values, byte_writer& out) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(value));
  const std::uint16_t scale = float_to_half(largest / 127);
  // Steps of the scale that readers see, which is zero for values too small for it.
  const float step = half_to_float(scale);
  out.number(scale);
  for (const float value : values) {
    const float steps = step > 0 ? std::clamp(value / step, -127.0f, 127.0f) : 0;
    out.number(static_cast<std::int8_t>(std::lround(steps)));
  }
}

void encode(tensor_type type, std::span<const float> values, byte_writer& out) {
  switch (type) {
    case tensor_type::float32:
      out.raw(std::as_bytes(values));
      break;
    case tensor_type::float16:
      for (const float value : values) out.number(float_to_half(value));
      break;
    case tensor_type::bfloat16:
      for (const float value : values)
        out.number(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
      break;
    case tensor_type::q8_0:
      for (std::size_t at = 0; at < values.size(); at += q8_0_block) encode_block(values.subspan(at, q8_0_block), out);
      break;
  }
}

}  // namespace

gguf_writer& gguf_writer::copy(std::string_view key, const gguf_value& content) {
  const auto type = static_cast<gguf_type>(content.index());
  std::visit(
      [&](const auto& held) {
        using held_type = std::remove_cvref_t<decltype(held)>;
        if constexpr (std::is_same_v<held_type, gguf_array>) {
          array(key, held.element(), held.size()).metadata().raw(held.bytes());
        } else if constexpr (std::is_same_v<held_type, std::string_view>) {
          value(key, held);
        } else {
          value(key, type, held);
        }
      },
      content);
  return *this;
}

gguf_writer& gguf_writer::tensor(std::string_view name, const std::vector<std::size_t>& shape, tensor_type type,
                                 row_source rows) {
  if (type == tensor_type::q8_0 && shape.front() % q8_0_block != 0) {
    throw std::invalid_argument("tensor '" + std::string(name) + "': Q8_0 expects rows of a multiple of " +
                                std::to_string(q8_0_block) + " weights, got " + std::to_string(shape.front()));
  }
  infos_.string(name).number(static_cast<std::uint32_t>(shape.size()));
  for (const std::size_t extent : shape) infos_.number<std::uint64_t>(extent);
  infos_.number(static_cast<std::uint32_t>(type)).number<std::uint64_t>(data_bytes_);
  data_bytes_ += padded(encoded_bytes(type, elements_of(shape)));
  tensors_.push_back({shape, type, std::move(rows)});
  return *this;
}

gguf_writer& gguf_writer::tensor(std::string_view name, const std::vector<std::size_t>& shape, tensor_type type,
                                 const std::vector<float>& values) {
  return tensor(name, shape, type, [values](std::size_t row, std::span<float> out) {
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(row * out.size()), out.size(), out.begin());
  });
}

byte_writer gguf_writer::header() const {
  byte_writer file;
  file.raw("GGUF").number<std::uint32_t>(3).number<std::uint64_t>(tensors_.size()).number(keys_);
  file.append(metadata_).append(infos_);
  return file;
}

void gguf_writer::write_to(const sink& take) const {
  take(header().pad(alignment).bytes());
  std::vector<float> row;
  byte_writer encoded;
  for (const pending_tensor& tensor : tensors_) {
    row.resize(tensor.shape.front());
    const std::size_t rows = elements_of(tensor.shape) / row.size();
    for (std::size_t i = 0; i < rows; ++i) {
      encoded.clear();
      tensor.rows(i, row);
      encode(tensor.type, row, encoded);
      take(encoded.bytes());
    }
    const std::size_t size = encoded_bytes(tensor.type, elements_of(tensor.shape));
    take(std::vector<std::byte>(padded(size) - size));
  }
}

void gguf_writer::write(std::ostream& out) const {
  write_to([&](std::span<const std::byte> bytes) {
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
}

std::vector<std::byte> gguf_writer::bytes() const {
  byte_writer file;
  write_to([&](std::span<const std::byte> bytes) { file.raw(bytes); });
  return file.bytes();
}

}  // namespace toy
