#ifndef LLAMA_CPP_WAITING_THREADS_HPP
#define LLAMA_CPP_WAITING_THREADS_HPP

/// @file
/// Threads that several contexts share.

#include <memory>

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>

namespace llama {

/// Threads that wait between calls, as llama.cpp's own programs have them: a context without makes new ones for every
/// call. One pool for all contexts of as many threads, since idle ones poll for a while, at the others' cost. Movable.
class waiting_threads {
 public:
  /// Starts them, but for the caller's own. Without a processor's backend, or where it makes none, there are none.
  /// Precondition: backends were loaded; count >= 1.
  explicit waiting_threads(unsigned count);

  /// Has them compute for a context of so many threads, which they must outlive. Contexts that share them are used by
  /// one thread in all.
  void serve(llama_context* context) const;

 private:
  std::unique_ptr<ggml_threadpool, void (*)(ggml_threadpool*)> pool_;
};

}  // namespace llama

#endif  // LLAMA_CPP_WAITING_THREADS_HPP
