#ifndef PROGRAM_TEXT_HPP
#define PROGRAM_TEXT_HPP

/// @file
/// Numbers and sentences for people.

#include <cstddef>
#include <string>
#include <string_view>

namespace program {

/// With three digits or so: "0.412 ms".
[[nodiscard]] std::string milliseconds(double seconds);

/// A number of parameters: "4.3M", "1.50G".
[[nodiscard]] std::string parameters(std::size_t value);

/// "63%".
[[nodiscard]] std::string percent(double share);

/// A bar of share * width columns, in eighths of a column. Precondition: share >= 0.
[[nodiscard]] std::string bar(double share, std::size_t width);

/// The text as one word of a POSIX shell's command.
[[nodiscard]] std::string shell_word(std::string_view text);

/// The words in lines of at most `width` bytes, each behind the indent; a longer word has a line of its own.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t width, std::string_view indent);

}  // namespace program

#endif  // PROGRAM_TEXT_HPP
