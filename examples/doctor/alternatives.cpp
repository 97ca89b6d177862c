#include "alternatives.hpp"

#include <random>

#include "cost_curve.hpp"
#include "quantile.hpp"

namespace doctor {
namespace {

constexpr std::size_t resamples = 400;

std::vector<speed> speeds_of_some(std::span<const std::vector<timed_run>* const> texts) {
  const std::size_t ways = texts.front()->size();
  std::vector<timed_run> sums(ways);
  std::vector<std::vector<double>> round_seconds;
  for (const std::vector<timed_run>* text : texts) {
    std::vector<double>& column = round_seconds.emplace_back();
    for (std::size_t way = 0; way < ways; ++way) {
      const timed_run& run = (*text)[way];
      sums[way].tokens += run.tokens;
      sums[way].rounds += run.rounds;
      column.push_back(run.seconds / run.rounds);
    }
  }
  const std::vector<double> typical = typical_rows(round_seconds);
  std::vector<speed> speeds;
  for (std::size_t way = 0; way < ways; ++way) {
    const double tokens = sums[way].tokens / sums[way].rounds;
    speeds.push_back({tokens, tokens / typical[way]});
  }
  return speeds;
}

std::vector<const std::vector<timed_run>*> all_of(const runs_of_texts& runs) {
  std::vector<const std::vector<timed_run>*> texts;
  for (const std::vector<timed_run>& text : runs) texts.push_back(&text);
  return texts;
}

}  // namespace

std::vector<speed> speeds_of(const runs_of_texts& runs) { return speeds_of_some(all_of(runs)); }

std::vector<bounded> with_bounds(const runs_of_texts& runs, double level, std::uint64_t seed,
                                 const std::function<std::vector<double>(const std::vector<speed>&)>& figures) {
  std::vector<bounded> found;
  for (const double value : figures(speeds_of(runs))) found.push_back({value});
  std::mt19937_64 random(seed);
  std::vector<std::vector<double>> drawn(found.size());
  std::vector<const std::vector<timed_run>*> texts = all_of(runs);
  for (std::size_t i = 0; i < resamples; ++i) {
    for (auto& text : texts) text = &runs[static_cast<std::size_t>(random() % runs.size())];
    const std::vector<double> values = figures(speeds_of_some(texts));
    for (std::size_t k = 0; k < values.size(); ++k) drawn[k].push_back(values[k]);
  }
  for (std::size_t k = 0; k < found.size(); ++k) {
    found[k].low = quantile(drawn[k], (1 - level) / 2);
    found[k].high = quantile(drawn[k], (1 + level) / 2);
  }
  return found;
}

}  // namespace doctor
