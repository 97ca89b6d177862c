#include "measurement.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace generate {
namespace {

using clock = std::chrono::steady_clock;

template <class Work>
double seconds_of(Work&& work) {
  const auto start = clock::now();
  work();
  return std::chrono::duration<double>(clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

measurement median_of(std::vector<specdec::statistics>& runs) {
  const auto middle = runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2);
  std::nth_element(runs.begin(), middle, runs.end(),
                   [](const auto& a, const auto& b) { return a.seconds() < b.seconds(); });
  return {*middle, runs.size()};
}

double per_round(double seconds, const specdec::statistics& stats) {
  return stats.rounds == 0 ? 0 : seconds / static_cast<double>(stats.rounds);
}

constexpr auto no_sink = [](const specdec::outcome&) {};

}  // namespace

std::vector<double> survival_of(const specdec::statistics& stats, std::size_t gamma) {
  std::vector<double> survival(gamma);
  for (std::size_t i = 0; i < gamma; ++i) survival[i] = stats.survival(i + 1);
  return survival;
}

void cost_meter::measure(speculative_generator& generator, text_drafter& drafter) {
  constexpr std::size_t places = 6;
  const auto& session = generator.text();
  const std::vector<specdec::token_id> text(session.tokens().begin(), session.tokens().end());
  toy::context& target = generator.target();
  const std::size_t first = text.size() - session.generated().size() - 1;
  const std::size_t longest = std::max<std::size_t>(sizes_.back(), 2);
  const std::size_t end = std::min(text.size(), target.capacity());
  if (end < first + longest) return;
  const std::size_t last = std::min(end - longest, target.size());

  const auto scoring = [&](std::size_t place, std::size_t count) {
    if (target.size() > place) target.truncate(place);
    return seconds_of([&] { (void)target.decode(std::span(text).subspan(place, count), count); });
  };
  specdec::philox chance(session.options().seed, session.options().stream);
  specdec::draft drafted;
  // From the end backwards, so that the contexts always hold the text before the place.
  for (std::size_t i = places; i-- > 0 && !interruption::stop_requested();) {
    const std::size_t place = first + (last - first) * i / (places - 1);
    const std::size_t gamma = sizes_.back() - 1;
    const specdec::draft_request request{.context = std::span(text).first(place + 1),
                                         .max_depth = gamma,
                                         .max_nodes = gamma,
                                         .target_law = &session.target_law(),
                                         .prompt_size = first + 1};
    drafted.begin(request);
    const double seconds = seconds_of([&] { drafter.propose(request, chance, drafted); });
    if (drafted.size() > 0) drafting_.push_back(seconds / static_cast<double>(drafted.size()));
    // Longest first: it follows the draft, as it does in a round, and single tokens follow single tokens.
    for (std::size_t s = sizes_.size(); s-- > 0;) {
      if (sizes_[s] == 1) (void)scoring(place, 1);
      calls_[s].push_back(scoring(sizes_[s] == 1 ? place + 1 : place, sizes_[s]));
    }
    target.truncate(place);
  }
}

std::optional<costs> cost_meter::result() const {
  if (drafting_.empty()) return std::nullopt;
  costs found{median(drafting_), std::vector<double>(sizes_.back())};
  for (std::size_t s = 0; s < sizes_.size(); ++s) {
    const double cost = found.target_call[sizes_[s] - 1] = median(calls_[s]);
    if (s == 0) continue;
    const std::size_t begin = sizes_[s - 1], gap = sizes_[s] - begin;
    for (std::size_t i = 1; i < gap; ++i) {
      found.target_call[begin - 1 + i] =
          std::lerp(found.target_call[begin - 1], cost, static_cast<double>(i) / static_cast<double>(gap));
    }
  }
  return found;
}

std::optional<comparison> compare(speculative_generator& speculative, text_drafter& drafter, plain_generator& plain) {
  constexpr std::size_t fewest_runs = 3;
  constexpr std::size_t most_runs = 9;
  constexpr double enough_seconds = 3;
  const std::size_t gamma = drafter.policy().gamma;
  const std::array<std::size_t, 2> sizes{1, gamma + 1};
  cost_meter parts(sizes);
  std::vector<specdec::statistics> with, without;
  double spent = 0;
  while (with.size() < fewest_runs || (with.size() < most_runs && spent < enough_seconds)) {
    without.push_back(plain.run(no_sink).stats);
    with.push_back(speculative.run(no_sink).stats);
    if (interruption::stop_requested()) return std::nullopt;
    parts.measure(speculative, drafter);
    spent += with.back().seconds() + without.back().seconds();
  }
  comparison found{median_of(with), median_of(without), parts.result(), 0};
  if (found.parts) {
    // Verifying gamma+1 rows costs more than choosing from one, so it belongs to the call that yields the rows.
    costs round = *found.parts;
    round.target_call[gamma] += per_round(found.speculative.stats.verify_seconds, found.speculative.stats);
    round.target_call[0] += per_round(found.plain.stats.verify_seconds, found.plain.stats);
    found.predicted_speedup = specdec::theory::speedup(survival_of(found.speculative.stats, gamma), gamma,
                                                       {.draft = round.draft_token, .target = round.target_call});
  }
  return found;
}

void choose_gamma(speculative_generator& generator, text_drafter& drafter) {
  constexpr std::array<std::size_t, 6> sizes{1, 2, 3, 5, 9, 17};
  constexpr std::size_t rounds = 16;
  constexpr std::size_t fallback = 2;
  drafter.policy().gamma = sizes.back() - 1;
  const auto pilot = generator.run(0, rounds, no_sink);
  cost_meter meter(sizes);
  meter.measure(generator, drafter);
  const auto found = meter.result();
  drafter.policy().gamma =
      found ? specdec::theory::best_gamma(survival_of(pilot.stats, sizes.back() - 1),
                                          {.draft = found->draft_token,
                                           .target = found->target_call,
                                           .overhead = per_round(pilot.stats.verify_seconds, pilot.stats)})
            : fallback;
}

}  // namespace generate
