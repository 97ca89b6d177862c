// Speculative decoding by Leviathan, Kalman and Matias (2023): leviathan [prompt]
//
// The founding method, and the one whose theory says in advance what it gains: a drafted token x is kept with
// probability min(1, p(x) / q(x)), the first refused one is replaced from norm((p - q)+), and the text has the target's
// law whatever the draft. From alpha, the share of drafted tokens that are kept, and c, what drafting costs against a
// call of the target, follow the best gamma and the speed-up (theorem 3.8).

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "It was evening. The lamps were not yet lit,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    const auto options = pair.options(100, {.temperature = 1});

    // A trial at one gamma measures alpha and c, which serve for all.
    specdec::model_drafter trial(pair.draft, specdec::constant{4});
    const auto measured = methods::generate(pair.target, trial, tokens, options, specdec::rejection{}).stats();
    const double alpha = measured.alpha();
    const double c = measured.draft_seconds / static_cast<double>(measured.proposed) /
                     (measured.target_seconds / static_cast<double>(measured.rounds));
    const std::size_t gamma = specdec::theory::best_gamma(alpha, c, 16);
    std::printf("alpha %.2f, c %.2f: best gamma %zu, %.2f tokens per call and %.2f times the speed expected\n\n", alpha,
                c, gamma, specdec::theory::expected_tokens(alpha, gamma), specdec::theory::speedup(alpha, gamma, c));

    specdec::model_drafter drafter(pair.draft, specdec::constant{gamma});
    std::printf("%s", prompt.c_str());
    methods::print(pair.tokenizer, methods::generate(pair.target, drafter, tokens, options, specdec::rejection{}));
  });
}
