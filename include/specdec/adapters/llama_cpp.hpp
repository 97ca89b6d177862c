#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_HPP

/// @file
/// llama.cpp's models as targets and drafts. Opt-in: needs llama.h, and a program that is linked with llama.cpp.
///
/// @code
/// specdec::llama_cpp::load_backends();
/// const auto big = specdec::llama_cpp::model::load("target.gguf");
/// const auto small = specdec::llama_cpp::model::load("draft.gguf");
/// specdec::llama_cpp::context target(big), draft(small);
/// const auto generated = specdec::speculative_generate(target, draft, big.tokenize("Once upon a time"), options);
/// @endcode
///
/// All is written for the public C interface, llama.h, of llama.cpp v0.5.0.

#include "llama_cpp/backends.hpp"
#include "llama_cpp/batch_context.hpp"
#include "llama_cpp/context.hpp"
#include "llama_cpp/decoder.hpp"
#include "llama_cpp/error.hpp"
#include "llama_cpp/model.hpp"
#include "llama_cpp/sampler.hpp"
#include "llama_cpp/sampler_law.hpp"
#include "llama_cpp/sequence.hpp"
#include "llama_cpp/tokenizer.hpp"
#include "llama_cpp/tree_context.hpp"

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_HPP
