// N-gram drafts, by Leviathan, Kalman and Matias (2023), section 4.2 and table 3: ngram [prompt]
//
// The cheapest draft there is: counts of which token follows which. Few of its tokens are kept, but they cost nothing:
// the paper's bigram model, kept in one case of five, makes translation 1.25 times as fast. Here the counts are from
// texts that the target itself wrote.

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "bundled.hpp"

int main(int count, char** arguments) {
  return methods::run(count, arguments, "Once upon a time there was a king", [](const std::string& prompt) {
    methods::bundled_pair pair;
    std::vector<std::vector<specdec::token_id>> texts;
    specdec::model_drafter fast(pair.draft, specdec::constant{3});
    for (const char* beginning : {"Once upon a time", "The king said", "She went to"}) {
      for (std::uint32_t stream = 0; stream < 2; ++stream) {
        auto options = pair.options(300, {.temperature = 0.8});
        options.stream = stream;
        const auto text =
            methods::generate(pair.target, fast, pair.tokenizer.encode(beginning), options, specdec::rejection{});
        texts.emplace_back(text.tokens().begin(), text.tokens().end());
      }
    }
    const std::vector<std::span<const specdec::token_id>> views(texts.begin(), texts.end());

    const auto tokens = pair.tokenizer.encode(prompt);
    for (const std::size_t order : {1U, 2U}) {
      const specdec::ngram_table table(pair.target.vocab_size(), views, {.order = order});
      specdec::ngram_drafter drafter(table, specdec::constant{3});
      for (const double temperature : {0.0, 1.0}) {
        const auto text =
            methods::generate(pair.target, drafter, tokens, pair.options(100, {temperature}), specdec::rejection{});
        std::printf("[%s, temperature %.0f: alpha %.2f] %s", order == 1 ? "unigram" : "bigram", temperature,
                    text.stats().alpha(), prompt.c_str());
        methods::print(pair.tokenizer, text);
        std::printf("\n");
      }
    }
  });
}
