#ifndef STUDY_COMMAND_LINE_HPP
#define STUDY_COMMAND_LINE_HPP

/// @file
/// The options of a benchmark's command line.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace study {

/// Options, each with what it sets. The values that they refer to must outlive this.
class command_line {
 public:
  static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

  /// An option that is there or not.
  void flag(std::string name, bool& value) { flags_.emplace_back(std::move(name), &value); }
  /// An option with a value: `set(text)` is called if it is given, with the last that is.
  void option(std::string name, std::function<void(std::string_view text)> set);
  /// One whose value is a whole number.
  void number(std::string name, std::size_t& value, std::size_t least, std::size_t most = no_limit);
  /// One whose value is any text.
  void text(std::string name, std::string& value);
  /// --seed and --ballast, which all benchmarks have.
  void seed_and_ballast(std::uint64_t& seed, std::size_t& ballast);

  /// Reads the command line; false if it asks for help, by -h or --help. Options are set in the order in which they
  /// were added. Throws `program::usage_error` for options that there are not, and whatever setting one throws.
  [[nodiscard]] bool parse(int argc, const char* const* argv) const;

 private:
  struct entry {
    std::string name;
    std::function<void(std::string_view)> set;
  };

  std::vector<std::pair<std::string, bool*>> flags_;
  std::vector<entry> entries_;
};

}  // namespace study

#endif  // STUDY_COMMAND_LINE_HPP
