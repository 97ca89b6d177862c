#ifndef SPECDEC_THEORY_HPP
#define SPECDEC_THEORY_HPP

/// @file
/// What speculation should gain: closed forms from acceptance rates and costs.
///
/// Symbols as in Leviathan, Kalman and Matias 2023 (arXiv:2211.17192): alpha, the probability that a drafted token is
/// accepted; gamma, tokens drafted per round; c, the cost of drafting a token over the cost of a target call.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>

#include "config.hpp"
#include "failure.hpp"

namespace specdec::inline SPECDEC_ABI::theory {

/// beta = sum_x min(p(x), q(x)): the probability that rejection sampling accepts a token drawn from q. The total
/// variation between p and q is 1 - beta. Source: theorem 3.5 and lemma 3.3.
/// Precondition: p and q are laws over one vocabulary.
[[nodiscard]] inline double acceptance_rate(std::span<const double> p, std::span<const double> q) {
  if (p.size() != q.size()) {
    raise<std::invalid_argument>("specdec: expected two laws over one vocabulary; got " + std::to_string(p.size()) +
                                 " and " + std::to_string(q.size()) + " tokens");
  }
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::min(p[i], q[i]);
  return sum;
}

/// Tokens per target call, (1 - alpha^(gamma+1)) / (1 - alpha), if tokens are accepted independently.
/// Source: equation 1. O(gamma). Precondition: 0 <= alpha <= 1.
[[nodiscard]] inline double expected_tokens(double alpha, std::size_t gamma) noexcept {
  double sum = 0;
  double power = 1;
  for (std::size_t i = 0; i <= gamma; ++i, power *= alpha) sum += power;
  return sum;
}

/// Tokens per target call from measured survival: survival[i] is the share of rounds in which the first i+1 drafted
/// tokens were all accepted. Needs no independence. 1 + the sum of the first gamma.
[[nodiscard]] inline double expected_tokens(std::span<const double> survival, std::size_t gamma) noexcept {
  double sum = 1;
  for (std::size_t i = 0; i < std::min(gamma, survival.size()); ++i) sum += survival[i];
  return sum;
}

/// Speed over plain decoding if scoring gamma+1 tokens costs as much as scoring one. Source: theorem 3.8.
[[nodiscard]] inline double speedup(double alpha, std::size_t gamma, double c) noexcept {
  return expected_tokens(alpha, gamma) / (static_cast<double>(gamma) * c + 1);
}

/// Arithmetic operations over those of plain decoding; c_hat is the draft's operations per token over the target's.
/// Source: theorem 3.11.
[[nodiscard]] inline double operations_factor(double alpha, std::size_t gamma, double c_hat) noexcept {
  const auto n = static_cast<double>(gamma);
  return (n * c_hat + n + 1) / expected_tokens(alpha, gamma);
}

/// The gamma in 0 .. max_gamma with the greatest `speedup`; the smallest of equals. 0 means: do not speculate.
/// O(max_gamma^2).
[[nodiscard]] inline std::size_t best_gamma(double alpha, double c, std::size_t max_gamma = 64) noexcept {
  std::size_t best = 0;
  for (std::size_t gamma = 1; gamma <= max_gamma; ++gamma) {
    if (speedup(alpha, gamma, c) > speedup(alpha, best, c)) best = gamma;
  }
  return best;
}

/// What the parts of a round cost, in any one unit of time, measured.
struct round_costs {
  double draft = 0;                ///< drafting one token
  std::span<const double> target;  ///< target[n-1]: one target call that scores n tokens; at least one entry
  double overhead = 0;             ///< everything else in a round
};

/// Tokens per unit of time at a given gamma, from measured survival and costs: (1 + sum S_i) over
/// gamma * draft + target(gamma + 1) + overhead. Unlike theorem 3.8 it does not assume that scoring more tokens is
/// free, nor that acceptances are independent. Precondition: gamma < costs.target.size().
[[nodiscard]] inline double throughput(std::span<const double> survival, std::size_t gamma,
                                       const round_costs& costs) noexcept {
  SPECDEC_ASSERT(gamma < costs.target.size());
  const double time = static_cast<double>(gamma) * costs.draft + costs.target[gamma] + costs.overhead;
  return expected_tokens(survival, gamma) / time;
}

/// `throughput` over that of plain decoding, gamma = 0.
[[nodiscard]] inline double speedup(std::span<const double> survival, std::size_t gamma,
                                    const round_costs& costs) noexcept {
  return throughput(survival, gamma, costs) / throughput(survival, 0, costs);
}

/// The gamma with the greatest `throughput` among those for which survival and costs are known; the smallest of equals.
[[nodiscard]] inline std::size_t best_gamma(std::span<const double> survival, const round_costs& costs) noexcept {
  std::size_t best = 0;
  for (std::size_t gamma = 1; gamma <= survival.size() && gamma < costs.target.size(); ++gamma) {
    if (throughput(survival, gamma, costs) > throughput(survival, best, costs)) best = gamma;
  }
  return best;
}

}  // namespace specdec::inline SPECDEC_ABI::theory

#endif  // SPECDEC_THEORY_HPP
