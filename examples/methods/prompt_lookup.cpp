// Prompt lookup decoding, by Saxena (2023), as in Hugging Face transformers: prompt_lookup [prompt]
//
// No draft model at all: the last two tokens are looked up in the text so far, and what followed them there is
// proposed. It costs nothing, loses nothing, and is at its best where the answer repeats what was said: summaries,
// edits, code; and small models, which repeat themselves.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  const char* prompt =
      "Tom has 3 apples and buys 4 apples. How many apples has Tom? 3 + 4 = 7, so Tom has 7 apples.\n"
      "Ann has 5 apples and buys 2 apples. How many apples has Ann?";
  return methods::run(count, arguments, prompt, [](const std::string& question) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(question);
    for (const double temperature : {0.0, 0.8}) {
      specdec::prompt_lookup drafter;  // num_output_tokens = 10, max_matching_ngram_size = 2
      std::printf("[temperature %.1f] %s", temperature, question.c_str());
      methods::print(pair.tokenizer,
                     methods::generate(pair.target, drafter, tokens, pair.options(80, {.temperature = temperature}),
                                       specdec::rejection{}));
      std::printf("\n");
    }
  });
}
