#ifndef DOCTOR_ALTERNATIVES_HPP
#define DOCTOR_ALTERNATIVES_HPP

/// @file
/// Several ways to generate, timed on the same texts.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace doctor {

/// What one way did on one text.
struct timed_run {
  double seconds = 0;
  double tokens = 0;
  double rounds = 0;
};

/// What one way did on all of them. Tokens per round are those of all texts; tokens per second follow from them and
/// from what a round of it typically takes (`typical_rows`): a text that others slowed down counts for no more than one
/// they left alone.
struct speed {
  double tokens_per_round = 0;
  double tokens_per_second = 0;
};

/// runs[text][way]: every text in every way, each with a round.
using runs_of_texts = std::vector<std::vector<timed_run>>;

/// The speed of every way. Precondition: there is a text.
[[nodiscard]] std::vector<speed> speeds_of(const runs_of_texts& runs);

/// A figure that follows from the speeds, with the bounds of a bootstrap over texts.
struct bounded {
  double value = 0, low = 0, high = 0;
};

/// @param level the share of the bootstrap that lies between the bounds
[[nodiscard]] std::vector<bounded> with_bounds(
    const runs_of_texts& runs, double level, std::uint64_t seed,
    const std::function<std::vector<double>(const std::vector<speed>&)>& figures);

}  // namespace doctor

#endif  // DOCTOR_ALTERNATIVES_HPP
