#ifndef TOY_MODEL_HPP
#define TOY_MODEL_HPP

/// @file
/// A small inference engine for models of the Llama architecture.
///
///     toy::gguf_file file("models/target.gguf");
///     toy::tokenizer tokenizer(file);
///     toy::model model(file);
///     toy::context context(model);
///     auto logits = context.decode(tokenizer.encode("It was evening."), 1);
///
/// The arithmetic gives every token the same bits whatever shares its call (kernels.hpp says how), so greedy text is
/// the same with speculation and without.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include <specdec/layer_skip.hpp>
#include <specdec/proposal.hpp>
#include <specdec/types.hpp>

#include "gguf.hpp"
#include "packed_matrix.hpp"

namespace toy {

struct weights;

/// How a model is loaded.
struct load_options {
  /// What the matrices are kept as; values of a float16 file are the same in either.
  weight_format format = weight_format::float32;
  /// Widens every feed-forward block with inert units until the model has about this many parameters, never fewer than
  /// it has. Their outputs are multiplied by zero columns, so the logits keep their bits and a token costs what one of
  /// so large a model costs.
  std::size_t ballast_parameters = 0;
  /// Threads that share the work, the caller included; 0 is one per hardware thread.
  unsigned threads = 0;
};

/// A model's weights: immutable, and shared by every copy and every context. Safe to use from several threads.
class model {
 public:
  /// Loads the weights; the file is not needed afterwards. Throws `std::runtime_error` naming the file, what was
  /// expected and what came, if it does not hold a Llama model that this engine computes. The kernels are chosen here,
  /// see `kernels::choose`.
  explicit model(const gguf_file& file, const load_options& options = {});
  /// As above, from the file at `path`.
  explicit model(const std::filesystem::path& path, const load_options& options = {});

  /// The number of tokens in the vocabulary.
  [[nodiscard]] std::size_t vocab_size() const noexcept;
  /// The most tokens that the model was trained to attend to.
  [[nodiscard]] std::size_t context_length() const noexcept;
  /// The number of transformer blocks.
  [[nodiscard]] std::size_t layer_count() const noexcept;
  /// The number of weights, ballast included.
  [[nodiscard]] std::size_t parameter_count() const noexcept;
  /// The bytes of weights that one pass reads.
  [[nodiscard]] std::size_t bytes_per_pass() const noexcept;
  /// The instruction set whose kernels were chosen.
  [[nodiscard]] const char* instruction_set() const noexcept;

 private:
  friend class batch;
  friend class context;
  std::shared_ptr<const weights> weights_;
};

/// A sequence of tokens that a model has read, with its keys and values: specdec's target.
///
/// Movable and copyable. One thread at a time may use a context; contexts of one model may be used at the same time.
class context {
 public:
  /// An empty context for up to `capacity` tokens; 0 is the model's context length. All memory is reserved here, except
  /// for logits beyond 64 rows and for the nodes of trees. Throws `std::invalid_argument` if capacity exceeds the
  /// model's context length.
  explicit context(const toy::model& model, std::size_t capacity = 0);
  ~context();
  context(context&&) noexcept;
  context& operator=(context&&) noexcept;
  /// The same tokens, keys and values in memory of its own; there are no logits until something is decoded. Assigning
  /// to a context of the same model and capacity, only what differs is copied: the tokens behind the beginning that
  /// both share. Throws `std::bad_alloc`; nothing has changed then.
  context(const context&);
  context& operator=(const context&);

  [[nodiscard]] std::size_t vocab_size() const noexcept;
  /// The number of tokens in the context.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Those tokens. Valid until the next call on this context.
  [[nodiscard]] std::span<const specdec::token_id> tokens() const noexcept;
  /// The most tokens the context can hold.
  [[nodiscard]] std::size_t capacity() const noexcept;
  /// The number of the model's transformer blocks.
  [[nodiscard]] std::size_t layer_count() const noexcept;

  /// Appends `tokens` and returns the logits that follow each of the last `rows` of them: row i, vocab_size() floats,
  /// is the law of the token after tokens[tokens.size() - rows + i]. Valid until the next call on this context.
  ///
  /// The weights pass through the processor once for up to 16 tokens. Throws `std::invalid_argument` if a token is not
  /// in the vocabulary or rows exceeds tokens.size(), `std::length_error` if the tokens do not fit, `std::logic_error`
  /// if the last tokens here were read with other layers left out, `std::bad_alloc`; nothing has changed then.
  [[nodiscard]] specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows);

  /// The same with parts of some layers left out: what is left out costs nothing, and attention that is left out stores
  /// no keys and values. See `specdec::SkipsLayers`. Throws as above, and `std::invalid_argument` if `skipped` is for
  /// another number of layers.
  [[nodiscard]] specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows,
                                                   const specdec::layer_skip& skipped);

  /// Scores a tree: the last parents.size() of `tokens` are nodes of a tree below the text, those before them are text.
  /// See `specdec::DecodesTrees`. A node's row has the bits that `decode` gives it on the same path. Throws as decode
  /// and, if the parents make no tree, `std::invalid_argument`; nothing has changed then.
  [[nodiscard]] specdec::logits_view<float> decode_tree(std::span<const specdec::token_id> tokens,
                                                        std::span<const specdec::node_id> parents, std::size_t rows);

  /// Makes a path of the tree text, as if it had been decoded, and forgets all other nodes. O(path). Throws
  /// `std::invalid_argument` if it is no path from below the text down; nothing has changed then.
  void keep(std::span<const specdec::node_id> path);

  /// Keeps the first `size` tokens. O(1). Throws `std::invalid_argument` if there are fewer.
  void truncate(std::size_t size);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace toy

#endif  // TOY_MODEL_HPP
