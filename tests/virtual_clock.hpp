#ifndef SPECDEC_TESTS_VIRTUAL_CLOCK_HPP
#define SPECDEC_TESTS_VIRTUAL_CLOCK_HPP

/// @file
/// Length policies at work on texts whose fates are known, on a clock that only costs move.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <vector>

namespace virtual_clock {

/// For every token of a text, whether the draft's guess for it would be accepted.
using fates = std::vector<bool>;

/// Each with probability `alpha`, but the same as for the token before with probability `sticky`.
inline fates guesses(double alpha, double sticky, std::size_t tokens, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  fates right;
  for (std::size_t i = 0; i < tokens; ++i) {
    const bool same = i > 0 && uniform(random) < sticky;
    right.push_back(same ? right.back() : uniform(random) < alpha);
  }
  return right;
}

inline fates behind_each_other(fates first, const fates& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// What becomes of a round that begins with token `at` and drafts `gamma` tokens. Its drafted tokens are all 0.
inline specdec::outcome round_at(const fates& right, std::size_t at, std::size_t gamma) {
  static const std::vector<specdec::token_id> zeros(256, 0);
  specdec::outcome out;
  out.drafted = std::span(zeros).first(gamma);
  while (out.accepted < gamma && right[at + out.accepted]) ++out.accepted;
  out.committed = out.accepted + 1;
  out.end = out.accepted == gamma ? specdec::round_end::all_accepted : specdec::round_end::rejected;
  if (at + out.committed == right.size()) out.status = specdec::session_status::max_tokens;
  return out;
}

/// What a run brought behind its first `warm_up` tokens.
struct run {
  double tokens = 0;
  double time = 0;
  double rounds = 0;
  double drafted = 0;

  [[nodiscard]] double speed() const { return tokens / time; }
};

/// How a run is made.
struct conditions {
  std::size_t warm_up = 0;
  std::size_t sequences = 1;
  /// What a measured time is in the mean, as a multiple of what it costs: called for each round. None: no times are
  /// told.
  std::function<double()> noise = {};
};

/// Generates the text with the policy, paying what rounds really cost.
template <class Policy>
run play(Policy& policy, const fates& right, const specdec::recorded_costs& costs, const conditions& how = {}) {
  constexpr std::size_t prompt_size = 8;
  const std::vector<specdec::token_id> text(prompt_size + right.size(), 0);
  run found;
  std::size_t missed = prompt_size;
  for (std::size_t at = 0; at < right.size();) {
    const std::size_t room = right.size() - at - 1;
    const specdec::draft_request request{.context = std::span(text).first(prompt_size + at),
                                         .max_depth = room,
                                         .max_nodes = room,
                                         .prompt_size = prompt_size,
                                         .sequences = how.sequences};
    const std::size_t gamma = std::min(policy.depth(request), room);
    specdec::outcome out = round_at(right, at, gamma);
    const std::size_t scored = how.sequences * (gamma + 1);
    const double steps = costs.draft(how.sequences) * static_cast<double>(gamma);
    const double drafting = steps + (gamma > 0 ? costs.resumption(missed) : 0);
    if (how.noise) {
      out.times = {drafting * how.noise(), costs.target(scored) * how.noise(), 0, scored};
      // The first call reads the prompt, too.
      if (at == 0) out.times.scored += prompt_size;
    }
    specdec::tell(policy, out);
    if (at >= how.warm_up) {
      found.tokens += static_cast<double>(out.committed);
      found.time += drafting + costs.target(scored);
      found.rounds += 1;
      found.drafted += static_cast<double>(gamma);
    }
    missed = gamma > 0 ? 0 : missed + out.committed;
    at += out.committed;
  }
  return found;
}

/// The fastest of all fixed gammas on this very text.
struct fixed {
  std::size_t gamma = 0;
  double speed = 0;
};
inline fixed best_fixed(const fates& right, const specdec::recorded_costs& costs, const conditions& how = {},
                        std::size_t most = 16) {
  fixed best;
  for (std::size_t gamma = 0; gamma <= most; ++gamma) {
    specdec::constant always{gamma};
    const double speed = play(always, right, costs, {how.warm_up, how.sequences}).speed();
    if (speed > best.speed) best = {gamma, speed};
  }
  return best;
}

/// A curve of the cost of scoring 1 .. 64 tokens in one call, 1 for one.
struct named_costs {
  const char* name;
  specdec::recorded_costs costs;
};

inline specdec::recorded_costs costs_of(const std::function<double(std::size_t)>& call, double draft,
                                        std::size_t most = 64) {
  specdec::recorded_costs costs{.target_call = {}, .draft_step = {draft}, .overhead = 0.01};
  for (std::size_t n = 1; n <= most; ++n) costs.target_call.push_back(call(n));
  return costs;
}

/// Shapes that machines have.
inline std::vector<named_costs> realistic_costs() {
  const auto flat = [](std::size_t n) { return 1 + 0.01 * static_cast<double>(n - 1); };
  // Weights are streamed once for any few tokens, then arithmetic limits.
  const auto bending = [](std::size_t n) { return std::max(1.0, 0.6 + 0.1 * static_cast<double>(n)); };
  const auto linear = [](std::size_t n) { return 0.75 + 0.25 * static_cast<double>(n); };
  // A GPU computes whole tiles of 8 tokens.
  const auto tiled = [](std::size_t n) { return 1 + 0.35 * static_cast<double>((n - 1) / 8); };
  return {{"flat, cheap draft", costs_of(flat, 0.05)},       {"flat, dear draft", costs_of(flat, 0.3)},
          {"bending, cheap draft", costs_of(bending, 0.05)}, {"bending, dear draft", costs_of(bending, 0.25)},
          {"linear, cheap draft", costs_of(linear, 0.05)},   {"linear, dear draft", costs_of(linear, 0.2)},
          {"tiled, cheap draft", costs_of(tiled, 0.02)},     {"tiled, dear draft", costs_of(tiled, 0.15)}};
}

}  // namespace virtual_clock

#endif  // SPECDEC_TESTS_VIRTUAL_CLOCK_HPP
