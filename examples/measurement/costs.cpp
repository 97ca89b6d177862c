#include "costs.hpp"

#include <algorithm>
#include <cmath>

#include <program/interruption.hpp>

#include "stopwatch.hpp"

namespace measurement {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<double> survival_of(const specdec::statistics& stats, std::size_t gamma) {
  std::vector<double> survival(gamma);
  for (std::size_t i = 0; i < gamma; ++i) survival[i] = stats.survival(i + 1);
  return survival;
}

double verification_of(const specdec::statistics& stats) {
  return stats.rounds == 0 ? 0 : stats.verify_seconds / static_cast<double>(stats.rounds);
}

void cost_meter::measure(generator& generator) {
  constexpr std::size_t places = 6;
  const text_session& session = generator.text();
  const std::vector<specdec::token_id> text(session.tokens().begin(), session.tokens().end());
  any_context& target = generator.target();
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
  for (std::size_t i = places; i-- > 0 && !program::interruption::stop_requested();) {
    const std::size_t place = first + (last - first) * i / (places - 1);
    const std::size_t gamma = sizes_.back() - 1;
    const specdec::draft_request request{.context = std::span(text).first(place + 1),
                                         .max_depth = gamma,
                                         .max_nodes = gamma,
                                         .target_law = &session.target_law(),
                                         .prompt_size = first + 1};
    drafted.begin(request);
    const double seconds = seconds_of([&] { generator.drafter().propose(request, chance, drafted); });
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

}  // namespace measurement
