// Drafter-invariant sampling by Daliri, Musco and Suresh (2024): coupled [prompt]
//
// Target and draft choose their tokens with the same noise, so that where their laws are alike they choose alike. The
// target's choice is what is emitted: with another draft, another gamma or none, the text is the same, token for token,
// at any temperature. Useful where a text must not change because somebody turned speculation on.

#include <algorithm>
#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "It was evening. The lamps were not yet lit,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    const auto options = pair.options(100, {.temperature = 1});

    specdec::no_draft nothing;
    const auto alone = methods::generate(pair.target, nothing, tokens, options, specdec::coupled{});
    std::printf("%s", prompt.c_str());
    methods::print(pair.tokenizer, alone);

    for (const std::size_t gamma : {std::size_t{2}, std::size_t{5}}) {
      specdec::model_drafter drafter(pair.draft, specdec::constant{gamma}, {.top = 0});
      const auto text = methods::generate(pair.target, drafter, tokens, options, specdec::coupled{});
      const bool same = std::ranges::equal(text.tokens(), alone.tokens());
      std::printf("gamma %zu: %s text, %.2f tokens per call\n", gamma, same ? "the same" : "ANOTHER",
                  text.stats().mean_acceptance_length());
    }
  });
}
