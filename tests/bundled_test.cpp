// Real models, real text.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <gguf.hpp>
#include <model.hpp>
#include <nlohmann/json.hpp>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <string>
#include <tokenizer.hpp>
#include <vector>

namespace {

using specdec::token_id;

const std::string models = SPECDEC_MODELS_DIR;

std::vector<std::string> prompts() {
  std::vector<std::string> result;
  std::ifstream file(models + "/prompts.jsonl");
  for (std::string line; std::getline(file, line);) result.push_back(nlohmann::json::parse(line).at("prompt"));
  return result;
}

std::vector<token_id> ids(const specdec::generation& result) {
  std::vector<token_id> tokens;
  for (const auto& token : result.tokens) tokens.push_back(token.id);
  return tokens;
}

void expect_greedy_identity(std::size_t ballast, std::size_t max_tokens) {
  const toy::gguf_file target_file(models + "/target.gguf");
  const toy::tokenizer tokenizer(target_file);
  const toy::model target_model(target_file, {.ballast_parameters = ballast});
  const toy::model draft_model(models + "/draft.gguf");
  toy::context plain_target(target_model);
  toy::context target(target_model);
  toy::context draft(draft_model);
  const auto all = prompts();
  ASSERT_EQ(all.size(), 44U);
  for (const std::string& prompt : all) {
    const auto tokens = tokenizer.encode(prompt);
    specdec::generate_options options{.max_tokens = max_tokens, .sampling = {0.0}};
    const auto expected = ids(specdec::autoregressive_generate(plain_target, tokens, options));
    ASSERT_EQ(expected.size(), max_tokens);
    for (const std::size_t gamma : {1U, 2U, 4U, 8U}) {
      options.gamma = gamma;
      const auto result = specdec::speculative_generate(target, draft, tokens, options);
      ASSERT_EQ(ids(result), expected) << "gamma " << gamma << ", prompt: " << prompt;
      EXPECT_GT(result.stats.accepted, 0U);
    }
  }
}

TEST(bundled, greedy_speculation_is_greedy_decoding_on_every_prompt) { expect_greedy_identity(0, 48); }

TEST(bundled, greedy_speculation_is_greedy_decoding_with_ballast) { expect_greedy_identity(12'000'000, 24); }

TEST(bundled, models_keep_their_contract) {
  for (const char* name : {"target", "draft", "draft-mini"}) {
    const toy::model model(models + "/" + name + ".gguf");
    toy::context context(model);
    const auto report = specdec::testing::check_target_model(context, {.provoke_refusals = true});
    EXPECT_TRUE(report.conforming() && report.complete) << name << ": " << report.text();
  }
}

// Every evaluated token is accepted with probability beta = sum min(p, q), given what came before: so the sum of
// (accepted - beta) over evaluated tokens is a martingale with variance sum beta (1 - beta). Fixed seeds; false alarm
// of one comparison 6e-7 (5 standard deviations).
TEST(bundled, acceptances_agree_with_the_overlap_of_the_laws) {
  const toy::gguf_file target_file(models + "/target.gguf");
  const toy::tokenizer tokenizer(target_file);
  const toy::model target_model(target_file);
  const toy::model draft_model(models + "/draft.gguf");
  toy::context target(target_model);
  toy::context draft_context(draft_model);
  const auto all = prompts();
  for (const double temperature : {0.8, 1.0}) {
    double accepted = 0;
    double expected = 0;
    double variance = 0;
    std::size_t evaluated = 0;
    specdec::law target_law(target.vocab_size(), {.temperature = temperature});
    for (std::size_t i = 0; i < all.size(); i += 2) {
      specdec::session text(target.vocab_size(), {.max_tokens = 96, .sampling = {temperature}, .seed = i});
      text.begin(tokenizer.encode(all[i]));
      specdec::model_drafter drafter(draft_context, specdec::constant{5});
      specdec::draft drafted;
      while (text.running()) {
        const auto request = text.request();
        drafted.begin(request);
        drafter.propose(request, text.chance(), drafted);
        const auto plan = text.plan(drafted, target.size());
        if (target.size() > plan.held) target.truncate(plan.held);
        const auto rows = target.decode(plan.tokens, plan.rows);
        const auto verdict = text.verify(rows);
        const std::size_t kept = drafted.depth(verdict.kept);
        for (specdec::node_id node = 1; node <= drafted.size() && node <= kept + 1; ++node) {
          const auto p = target_law.of(rows.row(node - 1));
          const auto q = drafted.law_of(node);
          double beta = 0;
          for (const token_id t : q.ids()) beta += std::min(p.probability(t), q.probability(t));
          accepted += node <= kept ? 1 : 0;
          expected += beta;
          variance += beta * (1 - beta);
          ++evaluated;
        }
        (void)text.commit(verdict);
      }
    }
    ASSERT_GT(evaluated, 1000U);
    EXPECT_LT(std::abs(accepted - expected), 5 * std::sqrt(variance)) << "at temperature " << temperature;
    const auto n = static_cast<double>(evaluated);
    RecordProperty("temperature_" + std::to_string(temperature),
                   "accepted " + std::to_string(accepted / n) + ", overlap " + std::to_string(expected / n) + " +- " +
                       std::to_string(1.96 * std::sqrt(variance) / n));
    std::printf("temperature %.1f: %zu evaluated, accepted %.4f, sum min(p,q) %.4f +- %.4f (95 %%)\n", temperature,
                evaluated, accepted / n, expected / n, 1.96 * std::sqrt(variance) / n);
  }
}

}  // namespace
