#ifndef LLAMA_CPP_HELP_HPP
#define LLAMA_CPP_HELP_HPP

/// @file
/// What the program says of itself.

#include <string>

namespace llama {

/// What `--help` prints.
[[nodiscard]] std::string help();

/// What `--version` prints.
[[nodiscard]] std::string version();

}  // namespace llama

#endif  // LLAMA_CPP_HELP_HPP
