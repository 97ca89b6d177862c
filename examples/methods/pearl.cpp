// Drafting while the target scores (PEARL), by Liu et al. (2024): pearl [prompt]
//
// A round's draft and the target's call take their time one after the other. Here a second thread drafts ahead: a guess
// for the token behind the draft that is being scored, and behind it the next draft. If all of the draft and the guess
// are kept, the next call need not wait. PEARL's pre-verify goes further: where nothing was drafted ahead, the target
// is called at once, with the last token alone, while the drafting goes on. That pays where drafting is dear.
//
// The text has the target's law in any case, and one seed gives one text, however long anything takes. Each model
// computes in one thread here, as if each had a processor of its own, and has ballast, so that a round takes some
// milliseconds and a third of it is drafting.

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <specdec/adapters/background_thread.hpp>

#include "bundled.hpp"

namespace {

using clock = std::chrono::steady_clock;

double seconds_of(const auto& work) {
  const auto start = clock::now();
  work();
  return std::chrono::duration<double>(clock::now() - start).count();
}

struct contender {
  const char* name;
  bool overlaps;
  std::size_t first;
  double seconds = 0, draft = 0;
  std::size_t tokens = 0, rounds = 0;
};

void decode(const std::string& prompt) {
  constexpr std::size_t gamma = 2;
  constexpr std::uint32_t texts = 2;
  const methods::bundled_pair bundled;
  const auto slow = [](const char* name, std::size_t parameters) {
    const std::string path = std::string(SPECDEC_MODELS_DIR) + name;
    return toy::context(toy::model(path, {.ballast_parameters = parameters, .threads = 1}));
  };
  toy::context target = slow("/target.gguf", 40'000'000);
  toy::context draft = slow("/draft.gguf", 10'000'000);
  const auto tokens = bundled.tokenizer.encode(prompt);
  specdec::model_drafter drafter(draft, specdec::constant{gamma});
  specdec::background_thread second;

  contender contenders[] = {{"one after the other", false, 0},
                            {"drafting ahead", true, specdec::ahead_options{}.first},
                            {"and never waiting for a draft", true, 0}};
  // In turns: a machine is slower at one time than at another.
  for (std::uint32_t stream = 0; stream < texts; ++stream) {
    for (contender& one : contenders) {
      auto options = bundled.options(64, {.temperature = 0.8});
      options.stream = stream;
      specdec::session text(target.vocab_size(), options);
      text.begin(tokens);
      specdec::draft_ahead ahead(drafter, {.first = one.first});
      one.seconds += seconds_of([&] {
        if (one.overlaps) {
          specdec::overlapped_generate(text, target, ahead, second);
        } else {
          specdec::speculative_generate(text, target, drafter);
        }
      });
      one.draft += text.stats().draft_seconds;
      one.tokens += text.generated().size();
      one.rounds += text.stats().rounds;
      if (stream > 0) continue;
      std::printf("[%s] %s", one.name, prompt.c_str());
      methods::print(bundled.tokenizer, text);
    }
  }
  for (const contender& one : contenders) {
    std::printf("\n%-30s %6.0f tokens/s, %.2f tokens per call, waiting for drafts %2.0f%% of the time", one.name,
                static_cast<double>(one.tokens) / one.seconds,
                static_cast<double>(one.tokens) / static_cast<double>(one.rounds), 100 * one.draft / one.seconds);
  }
  std::printf("\n");
}

}  // namespace

int main(int count, char** arguments) {
  return methods::run(count, arguments, "He was a tall man, dark and silent,", decode);
}
