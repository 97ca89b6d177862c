// The length policy on what the bundled target makes of the bundled draft's guesses, task by task.

#include "virtual_clock.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <gguf.hpp>
#include <map>
#include <model.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>
#include <vector>

namespace {

using namespace virtual_clock;
using specdec::token_id;

/// The fates of the draft's guesses on texts of the target's, by task. Behind a given text a guess is accepted with
/// probability min(1, q(x)/p(x)), x being the token that came; so nothing need be drafted to know them all.
std::map<std::string, fates> fates_by_task(double temperature, std::size_t tokens_per_prompt) {
  const std::string models = SPECDEC_MODELS_DIR;
  const toy::gguf_file file(models + "/target.gguf");
  const toy::tokenizer tokenizer(file);
  toy::context target{toy::model(file)};
  toy::context draft{toy::model(models + "/draft.gguf")};
  specdec::law target_law(target.vocab_size(), {.temperature = temperature});
  specdec::law draft_law(draft.vocab_size(), {.temperature = temperature});
  std::vector<token_id> ids(64);
  std::vector<float> weights(64);
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform;
  std::map<std::string, fates> found;
  std::ifstream lines(models + "/prompts.jsonl");
  std::uint32_t stream = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto prompt = nlohmann::json::parse(line);
    std::vector<token_id> text = tokenizer.encode(prompt.at("prompt").get<std::string>());
    const std::size_t prompt_size = text.size();
    const auto written = specdec::autoregressive_generate(
        target, text,
        {.max_tokens = tokens_per_prompt, .sampling = {.temperature = temperature}, .seed = 1, .stream = stream++});
    for (const auto& token : written.tokens) text.push_back(token.id);
    target.truncate(0);
    draft.truncate(0);
    const auto p_rows = target.decode(text, tokens_per_prompt + 1);
    const auto q_rows = draft.decode(text, tokens_per_prompt + 1);
    fates& right = found[prompt.at("task")];
    for (std::size_t i = 0; i < tokens_per_prompt; ++i) {
      const token_id x = text[prompt_size + i];
      const double p = target_law.of(p_rows.row(i)).probability(x);
      const double q = draft_law.of(q_rows.row(i)).propose_top(ids, weights).probability(x);
      right.push_back(uniform(random) * p < q);
    }
  }
  return found;
}

class bundled_pair : public ::testing::TestWithParam<double> {};

INSTANTIATE_TEST_SUITE_P(cost_model, bundled_pair, ::testing::Values(0.0, 1.0));

TEST_P(bundled_pair, is_drafted_for_as_well_as_with_the_best_fixed_gamma) {
  constexpr std::size_t warm_up = 256;
  const auto tasks = fates_by_task(GetParam(), 160);
  ASSERT_EQ(tasks.size(), 4U);
  double least = 1;
  for (const auto& [task, right] : tasks) {
    for (const named_costs& shape : realistic_costs()) {
      specdec::cost_model policy(shape.costs);
      const run found = play(policy, right, shape.costs, {warm_up});
      const fixed best = best_fixed(right, shape.costs, {warm_up});
      const double share = found.speed() / best.speed;
      EXPECT_GT(share, 0.97) << task << ", " << shape.name << ": best gamma " << best.gamma << ", drafted on average "
                             << found.drafted / found.rounds;
      least = std::min(least, share);
    }
  }
  RecordProperty("least_share_of_the_best_fixed_gamma", std::to_string(least));
}

}  // namespace
