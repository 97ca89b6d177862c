#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <fmt/format.h>

#include <program/interruption.hpp>

namespace doctor {
namespace {

using program::interruption;

constexpr std::size_t gammas = longest_draft + 1;

// Fewer have no spread.
constexpr std::size_t least_texts = 3;

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

check_result sum_up(const runs_of_texts& runs, std::size_t advised, std::uint64_t seed) {
  constexpr double level = 0.9;
  check_result result;
  result.texts = runs.size();
  const std::vector<speed> speeds = speeds_of(runs);
  const std::vector<bounded> speedups = with_bounds(runs, level, seed, [](const std::vector<speed>& ways) {
    std::vector<double> over_plain;
    for (const speed& way : ways) over_plain.push_back(way.tokens_per_second / ways.front().tokens_per_second);
    return over_plain;
  });
  for (std::size_t gamma = 0; gamma < gammas; ++gamma) {
    const bounded& one = speedups[gamma];
    result.speeds.push_back({gamma, speeds[gamma].tokens_per_second, one.value, one.low, one.high});
  }
  const auto slower = [](const auto& a, const auto& b) { return a.tokens_per_second < b.tokens_per_second; };
  const auto fastest = std::max_element(result.speeds.begin(), result.speeds.end(), slower);
  result.fastest = fastest->gamma;
  result.share_of_fastest = result.speeds[advised].tokens_per_second / fastest->tokens_per_second;
  return result;
}

check_result check(patient& pair, const advice& given, allotted_time& time, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  runs_of_texts runs;
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
