#ifndef ACCEPTANCE_OPTIONS_HPP
#define ACCEPTANCE_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <measurement/method.hpp>
#include <model.hpp>

namespace acceptance {

/// What the user asks for.
struct options {
  std::vector<const measurement::method*> methods;
  std::vector<std::size_t> gammas{1, 2, 3, 4, 6, 8, 12};  ///< ascending
  std::vector<double> temperatures{0, 1};
  std::vector<std::string> tasks;  ///< none for all
  std::size_t prompts = 8;         ///< of each task
  std::size_t tokens = 96;         ///< behind each prompt
  std::size_t timed_rounds = 12;   ///< of each cell; 0 to measure no speed
  std::size_t ballast = 150'000'000;
  toy::weight_format weights = toy::weight_format::float32;
  std::uint64_t seed = 1;
  std::filesystem::path output = "acceptance-study";
  bool plot_only = false;
};

/// The options on the command line; nothing if it asked for help, which is then printed. Throws `program::usage_error`.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace acceptance

#endif  // ACCEPTANCE_OPTIONS_HPP
