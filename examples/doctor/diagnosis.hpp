#ifndef DOCTOR_DIAGNOSIS_HPP
#define DOCTOR_DIAGNOSIS_HPP

/// @file
/// From a pair to advice.

#include <cstddef>
#include <optional>

#include <program/model_description.hpp>

#include "advice.hpp"
#include "check.hpp"
#include "patient.hpp"
#include "question.hpp"
#include "recording.hpp"

namespace doctor {

/// What is told of one examination.
struct findings {
  program::model_description target, draft;
  std::size_t prompts_without_room = 0;
  recording measured = {};
  advice given = {};
  /// Nothing if it was not asked for.
  std::optional<check_result> checked = std::nullopt;
};

/// Measures the pair, advises, and puts that to the test if asked to, in the time that is asked for; the descriptions
/// are passed on. Nothing if the user interrupts it before there is an answer. Throws as `examine`.
[[nodiscard]] std::optional<findings> diagnose(patient& pair, const question& asked,
                                               const program::model_description& target,
                                               const program::model_description& draft);

}  // namespace doctor

#endif  // DOCTOR_DIAGNOSIS_HPP
