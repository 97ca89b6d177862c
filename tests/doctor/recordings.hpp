#ifndef DOCTOR_TEST_RECORDINGS_HPP
#define DOCTOR_TEST_RECORDINGS_HPP

/// @file
/// Recordings of pairs whose acceptance and costs are known.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <recording.hpp>
#include <vector>

namespace doctor_test {

using doctor::fate;
using doctor::trace;

/// Whether the draft's guess would be accepted, for every token of a text: with probability `alpha`, but the same as
/// for the token before with probability `sticky`.
inline std::vector<bool> guesses_of(double alpha, double sticky, std::size_t tokens, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform;
  std::vector<bool> right;
  for (std::size_t i = 0; i < tokens; ++i) {
    const bool same = i > 0 && uniform(random) < sticky;
    right.push_back(same ? right.back() : uniform(random) < alpha);
  }
  return right;
}

/// What rounds with gamma drafted tokens reveal of it; what is left behind the last whole round is dropped.
inline trace traced(const std::vector<bool>& right, std::size_t gamma) {
  trace text;
  for (std::size_t at = 0;;) {
    std::size_t kept = 0;
    while (kept < gamma && at + kept < right.size() && right[at + kept]) ++kept;
    if (at + kept >= right.size()) return text;
    text.insert(text.end(), kept, fate::accepted);
    text.push_back(kept == gamma ? fate::unjudged : fate::rejected);
    at += kept + 1;
  }
}

/// Tokens per round, counted.
inline double tokens_per_round(const std::vector<bool>& right, std::size_t gamma) {
  std::size_t rounds = 0, at = 0;
  while (at < right.size()) {
    std::size_t kept = 0;
    while (kept < gamma && at + kept < right.size() && right[at + kept]) ++kept;
    at += kept + 1;
    ++rounds;
  }
  return static_cast<double>(at) / static_cast<double>(rounds);
}

/// A pair whose costs are known, in milliseconds.
struct pair {
  double alpha = 0.7;
  double sticky = 0;
  double draft_token = 0.5;
  /// Of a call that scores n tokens: call * (1 + row * (n - 1)).
  double call = 50, row = 0.03;
  double verify = 0.1;
  /// How far a single time may be off, and how far the machine's speed drifts.
  double noise = 0.02, drift = 0.3;
};

/// @param texts of 80 tokens each @param cycles how many
inline doctor::recording recorded(const pair& p, std::size_t texts, std::size_t cycles,
                                  std::size_t deepest = doctor::longest_draft, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  doctor::recording found;
  found.deepest = deepest;
  for (std::size_t i = 0; i < texts; ++i) {
    found.traces.push_back(traced(guesses_of(p.alpha, p.sticky, 80, random), deepest));
  }
  for (std::size_t i = 0; i < cycles; ++i) {
    const double speed = std::exp(p.drift * normal(random));
    const auto timed = [&](double ms) { return ms * 1e-3 * speed * std::exp(p.noise * normal(random)); };
    doctor::cycle one;
    for (std::size_t gamma = 0; gamma <= deepest; ++gamma) {
      const auto n = static_cast<double>(gamma);
      one.push_back({gamma == 0 ? 1e-7 : timed(p.draft_token * n), timed(p.call * (1 + p.row * n)), timed(p.verify)});
    }
    found.cycles.push_back(one);
  }
  return found;
}

}  // namespace doctor_test

#endif  // DOCTOR_TEST_RECORDINGS_HPP
