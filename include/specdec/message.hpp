#ifndef SPECDEC_MESSAGE_HPP
#define SPECDEC_MESSAGE_HPP

/// @file
/// What error messages have in common.

#include <charconv>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "config.hpp"
#include "failure.hpp"
#include "types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The shortest decimal number that reads back as `value`.
[[nodiscard]] inline std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// Throws std::invalid_argument, saying where it came from, for a token outside a vocabulary that is not empty.
inline void require_token(token_id token, std::size_t vocab_size, const char* where) {
  if (token < 0 || static_cast<std::size_t>(token) >= vocab_size) {
    raise<std::invalid_argument>("specdec: expected tokens 0 to " + std::to_string(vocab_size - 1) + "; " + where +
                                 " has token " + std::to_string(token));
  }
}

/// Throws std::invalid_argument, saying whose it is, for a vocabulary that has not the size of the others.
inline void require_vocabulary(std::size_t expected, std::size_t size, const char* whose) {
  if (size != expected) {
    raise<std::invalid_argument>("specdec: expected one vocabulary of " + std::to_string(expected) + " tokens; " +
                                 whose + " has " + std::to_string(size) +
                                 " (if the wider one is padding, wrap that model in specdec::padded)");
  }
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MESSAGE_HPP
