#include "measurement.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <program/interruption.hpp>

namespace generate {
namespace {

using measurement::cost_meter;
using measurement::survival_of;
using measurement::verification_of;
using program::interruption;

repeated_run median_of(std::vector<specdec::statistics>& runs) {
  const auto middle = runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2);
  std::nth_element(runs.begin(), middle, runs.end(),
                   [](const auto& a, const auto& b) { return a.seconds() < b.seconds(); });
  return {*middle, runs.size()};
}

}  // namespace

std::optional<comparison> compare(generator& speculative, generator& plain, std::size_t gamma) {
  constexpr std::size_t fewest_runs = 3;
  constexpr std::size_t most_runs = 9;
  constexpr double enough_seconds = 3;
  const std::array<std::size_t, 2> sizes{1, gamma + 1};
  cost_meter parts(sizes);
  std::vector<specdec::statistics> with, without;
  double spent = 0;
  while (with.size() < fewest_runs || (with.size() < most_runs && spent < enough_seconds)) {
    without.push_back(plain.run().stats);
    with.push_back(speculative.run().stats);
    if (interruption::stop_requested()) return std::nullopt;
    parts.measure(speculative);
    spent += with.back().seconds() + without.back().seconds();
  }
  comparison found{median_of(with), median_of(without), parts.result(), 0};
  if (found.parts) {
    // Verifying gamma+1 rows costs more than choosing from one, so it belongs to the call that yields the rows.
    costs round = *found.parts;
    round.target_call[gamma] += verification_of(found.speculative.stats);
    round.target_call[0] += verification_of(found.plain.stats);
    found.predicted_speedup = specdec::theory::speedup(survival_of(found.speculative.stats, gamma), gamma,
                                                       {.draft = round.draft_token, .target = round.target_call});
  }
  return found;
}

std::size_t choose_gamma(generator& generator, const gamma_setter& set_gamma) {
  constexpr std::array<std::size_t, 6> sizes{1, 2, 3, 5, 9, 17};
  constexpr std::size_t rounds = 16;
  constexpr std::size_t fallback = 2;
  set_gamma(sizes.back() - 1);
  const auto pilot = generator.run(0, rounds);
  cost_meter meter(sizes);
  meter.measure(generator);
  const auto found = meter.result();
  const std::size_t gamma =
      found ? specdec::theory::best_gamma(
                  survival_of(pilot.stats, sizes.back() - 1),
                  {.draft = found->draft_token, .target = found->target_call, .overhead = verification_of(pilot.stats)})
            : fallback;
  set_gamma(gamma);
  return gamma;
}

}  // namespace generate
