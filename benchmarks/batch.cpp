// What speculation gains in batches: tokens per second of several texts at once, without drafts, with drafts of several
// lengths, and with a policy that decides from what it measures, on the bundled target with ballast.
//
// A small batch leaves the target waiting for its weights, and guesses are scored on the way; a large one keeps it
// computing, and every guess costs. For each size of the batch plain and speculative generation take turns with the
// same prompts, so that a machine whose speed drifts drifts for all of them. Reading the prompts is not counted.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <batch.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <gguf.hpp>
#include <measurement/prompts.hpp>
#include <memory>
#include <model.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using specdec::token_id;
using text = std::vector<token_id>;

constexpr std::size_t gammas[] = {0, 1, 2, 3, 4};

struct settings {
  std::vector<std::size_t> texts{1, 2, 4, 8, 16, 32};
  std::size_t turns = 12;
  std::size_t rounds = 24;    ///< in a turn
  std::size_t warm_up = 256;  ///< tokens of each text from which the policy has learnt before its turns are counted
  std::size_t ballast = 150'000'000;
  double temperature = 0;
  std::vector<std::string> weights{"float32", "float16"};
};

/// Texts that are generated together, a turn of some rounds from each set of prompts.
class contestant {
 public:
  virtual ~contestant() = default;
  /// Begins with the prompts of that turn, and generates for so many rounds.
  virtual void take_turn(std::size_t which, std::size_t rounds) = 0;

  /// Forgets all turns, but not what its policy has learnt.
  void forget_turns() { turns_.clear(); }
  /// Of all texts, in all turns.
  [[nodiscard]] std::size_t tokens() const {
    std::size_t sum = 0;
    for (const turn& one : turns_) sum += one.tokens;
    return sum;
  }
  /// In the turns from the first on, by this stride.
  [[nodiscard]] double tokens_per_second(std::size_t first = 0, std::size_t stride = 1) const {
    double tokens = 0, seconds = 0;
    for (std::size_t i = first; i < turns_.size(); i += stride) {
      tokens += static_cast<double>(turns_[i].tokens);
      seconds += turns_[i].seconds;
    }
    return tokens / seconds;
  }
  /// In that turn.
  [[nodiscard]] double speed_in(std::size_t which) const {
    return static_cast<double>(turns_[which].tokens) / turns_[which].seconds;
  }
  /// Of one text.
  [[nodiscard]] double tokens_per_round() const {
    std::size_t tokens = 0, rounds = 0;
    for (const turn& one : turns_) {
      tokens += one.tokens;
      rounds += one.rounds;
    }
    return static_cast<double>(tokens) / static_cast<double>(rounds);
  }

 protected:
  struct turn {
    std::size_t tokens = 0;
    std::size_t rounds = 0;  ///< of all texts
    double seconds = 0;
  };
  std::vector<turn> turns_;
};

/// Each text drafted for as far as its policy says.
template <class Policy>
class contestant_with final : public contestant {
 public:
  contestant_with(const toy::model& target, const toy::model& draft, const std::vector<text>& prompts, std::size_t size,
                  std::size_t room, const Policy& policy, double temperature)
      : prompts_(prompts),
        target_(target, size, room),
        draft_(draft, size, room),
        drafter_(draft_, policy, {.top = 0}),
        batch_(target_, drafter_) {
    for (std::size_t i = 0; i < size; ++i) {
      const specdec::generate_options options{.max_tokens = room,
                                              .sampling = {temperature},
                                              .seed = 1,
                                              .stream = static_cast<std::uint32_t>(i),
                                              .log_probabilities = specdec::log_probability_of::nothing};
      texts_.push_back(std::make_unique<specdec::session<>>(target_.vocab_size(), options));
    }
  }

  void take_turn(std::size_t which, std::size_t rounds) override {
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      specdec::session<>& one = *texts_[i];
      batch_.leave(one);
      one.begin(prompts_[(which * texts_.size() + i) % prompts_.size()]);
      batch_.join(one);
    }
    while (std::ranges::any_of(texts_, [](const auto& one) { return one->generated().empty(); })) batch_.round();
    turn& now = turns_.emplace_back();
    for (std::size_t round = 0; round < rounds; ++round) {
      const double start = specdec::seconds_now();
      batch_.round([&](auto&, const specdec::outcome& out) { now.tokens += out.committed; });
      now.seconds += specdec::seconds_now() - start;
      now.rounds += texts_.size();
    }
  }

 private:
  const std::vector<text>& prompts_;
  toy::batch target_;
  toy::batch draft_;
  specdec::batch_model_drafter<toy::batch, Policy> drafter_;
  specdec::session_batch<toy::batch, specdec::batch_model_drafter<toy::batch, Policy>> batch_;
  std::vector<std::unique_ptr<specdec::session<>>> texts_;
};

/// A policy's speed over that of the best gamma, with a 95 % interval: that of the mean of the logarithms, normal for
/// as many turns as there are. Which gamma is best is told from every other turn, and compared in those between, both
/// ways round: whoever is fastest in a turn is partly lucky in it.
struct share {
  double middle, low, high;
};

