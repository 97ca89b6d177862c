#include "diagnosis.hpp"

#include <utility>

#include <program/interruption.hpp>

#include "allotted_time.hpp"
#include "examination.hpp"

namespace doctor {

std::optional<findings> diagnose(patient& pair, const question& asked, const program::model_description& target,
                                 const program::model_description& draft) {
  findings found;
  found.target = target;
  found.draft = draft;
  found.prompts_without_room = pair.prompts_without_room();
  {
    allotted_time time(asked.seconds);
    found.measured = examine(pair, time);
  }
  if (program::interruption::stop_requested()) return std::nullopt;
  found.given = advise(found.measured, asked.seed);
  if (asked.check_seconds) {
    allotted_time time(*asked.check_seconds);
    check_result checked = check(pair, found.given, time, asked.seed);
    if (checked.texts > 0) found.checked = std::move(checked);
  }
  return found;
}

}  // namespace doctor
