// Lenience, by Leviathan, Kalman and Matias (2023), appendix A.5: lenient [prompt]
//
// Lossy. A drafted token is kept with probability min(1, p / (l q)): the smaller the lenience l, the more is kept, and
// the more the text is the draft's. No token comes out more often than 1/l times what the target would have it; so at
// l = 0.1 what is rare stays rare. The perplexity under the target says what the speed costs.

#include <cstdio>
#include <functional>
#include <string>

#include <measurement/quality.hpp>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "I had been three weeks in that house", [](const std::string& prompt) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(prompt);
    specdec::model_drafter drafter(pair.draft, specdec::constant{5});

    for (const double lenience : {1.0, 0.5, 0.3, 0.1}) {
      // One text says little about a rate: five samples of each.
      specdec::statistics all;
      measurement::quality quality;
      for (std::uint32_t stream = 0; stream < 5; ++stream) {
        auto options = pair.options(60, {.temperature = 1});
        options.stream = stream;
        const auto text = methods::generate(pair.target, drafter, tokens, options, specdec::lenient(lenience));
        all += text.stats();
        quality += measurement::quality_of(std::ref(pair.target), text.tokens(), tokens.size());
      }
      std::printf("lenience %.1f: alpha %.2f, %.2f tokens per call of the target, perplexity %.1f\n", lenience,
                  all.alpha(), all.mean_acceptance_length(), quality.perplexity());
    }

    std::printf("\n%s", prompt.c_str());
    methods::print(pair.tokenizer,
                   methods::generate(pair.target, drafter, tokens, pair.options(60, {}), specdec::lenient(0.3)));
  });
}
