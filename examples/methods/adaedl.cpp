// Ending drafts by entropy (AdaEDL), by Agrawal, Jeon and Lee (2024): adaedl [prompt]
//
// A draft model that is undecided will be wrong: 1 - sqrt(0.2 H) is about the least probability with which a token of a
// law with entropy H is accepted. Drafting ends where that falls below a threshold, which follows the acceptance rate
// as in Draft & Verify; the first token is always drawn. Nothing is trained and the text's law is untouched; the
// draft's lengths follow the text.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "He was a tall man, dark and silent,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    specdec::model_drafter drafter(pair.draft, specdec::adaedl{});
    const auto trace = [&](const specdec::outcome& out) {
      if (out.round > 11) return;
      std::printf("round %2u: accepted %zu of %zu; threshold %.4f\n", out.round + 1, out.accepted, out.drafted.size(),
                  drafter.policy().threshold.th_stop_draft);
    };
    const auto text = methods::generate(pair.target, drafter, pair.tokenizer.encode(prompt),
                                        pair.options(100, {.temperature = 0.8}), specdec::rejection{}, trace);
    std::printf("\n%s", prompt.c_str());
    methods::print(pair.tokenizer, text);
  });
}
