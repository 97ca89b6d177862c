#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_MODEL_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_MODEL_HPP

/// @file
/// A model that llama.cpp has loaded: its weights and its vocabulary.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <llama.h>

#include "../../message.hpp"
#include "../../types.hpp"
#include "error.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

static_assert(std::is_same_v<token_id, llama_token>, "specdec: a token must be the same to llama.cpp");

/// A llama_model. Copies are the same model; the last of them frees it, if it was loaded here. May be used by several
/// threads.
class model {
 public:
  /// Loads a GGUF file. Throws `error` if there is none at `path`, or if llama.cpp cannot load it.
  [[nodiscard]] static model load(const std::string& path, llama_model_params params = llama_model_default_params()) {
    require_file(path);
    llama_model* const loaded = llama_model_load_from_file(path.c_str(), params);
    if (loaded == nullptr) {
      throw error("specdec::llama_cpp: expected a model that llama.cpp can load; \"" + path +
                  "\" is not, and its log says why");
    }
    return model(std::shared_ptr<llama_model>(loaded, llama_model_free));
  }

  /// Refers to a model that the caller frees, behind this and all copies.
  explicit model(llama_model* existing) : model(std::shared_ptr<llama_model>(existing, [](llama_model*) {})) {}

  [[nodiscard]] llama_model* handle() const noexcept { return handle_.get(); }
  [[nodiscard]] const llama_vocab* vocabulary() const noexcept { return llama_model_get_vocab(handle()); }

  [[nodiscard]] std::size_t vocab_size() const noexcept {
    return static_cast<std::size_t>(llama_vocab_n_tokens(vocabulary()));
  }
  /// The longest text that it was trained on, in tokens.
  [[nodiscard]] std::size_t context_length() const noexcept {
    return static_cast<std::size_t>(llama_model_n_ctx_train(handle()));
  }
  /// Of all tensors.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return llama_model_size(handle()); }
  /// Architecture, size and format in a few words.
  [[nodiscard]] std::string description() const {
    char words[256];
    llama_model_desc(handle(), words, sizeof words);
    return words;
  }
  /// Whether its memory is a state, all of it or in some layers, that cannot be truncated (see `rollback`).
  [[nodiscard]] bool recurrent() const noexcept { return llama_model_is_recurrent(handle()); }
  [[nodiscard]] bool hybrid() const noexcept { return llama_model_is_hybrid(handle()); }

