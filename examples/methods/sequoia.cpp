// Trees of the best shape by Chen, May, Svirschevski, Huang, Ryabinin, Jia and Chen (Sequoia, 2024): sequoia [prompt]
//
// Several guesses for each place, and several for what follows each: a call of the target scores a tree, and one of its
// paths is kept. A trial measures how often a second or third guess is kept where the first is not; a dynamic programme
// makes of that the tree that yields most tokens per call. Siblings are drawn without replacement, so that they differ,
// and tried one after the other (SpecInfer, Miao et al. 2023).

#include <cstdio>
#include <string>
#include <vector>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "It was evening. The lamps were not yet lit,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    const auto options = pair.options(100, {.temperature = 1});

    const std::vector<std::size_t> branching{4, 2, 2};
    specdec::tree_drafter drafter(pair.draft, specdec::tree_shape::uniform(branching), {.top = 0});
    (void)methods::generate(pair.target, drafter, tokens, options, specdec::recursive_rejection{});
    const specdec::sibling_acceptance kept = drafter.counts().acceptance();
    std::printf("kept below the root: the first guess %.2f, the second %.2f, the third %.2f, the fourth %.2f\n",
                kept(0, 0), kept(0, 1), kept(0, 2), kept(0, 3));

    const specdec::best_trees shapes(kept, 24, 8);
    drafter.reshape(shapes.shape(24, 8));
    std::printf("the best tree of 24 nodes has %zu levels; %.2f tokens per call expected\n\n", drafter.shape().depth(),
                shapes.expected_tokens(24, 8));

    std::printf("%s", prompt.c_str());
    methods::print(pair.tokenizer,
                   methods::generate(pair.target, drafter, tokens, options, specdec::recursive_rejection{}));
  });
}
