// Block verification by Sun, Mendlovic, Leviathan, Aharoni, Ro, Beirami and Suresh (2024): block [prompt]
//
// Rejection sampling decides token by token, and drops all behind the first refusal. Seen as a whole, a draft may be
// worth more: an unlikely token can be made up for by the ones behind it. The rule keeps the longest prefix that
// passes, at least as much as rejection sampling on average, at the price of a few more rows read.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "It was evening. The lamps were not yet lit,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    const auto options = pair.options(100, {.temperature = 1});
    specdec::model_drafter drafter(pair.draft, specdec::constant{6}, {.top = 0});

    const auto by_token = methods::generate(pair.target, drafter, tokens, options, specdec::rejection{}).stats();
    const auto text = methods::generate(pair.target, drafter, tokens, options, specdec::block_verification{});
    std::printf("%s", prompt.c_str());
    methods::print(pair.tokenizer, text);
    std::printf("token by token, another text with the same law: %.2f tokens per call\n",
                by_token.mean_acceptance_length());
  });
}
