#ifndef GENERATE_HELP_HPP
#define GENERATE_HELP_HPP

/// @file
/// What the program says of itself.

#include <string>

namespace generate {

/// What `--help` prints.
[[nodiscard]] std::string help();

/// What `--version` prints.
[[nodiscard]] std::string version();

}  // namespace generate

#endif  // GENERATE_HELP_HPP
