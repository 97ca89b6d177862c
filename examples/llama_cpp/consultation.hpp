#ifndef LLAMA_CPP_CONSULTATION_HPP
#define LLAMA_CPP_CONSULTATION_HPP

/// @file
/// The doctor, for models of llama.cpp.

#include <string>

#include <doctor/advice.hpp>
#include <program/terminal.hpp>

#include "engine.hpp"
#include "options.hpp"

namespace llama {

/// The options of llama-server (v0.5.0, common/arg.cpp) that match advice on its own rule of speculation.
[[nodiscard]] std::string server_options(const options& asked, const doctor::advice& given);

/// Examines the pair twice, for specdec's rule and for llama.cpp's, which accepts as specdec does where the draft is
/// greedy, and writes both answers to `out`. False if the user interrupts it before there is an answer. Throws as
/// `doctor::diagnose`.
[[nodiscard]] bool consult(const engine& models, const options& asked, const program::terminal& out);

}  // namespace llama

#endif  // LLAMA_CPP_CONSULTATION_HPP
