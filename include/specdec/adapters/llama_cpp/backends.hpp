#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_BACKENDS_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_BACKENDS_HPP

/// @file
/// What a program does once before it loads a model.

#include <cstdio>

#include <llama.h>

#include "../../config.hpp"
#include "error.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// Loads ggml's backends where they are libraries of their own, from `directory`, or else from where CMake found
/// llama.cpp, or else from where ggml looks for them. Does nothing if there are devices already. Throws `error` if
/// there are none afterwards. Not thread safe, as the functions that it calls.
inline void load_backends(const char* directory = nullptr) {
  llama_backend_init();
  if (ggml_backend_dev_count() > 0) return;
#if defined(SPECDEC_LLAMA_CPP_BACKENDS)
  if (directory == nullptr) directory = SPECDEC_LLAMA_CPP_BACKENDS;
#endif
  if (directory != nullptr) {
    ggml_backend_load_all_from_path(directory);
  } else {
    ggml_backend_load_all();
  }
  if (ggml_backend_dev_count() == 0) {
    throw error("specdec::llama_cpp: expected ggml to have a backend; found none in " +
                (directory == nullptr ? std::string("the program's folder or the working directory; load_backends "
                                                    "takes the one where llama.cpp's libraries are")
                                      : directory));
  }
}

/// Lets llama.cpp's log through to stderr only where it tells of errors. The log is one for the whole program; the
/// function that was set before is forgotten. Before `load_backends`, it silences what that loads, too.
inline void log_errors_only() {
  const auto print = [](ggml_log_level level, const char* text, void*) {
    // A line that goes on (CONT) belongs to one that was not printed, as far as can be told.
    if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
  };
  llama_log_set(print, nullptr);
}

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_BACKENDS_HPP
