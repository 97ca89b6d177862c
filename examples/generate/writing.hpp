#ifndef GENERATE_WRITING_HPP
#define GENERATE_WRITING_HPP

/// @file
/// Writing what was asked for, and measuring it.

#include <program/terminal.hpp>

#include "engine.hpp"
#include "report.hpp"
#include "request.hpp"

namespace generate {

/// Where a run shows what it does. Without an `out` it shows no text.
struct screens {
  const terminal* out;
  const terminal* log;
};

/// Writes the texts, shown as they come, and measures them beside plain decoding if that is asked for. A text that the
/// user interrupts is found as far as it went. Throws what the engine throws.
[[nodiscard]] findings write(const request& asked, const engine& engine, const screens& screen);

/// The same with its report: as JSON on `out` if that is asked for, else with the text there and the table on `log`.
/// Closes `out`.
void write_and_report(const request& asked, const engine& engine, const terminal& out, const terminal& log);

}  // namespace generate

#endif  // GENERATE_WRITING_HPP
