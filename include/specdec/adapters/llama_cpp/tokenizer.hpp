#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_TOKENIZER_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_TOKENIZER_HPP

/// @file
/// A model's vocabulary as a tokenizer, for drafts of another vocabulary.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../types.hpp"
#include "model.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// Text to tokens and back, as `specdec::Tokenizer` wants them: of a text that continues another.
class tokenizer {
 public:
  explicit tokenizer(model of) : model_(std::move(of)), line_end_(model_.tokenize("\n", false)) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return model_.vocab_size(); }
  /// Appends the bytes of a token; none for a control token.
  void decode(token_id token, std::string& bytes) const { model_.append_piece(token, bytes); }
  /// Appends the tokens of a text. No begin token, and no space before it.
  void encode(std::string_view text, std::vector<token_id>& tokens) const {
    // SentencePiece vocabularies put a space before a text. Behind the end of a line there is none, and the tokens of
    // that, the space before it among them, are known.
    const std::vector<token_id> got = model_.tokenize("\n" + std::string(text), false);
    const auto rest = std::mismatch(line_end_.begin(), line_end_.end(), got.begin(), got.end());
    if (rest.first == line_end_.end()) {
      tokens.insert(tokens.end(), rest.second, got.end());
    } else {
      const std::vector<token_id> plain = model_.tokenize(text, false);
      tokens.insert(tokens.end(), plain.begin(), plain.end());
    }
  }

 private:
  model model_;
  std::vector<token_id> line_end_;
};

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_TOKENIZER_HPP
