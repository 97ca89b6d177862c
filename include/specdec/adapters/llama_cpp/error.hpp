#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_ERROR_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_ERROR_HPP

/// @file
/// What llama.cpp refused, in words.

#include <cstddef>
#include <stdexcept>
#include <string>

#include "../../config.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// llama.cpp could not do what was asked of it, or would have ended the program: the message says what was expected and
/// what came.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// llama_decode failed. The model's size() says what its context holds; it may go on from there.
class decode_error : public error {
 public:
  decode_error(int code, const std::string& message) : error(message), code_(code) {}

  /// What llama_decode returned.
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  int code_;
};

/// The context's abort callback ended a call: nothing is wrong, and the model may go on.
class cancelled : public decode_error {
 public:
  using decode_error::decode_error;
};

/// The codes of llama_decode that llama.h documents.
[[nodiscard]] inline std::string meaning_of_code(int code) {
  switch (code) {
    case 0:
      return "success";
    case 1:
      return "no room in the memory for so many tokens; a smaller batch or a larger context may do";
    case 2:
      return "the abort callback ended it";
    case -1:
      return "the batch is invalid";
    default:
      return "fatal, llama.cpp's log may say more";
  }
}

/// Throws for a code of llama_decode that is not 0.
[[noreturn]] inline void throw_decode_error(int code, std::size_t tokens) {
  const std::string message = "specdec::llama_cpp: expected llama_decode to read " + std::to_string(tokens) +
                              " tokens; it returned " + std::to_string(code) + ": " + meaning_of_code(code);
  if (code == 2) throw cancelled(code, message);
  throw decode_error(code, message);
}

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_ERROR_HPP
