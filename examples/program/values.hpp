#ifndef PROGRAM_VALUES_HPP
#define PROGRAM_VALUES_HPP

/// @file
/// The words of a command line, as values.

#include <charconv>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include <model.hpp>

namespace program {

/// The command line asks for something that does not exist or cannot be.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The number that `text` is. Throws `usage_error` if it is none, or not between least and most.
// Not CLI11's own conversions, because their messages name C++ types and they let "nan" pass.
template <class Number>
[[nodiscard]] Number parse_number(std::string_view name, std::string_view text, Number least, Number most,
                                  std::string_view expected) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= least && value <= most)) {
    throw usage_error(fmt::format("{}: expected {}; got '{}'", name, expected, text));
  }
  return value;
}

/// A number of parameters such as 150M. Throws `usage_error` if it is none.
[[nodiscard]] std::size_t parse_size(std::string_view name, std::string_view text);

/// f32 or f16. Throws `usage_error` if it is neither.
[[nodiscard]] toy::weight_format parse_weights(std::string_view name, std::string_view text);

/// The text that is meant where \n, \r, \t, \\ and \xHH stand for what is awkward to type. Any other backslash is one.
[[nodiscard]] std::string unescaped(std::string_view text);

}  // namespace program

#endif  // PROGRAM_VALUES_HPP
