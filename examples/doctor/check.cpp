#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <fmt/format.h>

#include <program/interruption.hpp>

#include "cost_curve.hpp"
#include "quantile.hpp"

namespace doctor {
namespace {

using program::interruption;

constexpr std::size_t gammas = longest_draft + 1;

// Fewer have no spread.
constexpr std::size_t least_texts = 3;

// Tokens per second of every gamma.
std::vector<double> speeds_of(std::span<const std::vector<timed_run>* const> runs) {
  std::vector<timed_run> sums(gammas);
  std::vector<std::vector<double>> round_seconds;
  for (const std::vector<timed_run>* text : runs) {
    std::vector<double>& column = round_seconds.emplace_back();
    for (std::size_t gamma = 0; gamma < gammas; ++gamma) {
      const timed_run& run = (*text)[gamma];
      sums[gamma].tokens += run.tokens;
      sums[gamma].rounds += run.rounds;
      column.push_back(run.seconds / run.rounds);
    }
  }
  std::vector<double> speeds = typical_rows(round_seconds);
  for (std::size_t gamma = 0; gamma < gammas; ++gamma) {
    speeds[gamma] = sums[gamma].tokens / sums[gamma].rounds / speeds[gamma];
  }
  return speeds;
}

// Rounds for about so many tokens. A number of rounds that is fixed beforehand favours no gamma; a number of tokens
// would end the long drafts' texts inside a round.
std::size_t rounds_for(std::size_t gamma, const advice& given, std::size_t room) {
  constexpr double tokens = 64;
  // A draft so slow was not examined this deep; a few rounds show that there was no need.
  constexpr std::size_t few = 4;
  if (gamma >= given.forecasts.size()) return few;
  const auto wanted = static_cast<std::size_t>(std::lround(tokens / given.forecasts[gamma].tokens_per_round));
  return std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(room / (gamma + 1), 1));
}

}  // namespace

check_result sum_up(std::span<const std::vector<timed_run>> runs, std::size_t advised, std::uint64_t seed) {
  constexpr std::size_t resamples = 400;
  check_result result;
  result.texts = runs.size();
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> drawn(gammas);
  std::vector<const std::vector<timed_run>*> texts(runs.size());
  for (std::size_t i = 0; i < resamples; ++i) {
    for (auto& text : texts) text = &runs[static_cast<std::size_t>(random() % runs.size())];
    const std::vector<double> speeds = speeds_of(texts);
    for (std::size_t gamma = 0; gamma < gammas; ++gamma) drawn[gamma].push_back(speeds[gamma] / speeds[0]);
  }
  for (std::size_t i = 0; i < runs.size(); ++i) texts[i] = &runs[i];
  const std::vector<double> speeds = speeds_of(texts);
  for (std::size_t gamma = 0; gamma < gammas; ++gamma) {
    result.speeds.push_back(
        {gamma, speeds[gamma], speeds[gamma] / speeds[0], quantile(drawn[gamma], 0.05), quantile(drawn[gamma], 0.95)});
  }
  const auto slower = [](const auto& a, const auto& b) { return a.tokens_per_second < b.tokens_per_second; };
  const auto fastest = std::max_element(result.speeds.begin(), result.speeds.end(), slower);
  result.fastest = fastest->gamma;
  result.share_of_fastest = result.speeds[advised].tokens_per_second / fastest->tokens_per_second;
  return result;
}

check_result check(patient& pair, const advice& given, allotted_time& time, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::vector<timed_run>> runs;
  std::vector<std::size_t> order(gammas);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::uint32_t pass = 0; !interruption::stop_requested() && (runs.size() < least_texts || !time.over()); ++pass) {
    for (const std::vector<specdec::token_id>& prompt : pair.prompts()) {
      if (runs.size() >= least_texts && time.over()) break;
      const std::size_t room = pair.room_behind(prompt);
      pair.set_gamma(1);
      pair.endless().read(prompt);
      std::shuffle(order.begin(), order.end(), random);
      std::vector<timed_run> text(gammas);
      for (std::size_t i = 0; i < gammas && !interruption::stop_requested(); ++i) {
        time.show(fmt::format("checking on text {}, gamma {}", runs.size() + 1, order[i]));
        pair.set_gamma(order[i]);
        // Other noise than the examination had: the advice must hold for other texts.
        const auto made = pair.endless().run(1000 + pass, rounds_for(order[i], given, room));
        text[order[i]] = {made.stats.seconds(), static_cast<double>(made.stats.delivered),
                          static_cast<double>(made.stats.rounds)};
      }
      if (interruption::stop_requested()) break;
      runs.push_back(std::move(text));
    }
  }
  return runs.size() < least_texts ? check_result{} : sum_up(runs, given.best, seed);
}

}  // namespace doctor
