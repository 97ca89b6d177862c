// A draft with another vocabulary, by the tokens that both have: translated [prompt]
//
// Two vocabularies share the tokens with the same bytes. The draft reads every target token as what it is in the
// draft's own tokens, and may propose the shared ones: its law is restricted to them and renormalised, q'(x) = q(x) /
// Z. That is a law over the target's vocabulary, so rejection sampling keeps the target's law at any temperature. Timor
// et al. 2025 (arXiv 2502.05202) call it token-level intersection, TLI; Hugging Face transformers, universal
// speculative decoding.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "The old man opened the door, and", [](const std::string& prompt) {
    methods::bundled_pair pair("draft-1k.gguf");
    const specdec::vocabulary_map map(pair.tokenizer, pair.draft_tokenizer, pair.control_tokens());
    std::printf("%zu of the draft's %zu tokens are among the target's %zu\n", map.shared().size(),
                map.draft_vocab_size(), map.target_vocab_size());

    // The draft as a model over the target's vocabulary. All that is done with models can be done with it.
    specdec::translated<toy::context&> draft(pair.draft, map);
    specdec::model_drafter drafter(draft, specdec::constant{4});
    for (const double temperature : {0.0, 1.0}) {
      const auto text = methods::generate(pair.target, drafter, pair.tokenizer.encode(prompt),
                                          pair.options(80, {.temperature = temperature}), specdec::rejection{});
      std::printf("\ntemperature %.0f: %s", temperature, prompt.c_str());
      methods::print(pair.tokenizer, text);
    }
  });
}
