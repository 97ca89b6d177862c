// A draft with another tokenizer, by the text: universal [prompt]
//
// The target's text is encoded with the draft's tokenizer, the draft goes on with it, and what it writes is encoded
// with the target's tokenizer and proposed. The vocabularies need no token in common, and proposals need no q: a token
// is accepted if it is what the target chooses. So it is exact at any temperature, and best at 0, where the draft
// guesses the target's choice; sampling, the target seldom chooses the same token twice, and `translated` serves
// better. Hugging Face transformers call it universal assisted generation, and the options have their names and
// defaults; Timor et al. 2025 (arXiv 2502.05202), string-level exact match.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "The old man opened the door, and", [](const std::string& prompt) {
    methods::bundled_pair pair("draft-1k.gguf");
    const specdec::universal_options options{.num_assistant_tokens = 6,
                                             .target_lookbehind = 10,
                                             .assistant_lookbehind = 10,
                                             .control = {.pairs = pair.control_tokens()}};
    specdec::universal_drafter drafter(pair.draft, pair.tokenizer, pair.draft_tokenizer, options);
    for (const double temperature : {0.0, 1.0}) {
      const auto text = methods::generate(pair.target, drafter, pair.tokenizer.encode(prompt),
                                          pair.options(80, {.temperature = temperature}), specdec::rejection{});
      std::printf("\ntemperature %.0f: %s", temperature, prompt.c_str());
      methods::print(pair.tokenizer, text);
    }
  });
}
