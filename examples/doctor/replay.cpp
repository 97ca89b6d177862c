#include "replay.hpp"

#include <algorithm>

namespace doctor {

tally& tally::operator+=(const tally& other) {
  rounds += other.rounds;
  accepted_at.resize(std::max(accepted_at.size(), other.accepted_at.size()));
  for (std::size_t i = 0; i < other.accepted_at.size(); ++i) accepted_at[i] += other.accepted_at[i];
  return *this;
}

std::vector<double> tally::survival() const {
  std::vector<double> shares = accepted_at;
  for (double& share : shares) share = rounds > 0 ? share / rounds : 0;
  return shares;
}

acceptance acceptance_behind(std::span<const trace> traces, std::size_t behind) {
  acceptance found;
  for (const trace& text : traces) {
    std::size_t run = 0;
    for (const fate guess : text) {
      if (guess != fate::unjudged && run >= behind) {
        found.judged += 1;
        found.accepted += guess == fate::accepted ? 1 : 0;
      }
      run = guess == fate::accepted ? run + 1 : 0;
    }
  }
  return found;
}

tally replay(const trace& text, std::size_t gamma, double unjudged) {
  tally found{0, std::vector<double>(gamma)};
  // The probability that the round under way has so many tokens already. A round begins with the text.
  std::vector<double> under_way(gamma + 1);
  std::vector<double> next(gamma + 1);
  under_way[0] = 1;
  for (const fate guess : text) {
    const double accepted = guess == fate::accepted ? 1 : guess == fate::rejected ? 0 : unjudged;
    std::fill(next.begin(), next.end(), 0.0);
    double ended = under_way[gamma];
    for (std::size_t i = 0; i < gamma; ++i) {
      const double kept = under_way[i] * accepted;
      found.accepted_at[i] += kept;
      next[i + 1] = kept;
      ended += under_way[i] - kept;
    }
    found.rounds += ended;
    next[0] = ended;
    under_way.swap(next);
  }
  // Where the text breaks off inside a round, that round's tokens count, so it must count for as much of one.
  for (std::size_t i = 1; i <= gamma; ++i) {
    found.rounds += under_way[i] * static_cast<double>(i) / static_cast<double>(gamma + 1);
  }
  return found;
}

}  // namespace doctor
