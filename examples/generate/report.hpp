#ifndef GENERATE_REPORT_HPP
#define GENERATE_REPORT_HPP

/// @file
/// What is told at the end: a table for people, JSON for programs.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <specdec/specdec.hpp>

#include "measurement.hpp"
#include "models.hpp"
#include "options.hpp"
#include "terminal.hpp"

namespace generate {

/// Everything that one call of the program found out.
struct findings {
  std::size_t gamma = 0;
  std::size_t prompt_tokens = 0;
  /// Of the round that read the prompt.
  specdec::statistics reading;
  specdec::generation generated;
  /// The text that each generated token completed; joined, they are the generated text.
  std::vector<std::string> texts;
  measurement measured;
  /// Nothing if there was no draft, or no baseline wanted.
  std::optional<comparison> compared;
};

/// The table, at most 80 columns wide, in the colours of `out`.
[[nodiscard]] std::string to_table(const options& asked, const model_pair& models, const findings& found,
                                   const terminal& out);

/// One JSON object on one line.
[[nodiscard]] std::string to_json(const options& asked, const model_pair& models, const findings& found);

}  // namespace generate

#endif  // GENERATE_REPORT_HPP
