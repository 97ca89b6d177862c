// What drafting from counts costs, and what it brings.
//
// Costs: a corpus of a million tokens of a made-up text that repeats itself as conversations with an agent do: Zipf's
// law over 32,000 tokens, half of them in passages that were copied from before. Times are the processor's.
//
// Gains: tokens per call of the target beside prompt lookup's, at the same greatest length of a draft and at the
// defaults of each, greedy; and those of the original's rule, which follows no match for longer than it is. The bundled
// target is too small to quote what it was told, so on prompts that call for it (edit this code, quote this page, write
// this list in another form) the answers are written out, and a target that gives just these is asked.

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <measurement/prompts.hpp>
#include <model.hpp>
#include <optional>
#include <program/language_model.hpp>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>
#include <utility>
#include <vector>

namespace {

using specdec::token_id;
using token_list = std::vector<token_id>;

constexpr std::size_t vocab = 32000;
constexpr std::size_t million = 1'000'000;

/// A text by Zipf's law, in which every second token belongs to a passage from before.
class made_up_text {
 public:
  explicit made_up_text(std::uint32_t seed) : engine_(seed) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= vocab; ++rank) sums_.push_back(sum += 1 / static_cast<double>(rank));
  }

  const token_list& of(std::size_t size) {
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
  token_list text_;
};

const token_list& corpus_text() {
  static made_up_text source(1);
  static const token_list& whole = source.of(million);
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
  const token_list& tokens = corpus_text();
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
  const token_list& tokens = corpus_text();
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
  const token_list& source = known ? corpus_text() : other.of(million / 10);
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

/// A target that says what it was told to: its greedy text is `text`.
class told_target {
 public:
  told_target(std::size_t vocab_size, const token_list& text) : vocab_size_(vocab_size), text_(&text) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void truncate(std::size_t n) noexcept { size_ = n; }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    size_ += tokens.size();
    logits_.assign(rows * vocab_size_, 0);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t next = size_ - rows + row + 1;
      if (next < text_->size()) logits_[row * vocab_size_ + static_cast<std::size_t>((*text_)[next])] = 1;
    }
    return {logits_.data(), rows, vocab_size_};
  }

 private:
  std::size_t vocab_size_;
  const token_list* text_;
  std::size_t size_ = 0;
  std::vector<float> logits_;
};

/// What drafters make of each task, and of all.
using gains = std::map<std::string, specdec::statistics>;

template <class Drafter>
void add_answer(const measurement::prompt& one, const toy::tokenizer& tokenizer, Drafter drafter, gains& found) {
  const token_list before = tokenizer.encode(one.text);
  const token_list whole = tokenizer.encode(one.text + one.answer);
  told_target target(tokenizer.vocab_size(), whole);
  specdec::session text(target.vocab_size(),
                        {.max_tokens = whole.size() - before.size(), .sampling = {.temperature = 0}});
  // Where the answer begins inside a token, the prompt lacks that token.
  text.begin(std::span(whole).first(std::min(before.size(), whole.size())));
  specdec::speculative_generate(text, target, drafter);
  found[one.task] += text.stats();
  found["all"] += text.stats();
}

template <class Drafter>
void add_text(const measurement::prompt& one, const toy::tokenizer& tokenizer, toy::context& target, Drafter drafter,
              gains& found) {
  specdec::session text(target.vocab_size(), {.max_tokens = 96, .sampling = {.temperature = 0}});
  text.begin(tokenizer.encode(one.text));
  specdec::speculative_generate(text, target, drafter);
  found[one.task] += text.stats();
  found["all"] += text.stats();
}

/// Tokens per call of the target, and tokens drafted for it.
std::string per_call(const specdec::statistics& stats) {
  return fmt::format("{:>6.2f} of {:>4.1f}", stats.mean_acceptance_length(),
                     static_cast<double>(stats.proposed) / static_cast<double>(stats.rounds));
}

double ratio(const specdec::statistics& of, const specdec::statistics& to) {
  return of.mean_acceptance_length() / to.mean_acceptance_length();
}

/// @param longest  the longest draft, if it is the same for all; nothing leaves each its own default
/// @param add      has a prompt answered with a drafter, and adds what came of it
template <class Add>
void print_gains(std::optional<std::size_t> longest, const std::vector<measurement::prompt>& prompts, Add&& add) {
  specdec::prompt_lookup looks_up;
  specdec::suffix_options by_default;
  if (longest) looks_up.num_output_tokens = by_default.max_spec_tokens = *longest;
  specdec::suffix_options original = by_default;
  original.max_spec_factor = 1;
  original.doubt = 0;
  gains lookup, suffix, paper;
  for (const measurement::prompt& one : prompts) {
    add(one, looks_up, lookup);
    add(one, specdec::suffix_drafter(by_default), suffix);
    add(one, specdec::suffix_drafter(original), paper);
  }
  for (const auto& [task, stats] : lookup) {
    fmt::print("{:<12} {:>8} {:>16} {:>16} {:>6.2f} {:>16} {:>6.2f}\n", task,
               longest ? std::to_string(*longest) : "default", per_call(stats), per_call(suffix.at(task)),
               ratio(suffix.at(task), stats), per_call(paper.at(task)), ratio(paper.at(task), stats));
  }
}

template <class Add>
void print_gains(const char* title, const std::vector<measurement::prompt>& prompts, Add&& add) {
  fmt::print("\n{}\n{:<12} {:>8} {:>16} {:>16} {:>6} {:>16} {:>6}\n", title, "task", "longest", "prompt lookup",
             "suffix", "ratio", "original suffix", "ratio");
  for (const std::size_t longest : {5U, 10U, 16U}) print_gains(longest, prompts, add);
  print_gains(std::nullopt, prompts, add);
}

void print_all_gains() {
  const std::string directory = SPECDEC_MODELS_DIR;
  const program::language_model model = program::load_model(directory + "/target.gguf", {});
  print_gains(
      "Tokens per call, and of how many drafted, of a target that gives the written answers, repeating_texts.jsonl",
      measurement::read_prompts(directory + "/repeating_texts.jsonl"),
      [&](const auto& one, auto drafter, gains& found) {
        add_answer(one, model.tokenizer, std::move(drafter), found);
      });
  toy::context target(model.model);
  print_gains("Tokens per call, and of how many drafted, of the bundled target, prompts.jsonl",
              measurement::read_prompts(directory + "/prompts.jsonl"),
              [&](const auto& one, auto drafter, gains& found) {
                add_text(one, model.tokenizer, target, std::move(drafter), found);
              });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  print_all_gains();
  return 0;
}
