#ifndef GENERATE_VALUES_HPP
#define GENERATE_VALUES_HPP

/// @file
/// The words of a command line, as values.

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "options.hpp"

namespace generate {

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

/// The text that is meant where \n, \r, \t, \\ and \xHH stand for what is awkward to type. Any other backslash is one.
[[nodiscard]] std::string unescaped(std::string_view text);

}  // namespace generate

#endif  // GENERATE_VALUES_HPP
