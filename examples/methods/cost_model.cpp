// Drafting as far as it pays: cost_model [prompt]
//
// Which gamma is fastest depends on how often the target accepts a guess, which changes with the text, and on what its
// calls cost, which changes with the machine. Both are measured as the text goes on: the gamma of the next round is the
// one with most tokens per second by what is known then, and none if plain decoding is fastest. Against a draft that
// has been spoilt it falls back to that within a few rounds, and asks the draft again now and then.
//
// Leviathan et al. (2023), theorem 3.8, with measured costs and acceptance in place of constants.

#include <cstdio>
#include <string>

#include "bundled.hpp"

namespace {

/// A model that has learnt to be wrong: its probable tokens are improbable, and the other way round.
struct spoilt {
  toy::context& model;
  std::vector<float> logits = {};

  std::size_t vocab_size() const { return model.vocab_size(); }
  std::size_t size() const { return model.size(); }
  std::size_t capacity() const { return model.capacity(); }
  void truncate(std::size_t n) { model.truncate(n); }
  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    const auto true_rows = model.decode(tokens, rows);
    logits.clear();
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t t = 0; t < vocab_size(); ++t) logits.push_back(-true_rows.row(i)[t]);
    }
    return {logits.data(), rows, vocab_size()};
  }
};

template <class Draft>
void decode(methods::bundled_pair& pair, Draft& draft, const char* whose, const std::string& prompt) {
  specdec::model_drafter drafter(draft, specdec::cost_model<>());
  std::vector<std::size_t> rounds;
  const auto trace = [&](const specdec::outcome& out) {
    rounds.resize(std::max(rounds.size(), out.drafted.size() + 1));
    ++rounds[out.drafted.size()];
  };
  const auto text = methods::generate(pair.target, drafter, pair.tokenizer.encode(prompt),
                                      pair.options(200, {.temperature = 0.8}), specdec::rejection{}, trace);
  std::printf("[%s] %s", whose, prompt.c_str());
  methods::print(pair.tokenizer, text);
  std::printf("rounds that drafted");
  for (std::size_t gamma = 0; gamma < rounds.size(); ++gamma) {
    if (rounds[gamma] > 0) std::printf(" %zu: %zu;", gamma, rounds[gamma]);
  }
  const auto& costs = drafter.policy().costs();
  std::printf("\nmeasured: %.2f ms to score a token, %.2f ms to score 5, %.2f ms to draft one\n\n",
              1e3 * costs.target(1), 1e3 * costs.target(5), 1e3 * costs.draft(1));
}

}  // namespace

int main(int count, char** arguments) {
  return methods::run(count, arguments, "He was a tall man, dark and silent,", [](const std::string& prompt) {
    methods::bundled_pair pair;
    decode(pair, pair.draft, "the draft", prompt);
    spoilt never_right{pair.draft};
    decode(pair, never_right, "a draft that is always wrong", prompt);
  });
}