share of_the_best(const contestant& policy, std::span<const std::unique_ptr<contestant>> fixed, std::size_t turns) {
  double sum = 0, squares = 0;
  for (const std::size_t half : {0, 1}) {
    const auto best = std::ranges::max_element(
        fixed, {}, [half](const std::unique_ptr<contestant>& one) { return one->tokens_per_second(1 - half, 2); });
    for (std::size_t turn = half; turn < turns; turn += 2) {
      const double x = std::log(policy.speed_in(turn) / (*best)->speed_in(turn));
      sum += x;
      squares += x * x;
    }
  }
  const auto n = static_cast<double>(turns);
  const double mean = sum / n;
  const double error = std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1));
  return {std::exp(mean), std::exp(mean - 1.96 * error), std::exp(mean + 1.96 * error)};
}

void measure(const settings& asked, const toy::model& target, const toy::model& draft, const std::vector<text>& prompts,
             std::size_t size) {
  std::size_t longest = 0;
  for (const text& prompt : prompts) longest = std::max(longest, prompt.size());
  // No text fills its context: all of the batch runs all of the time.
  const std::size_t room = longest + asked.rounds * std::size(gammas) + 1;
  std::vector<std::unique_ptr<contestant>> contestants;
  const auto add = [&](const auto& policy) {
    using policy_type = std::remove_cvref_t<decltype(policy)>;
    contestants.push_back(
        std::make_unique<contestant_with<policy_type>>(target, draft, prompts, size, room, policy, asked.temperature));
  };
  for (const std::size_t gamma : gammas) add(specdec::constant{gamma});
  add(specdec::cost_model<>(specdec::measured_costs{}, {.max_gamma = std::size(gammas) - 1}));
  contestant& policy = *contestants.back();
  for (std::size_t turn = 0; policy.tokens() < asked.warm_up * size; ++turn) policy.take_turn(turn, asked.rounds);
  policy.forget_turns();
  for (std::size_t turn = 0; turn < asked.turns; ++turn)
    for (const auto& one : contestants) one->take_turn(turn, asked.rounds);
  const double plain = contestants.front()->tokens_per_second();
  fmt::print("{:>5} {:>8.1f}", size, plain);
  for (std::size_t i = 1; i < contestants.size(); ++i)
    fmt::print(" | {:>7.1f} {:>4.2f}x {:>4.2f}", contestants[i]->tokens_per_second(),
               contestants[i]->tokens_per_second() / plain, contestants[i]->tokens_per_round());
  const share of_best = of_the_best(policy, std::span(contestants).first(std::size(gammas)), asked.turns);
  fmt::print(", {:.2f} ({:.2f} to {:.2f})\n", of_best.middle, of_best.low, of_best.high);
  std::fflush(stdout);
}

void run(const settings& asked) {
  const std::string models = SPECDEC_MODELS_DIR;
  const toy::gguf_file file(models + "/target.gguf");
  const toy::tokenizer tokenizer(file);
  std::vector<text> prompts;
  for (const measurement::prompt& one : measurement::read_prompts(models + "/prompts.jsonl"))
    prompts.push_back(tokenizer.encode(one.text));
  // Long prompts would leave little room to generate.
  std::ranges::sort(prompts, {}, [](const text& p) { return p.size(); });
  const toy::model draft(models + "/draft.gguf");
  fmt::print(
      "target with ballast to {} M parameters, temperature {}, {} turns of {} rounds, behind {} tokens of warm-up\n",
      asked.ballast / 1'000'000, asked.temperature, asked.turns, asked.rounds, asked.warm_up);
  for (const std::string& name : asked.weights) {
    const auto format = name == "float16" ? toy::weight_format::float16 : toy::weight_format::float32;
    const toy::model target(file, {.format = format, .ballast_parameters = asked.ballast});
    fmt::print("\n{}, {:.0f} MB a pass; tokens a second, against plain, tokens of one text a round\n{:>5} {:>8}", name,
               static_cast<double>(target.bytes_per_pass()) * 1e-6, "texts", "plain");
    for (const std::size_t gamma : gammas)
      if (gamma > 0) fmt::print(" | {:>18}", fmt::format("gamma {}", gamma));
    fmt::print(" | {:>18}, of the best gamma's (95 %)\n", "cost model");
    for (const std::size_t size : asked.texts) measure(asked, target, draft, prompts, size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  settings asked;
  std::string ballast;
  CLI::App app("What speculation gains in batches, on the bundled pair.", "batch");
  app.add_option("--texts", asked.texts, "how many at once, each in turn")
      ->delimiter(',')
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--turns", asked.turns, "turns of each contestant")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  app.add_option("--rounds", asked.rounds, "rounds in a turn")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--warm-up", asked.warm_up,
                 "tokens of each text that the cost model learns from before it is measured")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_option("--temp", asked.temperature, "temperature")->check(CLI::Range(0.0, 100.0))->capture_default_str();
  app.add_option("--weights", asked.weights, "how the target keeps its weights, each in turn")
      ->delimiter(',')
      ->check(CLI::IsMember({"float32", "float16"}))
      ->capture_default_str();
  app.add_option("--ballast", ballast, "make the target cost what one of so many parameters costs [150M]");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!ballast.empty()) asked.ballast = program::parse_size("--ballast", ballast);
    run(asked);
    program::terminal(stdout, false).close();
    return 0;
  } catch (const program::usage_error& error) {
    fmt::print(stderr, "batch: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "batch: {}\n", error.what());
    return 1;
  }
}
