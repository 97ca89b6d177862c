#ifndef DOCTOR_EXAMINATION_HPP
#define DOCTOR_EXAMINATION_HPP

/// @file
/// Measuring a pair.

#include "allotted_time.hpp"
#include "patient.hpp"
#include "recording.hpp"

namespace doctor {

/// Measures until the time is over, and as long as the least takes: fates on texts of the target's, and between them
/// cycles of timed rounds. Every round is one of real generation, so a draft and a target push each other's weights out
/// of the caches as they would. A draft that costs more per token than plain generation is measured with short drafts
/// only: longer ones lose more.
///
/// Returns early, with what there is, if the user interrupts it. Throws std::runtime_error if the texts end too early
/// to tell anything; what the models throw passes through.
[[nodiscard]] recording examine(patient& pair, allotted_time& time);

}  // namespace doctor

#endif  // DOCTOR_EXAMINATION_HPP
