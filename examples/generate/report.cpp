#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <program/json.hpp>
#include <program/text.hpp>

namespace generate {
namespace {

using program::bar;
using program::milliseconds;
using program::percent;

std::string count(std::size_t value) { return fmt::format("{}", fmt::group_digits(value)); }

std::string rate(double value) {
  return value < 100 ? fmt::format("{:.1f}", value) : count(static_cast<std::size_t>(std::llround(value)));
}

std::string ordinal(std::size_t number) {
  const std::size_t last = number % 10;
  const bool teen = number / 10 % 10 == 1;
  return fmt::format("{}{}", number, teen || last > 3 || last == 0 ? "th" : last == 1 ? "st" : last == 2 ? "nd" : "rd");
}

std::string plural(std::size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", count(number), noun, number == 1 ? "" : "s");
}

double speedup_of(const comparison& both) {
  return both.speculative.stats.tokens_per_second() / both.plain.stats.tokens_per_second();
}

std::string milliseconds_per_token(const specdec::statistics& stats) {
  return milliseconds(stats.seconds() / static_cast<double>(std::max<std::uint64_t>(stats.delivered, 1)));
}

// Lines of a name and what it names.
class table {
 public:
  explicit table(const terminal& out) : out_(&out) {}

  void row(std::string_view name, std::string_view value) {
    text_ += fmt::format("  {}{}\n", out_->styled(style::quiet, fmt::format("{:<{}}", name, name_width)), value);
  }

  // Numbers with speculation and without, and what follows from them.
  void columns(std::string_view name, std::string_view with, std::string_view without, std::string_view result,
               style result_style = style::plain) {
    row(name, fmt::format("{:>16}{:>14}{}", with, without,
                          result.empty() ? std::string() : out_->styled(result_style, fmt::format("{:>14}", result))));
  }

  void space() { text_ += '\n'; }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  static constexpr std::size_t name_width = 25;

