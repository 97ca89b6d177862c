#ifndef DOCTOR_RECORDING_HPP
#define DOCTOR_RECORDING_HPP

/// @file
/// What an examination writes down: everything the advice is made from.

#include <cstddef>
#include <vector>

namespace doctor {

/// The longest draft that advice is given about.
constexpr std::size_t longest_draft = 16;

/// What became of the draft's guess for one token of a text. Unjudged: the target added the token behind a draft that
/// it accepted whole, so nobody asked the draft.
enum class fate : unsigned char { accepted, rejected, unjudged };

/// The fates of one text's tokens, in order, ending where a round ended.
using trace = std::vector<fate>;

/// Seconds of one round, by its parts.
struct round_seconds {
  double draft = 0;
  double target = 0;
  double verify = 0;
};

/// Rounds that drafted 0, 1, 2, .. tokens, close to each other in time.
using cycle = std::vector<round_seconds>;

struct recording {
  /// How many tokens the rounds behind the traces drafted, and the longest draft that was timed.
  std::size_t deepest = longest_draft;
  std::vector<trace> traces;
  /// Each of deepest+1 rounds.
  std::vector<cycle> cycles;
};

}  // namespace doctor

#endif  // DOCTOR_RECORDING_HPP
