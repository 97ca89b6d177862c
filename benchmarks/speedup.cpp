// What speculation gains on a large target, measured end to end and beside its prediction.
//
// The target is the bundled one with ballast: real text and real acceptance at the cost of a model of any size. For
// each weight format and temperature: gamma is chosen from measured survival and costs, then plain and speculative
// generation take turns on the same prompts. Costs are probed between the runs, so that a machine whose speed drifts
// drifts for both. Prompts are read beforehand and not counted.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <gguf.hpp>
#include <map>
#include <measurement/costs.hpp>
#include <measurement/generator.hpp>
#include <measurement/prompts.hpp>
#include <model.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>
#include <vector>

namespace {

using specdec::token_id;
using text = std::vector<token_id>;

constexpr std::size_t longest_draft = 12;
constexpr std::size_t tokens_per_prompt = 80;

/// Every task's first few prompts.
std::vector<text> first_prompts(const std::string& models, const toy::tokenizer& tokenizer, std::size_t per_task) {
  std::vector<text> prompts;
  std::map<std::string, std::size_t> taken;
  for (const measurement::prompt& one : measurement::read_prompts(models + "/prompts.jsonl")) {
    if (taken[one.task]++ < per_task) prompts.push_back(tokenizer.encode(one.text));
  }
  return prompts;
}

struct result {
  double plain_speed = 0;
  double speculative_speed = 0;
};

result measure(const toy::model& target, const toy::model& draft_model, const std::vector<text>& prompts,
               double temperature, const char* format) {
  toy::context draft(draft_model);
  const specdec::generate_options options{.max_tokens = tokens_per_prompt, .sampling = {temperature}, .seed = 1};
  // The vocabulary is small: a copy of the whole law costs nothing against the target, and accepts more.
  specdec::model_drafter drafter(draft, specdec::constant{longest_draft}, {.top = 0});
  toy::context target_with(target);
  toy::context target_without(target);
  measurement::generator with(target_with, std::ref(drafter), options);
  measurement::generator without(target_without, {}, options);

  specdec::statistics pilot;
  const std::size_t pilot_sizes[] = {1, 2, 3, 5, 7, 9, longest_draft + 1};
  measurement::cost_meter pilot_meter(pilot_sizes);
  for (const text& prompt : prompts) {
    (void)with.read(prompt);
    pilot += with.run().stats;
    pilot_meter.measure(with);
  }
  const measurement::costs curve = pilot_meter.result().value();
  const std::size_t gamma = specdec::theory::best_gamma(
      measurement::survival_of(pilot, longest_draft),
      {.draft = curve.draft_token, .target = curve.target_call, .overhead = measurement::verification_of(pilot)});
  if (gamma == 0) {
    specdec::statistics plain;
    for (const text& prompt : prompts) {
      (void)without.read(prompt);
      plain += without.run().stats;
    }
    fmt::print("{:<8} {:>4.1f} {:>6}  no draft pays: {:.1f} tokens/s without\n", format, temperature, gamma,
               plain.tokens_per_second());
    return {plain.tokens_per_second(), plain.tokens_per_second()};
  }
  drafter.policy().gamma = gamma;

  specdec::statistics speculative;
  specdec::statistics plain;
  const std::size_t sizes[] = {1, gamma + 1};
  measurement::cost_meter meter(sizes);
  for (const text& prompt : prompts) {
    (void)with.read(prompt);
    (void)without.read(prompt);
    plain += without.run().stats;
    speculative += with.run().stats;
    meter.measure(with);
  }
  const result speeds{plain.tokens_per_second(), speculative.tokens_per_second()};
  const double measured = speeds.speculative_speed / speeds.plain_speed;
  measurement::costs round = meter.result().value();
  round.target_call[gamma] += measurement::verification_of(speculative);
  round.target_call[0] += measurement::verification_of(plain);
  const double predicted = specdec::theory::speedup(measurement::survival_of(speculative, gamma), gamma,
                                                    {.draft = round.draft_token, .target = round.target_call});
  fmt::print("{:<8} {:>4.1f} {:>6} {:>7.3f} {:>8.2f} {:>9.1f} {:>9.1f} {:>9.2f} {:>10.2f} {:>+7.1f}%\n", format,
             temperature, gamma, speculative.alpha(), speculative.mean_acceptance_length(), speeds.plain_speed,
             speeds.speculative_speed, measured, predicted, 100 * (measured / predicted - 1));
  fmt::print("         a target call: {:.1f} ms for 1 token", 1e3 * curve.target_call[0]);
  for (const std::size_t size : {2U, 3U, 5U, 9U}) {
    fmt::print(", {:.2f}x for {}", curve.target_call[size - 1] / curve.target_call[0], size);
  }
  fmt::print("; a drafted token: {:.2f} ms\n", 1e3 * curve.draft_token);
  std::fflush(stdout);
  return speeds;
}

/// sum min(p, q) and agreement of the argmax, at every position of texts that the target samples at temperature 1:
/// what a draft is worth where greedy decoding would only loop.
void teacher_forced(const toy::model& target_model, const toy::model& draft_model, const std::vector<text>& prompts) {
  toy::context target(target_model);
  toy::context draft(draft_model);
  specdec::law target_law(target.vocab_size(), {});
  specdec::law draft_law(draft.vocab_size(), {});
  double overlap = 0;
  double top_overlap = 0;
  double agreement = 0;
  std::size_t positions = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto sample = specdec::autoregressive_generate(target, prompts[i], {.max_tokens = 160, .seed = i});
    text whole = prompts[i];
    for (const auto& token : sample.tokens) whole.push_back(token.id);
    target.truncate(0);
    draft.truncate(0);
    const auto rows = whole.size() - prompts[i].size();
    const auto p_rows = target.decode(whole, rows);
    const auto q_rows = draft.decode(whole, rows);
    std::vector<token_id> ids(64);
    std::vector<float> weights(64);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto p = target_law.of(p_rows.row(row));
      const auto q = draft_law.of(q_rows.row(row));
      const auto top = q.propose_top(ids, weights);
      for (token_id t = 0; t < static_cast<token_id>(p.vocab_size()); ++t) {
        overlap += std::min(p.probability(t), q.probability(t));
      }
      for (const token_id t : top.ids()) top_overlap += std::min(p.probability(t), top.probability(t));
      agreement += p.mode() == q.mode() ? 1 : 0;
      ++positions;
    }
  }
  const auto n = static_cast<double>(positions);
  fmt::print("\nteacher-forced on {} tokens sampled from the target at temperature 1:\n", positions);
  fmt::print("  sum min(p,q) {:.3f}; with the draft cut to its top 64, {:.3f}; same most probable token {:.3f}\n",
             overlap / n, top_overlap / n, agreement / n);
}

