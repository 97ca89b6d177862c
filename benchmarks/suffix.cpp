// What drafting from counts costs, and what it brings.
//
// Costs: a corpus of a million tokens of a made-up text that repeats itself as conversations with an agent do: Zipf's
// law over 32,000 tokens, half of them in passages that were copied from before. Times are the processor's.
//
// Gains: tokens per call of the bundled target on prompts that repeat themselves, beside prompt lookup's at the same
// greatest length of a draft.

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <measurement/generator.hpp>
#include <measurement/method.hpp>
#include <measurement/prompts.hpp>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using specdec::token_id;
using text = std::vector<token_id>;

constexpr std::size_t vocab = 32000;
constexpr std::size_t million = 1'000'000;

/// A text by Zipf's law, in which every second token belongs to a passage from before.
class made_up_text {
 public:
  explicit made_up_text(std::uint32_t seed) : engine_(seed) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= vocab; ++rank) sums_.push_back(sum += 1 / static_cast<double>(rank));
  }

  const text& of(std::size_t size) {
    while (text_.size() < size) {
      const std::size_t length = 4 + engine_() % 57;
      if (text_.size() > length && engine_() % 2 == 0) {
        const std::size_t from = engine_() % (text_.size() - length);
        for (std::size_t i = 0; i < length; ++i) text_.push_back(text_[from + i]);
      } else {
        for (std::size_t i = 0; i < length; ++i) text_.push_back(draw());
      }
    }
    text_.resize(size);
    return text_;
  }

 private:
  token_id draw() {
    const double u = std::uniform_real_distribution<double>(0, sums_.back())(engine_);
    return static_cast<token_id>(std::upper_bound(sums_.begin(), sums_.end() - 1, u) - sums_.begin());
  }

  std::mt19937 engine_;
  std::vector<double> sums_;
  text text_;
};

const text& corpus_text() {
  static made_up_text source(1);
  static const text& whole = source.of(million);
  return whole;
}

/// A corpus that holds a million tokens, in texts of a thousand.
const specdec::suffix_corpus& corpus() {
  static const specdec::suffix_corpus filled = [] {
    specdec::suffix_corpus made(vocab, million);
    for (std::size_t at = 0; at < million; at += 1000) made.add({corpus_text().data() + at, 1000});
    return made;
  }();
  return filled;
}

using benchmark::Counter;

Counter time_per(std::size_t things) {
  return Counter(static_cast<double>(things), Counter::kIsRate | Counter::kInvert);
}

void append_to_automaton(benchmark::State& state) {
  const text& tokens = corpus_text();
  std::size_t appended = 0;
  double bytes = 0;
  for (auto _ : state) {
    specdec::suffix_automaton automaton;
    for (const token_id token : tokens) automaton.append(token);
    appended += tokens.size();
    bytes = static_cast<double>(automaton.bytes()) / static_cast<double>(tokens.size());
  }
  state.counters["time/token"] = time_per(appended);
  state.counters["bytes/token"] = bytes;
}

void append_to_full_corpus(benchmark::State& state) {
  specdec::suffix_corpus full = corpus();
  const text& tokens = corpus_text();
  std::size_t appended = 0;
  for (auto _ : state) {
    full.add({tokens.data() + appended % million, 1000});
    appended += 1000;
  }
  state.counters["time/token"] = time_per(appended);
  state.counters["bytes/token"] = static_cast<double>(full.bytes()) / static_cast<double>(full.size());
}

