#ifndef SPECDEC_MESSAGE_HPP
#define SPECDEC_MESSAGE_HPP

/// @file
/// Numbers in error messages.

#include <charconv>
#include <string>

#include "config.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The shortest decimal number that reads back as `value`.
[[nodiscard]] inline std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MESSAGE_HPP
