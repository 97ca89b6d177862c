#include "help.hpp"

#include <string_view>

#include <fmt/format.h>

#include <specdec/version.hpp>

#include "request_help.hpp"

namespace generate {
namespace {

constexpr std::string_view help_text = R"(Generates text with speculative decoding, and measures what speculation gains.

  generate [options]
  generate -p "Once upon a time" -n 200
  generate -m large.gguf -md small.gguf -f prompt.txt

A small draft model guesses the next few tokens, the target model checks all of them in one call, and rejection
sampling keeps the text's law exactly the target's own. The text goes to standard output; what was measured, beside the
same text length without speculation, goes to standard error.

{methods}
Models
  -m,  --model FILE        the target, a GGUF file [the bundled target.gguf]
  -md, --model-draft FILE  the draft model, if the method has one; 'none' for no draft [the bundled draft.gguf, or
                           draft-1k.gguf for a method that takes another vocabulary]
  --weights f32|f16        what weights are kept as in memory [f16]
  --ballast PARAMETERS     make a token of the target cost what one of a model of this size costs, without changing
                           its text: 500M, 1.5G

{text}
{speculation}
{parameters}
Machine and output
  -t,  --threads N         threads that compute [one per processor]
{output}
Ctrl-C ends the text; what was generated stays and is measured, with exit status 130. A second one kills.
)";

}  // namespace

std::string help() {
  const request_help sections = help_of_request(request(), [](const measurement::method&) { return true; });
  return fmt::format(help_text, fmt::arg("methods", sections.methods), fmt::arg("text", sections.text),
                     fmt::arg("speculation", sections.speculation), fmt::arg("parameters", sections.parameters),
                     fmt::arg("output", sections.output));
}

std::string version() {
  return fmt::format("generate, specdec {}.{}.{}\n", SPECDEC_VERSION_MAJOR, SPECDEC_VERSION_MINOR,
                     SPECDEC_VERSION_PATCH);
}

}  // namespace generate