  const terminal* out_;
  std::string text_;
};

void add_acceptance(table& t, const specdec::statistics& stats, const terminal& out) {
  constexpr std::size_t most_rows = 12;
  constexpr std::size_t bar_width = 40;
  t.row("draft tokens accepted", fmt::format("{} of those the target judged (alpha), {} of all", percent(stats.alpha()),
                                             percent(stats.draft_acceptance_rate())));
  const std::size_t rows = std::min(stats.accepted_at.size(), most_rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const double share = stats.survival(i + 1);
    const std::string drawn = bar(share, bar_width);
    t.row(fmt::format("  {}{}", ordinal(i + 1), i == 0 ? " of a round" : ""),
          fmt::format("{:>4}{}", percent(share),
                      drawn.empty() ? "" : fmt::format("  {}", out.styled(style::drafted, drawn))));
  }
  if (rows < stats.accepted_at.size()) t.row(fmt::format("  up to {}", ordinal(stats.accepted_at.size())), "   …");
}

std::string describe_texts(const findings& found) {
  const sample& last = found.samples.back();
  if (found.samples.size() == 1) {
    return plural(last.generated.tokens.size(), "token") + ending(last.generated.status, last.stop_text);
  }
  std::size_t tokens = 0;
  for (const sample& one : found.samples) tokens += one.generated.tokens.size();
  const bool whole = last.generated.status != specdec::session_status::stopped;
  return fmt::format("{} samples, {}{}", found.samples.size(), plural(tokens, "token"),
                     whole ? "" : ending(last.generated.status, last.stop_text));
}

// Of all texts together; nothing if the method is lossless.
std::optional<measurement::quality> quality_of_all(const findings& found) {
  std::optional<measurement::quality> all;
  for (const sample& one : found.samples) {
    if (!one.judged) continue;
    if (!all) all.emplace();
    *all += *one.judged;
  }
  return all;
}

// A stop text may hold anything, and would break the table.
std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 20;
  if (text.size() <= most) return fmt::format("{:?}", text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return fmt::format("{:?}…", text.substr(0, end));
}

}  // namespace

std::optional<std::string> stop_text_of(const measurement::text_session& text) {
  if (text.status() != specdec::session_status::stop_text) return std::nullopt;
  return text.options().stop_texts[text.stop_index()];
}

std::string ending(specdec::session_status status, const std::optional<std::string>& stop_text) {
  switch (status) {
    case specdec::session_status::max_tokens:
      return ", as many as asked for (-n)";
    case specdec::session_status::end_token:
      return "; the target ended the text";
    case specdec::session_status::stop_text:
      return fmt::format("; stopped before {}", in_quotes(stop_text.value_or("")));
    case specdec::session_status::context_full:
      return "; the target's context is full";
    case specdec::session_status::stopped:
      return "; interrupted";
    default:
      return fmt::format("; {}", specdec::to_string(status));
  }
}

std::string to_table(const request& asked, const engine& engine, const findings& found, const terminal& out) {
  const specdec::statistics& stats = found.measured.stats;
  const measurement::method& method = *asked.method;
  const bool speculative = method.drafts_with != measurement::draft_source::nothing && found.gamma > 0;
  table t(out);
  t.space();
  t.row("target", in_words(engine.target()));
  if (const auto draft = engine.draft()) {
    const bool advised_against = !asked.gamma && found.gamma == 0;
    t.row("draft", in_words(*draft) + (advised_against ? "; not used, guessing would cost more" : ""));
  }
  if (speculative) t.row("method", fmt::format("{} ({})", method.name, method.source));
  t.row("prompt", fmt::format("{}, read at {} tokens/s", plural(found.prompt_tokens, "token"),
                              rate(static_cast<double>(found.prompt_tokens + found.reading.proposed) /
                                   found.reading.target_seconds)));
  t.row("text", describe_texts(found));
  if (speculative) {
    t.row("each round",
          fmt::format("{}{} of the draft, checked by one target call", method.fixed_depth ? "" : "at most ",
                      found.gamma == 1 ? "1 guess" : fmt::format("{} guesses", found.gamma)));
  }
  if (speculative && out.color()) {
    t.row("colours", fmt::format("{}, the target's own", out.styled(style::drafted, "guessed by the draft and kept")));
  }
  t.space();
  if (found.compared) {
    const specdec::statistics& plain = found.compared->plain.stats;
    t.columns("", "with speculation", "without", "speed-up");
    t.columns("tokens per second", rate(stats.tokens_per_second()), rate(plain.tokens_per_second()),
              fmt::format("{:.2f}x", speedup_of(*found.compared)),
              speedup_of(*found.compared) > 1 ? style::good : style::heading);
    t.columns("time per token", milliseconds_per_token(stats), milliseconds_per_token(plain), "");
    t.columns("tokens per target call", fmt::format("{:.2f}", stats.mean_acceptance_length()),
              fmt::format("{:.2f}", plain.mean_acceptance_length()), "");
    t.row("", found.measured.runs == 1 ? "one run each" : fmt::format("medians of {} runs each", found.measured.runs));
  } else {
    t.row("tokens per second", rate(stats.tokens_per_second()));
    t.row("time per token", milliseconds_per_token(stats));
    t.row("tokens per target call", fmt::format("{:.2f}", stats.mean_acceptance_length()));
  }
  if (!speculative) return t.text();

  if (const auto judged = quality_of_all(found)) {
    t.row("the target thinks", fmt::format("{} of the tokens the likeliest, perplexity {:.2f}; this method is lossy",
                                           percent(judged->agreement()), judged->perplexity()));
  }
  t.space();
  add_acceptance(t, stats, out);
  t.space();
  if (stats.seconds() > 0) {
    t.row(
        "where the time went",
        fmt::format("draft {}, target {}, verification {}", percent(stats.draft_seconds / stats.seconds()),
                    percent(stats.target_seconds / stats.seconds()), percent(stats.verify_seconds / stats.seconds())));
  }
  // What a round costs where drafts differ in length, no single length tells.
  if (found.compared && found.compared->parts && method.fixed_depth) {
    const costs& parts = *found.compared->parts;
    t.row("a guess costs", milliseconds(parts.draft_token));
    t.row("a target call costs", fmt::format("{} for 1 token, {} for {}", milliseconds(parts.target_call.front()),
                                             milliseconds(parts.target_call.back()), parts.target_call.size()));
    t.row("predicted speed-up",
          fmt::format("{:.2f}x, from these costs and the acceptance above", found.compared->predicted_speedup));
  }
  return t.text();
}

namespace {

using json = nlohmann::ordered_json;

json sample_to_json(const sample& one, const request& asked, const engine& engine) {
  json tokens = json::array();
  for (std::size_t i = 0; i < one.generated.tokens.size(); ++i) {
    const specdec::emitted_token& token = one.generated.tokens[i];
    json object{{"id", token.id},
                {"text", one.text.pieces[i]},
                {"origin", token.origin == specdec::provenance::drafted ? "draft" : "target"},
                {"log_probability", token.log_probability}};
    if (asked.top_log_probabilities > 0) {
      json& likeliest = object["likeliest"] = json::array();
      for (const specdec::candidate& other : one.generated.top(i)) {
        likeliest.push_back({{"id", other.id},
                             {"text", std::string(engine.piece(other.id))},
                             {"log_probability", other.log_probability}});
      }
    }
    tokens.push_back(std::move(object));
  }
  return {{"text", one.text.whole},
          {"tokens", std::move(tokens)},
          {"stop_reason", specdec::to_string(one.generated.status)},
          {"stop_text", one.stop_text ? json(*one.stop_text) : json()}};
}

}  // namespace

std::string to_json(const request& asked, const engine& engine, const findings& found) {
  const auto model = [](const program::model_description& one) {
    return json{{"file", one.file.string()}, {"parameters", one.parameters}};
  };
  const auto draft = engine.draft();
  const auto statistics = [](const specdec::statistics& stats) { return json::parse(specdec::to_json(stats)); };
  json object{{"prompt", asked.prompt}};
  if (asked.samples) {
    json& samples = object["samples"] = json::array();
    for (const sample& one : found.samples) {
      samples.push_back(sample_to_json(one, asked, engine));
      samples.back()["statistics"] = statistics(one.generated.stats);
    }
  } else {
    object.update(sample_to_json(found.samples.front(), asked, engine));
  }
  object.update(json{
      {"settings",
       {{"target", model(engine.target())},
        {"draft", draft ? model(*draft) : json()},
        {"predict", asked.predict},
        {"min_tokens", asked.min_tokens},
        {"stop_texts", asked.stop_texts},
        {"samples", asked.samples.value_or(1)},
        {"method", asked.method->name},
        {"lossless", asked.method->lossless},
        {"gamma", found.gamma},
        {"temperature", asked.sampling.temperature},
        {"top_k", asked.sampling.top_k},
        {"top_p", asked.sampling.top_p},
        {"min_p", asked.sampling.min_p},
        {"repetition_penalty", asked.sampling.repetition_penalty},
        {"frequency_penalty", asked.sampling.frequency_penalty},
        {"presence_penalty", asked.sampling.presence_penalty},
        {"penalty_window", asked.sampling.penalty_window},
        {"seed", asked.seed},
        {"draft_top", asked.method_settings.draft_top},
        {"ignore_eos", asked.ignore_eos},
        {"log_probabilities_of", asked.log_probabilities == specdec::log_probability_of::model ? "model" : "law"}}},
      {"prompt_reading",
       {{"tokens", found.prompt_tokens},
        {"target_tokens", found.prompt_tokens + found.reading.proposed},
        {"target_seconds", found.reading.target_seconds},
        {"draft_seconds", found.reading.draft_seconds}}},
      {"statistics", statistics(found.measured.stats)},
      {"runs", found.measured.runs},
      {"baseline", nullptr},
      {"speedup", nullptr},
      {"prediction", nullptr},
      {"quality", nullptr}});
  engine.list_settings(object["settings"]);
  if (const auto judged = quality_of_all(found)) {
    object["quality"] = {{"agreement", judged->agreement()}, {"perplexity", judged->perplexity()}};
  }
  if (found.compared) {
    const repeated_run& plain = found.compared->plain;
    object["baseline"] = {{"statistics", statistics(plain.stats)}, {"runs", plain.runs}};
    object["speedup"] = speedup_of(*found.compared);
  }
  if (found.compared && found.compared->parts && asked.method->fixed_depth) {
    const costs& parts = *found.compared->parts;
    object["prediction"] = {
        {"speedup", found.compared->predicted_speedup},
        {"draft_token_seconds", parts.draft_token},
        {"target_call_seconds",
         {{"1", parts.target_call.front()}, {std::to_string(parts.target_call.size()), parts.target_call.back()}}}};
  }
  return program::on_one_line(object);
}

}  // namespace generate
