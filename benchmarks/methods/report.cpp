#include "report.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace methods {
namespace {

using measurement::draft_source;

// Speed-ups as published, of models, tasks and machines of their own.
struct headline {
  std::string_view method, speedup, source;
};
constexpr std::array headlines{
    headline{"rejection", "2.6-3.4x", "Leviathan et al. 2023, T5-XXL; Chen et al. 2023: 2-2.5x, Chinchilla"},
    headline{"lenient", "3.1x", "Leviathan et al. 2023, l = 0.5 at temperature 1"},
    headline{"assisted", "1.5x", "as in Spec-Bench, Vicuna 7B to 33B: 1.52x to 1.57x"},
    headline{"adaedl", "1.1-1.57x", "Agrawal et al. 2024, over drafts of a fixed length"},
    headline{"prompt_lookup", "2-4x", "Saxena 2023, where the answer repeats the question; Spec-Bench: 1.4-1.66x"},
    headline{"suffix", "to 5.3x", "Oliaro et al. 2024, on agents' tasks"},
    headline{"universal", "to 2.8x", "Timor et al. 2025, the best of their three ways over two vocabularies"},
    headline{"translated", "to 2.8x", "Timor et al. 2025, the same"},
    headline{"ngram", "1.25x", "Leviathan et al. 2023, bigrams with alpha 0.2, by its formula"},
    headline{"big_little", "2.12x", "Kim et al. 2023"},
    headline{"draft_verify", "1.99x", "Zhang et al. 2024"},
    headline{"early_exit", "2.16x", "Elhoushi et al. 2024, of a target trained for it"},
};

const headline* headline_of(std::string_view method) {
  const auto found =
      std::find_if(headlines.begin(), headlines.end(), [&](const auto& h) { return h.method == method; });
  return found == headlines.end() ? nullptr : &*found;
}

std::string_view name_of(toy::weight_format format) { return format == toy::weight_format::float16 ? "f16" : "f32"; }

constexpr std::string_view row =
    "{:<14} {:>3} {:>4} {:>5} {:>5} {:>8} {:>9} {:>8} {:>7} {:>9} {:>6} {:>8} {:>5} {:>5}\n";

// What of the target a self-draft leaves out, where nothing else is asked for.
std::string_view skipped_by(std::string_view method) {
  if (method == "draft_verify") return "every second layer, attention and feed-forward, but the first and the last";
  if (method == "early_exit") return "the second half of the layers";
  return "layers of the target";
}

double off(const comparison& one) { return one.typical() / one.predicted() - 1; }

}  // namespace

std::string head(const options& asked) {
  return fmt::format("{} prompts of each task, {} tokens each; target with ballast to {:.0f}M parameters\n\n",
                     asked.prompts, asked.tokens, static_cast<double>(asked.ballast) / 1e6) +
         fmt::format(row, "method", "wts", "temp", "gamma", "alpha", "tok/call", "plain t/s", "speed-up", "typical",
                     "predicted", "off", "paper", "own", "perpl");
}

std::string line(const baseline& one) {
  return fmt::format(row, "autoregressive", name_of(one.weights), one.temperature, "", "", "1.00", "", "1.00", "", "",
                     "", "", fmt::format("{:.2f}", one.text.agreement()), fmt::format("{:.2f}", one.text.perplexity()));
}

std::string line(const comparison& one) {
  const auto number = [](double value) { return fmt::format("{:.2f}", value); };
  const headline* published = headline_of(one.method->name);
  return fmt::format(
      row, fmt::format("{}{}", one.method->name, one.method->lossless ? "" : " ~"), name_of(one.weights),
      one.temperature, one.gamma, number(one.record.speculative.alpha()),
      number(static_cast<double>(one.record.counts.delivered) / static_cast<double>(one.record.counts.rounds())),
      fmt::format("{:.1f}{}", one.record.plain.tokens_per_second(), one.ballast > 0 ? "" : " *"), number(one.speedup()),
      number(one.typical()), number(one.predicted()), fmt::format("{:+.1f}%", 100 * off(one)),
      published ? published->speedup : "", number(one.record.text.agreement()), number(one.record.text.perplexity()));
}

