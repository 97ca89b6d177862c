// Beam search, without speculation: beam_search [prompt]
//
// Speculative decoding promises the text of plain decoding, sooner. Beam search is the other road: more work for a text
// that is more probable as a whole. Here are the four best continuations of a prompt, with their log-probabilities, and
// greedy decoding below, which takes the best token each time and is seldom the best text.

#include "beam_search.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "gguf.hpp"
#include "model.hpp"
#include "tokenizer.hpp"

namespace {

void print(const char* name, const methods::hypothesis& found, const toy::tokenizer& tokenizer) {
  std::string text;
  for (const specdec::token_id token : found.tokens) text += tokenizer.piece(token);
  for (char& letter : text) letter = letter == '\n' ? ' ' : letter;
  std::printf("%-7s score %.3f, log p %7.3f: ...%s\n", name, found.score, found.log_probability, text.c_str());
}

int run(const std::string& prompt) {
  const toy::gguf_file file(SPECDEC_MODELS_DIR "/target.gguf");
  const toy::tokenizer tokenizer(file);
  const toy::model model(file);
  const auto tokens = tokenizer.encode(prompt);

  methods::beam_search_options options{.width = 4, .max_tokens = 24};
  if (tokenizer.eos()) options.end_tokens = {*tokenizer.eos()};
  std::printf("%s\n", prompt.c_str());
  int rank = 0;
  for (const auto& found : methods::beam_search(toy::context(model), tokens, options))
    print(("beam " + std::to_string(++rank)).c_str(), found, tokenizer);

  options.width = 1;
  print("greedy", methods::beam_search(toy::context(model), tokens, options).front(), tokenizer);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(count > 1 ? arguments[1] : "Once upon a time");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "beam_search: %s\n", error.what());
    return 1;
  }
}
