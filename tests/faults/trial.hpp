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

inline constexpr std::array all_faults{
    specdec::testing::fault_kind::throw_before,      specdec::testing::fault_kind::throw_midway,
    specdec::testing::fault_kind::throw_after,       specdec::testing::fault_kind::nan,
    specdec::testing::fault_kind::positive_infinity, specdec::testing::fault_kind::all_negative_infinity,
    specdec::testing::fault_kind::narrow_rows,       specdec::testing::fault_kind::wide_rows,
    specdec::testing::fault_kind::too_few_rows,      specdec::testing::fault_kind::too_many_rows,
    specdec::testing::fault_kind::wrong_rows};

/// Faults that struck, by the models that they struck.
struct strikes {
  std::size_t of_target = 0, of_drafts = 0;
};

/// What became of the faults of a cell.
struct tally {
  std::array<strikes, all_faults.size()> by_kind{};  ///< in the order of `all_faults`
  std::size_t missing = 0;                           ///< kinds that struck some model in none of its calls
  std::size_t resumed = 0;  ///< the run was stopped once and, called again, came to the same text
  std::size_t unseen = 0;   ///< nobody looked at what was spoiled, and the text is the same
  std::size_t stopped = 0;  ///< a fault that stayed stopped the run for good, with the error that is documented; when
                            ///< it was gone the run came to the same text
  std::size_t valid = 0;    ///< rows that are others: a fault of which nobody can know
  std::size_t otherwise = 0;
  long long leaked_bytes = 0;
  std::vector<std::string> failures;  ///< the first of what came otherwise or is missing, in words

  /// Faults that struck.
  [[nodiscard]] std::size_t tried() const noexcept;
  tally& operator+=(const tally& more);
};

/// Tries every kind of fault, once and to stay, in every `stride`-th call of every model, each in a run of its own.
/// Which call is the first of these differs from kind to kind, and by `phase`; a kind that has struck in none of them
/// is tried in the first call of all, so that every kind strikes every model.
///
/// What must come of it:
///  - Whatever is thrown is what the README's table of errors says for that fault, and nothing else is.
///  - The text is then what it was before the call, or longer: a prefix of the one that no fault disturbs.
///  - While the fault stays, that is all that happens, however often the run is called.
///  - When it is gone, the run goes on to the same text, log-probabilities and counts.
///  - Somebody is told, unless it was a single row that was spoiled: at that nobody need have looked.
///  - Wrong rows are rows of a model that says so. The text is the same up to that round, has its length and ends as it
///    should, and goes on behind the round as any text does that begins so.
///  - All memory is given back.
tally try_faults(const cell& of, std::size_t stride, std::size_t phase = 0);

}  // namespace faults

#endif  // SPECDEC_TESTS_FAULTS_TRIAL_HPP
