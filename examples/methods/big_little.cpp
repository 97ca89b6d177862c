// The big little decoder, by Kim et al. (2023): big_little [prompt]
//
// Lossy. The small model writes by itself as long as it is sure (fallback: its best token has at least 0.6) and the
// large one does not object (rollback: no token is further than 5 nats from it). Most of the text is then the small
// model's; the two thresholds trade quality against speed. Agreement is the share of tokens that the large model would
// have chosen in their place, perplexity is under the large model.

#include <cstdio>
#include <functional>
#include <string>

#include <measurement/quality.hpp>

#include "bundled.hpp"

namespace {

void decode(const std::string& prompt) {
  methods::bundled_pair pair;
  const auto tokens = pair.tokenizer.encode(prompt);
  const auto greedy = pair.options(80, {.temperature = 0});
  const auto judge = [&](const auto& text) {
    const auto quality = measurement::quality_of(std::ref(pair.target), text.tokens(), tokens.size());
    std::printf("agreement %.2f, perplexity %.2f\n", quality.agreement(), quality.perplexity());
  };

  specdec::no_draft nothing;
  const auto plain = methods::generate(pair.target, nothing, tokens, greedy, specdec::greedy{});
  std::printf("[the large model alone] %s", prompt.c_str());
  methods::print(pair.tokenizer, plain);
  judge(plain);

  for (const double rollback_threshold : {2.0, 5.0}) {
    for (const double fallback_threshold : {0.6, 0.3}) {
      specdec::model_drafter drafter(pair.draft, specdec::fallback{fallback_threshold});
      const auto text =
          methods::generate(pair.target, drafter, tokens, greedy, specdec::big_little(rollback_threshold));
      std::printf("\n[rollback %.0f, fallback %.1f] %s", rollback_threshold, fallback_threshold, prompt.c_str());
      methods::print(pair.tokenizer, text);
      judge(text);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  return methods::run(count, arguments, "Tom has 3 apples and buys 4 apples. How many apples has Tom?", decode);
}