/// All drafts for texts of 1000 tokens, from their hundredth on, as a session has them made: the text grows by as many
/// tokens as were drafted and one, and what is new is indexed. Of known texts the corpus has every word.
void draft(benchmark::State& state, bool known) {
  static made_up_text other(2);
  const text& source = known ? corpus_text() : other.of(million / 10);
  constexpr std::size_t length = 1000;
  const specdec::law target(vocab, {});
  specdec::suffix_drafter drafter(corpus(), {.max_spec_tokens = static_cast<std::size_t>(state.range(0))});
  specdec::philox chance(1);
  specdec::draft drafted;
  std::size_t begin = 0;
  std::size_t tokens = 0;
  std::size_t rounds = 0;
  for (auto _ : state) {
    // Not where the corpus' texts begin.
    begin = (begin + 12345) % (source.size() - length);
    const std::span<const token_id> whole(source.data() + begin, length);
    for (std::size_t size = length / 10; size < length; size += drafted.size() + 1) {
      const specdec::draft_request request{.context = whole.first(size),
                                           .max_depth = length - size,
                                           .max_nodes = length - size,
                                           .target_law = &target,
                                           .prompt_size = 1};
      drafted.begin(request);
      drafter.propose(request, chance, drafted);
      tokens += drafted.size();
      ++rounds;
    }
  }
  state.counters["time/token"] = time_per(tokens);
  state.counters["time/round"] = time_per(rounds);
  state.counters["tokens/round"] = static_cast<double>(tokens) / static_cast<double>(rounds);
}

void draft_known_text(benchmark::State& state) { draft(state, true); }
void draft_other_text(benchmark::State& state) { draft(state, false); }

BENCHMARK(append_to_automaton)->Unit(benchmark::kMillisecond);
BENCHMARK(append_to_full_corpus)->Unit(benchmark::kMicrosecond);
BENCHMARK(draft_known_text)->Arg(4)->Arg(16)->Arg(64)->Unit(benchmark::kMicrosecond);
BENCHMARK(draft_other_text)->Arg(4)->Arg(16)->Arg(64)->Unit(benchmark::kMicrosecond);

// --- Gains
// ------------------------------------------------------------------------------------------------------------

constexpr std::size_t tokens_per_prompt = 96;

/// What a method made of each task, and of all.
std::map<std::string, specdec::statistics> generate(const measurement::model_pair& models, std::string_view name,
                                                    std::size_t most, double temperature,
                                                    const std::vector<measurement::prompt>& prompts) {
  std::map<std::string, specdec::statistics> found;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    toy::context target(models.target.model);
    auto method = measurement::find_method(name).assemble(models, target, {.greedy = temperature == 0});
    method.set_gamma(most);
    specdec::session text(target.vocab_size(), {.max_tokens = tokens_per_prompt, .sampling = {temperature}, .seed = i});
    text.begin(models.target.tokenizer.encode(prompts[i].text));
    specdec::speculative_generate(text, target, method.drafter);
    found[prompts[i].task] += text.stats();
    found["all"] += text.stats();
  }
  return found;
}

void print_gains() {
  const std::string directory = SPECDEC_MODELS_DIR;
  const toy::gguf_file file(directory + "/target.gguf");
  const measurement::model_pair models{{toy::tokenizer(file), toy::model(file)}, {}};
  for (const char* name : {"repeating_prompts.jsonl", "prompts.jsonl"}) {
    const auto prompts = measurement::read_prompts(directory + "/" + name);
    fmt::print(
        "\nTokens per call of the bundled target, {}, {} tokens behind each\n{:<12} {:>11} {:>8} {:>14} {:>8} {:>6}\n",
        name, tokens_per_prompt, "task", "temperature", "longest", "prompt lookup", "suffix", "ratio");
    for (const double temperature : {0.0, 1.0}) {
      for (const std::size_t most : {10U, 16U, 32U}) {
        auto lookup = generate(models, "prompt_lookup", most, temperature, prompts);
        auto suffix = generate(models, "suffix", most, temperature, prompts);
        for (const auto& [task, stats] : suffix) {
          const double by_lookup = lookup[task].mean_acceptance_length();
          fmt::print("{:<12} {:>11} {:>8} {:>14.2f} {:>8.2f} {:>6.2f}\n", task, temperature, most, by_lookup,
                     stats.mean_acceptance_length(), stats.mean_acceptance_length() / by_lookup);
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  print_gains();
  return 0;
}
