#ifndef SPECDEC_TESTS_MESSAGE_OF_HPP
#define SPECDEC_TESTS_MESSAGE_OF_HPP

/// @file
/// What a call complains of.

#include <exception>
#include <string>

/// The message of the exception that a call throws, or "no exception".
template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no exception";
}

#endif  // SPECDEC_TESTS_MESSAGE_OF_HPP
