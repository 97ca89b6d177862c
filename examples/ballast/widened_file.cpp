#include "widened_file.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <inert.hpp>
#include <packed_matrix.hpp>

namespace ballast {
namespace {

using toy::gguf_file;
using toy::gguf_tensor;
using toy::gguf_writer;
using toy::tensor_type;

constexpr std::string_view units_key = "llama.feed_forward_length", type_key = "general.file_type",
                           scales_key = "general.quantization_version", alignment_key = "general.alignment";

// What general.file_type says of a file whose matrices are of this type (llama.h, enum llama_ftype).
std::uint32_t file_type_of(tensor_type type) {
  switch (type) {
    case tensor_type::float16:
      return 1;
    case tensor_type::q8_0:
      return 7;
    default:
      return 0;
  }
}

void copy_metadata(const gguf_file& file, std::size_t units, tensor_type type, gguf_writer& out) {
  for (const auto& [key, content] : file.metadata()) {
    // The writer's alignment is the one that needs no key.
    if (key == units_key || key == type_key || key == scales_key || key == alignment_key) continue;
    out.copy(key, content);
  }
  out.value(units_key, static_cast<std::uint32_t>(units)).value(type_key, file_type_of(type));
  if (type == tensor_type::q8_0) out.value(scales_key, std::uint32_t{2});
}

// A matrix of a feed-forward block, by its name "blk.LAYER.ffn_gate.weight".
struct feed_forward_matrix {
  enum class part { gate, up, down };

  std::uint64_t layer = 0;
  part which = part::gate;
};

std::optional<feed_forward_matrix> feed_forward_matrix_named(std::string_view name, std::size_t layers) {
  using part = feed_forward_matrix::part;
  constexpr std::array parts{std::pair("ffn_gate", part::gate), std::pair("ffn_up", part::up),
                             std::pair("ffn_down", part::down)};
  for (std::size_t layer = 0; layer < layers; ++layer) {
    for (const auto& [text, which] : parts) {
      if (name == fmt::format("blk.{}.{}.weight", layer, text)) return feed_forward_matrix{layer, which};
    }
  }
  return std::nullopt;
}

// The rows that the file has.
gguf_writer::row_source rows_of(const gguf_tensor& tensor) {
  return [&tensor](std::size_t row, std::span<float> values) {
    const std::size_t columns = tensor.shape.front();
    tensor.read(row * columns, values.first(columns));
    std::fill(values.begin() + static_cast<std::ptrdiff_t>(columns), values.end(), 0.0F);
  };
}

// Those of a gate or up projection, and inert ones behind them.
gguf_writer::row_source with_inert_rows(const gguf_tensor& tensor, const feed_forward_matrix& which) {
  const std::uint64_t stream = 2 * which.layer + (which.which == feed_forward_matrix::part::up ? 1 : 0);
  return [&tensor, stream](std::size_t row, std::span<float> values) {
    if (row < tensor.shape[1]) {
      tensor.read(row * values.size(), values);
    } else {
      toy::inert_weights(stream << 32 | row).fill(values);
    }
  };
}

}  // namespace

gguf_writer widened(const gguf_file& file, std::size_t parameters, tensor_type type) {
  if (const auto architecture = file.get<std::string_view>("general.architecture"); architecture != "llama") {
    throw std::runtime_error(
        fmt::format("{}: expected general.architecture 'llama', got {:?}", file.name(), architecture));
  }
  const auto size_of = [&](std::string_view key) {
    const std::uint64_t size = file.get<std::uint64_t>(key);
    if (size == 0 || size > 1U << 24) {
      throw std::runtime_error(fmt::format("{}: expected '{}' between 1 and 2^24, got {}", file.name(), key, size));
    }
    return static_cast<std::size_t>(size);
  };
  const std::size_t width = size_of("llama.embedding_length"), layers = size_of("llama.block_count");
  const std::size_t units = size_of(units_key);
  const std::size_t inert = toy::inert_units(file, width, layers, parameters);
  const std::size_t all = inert == 0 ? units : toy::rounded_up(units + inert, toy::q8_0_block);

  gguf_writer out;
  copy_metadata(file, all, type, out);
  const std::array rows_shape{width, units}, columns_shape{units, width};
  for (const auto& [name, tensor] : file.tensors()) {
    try {
      if (tensor.shape.size() == 1) {
        out.tensor(name, tensor.shape, tensor.type, rows_of(tensor));
      } else if (const auto found = feed_forward_matrix_named(name, layers); !found) {
        out.tensor(name, tensor.shape, type, rows_of(tensor));
      } else if (found->which == feed_forward_matrix::part::down) {
        out.tensor(name, {all, width}, type, rows_of(file.tensor(name, columns_shape)));
      } else {
        out.tensor(name, {width, all}, type, with_inert_rows(file.tensor(name, rows_shape), *found));
      }
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error(fmt::format("{}: {}", file.name(), error.what()));
    }
  }
  return out;
}

}  // namespace ballast
