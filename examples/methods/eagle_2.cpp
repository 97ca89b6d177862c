// Dynamic trees by Li, Wei, Zhang and Zhang (EAGLE-2, 2024), with an ordinary draft model: eagle_2 [prompt]
//
// The draft's own probabilities say where guesses are worth making: the product along a path is its guess of how likely
// the target is to come that way. The tree grows where that is high, so it is deep where the text is easy and wide
// where it is not. Its nodes are fixed by the draft's law, not sampled; the target's own sample decides which are kept.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "It was evening. The lamps were not yet lit,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    const auto options = pair.options(100, {.temperature = 1});

    specdec::dynamic_tree_drafter drafter(pair.draft, {.nodes = 24, .depth = 6, .width = 6});
    std::printf("%s", prompt.c_str());
    methods::print(pair.tokenizer, methods::generate(pair.target, drafter, tokens, options, specdec::naive_sampling{}));
  });
}
