#ifndef TOY_WEIGHTS_HPP
#define TOY_WEIGHTS_HPP

/// @file
/// What a model is made of: the part of model.hpp that its users do not see.

#include <cstddef>
#include <vector>

#include "aligned_buffer.hpp"
#include "gguf.hpp"
#include "kernels.hpp"
#include "model.hpp"
#include "packed_matrix.hpp"
#include "thread_pool.hpp"

namespace toy {

/// The sizes and constants of a Llama model, as its metadata states them.
struct hyper_parameters {
  std::size_t vocabulary = 0;
  std::size_t context_length = 0;
  std::size_t width = 0;
  std::size_t layers = 0;
  std::size_t feed_forward = 0;
  std::size_t heads = 0;
  std::size_t key_value_heads = 0;
  std::size_t head_size = 0;
  /// The leading dimensions of a head that are rotated; even.
  std::size_t rotary_size = 0;
  double rotary_base = 10000;
  float epsilon = 0;

  [[nodiscard]] std::size_t query_width() const noexcept { return heads * head_size; }
  [[nodiscard]] std::size_t key_value_width() const noexcept { return key_value_heads * head_size; }
};

/// One transformer block.
struct layer_weights {
  aligned_buffer<float> attention_norm;
  /// The rows of the query, key and value projections, one after another.
  packed_matrix query_key_value;
  packed_matrix attention_output;
  aligned_buffer<float> feed_forward_norm;
  /// Gate rows and up rows, alternating as kernels.hpp describes.
  packed_matrix gate_up;
  packed_matrix down;
};

/// A loaded model, and the threads that compute it.
struct weights {
  weights(const gguf_file& file, const load_options& options);

  [[nodiscard]] const packed_matrix& output_head() const noexcept { return tied ? embedding : head; }

  hyper_parameters shape;
  std::vector<layer_weights> layers;
  packed_matrix embedding;
  packed_matrix head;
  bool tied = false;
  aligned_buffer<float> output_norm;
  std::size_t parameters = 0;
  const kernels::table& compute;
  // The pool's own lock makes it usable through a model that many threads share.
  mutable thread_pool pool;
};

}  // namespace toy

#endif  // TOY_WEIGHTS_HPP
