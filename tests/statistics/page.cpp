#include "page.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace frequencies {
namespace {

std::string p_text(const fit& test) {
  if (test.impossible) return "impossible";
  return test.p() >= 1e-3 ? fmt::format("{:.3f}", test.p()) : fmt::format("{:.0e}", test.p());
}

/// Whether it is a mistake that does not show yet, and need not: too few tokens were counted.
bool needs_more(const finding& one) {
  return !one.of->is_lossless && !one.alarms() && one.tokens < one.of->tokens_to_find;
}

bool is_as_it_should(const finding& one) {
  if (one.of->is_lossless) return !one.alarms();
  return one.alarms() || needs_more(one);
}

std::string line_of(const finding& one) {
  const char* verdict = one.of->is_lossless ? (one.alarms() ? "  ALARM" : "")
                        : one.alarms()      ? "  found"
                        : needs_more(one)   ? "  needs more"
                                            : "  NOT FOUND";
  return fmt::format("  {:<34}{:>12}{:>10.1f}{:>6}{:>11}{:>9.1f}{:>5}{:>11}{:>11.6f}{:>10.6f}{}\n", one.of->setting,
                     one.tokens, one.texts.statistic, one.texts.degrees, p_text(one.texts), one.each.statistic,
                     one.each.degrees, p_text(one.each), one.total_variation, one.by_chance, verdict);
}

std::string table_of(std::span<const finding> cases, bool lossless) {
  std::string table = fmt::format("  {:<34}{:>12}{:>10}{:>6}{:>11}{:>9}{:>5}{:>11}{:>11}{:>10}\n", "", "tokens",
                                  "G texts", "df", "p", "G tokens", "df", "p", "TV", "by chance");
  std::string before;
  for (const finding& one : cases) {
    if (one.of->is_lossless != lossless) continue;
    const std::string rule = fmt::format("{}: {}\n", one.of->rule, one.of->drafts);
    if (rule != before) table += rule;
    before = rule;
    table += line_of(one);
  }
  return table;
}

std::string rules_table(std::span<const rule_finding> rules) {
  std::string table = fmt::format("\n{:<24}{:>12}{:>12}{:>7}{:>8}{:>24}\n", "", "tokens", "G tokens", "df", "p",
                                  "finds, where .5 is due");
  for (const rule_finding& one : rules) {
    const double bias = least_bias_found(static_cast<double>(one.tokens), one.each.degrees, level());
    table += fmt::format("{:<24}{:>12}{:>12.1f}{:>7}{:>8}{:>24}{}\n", one.rule, one.tokens, one.each.statistic,
                         one.each.degrees, p_text(one.each), fmt::format("{:.5f}", 0.5 * (1 + bias)),
                         one.alarms() ? "  ALARM" : "");
  }
  return table;
}

/// How many mistakes were found, of those that show in so many tokens.
std::string mistakes_line(std::span<const finding> cases) {
  std::size_t found = 0, missed = 0, waiting = 0;
  for (const finding& one : cases) {
    if (one.of->is_lossless) continue;
    ++(one.alarms() ? found : needs_more(one) ? waiting : missed);
  }
  std::string line = fmt::format("{} of the {} that show in so many tokens found", found, found + missed);
  if (waiting > 0) line += fmt::format("; {} need{} more", waiting, waiting == 1 ? "s" : "");
  return line;
}

/// A case examined; its steps go into the test of its rule, too.
finding examine(const generation_case& one, const tally& got, g_test& of_rule) {
  const exact_law law = law_of(one);
  finding made{.of = &one, .tokens = got.blocks * tokens_per_block};
  g_test texts;
  texts.add(got.texts, law.of_texts);
  made.texts = texts.result();
  g_test each;
  const auto counts = token_counts(got.texts);
  for (std::size_t context = 0; context < width * width; ++context) {
    for (g_test* test : {&each, &of_rule}) {
      test->add(std::span(counts).subspan(context * width, width),
                std::span(law.of_tokens).subspan(context * width, width));
    }
  }
  made.each = each.result();
  made.total_variation = total_variation(got.texts, law.of_texts);
  made.by_chance = total_variation_by_chance(got.blocks * texts_per_block, law.of_texts);
  return made;
}

}  // namespace

