#include "report.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <program/text.hpp>

#include "replay.hpp"

namespace doctor {
namespace {

using program::milliseconds;
using program::style;
using program::terminal;

constexpr std::size_t width = 80;
constexpr std::string_view indent = "  ";

std::string row(std::string_view name, std::string_view value, const terminal& out) {
  return fmt::format("{}{}{}\n", indent, out.styled(style::quiet, fmt::format("{:<12}", name)), value);
}

std::size_t judged(const recording& measured) {
  return static_cast<std::size_t>(acceptance_behind(measured.traces, 0).judged);
}

std::string examined(const findings& found) {
  std::string text = fmt::format("{} texts, {} guesses judged, {} rounds of every gamma timed",
                                 found.measured.traces.size(), judged(found.measured), found.measured.cycles.size());
  if (found.prompts_without_room > 0) text += fmt::format("; {} prompts too long", found.prompts_without_room);
  return text;
}

void add_forecasts(const findings& found, const terminal& out, std::string& text) {
  constexpr std::size_t bar_width = 31;
  double most = 1;
  for (const forecast& one : found.given.forecasts) most = std::max(most, one.speedup);
  text += fmt::format(
      "{}{}\n", indent,
      out.styled(style::heading, fmt::format("{:>5}{:>14}{:>11}{:>14}", "gamma", "tokens/round", "speed-up", "90 %")));
  for (const forecast& one : found.given.forecasts) {
    const bool best = one.gamma == found.given.best;
    const std::string bounds = one.gamma == 0 ? "" : fmt::format("{:.2f} - {:.2f}", one.low, one.high);
    const std::string figures =
        fmt::format("{:>5}{:>14.2f}{:>10.2f}x{:>14}", one.gamma, one.tokens_per_round, one.speedup, bounds);
    text += fmt::format("{}{}{}{}\n", indent, best ? out.styled(style::good, figures) : figures, indent,
                        out.styled(best ? style::good : style::drafted, program::bar(one.speedup / most, bar_width)));
  }
}

void add_what_if(const advice& given, const terminal& out, std::string& text) {
  const auto line = [&](limit which, std::string_view name, double speedup) {
    const std::string figures = fmt::format("{:<47}{:>7.2f}x", name, speedup);
    text += fmt::format("{}{}\n", indent, given.limited_by == which ? out.styled(style::heading, figures) : figures);
  };
  text += fmt::format("{}{}\n", indent, out.styled(style::quiet, "speed-up at the best gamma, if"));
  line(limit::acceptance, "  every guess was accepted", given.if_accepted);
  line(limit::draft_cost, "  drafting cost nothing", given.if_draft_free);
  line(limit::row_cost, "  scoring further tokens in a call cost nothing", given.if_rows_free);
}

void add_costs(const advice& given, const terminal& out, std::string& text) {
  std::string calls;
  for (const std::size_t tokens : {1U, 2U, 4U, 8U, 17U}) {
    if (tokens > given.costs.target.size()) break;
    const double factor = given.costs.target[tokens - 1] / given.costs.target[0];
    calls += tokens == 1 ? milliseconds(given.costs.target[0]) + " for 1 token"
                         : fmt::format("{} {}: {:.2f}x", tokens == 2 ? ";" : ",", tokens, factor);
  }
  text += row("a call", calls, out);
  text += row("a guess", milliseconds(given.draft_token), out);
  text +=
      row("the rest", fmt::format("{} a round: verification", milliseconds(given.costs.verify[given.best_draft])), out);
}

void add_check(const findings& found, const terminal& out, std::string& text) {
  const check_result& checked = *found.checked;
  text += fmt::format("\n{}{}\n", indent,
                      out.styled(style::heading, fmt::format("{:>5}{:>14}{:>14}{:>14}{:>18}", "gamma", "predicted",
                                                             "measured", "90 %", "tokens per second")));
  for (const measured_speed& one : checked.speeds) {
    const auto& forecasts = found.given.forecasts;
    const std::string predicted =
        one.gamma < forecasts.size() ? fmt::format("{:.2f}x", forecasts[one.gamma].speedup) : "less";
    const std::string figures =
        fmt::format("{:>5}{:>14}{:>13.2f}x{:>14}{:>18.1f}", one.gamma, predicted, one.speedup,
                    one.gamma == 0 ? "" : fmt::format("{:.2f} - {:.2f}", one.low, one.high), one.tokens_per_second);
    text += fmt::format("{}{}\n", indent, one.gamma == checked.fastest ? out.styled(style::good, figures) : figures);
  }
  text += '\n';
  text += program::wrapped(
      fmt::format("Measured on {} texts with every gamma, whole and in turns: gamma {} was fastest, and the advised "
                  "gamma {} reached {:.1f} % of its speed.",
                  checked.texts, checked.fastest, found.given.best, 100 * checked.share_of_fastest),
      width, indent);
}

}  // namespace

std::string to_text(const findings& found, const terminal& out) {
  const advice& given = found.given;
  std::string text = "\n";
  text += row("target", in_words(found.target), out);
  text += row("draft", in_words(found.draft), out);
  text += row("examined", examined(found), out);
  add_costs(given, out, text);
  text += '\n';
  const style tone = given.what == verdict::speculate ? style::good : style::heading;
  text += out.styled(tone, program::wrapped(verdict_in_words(given), width, indent));
  text += '\n';
  text += program::wrapped(reasons_in_words(given), width, indent);
  text += program::wrapped(remedy_in_words(given), width, indent);
  text += '\n';
  add_what_if(given, out, text);
  text += '\n';
  add_forecasts(found, out, text);
  if (found.measured.deepest < longest_draft) {
    text += program::wrapped("Longer drafts were not measured: with a draft this slow they lose more.", width, indent);
  }
  if (found.checked) add_check(found, out, text);
  return text;
}

nlohmann::ordered_json to_json(const question& asked, const findings& found,
                               const std::function<void(nlohmann::ordered_json&)>& list_settings) {
  using json = nlohmann::ordered_json;
  const advice& given = found.given;
  const auto model = [](const program::model_description& one) {
    return json{{"file", one.file.string()}, {"parameters", one.parameters}};
  };
  json forecasts = json::array();
  for (const forecast& one : given.forecasts) {
    forecasts.push_back({{"gamma", one.gamma},
                         {"tokens_per_round", one.tokens_per_round},
                         {"speedup", one.speedup},
                         {"low", one.low},
                         {"high", one.high}});
  }
  constexpr const char* verdicts[] = {"speculate", "perhaps", "do_not"};
  constexpr const char* limits[] = {"acceptance", "draft_cost", "row_cost"};
  const forecast& best = given.forecasts[given.best_draft];
  json object{
      {"settings",
       {{"target", model(found.target)},
        {"draft", model(found.draft)},
        {"temperature", asked.sampling.temperature},
        {"top_k", asked.sampling.top_k},
        {"top_p", asked.sampling.top_p},
        {"min_p", asked.sampling.min_p},
        {"repetition_penalty", asked.sampling.repetition_penalty},
        {"frequency_penalty", asked.sampling.frequency_penalty},
        {"presence_penalty", asked.sampling.presence_penalty},
        {"penalty_window", asked.sampling.penalty_window},
        {"draft_temperature", asked.draft_temperature ? json(*asked.draft_temperature) : json()},
        {"draft_top", asked.draft_top},
        {"seed", asked.seed},
        {"seconds", asked.seconds}}},
      {"verdict", verdicts[static_cast<int>(given.what)]},
      {"gamma", given.best},
      {"best_draft", {{"gamma", best.gamma}, {"speedup", best.speedup}, {"low", best.low}, {"high", best.high}}},
      {"words", {verdict_in_words(given), reasons_in_words(given), remedy_in_words(given)}},
      {"limited_by", limits[static_cast<int>(given.limited_by)]},
      {"speedup_if",
       {{"every_guess_accepted", given.if_accepted},
        {"draft_free", given.if_draft_free},
        {"rows_free", given.if_rows_free}}},
      {"acceptance",
       {{"texts", found.measured.traces.size()},
        {"judged", judged(found.measured)},
        {"alpha", given.alpha},
        {"survival", given.survival}}},
      {"costs",
       {{"cycles", found.measured.cycles.size()},
        {"draft_token_seconds", given.draft_token},
        {"draft_seconds", given.costs.draft},
        {"target_call_seconds", given.costs.target},
        {"verification_seconds", given.costs.verify}}},
      {"forecasts", std::move(forecasts)},
      {"check", nullptr}};
  if (found.checked) {
    json speeds = json::array();
    for (const measured_speed& one : found.checked->speeds) {
      speeds.push_back({{"gamma", one.gamma},
                        {"tokens_per_second", one.tokens_per_second},
                        {"speedup", one.speedup},
                        {"low", one.low},
                        {"high", one.high}});
    }
    object["check"] = {{"texts", found.checked->texts},
                       {"fastest", found.checked->fastest},
                       {"share_of_fastest", found.checked->share_of_fastest},
                       {"speeds", std::move(speeds)}};
  }
  list_settings(object["settings"]);
  return object;
}

}  // namespace doctor
