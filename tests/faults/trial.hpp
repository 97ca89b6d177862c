#ifndef SPECDEC_TESTS_FAULTS_TRIAL_HPP
#define SPECDEC_TESTS_FAULTS_TRIAL_HPP

/// @file
/// Lets the models of a run fail, call by call, and counts what came of it.

#include <array>
#include <cstddef>
#include <specdec/testing/faulty.hpp>
#include <string>
#include <vector>

#include "run.hpp"

namespace faults {

/// What became of the faults of a cell.
struct tally {
  std::size_t tried = 0;    ///< faults that struck
  std::size_t resumed = 0;  ///< the run was stopped once and, called again, came to the same text
  std::size_t unseen = 0;   ///< nobody looked at what was spoiled, and the text is the same
  std::size_t stopped = 0;  ///< a fault that stayed stopped the run for good, with the error that is documented; when
                            ///< it was gone the run came to the same text
  std::size_t valid = 0;  ///< rows that changed places: a fault of which nobody can know
  std::size_t otherwise = 0;
  long long leaked_bytes = 0;
  std::vector<std::string> failures;  ///< the first of what came otherwise, in words

  tally& operator+=(const tally& more);
};

inline constexpr std::array all_faults{
    specdec::testing::fault_kind::throw_before,      specdec::testing::fault_kind::throw_midway,
    specdec::testing::fault_kind::throw_after,       specdec::testing::fault_kind::nan,
    specdec::testing::fault_kind::positive_infinity, specdec::testing::fault_kind::all_negative_infinity,
    specdec::testing::fault_kind::wrong_width,       specdec::testing::fault_kind::wrong_row_count,
    specdec::testing::fault_kind::swapped_rows};

/// Tries every kind of fault, once and to stay, in every `stride`-th call of every model, each in a run of its own.
/// Which call is the first of these differs from kind to kind, and by `phase`.
///
/// What must come of it:
///  - Whatever is thrown is what the README's table of errors says for that fault, and nothing else is.
///  - The text is then what it was before the call, or longer: a prefix of the one that no fault disturbs.
///  - While the fault stays, that is all that happens, however often the run is called.
///  - When it is gone, the run goes on to the same text, log-probabilities and counts.
///  - Rows that have changed places are rows of a model that says so. The text is the same up to that round, has its
///    length and ends as it should, and goes on behind the round as any text does that begins so.
///  - All memory is given back.
tally try_faults(const cell& of, std::size_t stride, std::size_t phase = 0);

}  // namespace faults

#endif  // SPECDEC_TESTS_FAULTS_TRIAL_HPP
