#ifndef DOCTOR_REPORT_HPP
#define DOCTOR_REPORT_HPP

/// @file
/// The advice in words, as a table, and as JSON.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include <program/terminal.hpp>

#include "advice.hpp"
#include "diagnosis.hpp"
#include "question.hpp"

namespace doctor {

/// The verdict: one sentence or two.
[[nodiscard]] std::string verdict_in_words(const advice& given);

/// What decided it, in sentences.
[[nodiscard]] std::string reasons_in_words(const advice& given);

/// What to change for the greatest gain, in a sentence.
[[nodiscard]] std::string remedy_in_words(const advice& given);

/// All of it, at most 80 columns wide, in the colours of `out`.
[[nodiscard]] std::string to_text(const findings& found, const program::terminal& out);

/// One JSON object. @param list_settings adds what the engine was told to the settings
[[nodiscard]] nlohmann::ordered_json to_json(const question& asked, const findings& found,
                                             const std::function<void(nlohmann::ordered_json&)>& list_settings);

}  // namespace doctor

#endif  // DOCTOR_REPORT_HPP