/// The tables, for a target with so much ballast and the first few prompts of every task.
void run(std::size_t ballast, std::size_t prompts_per_task) {
  const std::string models = SPECDEC_MODELS_DIR;
  const toy::gguf_file file(models + "/target.gguf");
  const toy::tokenizer tokenizer(file);
  const auto prompts = first_prompts(models, tokenizer, prompts_per_task);
  const toy::model draft(models + "/draft.gguf");
  fmt::print("{} prompts, {} tokens each, target with ballast to {} M parameters\n\n", prompts.size(),
             tokens_per_prompt, ballast / 1'000'000);
  fmt::print("{:<8} {:>4} {:>6} {:>7} {:>8} {:>9} {:>9} {:>9} {:>10} {:>8}\n", "weights", "temp", "gamma", "alpha",
             "tok/call", "plain t/s", "spec. t/s", "speed-up", "predicted", "off");
  std::vector<double> plain;
  std::vector<double> fastest;
  for (const auto& [format, name] :
       {std::pair(toy::weight_format::float32, "float32"), std::pair(toy::weight_format::float16, "float16")}) {
    const toy::model target(file, {.format = format, .ballast_parameters = ballast});
    for (const double temperature : {0.0, 1.0}) {
      const result speeds = measure(target, draft, prompts, temperature, name);
      plain.push_back(speeds.plain_speed);
      fastest.push_back(speeds.speculative_speed);
    }
  }
  const double best_plain = *std::max_element(plain.begin(), plain.end());
  fmt::print("\nagainst the fastest plain format ({:.1f} tokens/s):", best_plain);
  const char* names[] = {"float32 at 0", "float32 at 1", "float16 at 0", "float16 at 1"};
  for (std::size_t i = 0; i < fastest.size(); ++i) fmt::print("  {} {:.2f}x", names[i], fastest[i] / best_plain);
  fmt::print("\n");
  teacher_forced(toy::model(file), draft, prompts);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t prompts = 3;
  std::string ballast = "150M";
  CLI::App app("What speculation gains on a large target, on the bundled pair.", "speedup");
  app.add_option("--prompts", prompts, "how many of each task")->check(CLI::Range(1, 100))->capture_default_str();
  app.add_option("--ballast", ballast, "make the target cost what one of so many parameters costs")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run(program::parse_size("--ballast", ballast), prompts);
    program::terminal(stdout, false).close();
    return 0;
  } catch (const program::usage_error& error) {
    fmt::print(stderr, "speedup: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "speedup: {}\n", error.what());
    return 1;
  }
}
