// SuffixDecoding, by Oliaro et al. (2024): suffix [prompt]
//
// No draft model: all that was said is kept in a suffix automaton with counts. The longest ends of the text that came
// before are followed through what came behind them most often, each as far as its length and the counts warrant. What
// earlier requests said helps later ones: here the same question is asked twice, with a corpus that keeps the answer.

#include <cstdio>
#include <string>

#include "bundled.hpp"

int main(int count, char** arguments) {
  const char* prompt =
      "The first brother said: \"Come to the old mill by the river, and bring the golden key with you.\" The second "
      "brother said: \"Come to the old mill";
  return methods::run(count, arguments, prompt, [](const std::string& question) {
    methods::bundled_pair pair;
    const auto tokens = pair.tokenizer.encode(question);
    specdec::suffix_corpus corpus(pair.target.vocab_size(), 100'000);
    for (const char* time : {"first", "second"}) {
      specdec::suffix_drafter drafter(corpus);
      std::printf("[asked the %s time] %s", time, question.c_str());
      const auto text =
          methods::generate(pair.target, drafter, tokens, pair.options(80, {.temperature = 0}), specdec::rejection{});
      methods::print(pair.tokenizer, text);
      corpus.add(text.tokens());
      std::printf("the corpus has %zu tokens in %zu bytes\n\n", corpus.size(), corpus.bytes());
    }
  });
}
