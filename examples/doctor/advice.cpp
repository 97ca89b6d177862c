#include "advice.hpp"

#include <algorithm>
#include <random>
#include <span>
#include <utility>

#include <specdec/theory.hpp>

#include "quantile.hpp"
#include "replay.hpp"

namespace doctor {
namespace {

namespace theory = specdec::theory;

constexpr std::size_t resamples = 400;
constexpr double tail = 0.05;

// Fewer independent texts than this say little about their spread.
constexpr std::size_t enough_units = 12;

double throughput_at(std::span<const double> survival, std::size_t gamma, const cost_curve& costs) {
  const double per_token = gamma == 0 ? 0 : costs.draft[gamma] / static_cast<double>(gamma);
  return theory::throughput(survival, gamma,
                            {.draft = per_token, .target = costs.target, .overhead = costs.verify[gamma]});
}

double speedup_at(std::span<const double> survival, std::size_t gamma, const cost_curve& costs) {
  return throughput_at(survival, gamma, costs) / throughput_at({}, 0, costs);
}

// The traces, in pieces that begin where a round does, whatever the gamma: behind a rejected guess.
std::vector<trace> units_of(const std::vector<trace>& traces) {
  if (traces.size() >= enough_units) return traces;
  std::size_t tokens = 0;
  for (const trace& text : traces) tokens += text.size();
  const std::size_t least = std::max<std::size_t>(tokens / (2 * enough_units), 1);
  std::vector<trace> units;
  for (const trace& text : traces) {
    units.emplace_back();
    for (std::size_t i = 0; i < text.size(); ++i) {
      units.back().push_back(text[i]);
      const bool ends = text[i] == fate::rejected && units.back().size() >= least && i + 1 < text.size();
      if (ends) units.emplace_back();
    }
  }
  return units;
}

template <class Value>
const Value& drawn(const std::vector<Value>& from, std::mt19937_64& random) {
  return from[static_cast<std::size_t>(random() % from.size())];
}

// tallies[unit][gamma]
using tallies_of_units = std::vector<std::vector<tally>>;

void find_bounds(const tallies_of_units& tallies, const std::vector<cycle>& cycles, std::uint64_t seed,
                 std::vector<forecast>& forecasts) {
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> found(forecasts.size());
  std::vector<cycle> some_cycles(cycles.size());
  for (std::size_t i = 0; i < resamples; ++i) {
    for (cycle& one : some_cycles) one = drawn(cycles, random);
    const cost_curve costs = cost_curve_of(some_cycles);
    std::vector<tally> sums(forecasts.size());
    for (std::size_t unit = 0; unit < tallies.size(); ++unit) {
      const std::vector<tally>& one = drawn(tallies, random);
      for (std::size_t gamma = 0; gamma < sums.size(); ++gamma) sums[gamma] += one[gamma];
    }
    for (std::size_t gamma = 0; gamma < sums.size(); ++gamma) {
      found[gamma].push_back(speedup_at(sums[gamma].survival(), gamma, costs));
    }
  }
  for (forecast& one : forecasts) {
    one.low = std::min(quantile(found[one.gamma], tail), one.speedup);
    one.high = std::max(quantile(found[one.gamma], 1 - tail), one.speedup);
  }
}

}  // namespace

advice advise(const recording& found, std::uint64_t seed) {
  advice result;
  result.costs = cost_curve_of(found.cycles);
  result.alpha = acceptance_behind(found.traces, 0).rate();

  // What nobody judged lies behind whole drafts that were accepted, where the draft does better than elsewhere.
  constexpr double enough_judged = 20;
  const acceptance deep = acceptance_behind(found.traces, found.deepest / 2);
  const double unjudged = deep.judged >= enough_judged ? deep.rate() : result.alpha;

  tallies_of_units tallies;
  for (const trace& unit : units_of(found.traces)) {
    std::vector<tally>& one = tallies.emplace_back();
    for (std::size_t gamma = 0; gamma <= found.deepest; ++gamma) one.push_back(replay(unit, gamma, unjudged));
  }
  std::vector<std::vector<double>> survivals;
  for (std::size_t gamma = 0; gamma <= found.deepest; ++gamma) {
    tally sum;
    for (const std::vector<tally>& one : tallies) sum += one[gamma];
    survivals.push_back(sum.survival());
    result.forecasts.push_back({.gamma = gamma,
                                .tokens_per_round = theory::expected_tokens(survivals[gamma], gamma),
                                .speedup = speedup_at(survivals[gamma], gamma, result.costs)});
  }
  result.survival = survivals.back();
  find_bounds(tallies, found.cycles, seed, result.forecasts);

  const auto gains_less = [](const forecast& a, const forecast& b) { return a.speedup < b.speedup; };
  const auto best = std::max_element(result.forecasts.begin() + 1, result.forecasts.end(), gains_less);
  result.best_draft = best->gamma;
  result.best = best->speedup > 1 ? best->gamma : 0;
  result.draft_token = result.costs.draft[result.best_draft] / static_cast<double>(result.best_draft);
  result.what = best->speedup <= 1 || best->high < 1 ? verdict::do_not
                : best->low < 1                      ? verdict::perhaps
                                                     : verdict::speculate;

  cost_curve draft_free = result.costs, rows_free = result.costs;
  std::fill(draft_free.draft.begin(), draft_free.draft.end(), 0.0);
  std::fill(rows_free.target.begin(), rows_free.target.end(), rows_free.target.front());
  std::fill(rows_free.verify.begin(), rows_free.verify.end(), rows_free.verify.front());
  const std::vector<double> all(found.deepest, 1.0);
  for (std::size_t gamma = 1; gamma <= found.deepest; ++gamma) {
    result.if_accepted = std::max(result.if_accepted, speedup_at(all, gamma, result.costs));
    result.if_draft_free = std::max(result.if_draft_free, speedup_at(survivals[gamma], gamma, draft_free));
    result.if_rows_free = std::max(result.if_rows_free, speedup_at(survivals[gamma], gamma, rows_free));
  }
  const double most = std::max({result.if_accepted, result.if_draft_free, result.if_rows_free});
  result.limited_by = result.if_accepted == most     ? limit::acceptance
                      : result.if_draft_free == most ? limit::draft_cost
                                                     : limit::row_cost;
  result.hopeless = result.if_accepted <= 1 && result.limited_by == limit::draft_cost;
  return result;
}

}  // namespace doctor