std::size_t test_count() {
  static const std::size_t count = [] {
    const auto cases = lossless_cases();
    std::set<std::string> rules;
    for (const generation_case& one : cases) rules.insert(one.rule);
    return 2 * cases.size() + rules.size();
  }();
  return count;
}

bool findings::are_as_they_should() const {
  return std::all_of(cases.begin(), cases.end(), is_as_it_should) &&
         std::none_of(rules.begin(), rules.end(), [](const rule_finding& one) { return one.alarms(); });
}

findings examine(std::span<const generation_case> cases, const tallies& counted) {
  findings found;
  std::vector<g_test> of_rules;
  for (const generation_case& one : cases) {
    const auto at = counted.find(one.name());
    if (at == counted.end() || at->second.blocks == 0) continue;
    g_test unused;
    g_test* of_rule = &unused;
    if (one.is_lossless) {
      if (found.rules.empty() || found.rules.back().rule != one.rule) {
        found.rules.push_back({.rule = one.rule});
        of_rules.emplace_back();
      }
      of_rule = &of_rules.back();
      found.rules.back().tokens += at->second.blocks * tokens_per_block;
    }
    found.cases.push_back(examine(one, at->second, *of_rule));
  }
  for (std::size_t i = 0; i < of_rules.size(); ++i) found.rules[i].each = of_rules[i].result();
  return found;
}

std::string page_of(const findings& found) {
  std::string page = fmt::format(
      "What is emitted, against the exact law. Texts of {0} tokens of {1}, the law of each token a table in float of\n"
      "the two before it; generated with production randomness and counted. Larger vocabularies are counted in {1}\n"
      "classes, on which alone the law depends. G texts: the likelihood ratio of the joint law of a text; G tokens:\n"
      "that of each token behind the two before it; p: how often chance alone is as odd, too far from the law or too\n"
      "near. TV: total variation of the texts' law, and what it is on average for the law itself.\n"
      "{2} tests, each at level {3:.1e}: where all is right, one page in {4:.0f} calls a false alarm.\n\n",
      text_length, width, test_count(), level(), 1 / false_alarm_rate);
  page += table_of(found.cases, true);
  const auto is_mistaken = [](const finding& one) { return !one.of->is_lossless; };
  const auto mistaken = std::count_if(found.cases.begin(), found.cases.end(), is_mistaken);
  if (mistaken > 0) page += "\nKnown mistakes, under the same tests\n" + table_of(found.cases, false);
  if (found.rules.empty()) return page;

  page += rules_table(found.rules);
  std::uint64_t tokens = 0;
  double least = 1;
  std::size_t alarms = 0;
  for (const rule_finding& one : found.rules) {
    tokens += one.tokens;
    least = std::min(least, one.each.p());
    alarms += one.alarms() ? 1 : 0;
  }
  for (const finding& one : found.cases) {
    if (!one.of->is_lossless) continue;
    least = std::min(least, one.p());
    alarms += one.alarms() ? 1 : 0;
  }
  page += fmt::format(
      "\n{} tokens: {} alarms. The least p is {:.2g}; among {} tests of what is right, there is one as low in {:.0f} % "
      "of "
      "pages.\n",
      tokens, alarms, least, test_count(), -100 * std::expm1(static_cast<double>(test_count()) * std::log1p(-least)));
  if (mistaken > 0) page += fmt::format("Known mistakes: {}.\n", mistakes_line(found.cases));
  page +=
      "The last column: a rule whose probabilities are off by so much in proportion, up or down, is found 99 times in "
      "100.\n";
  return page;
}

}  // namespace frequencies
