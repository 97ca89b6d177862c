#ifndef METHODS_REPORT_HPP
#define METHODS_REPORT_HPP

/// @file
/// The comparisons as a table, and as JSON.

#include <span>
#include <string>

#include "comparison.hpp"

namespace methods {

/// The table's title and head.
[[nodiscard]] std::string head(const options& asked);
/// The line of plain decoding.
[[nodiscard]] std::string line(const baseline& one);
/// A line of the table.
[[nodiscard]] std::string line(const comparison& one);
/// What its numbers mean, what the self-drafts skip, how quiet the machine was.
[[nodiscard]] std::string notes(std::span<const comparison> all);

/// One object with everything.
[[nodiscard]] std::string to_json(const options& asked, std::span<const baseline> plain,
                                  std::span<const comparison> all);

}  // namespace methods

#endif  // METHODS_REPORT_HPP