  /// The tokens of a text. `add_special` puts a begin token before it and an end token behind it, if the model wants
  /// them; with `parse_special` control tokens may be spelled in the text. Throws `error` if the text is too long, and
  /// as all questions about texts do if the model came without a vocabulary.
  [[nodiscard]] std::vector<token_id> tokenize(std::string_view text, bool add_special = true,
                                               bool parse_special = false) const {
    require_texts();
    std::vector<token_id> tokens(text.size() + 2);
    const auto encode = [&] {
      return llama_tokenize(vocabulary(), text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
                            static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
    };
    std::int32_t count = text.size() > INT32_MAX ? INT32_MIN : encode();
    if (count < 0 && count != INT32_MIN) {
      tokens.resize(static_cast<std::size_t>(-count));
      count = encode();
    }
    if (count < 0) {
      throw error("specdec::llama_cpp: expected a text that can be tokenized; one of " + std::to_string(text.size()) +
                  " bytes has too many tokens");
    }
    tokens.resize(static_cast<std::size_t>(count));
    return tokens;
  }

  /// Appends the bytes that a token stands for, perhaps a part of a character; none for a control token. Throws
  /// std::invalid_argument if it is not in the vocabulary.
  void append_piece(token_id token, std::string& bytes) const {
    require_token(token, vocab_size(), "a call for its piece");
    require_texts();
    const std::size_t before = bytes.size();
    std::int32_t length = 16;
    for (;;) {
      bytes.resize(before + static_cast<std::size_t>(length));
      const std::int32_t written = llama_token_to_piece(vocabulary(), token, bytes.data() + before, length, 0, false);
      if (written >= 0) return bytes.resize(before + static_cast<std::size_t>(written));
      length = -written;
    }
  }
  [[nodiscard]] std::string piece(token_id token) const {
    std::string bytes;
    append_piece(token, bytes);
    return bytes;
  }
  /// The token as the vocabulary spells it. Throws std::invalid_argument if it is not in the vocabulary.
  [[nodiscard]] std::string token_text(token_id token) const {
    require_token(token, vocab_size(), "a call for its text");
    require_texts();
    const char* const text = llama_vocab_get_text(vocabulary(), token);
    return text == nullptr ? "" : text;
  }

  /// Whether a text ends with this token. Throws std::invalid_argument if it is not in the vocabulary.
  [[nodiscard]] bool ends_generation(token_id token) const {
    require_token(token, vocab_size(), "a question whether it ends a text");
    return llama_vocab_is_eog(vocabulary(), token);
  }
  /// All tokens that end a text, for `generate_options::end_tokens`. O(vocabulary).
  [[nodiscard]] std::vector<token_id> end_tokens() const {
    std::vector<token_id> tokens;
    for (token_id token = 0; static_cast<std::size_t>(token) < vocab_size(); ++token) {
      if (llama_vocab_is_eog(vocabulary(), token)) tokens.push_back(token);
    }
    return tokens;
  }
  /// The token that a text begins with, if there is one.
  [[nodiscard]] std::optional<token_id> begin_token() const {
    const llama_token token = llama_vocab_bos(vocabulary());
    if (token == LLAMA_TOKEN_NULL) return std::nullopt;
    return token;
  }

 private:
  explicit model(std::shared_ptr<llama_model> handle) : handle_(std::move(handle)) {
    if (handle_ == nullptr) throw error("specdec::llama_cpp: expected a model; got a null pointer");
  }

  /// llama.cpp ends the program where it is asked for texts that it does not have.
  void require_texts() const {
    if (llama_vocab_type(vocabulary()) != LLAMA_VOCAB_TYPE_NONE) return;
    throw error("specdec::llama_cpp: expected a model that has a vocabulary with texts; " + description() +
                " came without");
  }

  /// llama.cpp tells a missing file from a broken one in its log alone.
  static void require_file(const std::string& path) {
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
      throw error("specdec::llama_cpp: expected a GGUF file; \"" + path + "\" cannot be opened");
    }
    std::fclose(file);
  }

  std::shared_ptr<llama_model> handle_;
};

/// Says in words where two vocabularies differ first, token by token as they are spelled; nothing if they are the same.
/// One may have more tokens, if those are padding: unused by its own account. Models that differ by padding alone work
/// together by way of `specdec::padded`. O(vocabulary).
[[nodiscard]] inline std::string vocabulary_difference(const model& a, const model& b) {
  const auto spelled = [](const model& whose, std::size_t token) {
    return "\"" + whose.token_text(static_cast<token_id>(token)) + "\"";
  };
  const std::size_t shared = std::min(a.vocab_size(), b.vocab_size());
  for (std::size_t t = 0; t < shared; ++t) {
    if (a.token_text(static_cast<token_id>(t)) == b.token_text(static_cast<token_id>(t))) continue;
    return "token " + std::to_string(t) + " is " + spelled(a, t) + " in one vocabulary and " + spelled(b, t) +
           " in the other";
  }
  const model& longer = a.vocab_size() > b.vocab_size() ? a : b;
  for (std::size_t t = shared; t < longer.vocab_size(); ++t) {
    const llama_token_attr attribute = llama_vocab_get_attr(longer.vocabulary(), static_cast<llama_token>(t));
    if (attribute == LLAMA_TOKEN_ATTR_UNDEFINED || (attribute & LLAMA_TOKEN_ATTR_UNUSED) != 0) continue;
    return "one vocabulary ends with " + std::to_string(shared) + " tokens, the other goes on with " +
           spelled(longer, t) + " as token " + std::to_string(t);
  }
  return {};
}

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_MODEL_HPP
