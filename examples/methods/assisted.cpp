// Assisted generation, as Hugging Face transformers do it: assisted [prompt]
//
// How far to draft is decided anew all the time. The schedule `heuristic` drafts two tokens more behind a draft that
// was accepted whole and one fewer behind any other; the confidence threshold ends a draft behind a token that the
// draft model gave less than 0.4, and is fitted to what was accepted. Names and defaults are those of transformers:
// num_assistant_tokens = 20, assistant_confidence_threshold = 0.4.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "He was a tall man, dark and silent,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    specdec::model_drafter drafter(pair.draft, specdec::confidence(specdec::heuristic{}));

    const auto trace = [&](const specdec::outcome& out) {
      if (out.round > 11) return;
      std::printf("round %2u: accepted %2zu of %2zu; now at most %zu tokens, threshold %.2f\n", out.round + 1,
                  out.accepted, out.drafted.size(), drafter.policy().inner().num_assistant_tokens,
                  drafter.policy().assistant_confidence_threshold());
    };
    const auto text = methods::generate(pair.target, drafter, tokens, pair.options(100, {.temperature = 0.8}),
                                        specdec::rejection{}, trace);
    std::printf("\n%s", prompt.c_str());
    methods::print(pair.tokenizer, text);
  });
}
