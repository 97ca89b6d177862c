#ifndef BALLAST_WIDENED_FILE_HPP
#define BALLAST_WIDENED_FILE_HPP

/// @file
/// A model file with ballast: feed-forward blocks as wide as those of a larger model, and the same texts.

#include <cstddef>

#include <gguf.hpp>
#include <gguf_writer.hpp>

namespace ballast {

/// The file's model, widened with inert units (inert.hpp) until it has about `parameters` weights, never fewer than it
/// has; blocks get as many units as Q8_0 needs, a multiple of 32. Metadata is kept, but for what tells the width and
/// the type. Matrices become `type`, vectors stay as they are. In float32 its logits are the file's own; in float16
/// they are if the file's matrices were; in q8_0 they are near.
///
/// The result refers to the file. Throws std::runtime_error naming the file if it holds no Llama model, or one with
/// a matrix that cannot be q8_0. Precondition: `type` is not bfloat16.
[[nodiscard]] toy::gguf_writer widened(const toy::gguf_file& file, std::size_t parameters, toy::tensor_type type);

}  // namespace ballast

#endif  // BALLAST_WIDENED_FILE_HPP
