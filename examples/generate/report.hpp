#ifndef GENERATE_REPORT_HPP
#define GENERATE_REPORT_HPP

/// @file
/// What is told at the end: a table for people, JSON for programs.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <measurement/quality.hpp>
#include <program/terminal.hpp>
#include <specdec/specdec.hpp>

#include "engine.hpp"
#include "measurement.hpp"
#include "request.hpp"
#include "text_stream.hpp"

namespace generate {

using program::style;
using program::terminal;

/// One generated text.
struct sample {
  specdec::generation generated;
  written_text text;
  /// The stop text that ended it, if one did.
  std::optional<std::string> stop_text;
  /// What the target thinks of it; nothing if the method is lossless, and the text the target's own.
  std::optional<measurement::quality> judged;
};

/// Everything that one call of the program found out.
struct findings {
  std::size_t gamma = 0;
  std::size_t prompt_tokens = 0;
  /// Of the round that read the prompt.
  specdec::statistics reading;
  /// As many as were asked for, or fewer if the user interrupted them.
  std::vector<sample> samples;
  /// Of all samples together.
  repeated_run measured;
  /// Nothing if there was no draft, no baseline wanted, or more than one text.
  std::optional<comparison> compared;
};

/// The stop text that ended a text, if one did.
[[nodiscard]] std::optional<std::string> stop_text_of(const measurement::text_session& text);

/// Why a text ended, to go on behind something said of it. @param stop_text what `stop_text_of` found
[[nodiscard]] std::string ending(specdec::session_status status, const std::optional<std::string>& stop_text);

/// The table, at most 80 columns wide, in the colours of `out`.
[[nodiscard]] std::string to_table(const request& asked, const engine& engine, const findings& found,
                                   const terminal& out);

/// One JSON object on one line.
[[nodiscard]] std::string to_json(const request& asked, const engine& engine, const findings& found);

}  // namespace generate

#endif  // GENERATE_REPORT_HPP
