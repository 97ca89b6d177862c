#include "comparison_report.hpp"

#include <array>
#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <doctor/alternatives.hpp>
#include <doctor/quantile.hpp>
#include <program/text.hpp>

namespace llama {
namespace {

using doctor::bounded;
using program::style;
using program::terminal;

constexpr double level = 0.95;
constexpr std::size_t at(way which) { return static_cast<std::size_t>(which); }

/// What is told of the ways, with bounds.
struct figures {
  std::array<bounded, ways> tokens_per_call, tokens_per_second, speedup;
  bounded calls_gain, speed_gain;  ///< of specdec's rule over llama.cpp's: tokens per call, and per second
};

figures figures_of(const comparison& found, std::uint64_t seed) {
  const auto all = [](const std::vector<doctor::speed>& speeds) {
    std::vector<double> values;
    for (const doctor::speed& one : speeds) {
      values.push_back(one.tokens_per_round);
      values.push_back(one.tokens_per_second);
      values.push_back(one.tokens_per_second / speeds.front().tokens_per_second);
    }
    const doctor::speed &theirs = speeds[at(way::matching)], &ours = speeds[at(way::rejection)];
    values.push_back(ours.tokens_per_round / theirs.tokens_per_round);
    values.push_back(ours.tokens_per_second / theirs.tokens_per_second);
    return values;
  };
  const std::vector<bounded> values = doctor::with_bounds(found.runs, level, seed, all);
  figures result;
  for (std::size_t i = 0; i < ways; ++i) {
    result.tokens_per_call[i] = values[3 * i];
    result.tokens_per_second[i] = values[3 * i + 1];
    result.speedup[i] = values[3 * i + 2];
  }
  result.calls_gain = values[3 * ways];
  result.speed_gain = values[3 * ways + 1];
  return result;
}

/// Acceptance by both rules, and its ratio: means over positions, bounds by a bootstrap over texts.
struct acceptances {
  bounded overlap, likeliest, ratio;
  std::size_t positions = 0;
};

acceptances acceptances_of(const comparison& found, std::uint64_t seed) {
  constexpr std::size_t resamples = 400;
  const auto means = [](const auto& texts) {
    forced_text sum;
    for (const forced_text* one : texts) {
      sum.positions += one->positions;
      sum.overlap += one->overlap;
      sum.likeliest += one->likeliest;
    }
    const auto positions = static_cast<double>(sum.positions);
    return std::array{sum.overlap / positions, sum.likeliest / positions, sum.overlap / sum.likeliest};
  };
  std::vector<const forced_text*> texts;
  acceptances result;
  for (const forced_text& one : found.forced) {
    texts.push_back(&one);
    result.positions += one.positions;
  }
  const std::array values = means(texts);
  std::array<std::vector<double>, 3> drawn;
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < resamples; ++i) {
    for (auto& text : texts) text = &found.forced[static_cast<std::size_t>(random() % found.forced.size())];
    const std::array some = means(texts);
    for (std::size_t k = 0; k < some.size(); ++k) drawn[k].push_back(some[k]);
  }
  const auto with_bounds = [&](std::size_t k) {
    return bounded{values[k], doctor::quantile(drawn[k], (1 - level) / 2), doctor::quantile(drawn[k], (1 + level) / 2)};
  };
  result.overlap = with_bounds(0);
  result.likeliest = with_bounds(1);
  result.ratio = with_bounds(2);
  return result;
}

std::string in_words(const bounded& one, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} - {:.{}f})", one.value, digits, one.low, digits, one.high, digits);
}

std::string row(std::string_view name, std::string_view value, const terminal& out) {
  return fmt::format("  {}{}\n", out.styled(style::quiet, fmt::format("{:<12}", name)), value);
}

nlohmann::ordered_json to_json(const bounded& one) {
  return {{"value", one.value}, {"low", one.low}, {"high", one.high}};
}

}  // namespace

