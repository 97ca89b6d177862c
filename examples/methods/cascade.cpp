// A cascade, after Chen et al. (2024), "Cascade speculative drafting": cascade [prompt]
//
// The draft model has a draft of its own: the smallest model guesses, the draft model scores the guesses in one call
// and keeps what passes rejection sampling, and what it makes of them is the target's draft. At every level the law is
// kept, so the text is the target's.

#include <cstdio>
#include <filesystem>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "The old man opened the door, and", [](const std::string& prompt) {
    methods::bundled_pair pair;
    toy::context smallest(toy::model(std::filesystem::path(SPECDEC_MODELS_DIR) / "draft-mini.gguf"));
    for (const double temperature : {0.0, 1.0}) {
      specdec::cascade_drafter drafter(pair.draft, specdec::model_drafter(smallest, specdec::constant{2}),
                                       specdec::constant{5});
      std::printf("[temperature %.0f] %s", temperature, prompt.c_str());
      methods::print(pair.tokenizer,
                     methods::generate(pair.target, drafter, pair.tokenizer.encode(prompt),
                                       pair.options(80, {.temperature = temperature}), specdec::rejection{}));
      std::printf("%.2f drafted tokens per call of the draft model\n\n", drafter.counts().tokens_per_call());
    }
  });
}
