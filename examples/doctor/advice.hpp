#ifndef DOCTOR_ADVICE_HPP
#define DOCTOR_ADVICE_HPP

/// @file
/// What to do, and why: pure reckoning on a recording.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cost_curve.hpp"
#include "recording.hpp"

namespace doctor {

/// What is to be expected of one gamma.
struct forecast {
  std::size_t gamma = 0;
  double tokens_per_round = 1;
  /// Over plain generation, with the bounds that hold it with a probability of 90 %.
  double speedup = 1, low = 1, high = 1;
};

/// What a pair would gain most from having better.
enum class limit { acceptance, draft_cost, row_cost };

enum class verdict {
  speculate,
  /// The best gamma is expected to gain, but its bounds do not exclude a loss.
  perhaps,
  do_not,
};

struct advice {
  verdict what = verdict::do_not;
  /// 0, 1, .. up to the deepest that was measured.
  std::vector<forecast> forecasts;
  /// The gamma to use; 0 if none gains.
  std::size_t best = 0;
  /// The gamma above 0 that gains most, or loses least.
  std::size_t best_draft = 1;

  /// The best speed-up of any gamma above 0 if every guess was accepted, drafting cost nothing, or scoring and
  /// verifying further tokens did.
  double if_accepted = 0, if_draft_free = 0, if_rows_free = 0;
  /// Whichever of these would gain most.
  limit limited_by = limit::acceptance;
  /// No acceptance makes up for what drafting costs.
  bool hopeless = false;

  /// The share of judged guesses that the target accepted.
  double alpha = 0;
  /// survival[i]: the share of rounds with drafts of full length that accepted their first i+1 tokens.
  std::vector<double> survival;
  cost_curve costs;
  /// What one drafted token costs at `best_draft`, in seconds.
  double draft_token = 0;
};

/// The forecast of every gamma is `specdec::theory::throughput` of the replayed survival and the measured costs. Its
/// bounds are quantiles of a bootstrap: texts are drawn again for the survival, cycles for the costs, both with
/// replacement. Few texts are cut into pieces for that, where a guess was rejected.
/// Precondition: a trace with a token, and a cycle. Complexity: dominated by the bootstrap.
[[nodiscard]] advice advise(const recording& found, std::uint64_t seed);

}  // namespace doctor

#endif  // DOCTOR_ADVICE_HPP