std::string to_table(const options& asked, const engine& models, const comparison& found, const terminal& out) {
  const figures shown = figures_of(found, asked.seed);
  const acceptances accepted = acceptances_of(found, asked.seed);
  std::string text = "\n";
  text += row("target", program::in_words(models.target()), out);
  text += row("draft", program::in_words(*models.draft()), out);
  text +=
      row("texts",
          fmt::format(
              "{} of {} tokens, in turns, {} drafted a call{}", found.runs.size(), found.tokens_per_text, found.gamma,
              found.prompts_without_room > 0 ? fmt::format("; {} prompts too long", found.prompts_without_room) : ""),
          out);
  text += fmt::format("\n  {}\n",
                      out.styled(style::heading, fmt::format("{:<28}{:>20}{:>24}{:>20}", "with 95 % bounds",
                                                             "tokens per call", "tokens per second", "over plain")));
  for (std::size_t i = 0; i < ways; ++i) {
    const std::string line =
        fmt::format("{:<28}{:>20}{:>24}{:>20}", names_of_ways[i], in_words(shown.tokens_per_call[i], 2),
                    in_words(shown.tokens_per_second[i], 1), in_words(shown.speedup[i], 2));
    text += fmt::format("  {}\n", i == at(way::rejection) ? out.styled(style::good, line) : line);
  }
  text += fmt::format("\n  {:<28}{:>20}{:>24}\n", "specdec over llama.cpp's", in_words(shown.calls_gain, 2),
                      in_words(shown.speed_gain, 2));
  text += fmt::format(
      "\n  At the same {} positions a draft's first token is accepted with probability\n"
      "  {:<28}{:>22}   sum min(p, q)\n  {:<28}{:>22}   p(argmax q)\n  {:<28}{:>22}\n",
      accepted.positions, "by specdec", in_words(accepted.overlap, 3), "by llama.cpp", in_words(accepted.likeliest, 3),
      "ratio", in_words(accepted.ratio, 3));
  return text;
}

nlohmann::ordered_json to_json(const options& asked, const engine& models, const comparison& found) {
  using json = nlohmann::ordered_json;
  const figures shown = figures_of(found, asked.seed);
  const acceptances accepted = acceptances_of(found, asked.seed);
  const auto model = [](const program::model_description& one) {
    return json{{"file", one.file.string()}, {"parameters", one.parameters}};
  };
  json object{{"settings",
               {{"target", model(models.target())},
                {"draft", model(*models.draft())},
                {"gamma", found.gamma},
                {"texts", found.runs.size()},
                {"tokens_per_text", found.tokens_per_text},
                {"temperature", asked.sampling.temperature},
                {"top_k", asked.sampling.top_k},
                {"top_p", asked.sampling.top_p},
                {"min_p", asked.sampling.min_p},
                {"repetition_penalty", asked.sampling.repetition_penalty},
                {"frequency_penalty", asked.sampling.frequency_penalty},
                {"presence_penalty", asked.sampling.presence_penalty},
                {"penalty_window", asked.sampling.penalty_window},
                {"draft_top", asked.method_settings.draft_top},
                {"seed", asked.seed}}},
              {"level", level}};
  models.list_settings(object["settings"]);
  json& listed = object["ways"] = json::array();
  for (std::size_t i = 0; i < ways; ++i) {
    listed.push_back({{"name", names_of_ways[i]},
                      {"tokens_per_call", to_json(shown.tokens_per_call[i])},
                      {"tokens_per_second", to_json(shown.tokens_per_second[i])},
                      {"speedup", to_json(shown.speedup[i])}});
  }
  object["specdec_over_llama_cpp"] = {{"tokens_per_call", to_json(shown.calls_gain)},
                                      {"tokens_per_second", to_json(shown.speed_gain)}};
  object["acceptance"] = {{"positions", accepted.positions},
                          {"sum_min_p_q", to_json(accepted.overlap)},
                          {"p_of_argmax_q", to_json(accepted.likeliest)},
                          {"ratio", to_json(accepted.ratio)}};
  return object;
}

}  // namespace llama
