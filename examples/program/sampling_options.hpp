#ifndef PROGRAM_SAMPLING_OPTIONS_HPP
#define PROGRAM_SAMPLING_OPTIONS_HPP

/// @file
/// The options that say how tokens are chosen.

#include <functional>
#include <string>
#include <vector>

#include <specdec/sampling/params.hpp>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace program {

/// --temp, --top-k, --top-p, --min-p and the penalties, on the way from a command line to sampling parameters.
class sampling_options {
 public:
  /// `params` is referenced, and holds what is meant where an option is not given.
  explicit sampling_options(specdec::sampling_params& params);

  sampling_options(const sampling_options&) = delete;
  sampling_options& operator=(const sampling_options&) = delete;

  /// Makes the options known to the parser, which then refers to this object.
  void add_to(CLI::App& app);

  /// Sets the parameters that were given. Throws `usage_error` if one is no such value.
  void apply() const;

  /// What they are, a line each, with what holds where one is not given.
  [[nodiscard]] static std::string help(const specdec::sampling_params& defaults);

 private:
  struct option {
    std::string name;
    std::function<void(const option&)> set;
    std::string text = {};
    const CLI::Option* given = nullptr;
  };

  std::vector<option> options_;
};

}  // namespace program

#endif  // PROGRAM_SAMPLING_OPTIONS_HPP
