#ifndef TREES_OPTIONS_HPP
#define TREES_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace trees {

/// What the user asks for.
struct options {
  double temperature = 1;
  std::size_t gamma = 8;                          ///< the longest chain whose blocks are verified both ways
  std::vector<std::size_t> nodes{8, 16, 32, 64};  ///< sizes of trees
  std::size_t depth = 12;                         ///< their levels, at most
  std::size_t prompts = 8;                        ///< of each task
  std::size_t tokens = 120;                       ///< behind each prompt
  std::size_t rounds = 60;                        ///< timed for each shape; 0 to measure no speed
  std::size_t ballast = 150'000'000;
  std::uint64_t seed = 1;
};

/// The options on the command line; nothing if it asked for help, which is then printed. Throws `program::usage_error`.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace trees

#endif  // TREES_OPTIONS_HPP
