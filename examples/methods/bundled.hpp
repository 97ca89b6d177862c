#ifndef METHODS_BUNDLED_HPP
#define METHODS_BUNDLED_HPP

/// @file
/// What the programs about the methods share: the bundled models, and how they say what came of them.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <specdec/specdec.hpp>

#include "gguf.hpp"
#include "model.hpp"
#include "tokenizer.hpp"

namespace methods {

/// The bundled target and a draft: one with the target's vocabulary, or "draft-1k.gguf", which has another.
struct bundled_pair {
  explicit bundled_pair(const char* draft_file = "draft.gguf")
      : tokenizer(toy::gguf_file(path("target.gguf"))),
        draft_tokenizer(toy::gguf_file(path(draft_file))),
        target(toy::model(path("target.gguf"))),
        draft(toy::model(path(draft_file))) {}

  toy::tokenizer tokenizer;
  toy::tokenizer draft_tokenizer;
  toy::context target;
  toy::context draft;

  /// The begin and end tokens of both vocabularies. They have no text to be told by, so they are paired here.
  [[nodiscard]] std::vector<specdec::token_pair> control_tokens() const {
    return {{tokenizer.bos().value(), draft_tokenizer.bos().value()},
            {tokenizer.eos().value(), draft_tokenizer.eos().value()}};
  }

  /// Options with the end token, where the vocabulary has one.
  [[nodiscard]] specdec::generate_options options(std::size_t max_tokens,
                                                  const specdec::sampling_params& sampling) const {
    specdec::generate_options all{.max_tokens = max_tokens, .sampling = sampling, .seed = 1};
    if (tokenizer.eos()) all.end_tokens = {*tokenizer.eos()};
    return all;
  }

 private:
  static std::filesystem::path path(const char* file) { return std::filesystem::path(SPECDEC_MODELS_DIR) / file; }
};

/// Generates behind a prompt with any rule.
template <class Rule, class Draft, class Sink = specdec::no_sink>
specdec::session<Rule> generate(toy::context& target, Draft& draft, const std::vector<specdec::token_id>& prompt,
                                const specdec::generate_options& options, Rule rule, Sink&& sink = {}) {
  specdec::session<Rule> text(target.vocab_size(), options, std::move(rule));
  text.begin(prompt);
  specdec::speculative_generate(text, target, draft, sink);
  return text;
}

/// Prints the generated text, and how many tokens a call of the target brought.
template <class Rule>
void print(const toy::tokenizer& tokenizer, const specdec::session<Rule>& text) {
  for (const specdec::token_id token : text.generated()) {
    const std::string_view piece = tokenizer.piece(token);
    std::fwrite(piece.data(), 1, piece.size(), stdout);
  }
  const specdec::statistics& stats = text.stats();
  std::printf("\n%.2f tokens per call of the target, %.0f%% of %zu drafted tokens accepted\n",
              stats.mean_acceptance_length(), 100 * stats.draft_acceptance_rate(),
              static_cast<std::size_t>(stats.proposed));
}

/// Runs `body(prompt)`, the prompt being the program's argument, and reports what it throws.
template <class Body>
int run(int count, char** arguments, const char* default_prompt, Body&& body) {
  try {
    body(std::string(count > 1 ? arguments[1] : default_prompt));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", arguments[0], error.what());
    return 1;
  }
}

}  // namespace methods

#endif  // METHODS_BUNDLED_HPP
