#ifndef TOY_TOKENIZER_HPP
#define TOY_TOKENIZER_HPP

/// @file
/// SentencePiece byte-pair encoding with the vocabulary of a GGUF file (tokenizer model "llama").

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <specdec/types.hpp>

#include "gguf.hpp"

namespace toy {

/// Text to tokens and back. A cheap handle: copies share one immutable vocabulary, which outlives the file.
class tokenizer {
 public:
  /// Reads the vocabulary. Throws `std::runtime_error` naming the file if it is absent, of another model than
  /// "llama", or inconsistent.
  explicit tokenizer(const gguf_file& file);

  /// The number of tokens, control tokens included.
  [[nodiscard]] std::size_t vocab_size() const noexcept;
  /// The token that begins a text, if the vocabulary has one.
  [[nodiscard]] std::optional<specdec::token_id> bos() const noexcept;
  /// The token that ends a text, if the vocabulary has one.
  [[nodiscard]] std::optional<specdec::token_id> eos() const noexcept;
  /// Whether the model was trained on texts that start with `bos`.
  [[nodiscard]] bool add_bos() const noexcept;

  /// The tokens of `text`, after `bos` if `add_bos` is true and there is one.
  ///
  /// Pairs are merged best score first, ties leftmost; a space is put before the text if the file asks for it.
  /// Text never becomes a control token, whatever it spells. Bytes that are not UTF-8, and characters outside the
  /// vocabulary, become byte tokens (or the unknown token where the vocabulary has none). O(n log n).
  [[nodiscard]] std::vector<specdec::token_id> encode(std::string_view text, bool add_bos) const;
  /// As above, with `bos` wherever the model was trained with it.
  [[nodiscard]] std::vector<specdec::token_id> encode(std::string_view text) const { return encode(text, add_bos()); }

  /// Appends the tokens of a text that continues another: no `bos`, and no space before it.
  void encode(std::string_view text, std::vector<specdec::token_id>& tokens) const;

  /// The bytes that `token` stands for, possibly a part of a UTF-8 character; empty for control tokens. The view
  /// lives as long as any copy of this tokenizer. Throws `std::out_of_range` unless 0 <= token < vocab_size().
  [[nodiscard]] std::string_view piece(specdec::token_id token) const;

  /// Appends the piece of `token`. Throws as `piece`.
  void decode(specdec::token_id token, std::string& text) const { text += piece(token); }

  /// The inverse of `encode`: the pieces joined, less the space that `encode` put before the text. To continue a
  /// text, append pieces instead. Throws as `piece`.
  [[nodiscard]] std::string decode(std::span<const specdec::token_id> tokens) const;

 private:
  struct vocabulary;
  std::shared_ptr<const vocabulary> vocabulary_;
};

}  // namespace toy

#endif  // TOY_TOKENIZER_HPP
