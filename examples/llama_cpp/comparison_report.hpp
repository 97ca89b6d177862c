#ifndef LLAMA_CPP_COMPARISON_REPORT_HPP
#define LLAMA_CPP_COMPARISON_REPORT_HPP

/// @file
/// A comparison for people and programs.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <program/terminal.hpp>

#include "comparison.hpp"
#include "engine.hpp"
#include "options.hpp"

namespace llama {

/// The table. Precondition, here and below: there is a text.
[[nodiscard]] std::string to_table(const options& asked, const engine& models, const comparison& found,
                                   const program::terminal& out);

/// One JSON object.
[[nodiscard]] nlohmann::ordered_json to_json(const options& asked, const engine& models, const comparison& found);

}  // namespace llama

#endif  // LLAMA_CPP_COMPARISON_REPORT_HPP
