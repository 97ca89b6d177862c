#ifndef ACCEPTANCE_TABLES_HPP
#define ACCEPTANCE_TABLES_HPP

/// @file
/// The study as tables for other programs.

#include <string>

#include "store.hpp"

namespace acceptance {

/// A line for each cell: counts, rates and speed-ups.
[[nodiscard]] std::string cells_csv(const cells& all);

/// A line for each position in each cell's drafts: the share accepted of what was evaluated there, with its interval.
[[nodiscard]] std::string positions_csv(const cells& all);

}  // namespace acceptance

#endif  // ACCEPTANCE_TABLES_HPP
