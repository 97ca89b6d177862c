#ifndef SPECDEC_FAILURE_HPP
#define SPECDEC_FAILURE_HPP

/// @file
/// How the library fails: with an exception; where the compiler was told that there are none (`-fno-exceptions`), with a
/// message on standard error and std::abort.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "config.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Throws an `Exception` with that message, or ends the program with it where there are no exceptions.
template <class Exception>
[[noreturn]] void raise(const std::string& message) {
#if defined(__cpp_exceptions)
  throw Exception(message);
#else
  std::fprintf(stderr, "%s\n", Exception(message).what());
  std::abort();
#endif
}

/// Calls `body` and returns what it returns. Where that throws, calls `clean_up`, and the exception goes on.
template <class Body, class Cleanup>
decltype(auto) cleaning_up(const Body& body, [[maybe_unused]] const Cleanup& clean_up) {
#if defined(__cpp_exceptions)
  try {
    return body();
  } catch (...) {
    clean_up();
    throw;
  }
#else
  return body();
#endif
}

/// Calls `body`, and returns what that throws; null if it returns.
template <class Body>
[[nodiscard]] std::exception_ptr thrown_by(const Body& body) {
#if defined(__cpp_exceptions)
  try {
    body();
  } catch (...) {
    return std::current_exception();
  }
#else
  body();
#endif
  return nullptr;
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_FAILURE_HPP
