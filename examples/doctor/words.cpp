#include <string>

#include <fmt/format.h>

#include <program/text.hpp>

#include "report.hpp"

namespace doctor {
namespace {

using program::milliseconds;
using program::percent;

std::string times(double factor) { return fmt::format("{:.2f}", factor); }

std::string bounds(const forecast& one) {
  return fmt::format("between {} and {} with a probability of 90 %", times(one.low), times(one.high));
}

double row_factor(const advice& given) { return given.costs.target[given.best_draft] / given.costs.target.front(); }

std::string guesses(std::size_t gamma) { return gamma == 1 ? "1 guess" : fmt::format("{} guesses", gamma); }

}  // namespace

std::string verdict_in_words(const advice& given) {
  const forecast& best = given.forecasts[given.best_draft];
  switch (given.what) {
    case verdict::speculate:
      return fmt::format("Speculate with gamma {}: expect {} times the speed of plain generation, {}.", best.gamma,
                         times(best.speedup), bounds(best));
    case verdict::perhaps:
      return fmt::format(
          "Speculation gains little here, if anything: expect {} times the speed of plain generation with gamma {}, "
          "{}.",
          times(best.speedup), best.gamma, bounds(best));
    case verdict::do_not:
      return fmt::format(
          "Do not speculate: this draft makes the target slower. The best gamma, {}, reaches {} times the speed of "
          "plain generation, {}.",
          best.gamma, times(best.speedup), bounds(best));
  }
  return {};
}

std::string reasons_in_words(const advice& given) {
  const forecast& best = given.forecasts[given.best_draft];
  const double plain = given.costs.draft[0] + given.costs.target[0] + given.costs.verify[0];
  std::string text = fmt::format(
      "The target accepts {} of the guesses that it judges, so a round with {} makes {:.2f} tokens. A guess costs {}, "
      "{} of a token without speculation ({}). Scoring {} tokens in one call costs {:.2f} times what scoring one does.",
      percent(given.alpha), guesses(best.gamma), best.tokens_per_round, milliseconds(given.draft_token),
      percent(given.draft_token / plain), milliseconds(plain), best.gamma + 1, row_factor(given));
  if (given.hopeless) {
    text += " Such a draft cannot pay, not even if every guess was accepted.";
  }
  return text;
}

std::string remedy_in_words(const advice& given) {
  switch (given.limited_by) {
    case limit::acceptance:
      return fmt::format(
          "What holds it back most is acceptance: were every guess right, it would be {} times. A draft that agrees "
          "more with the target would help, one trained on its texts, say.",
          times(given.if_accepted));
    case limit::draft_cost:
      return fmt::format(
          "What holds it back most is the draft's cost: were drafting free, it would be {} times. A smaller draft "
          "would "
          "help.",
          times(given.if_draft_free));
    case limit::row_cost:
      return fmt::format(
          "What holds it back most is the cost of scoring more than one token in a call: were further tokens free, it "
          "would be {} times. Drafts pay where the weights' way to the processor takes longer than the arithmetic: "
          "with "
          "a larger target, wider weights or more cores.",
          times(given.if_rows_free));
  }
  return {};
}

}  // namespace doctor
