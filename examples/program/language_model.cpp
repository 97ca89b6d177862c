#include "language_model.hpp"

#include <cstddef>
#include <stdexcept>

#include <fmt/format.h>

namespace program {

language_model load_model(const std::filesystem::path& path, const toy::load_options& how) {
  const toy::gguf_file file(path);
  language_model loaded{path, toy::tokenizer(file), toy::model(file, how)};
  if (loaded.tokenizer.vocab_size() != loaded.model.vocab_size()) {
    throw std::runtime_error(fmt::format("{}: expected as many tokens as the model scores, {}; its vocabulary has {}",
                                         path.string(), loaded.model.vocab_size(), loaded.tokenizer.vocab_size()));
  }
  return loaded;
}

void require_same_vocabulary(const language_model& target, const language_model& draft) {
  const std::string expected =
      fmt::format("{}: expected the vocabulary of {}", draft.path.string(), target.path.string());
  const std::size_t size = target.tokenizer.vocab_size();
  if (draft.tokenizer.vocab_size() != size) {
    throw std::runtime_error(fmt::format("{}, {} tokens; got {}", expected, size, draft.tokenizer.vocab_size()));
  }
  for (std::size_t i = 0; i < size; ++i) {
    const auto token = static_cast<specdec::token_id>(i);
    const auto wanted = target.tokenizer.piece(token), got = draft.tokenizer.piece(token);
    if (wanted != got) {
      throw std::runtime_error(fmt::format("{}; token {} is {:?} there and {:?} here", expected, i, wanted, got));
    }
  }
}

}  // namespace program
