#ifndef METHODS_OPTIONS_HPP
#define METHODS_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <measurement/method.hpp>
#include <model.hpp>

namespace methods {

/// What the user asks for.
struct options {
  std::vector<const measurement::method*> methods;  ///< without plain decoding, which is always there
  std::vector<double> temperatures{0, 1};
  std::vector<toy::weight_format> weights{toy::weight_format::float32, toy::weight_format::float16};
  std::optional<std::size_t> gamma;  ///< nothing measures which is best
  std::size_t prompts = 3;           ///< of each task
  std::size_t tokens = 80;           ///< behind each prompt
  std::size_t ballast = 150'000'000;
  std::uint64_t seed = 1;
  bool json = false;
};

/// The options on the command line; nothing if it asked for help, which is then printed. Throws `program::usage_error`.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace methods

#endif  // METHODS_OPTIONS_HPP
