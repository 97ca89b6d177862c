// What speculation gains in batches: tokens per second of 1 to 32 texts at once, without drafts, with drafts of several
// lengths, and with a policy that decides from what it measures, on the bundled target with ballast.
//
// A small batch leaves the target waiting for its weights, and guesses are scored on the way; a large one keeps it
// computing, and every guess costs. For each size of the batch plain and speculative generation take turns, so that a
// machine whose speed drifts drifts for all of them. Prompts are read beforehand and not counted.

#include <fmt/core.h>

#include <algorithm>
#include <batch.hpp>
#include <cstdint>
#include <cstdio>
#include <gguf.hpp>
#include <measurement/prompts.hpp>
#include <memory>
#include <model.hpp>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using specdec::token_id;
using text = std::vector<token_id>;

constexpr std::size_t sizes[] = {1, 2, 4, 8, 16, 32};
constexpr std::size_t gammas[] = {0, 1, 2, 3, 4};
constexpr std::size_t capacity = 384;
constexpr std::size_t turns = 6;

/// Texts that are generated together.
class contestant {
 public:
  virtual ~contestant() = default;
  /// Generates for so many rounds, or until a text is at its end.
  virtual void run(std::size_t rounds) = 0;

  [[nodiscard]] double tokens_per_second() const { return static_cast<double>(tokens_) / seconds_; }
  /// Of one text.
  [[nodiscard]] double tokens_per_round() const { return static_cast<double>(tokens_) / static_cast<double>(rounds_); }

 protected:
  std::size_t tokens_ = 0;
  std::size_t rounds_ = 0;
  double seconds_ = 0;
};

/// Each text drafted for as far as its policy says.
template <class Policy>
class contestant_with final : public contestant {
 public:
  contestant_with(const toy::model& target, const toy::model& draft, const std::vector<text>& prompts, std::size_t size,
                  const Policy& policy, double temperature)
      : target_(target, size, capacity),
        draft_(draft, size, capacity),
        drafter_(draft_, policy, {.top = 0}),
        batch_(target_, drafter_) {
    for (std::size_t i = 0; i < size; ++i) {
      // Nothing ends a text here: all of the batch runs all of the time.
      const specdec::generate_options options{.max_tokens = capacity,
                                              .sampling = {temperature},
                                              .seed = 1,
                                              .stream = static_cast<std::uint32_t>(i),
                                              .log_probabilities = specdec::log_probability_of::nothing};
      texts_.push_back(std::make_unique<specdec::session<>>(target_.vocab_size(), options));
      texts_.back()->begin(prompts[i % prompts.size()]);
      batch_.join(*texts_.back());
    }
    while (std::ranges::any_of(texts_, [](const auto& t) { return t->generated().empty(); })) batch_.round();
  }

  void run(std::size_t rounds) override {
    const double start = specdec::seconds_now();
    for (std::size_t round = 0; round < rounds; ++round) {
      if (!std::ranges::all_of(texts_, [](const auto& t) { return t->running(); })) break;
      batch_.round([&](auto&, const specdec::outcome& out) { tokens_ += out.committed; });
      rounds_ += texts_.size();
    }
    seconds_ += specdec::seconds_now() - start;
  }

 private:
  toy::batch target_;
  toy::batch draft_;
  specdec::batch_model_drafter<toy::batch, Policy> drafter_;
  specdec::session_batch<toy::batch, specdec::batch_model_drafter<toy::batch, Policy>> batch_;
  std::vector<std::unique_ptr<specdec::session<>>> texts_;
};

void measure(const toy::model& target, const toy::model& draft, const std::vector<text>& prompts, std::size_t size,
             std::size_t rounds, double temperature) {
  std::vector<std::unique_ptr<contestant>> contestants;
  const auto add = [&](const auto& policy) {
    using policy_type = std::remove_cvref_t<decltype(policy)>;
    contestants.push_back(
        std::make_unique<contestant_with<policy_type>>(target, draft, prompts, size, policy, temperature));
  };
  for (const std::size_t gamma : gammas) add(specdec::constant{gamma});
  add(specdec::cost_model<>(specdec::measured_costs{}, {.max_gamma = 4}));
  for (std::size_t turn = 0; turn < turns; ++turn)
    for (const auto& one : contestants) one->run(rounds);
  const double plain = contestants.front()->tokens_per_second();
  fmt::print("{:>5} {:>8.1f}", size, plain);
  for (std::size_t i = 1; i < contestants.size(); ++i)
    fmt::print(" | {:>7.1f} {:>4.2f}x {:>4.2f}", contestants[i]->tokens_per_second(),
               contestants[i]->tokens_per_second() / plain, contestants[i]->tokens_per_round());
  fmt::print("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string models = SPECDEC_MODELS_DIR;
    const std::size_t ballast = argc > 1 ? std::stoul(argv[1]) : 150'000'000;
    const std::size_t rounds = argc > 2 ? std::stoul(argv[2]) : 6;
    const double temperature = argc > 3 ? std::stod(argv[3]) : 0.0;
    const toy::gguf_file file(models + "/target.gguf");
    const toy::tokenizer tokenizer(file);
    std::vector<text> prompts;
    for (const measurement::prompt& one : measurement::read_prompts(models + "/prompts.jsonl"))
      prompts.push_back(tokenizer.encode(one.text));
    // Long prompts would leave little room to generate.
    std::ranges::sort(prompts, {}, [](const text& p) { return p.size(); });
    const toy::model draft(models + "/draft.gguf");
    fmt::print("target with ballast to {} M parameters, temperature {}, {} turns of {} rounds\n", ballast / 1'000'000,
               temperature, turns, rounds);
    for (const auto& [format, name] :
         {std::pair(toy::weight_format::float32, "float32"), std::pair(toy::weight_format::float16, "float16")}) {
      const toy::model target(file, {.format = format, .ballast_parameters = ballast});
      fmt::print("\n{}, {:.0f} MB a pass; tokens a second, against plain, tokens of one text a round\n{:>5} {:>8}",
                 name, static_cast<double>(target.bytes_per_pass()) * 1e-6, "texts", "plain");
      for (const std::size_t gamma : gammas)
        if (gamma > 0) fmt::print(" | {:>18}", fmt::format("gamma {}", gamma));
      fmt::print(" | {:>18}\n", "cost model");
      for (const std::size_t size : sizes) measure(target, draft, prompts, size, rounds, temperature);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "batch: {}\n", error.what());
    return 1;
  }
}
