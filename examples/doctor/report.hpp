#ifndef DOCTOR_REPORT_HPP
#define DOCTOR_REPORT_HPP

/// @file
/// The advice in words, as a table, and as JSON.

#include <optional>
#include <string>

#include <program/language_model.hpp>
#include <program/terminal.hpp>

#include "advice.hpp"
#include "check.hpp"
#include "options.hpp"
#include "recording.hpp"

namespace doctor {

/// What is told of one examination.
struct findings {
  const program::language_model* target = nullptr;
  const program::language_model* draft = nullptr;
  std::size_t prompts_without_room = 0;
  recording measured = {};
  advice given = {};
  /// Nothing if it was not asked for.
  std::optional<check_result> checked = std::nullopt;
};

/// The verdict: one sentence or two.
[[nodiscard]] std::string verdict_in_words(const advice& given);

/// What decided it, in sentences.
[[nodiscard]] std::string reasons_in_words(const advice& given);

/// What to change for the greatest gain, in a sentence.
[[nodiscard]] std::string remedy_in_words(const advice& given);

/// All of it, at most 80 columns wide, in the colours of `out`.
[[nodiscard]] std::string to_text(const options& asked, const findings& found, const program::terminal& out);

/// One JSON object on one line.
[[nodiscard]] std::string to_json(const options& asked, const findings& found);

}  // namespace doctor

#endif  // DOCTOR_REPORT_HPP