std::string notes(std::span<const comparison> all) {
  std::string text =
      "\nspeed-up: all time of either; typical: from the medians of whole rounds, off: against it, of the prediction\n"
      "own: the share of tokens that are the target's first choice; perpl: the text's perplexity under the target\n";
  std::vector<double> spreads;
  std::vector<std::string_view> told;
  bool lossy = false, unballasted = false;
  for (const comparison& one : all) {
    lossy = lossy || !one.method->lossless;
    unballasted = unballasted || one.ballast == 0;
    std::vector<double> plain;
    for (const auto& round : one.record.rounds) plain.push_back(round.plain);
    std::sort(plain.begin(), plain.end());
    if (plain.size() >= 4)
      spreads.push_back((plain[plain.size() * 3 / 4] - plain[plain.size() / 4]) / plain[plain.size() / 2]);
  }
  if (lossy) text += "~ lossy: the text is not quite the target's\n";
  if (unballasted) text += "* one thread and no ballast, which would be what is skipped:\n";
  for (const comparison& one : all) {
    if (one.ballast > 0 || std::find(told.begin(), told.end(), one.method->name) != told.end()) continue;
    text += fmt::format("  {:<14} skips {}\n", one.method->name, skipped_by(one.method->name));
    told.push_back(one.method->name);
  }
  if (!spreads.empty()) {
    std::sort(spreads.begin(), spreads.end());
    text += fmt::format(
        "the middle half of plain rounds differ by {:.0f} % of their median, {:.0f} % at worst: on a quiet "
        "machine, few\n",
        100 * spreads[spreads.size() / 2], 100 * spreads.back());
  }
  text += "papers (other models, tasks and machines):\n";
  std::vector<std::string_view> named;
  for (const comparison& one : all) {
    const headline* published = headline_of(one.method->name);
    if (published == nullptr || std::find(named.begin(), named.end(), one.method->name) != named.end()) continue;
    named.push_back(one.method->name);
    text += fmt::format("  {:<14} {:>8}  {}\n", published->method, published->speedup, published->source);
  }
  return text;
}

std::string to_json(const options& asked, std::span<const baseline> plain, std::span<const comparison> all) {
  using json = nlohmann::ordered_json;
  json object{{"settings",
               {{"prompts_per_task", asked.prompts},
                {"tokens", asked.tokens},
                {"ballast", asked.ballast},
                {"seed", asked.seed},
                {"processor", ::study::processor_name()}}},
              {"plain", json::array()},
              {"methods", json::array()}};
  for (const baseline& one : plain) {
    object["plain"].push_back({{"weights", name_of(one.weights)},
                               {"temperature", one.temperature},
                               {"target_agreement", one.text.agreement()},
                               {"target_perplexity", one.text.perplexity()}});
  }
  for (const comparison& one : all) {
    json candidates = json::array();
    for (const candidate& c : one.candidates) candidates.push_back({{"gamma", c.gamma}, {"speedup", c.speedup}});
    const headline* published = headline_of(one.method->name);
    json entry{{"method", one.method->name},
               {"source", one.method->source},
               {"lossless", one.method->lossless},
               {"weights", name_of(one.weights)},
               {"temperature", one.temperature},
               {"ballast", one.ballast},
               {"gamma", one.gamma},
               {"candidates", std::move(candidates)},
               {"alpha", one.record.speculative.alpha()},
               {"tokens_per_call",
                static_cast<double>(one.record.counts.delivered) / static_cast<double>(one.record.counts.rounds())},
               {"rounds_that_drafted", one.record.counts.drafted},
               {"plain_tokens_per_second", one.record.plain.tokens_per_second()},
               {"tokens_per_second", one.record.speculative.tokens_per_second()},
               {"speedup", one.speedup()},
               {"speedup_typical", one.typical()},
               {"speedup_predicted", one.predicted()},
               {"prediction_off", off(one)},
               {"target_agreement", one.record.text.agreement()},
               {"target_perplexity", one.record.text.perplexity()},
               {"published", published ? json(published->speedup) : json()},
               {"published_source", published ? json(published->source) : json()}};
    if (one.ballast == 0) entry["skips"] = skipped_by(one.method->name);
    object["methods"].push_back(std::move(entry));
  }
  return object.dump() + '\n';
}

}  // namespace methods
