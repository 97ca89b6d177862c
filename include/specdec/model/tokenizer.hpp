#ifndef SPECDEC_MODEL_TOKENIZER_HPP
#define SPECDEC_MODEL_TOKENIZER_HPP

/// @file
/// What is asked of tokenizers where two models have different ones.

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Text to tokens and back.
///
/// Requirements
///  1. `tokenizer.vocab_size()` is the number of tokens it knows.
///  2. `tokenizer.decode(token, bytes)` appends the bytes that the token stands for, perhaps a part of a character.
///     Control tokens (begin, end, padding) append nothing.
///  3. `tokenizer.encode(text, tokens)` appends the tokens of a text which continues another: no begin token, and no
///     space that is not there. Any bytes may come, for texts are cut where tokens end. Decoding the tokens gives the
///     text again; a tokenizer that changes texts costs speed, never exactness.
///
/// A minimal tokenizer, whose tokens are bytes:
/// @code
/// struct byte_tokenizer {
///   std::size_t vocab_size() const { return 256; }
///   void decode(specdec::token_id token, std::string& bytes) const { bytes += static_cast<char>(token); }
///   void encode(std::string_view text, std::vector<specdec::token_id>& tokens) const {
///     for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
///   }
/// };
/// @endcode
template <class T>
concept Tokenizer = requires(const T& tokenizer, token_id token, std::string& bytes, std::string_view text,
                             std::vector<token_id>& tokens) {
  { tokenizer.vocab_size() } -> std::convertible_to<std::size_t>;
  tokenizer.decode(token, bytes);
  tokenizer.encode(text, tokens);
};

/// A token of the target's vocabulary and the draft's token of the same meaning.
struct token_pair {
  token_id target = 0;
  token_id draft = 0;

  friend bool operator==(const token_pair&, const token_pair&) = default;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_TOKENIZER_HPP
