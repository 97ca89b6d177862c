#include "help.hpp"

#include <string_view>

#include <fmt/format.h>

#include <generate/request_help.hpp>
#include <specdec/version.hpp>

#include "options.hpp"

namespace llama {
namespace {

constexpr std::string_view help_text = R"(Speculative decoding with any GGUF models that llama.cpp runs.

  specdec_llama -m large.gguf -md small.gguf -p "Once upon a time" -n 200
  specdec_llama -m large.gguf --method prompt_lookup -f document.txt
  specdec_llama -m large.gguf -md small.gguf --doctor
  specdec_llama -m large.gguf -md small.gguf --compare

Writes a text, and measures it beside plain decoding. The text's law is exactly the target's own. Filters are applied in
llama.cpp's order: top-k, top-p, min-p, then the temperature.

{methods}
Models
  -m,  --model, --target FILE
                           the target [the bundled target.gguf]
  -md, --model-draft, --draft FILE
                           the draft model, if the method has one, of the target's vocabulary; 'none' for no draft [the
                           bundled draft.gguf; none where a target is given, and then --method suffix]
  -c,  --ctx-size N        how many tokens a context holds [what both models were trained on, at most 4096]
  -ngl, --gpu-layers N     how many layers to keep on a graphics card [what llama.cpp does by itself]

{text}
{speculation}
{parameters}
Instead of a text
  --doctor                 say whether speculation pays with these models, with how many drafted tokens, and why; and
                           with which options llama-server should run
  --compare                measure plain decoding, llama.cpp's own rule (the draft's likeliest tokens, accepted while
                           they are what the target's sampler draws) and specdec's, in turns on the same prompts
  --prompts FILE           what the texts of either begin with: one JSON object a line, with "prompt" and maybe "task",
                           unless --prompt is given [the bundled prompts.jsonl]
  --seconds N              how long the doctor measures [{seconds}]
  --check [SECONDS]        then have it generate texts with every gamma, and show their speeds beside the forecasts
  --texts N                how many texts to compare on, each of as many tokens as -n says [{texts}]

Machine and output
  -t,  --threads N         threads that compute [one per processor]
  -td, --threads-draft N   threads that compute for the draft model [as many]
{output}
Ctrl-C ends the text; what was generated stays and is measured, with exit status 130. A second one kills.
)";

}  // namespace

std::string help() {
  const options defaults;
  const generate::request_help sections = generate::help_of_request(defaults, has);
  return fmt::format(help_text, fmt::arg("methods", sections.methods), fmt::arg("text", sections.text),
                     fmt::arg("speculation", sections.speculation), fmt::arg("parameters", sections.parameters),
                     fmt::arg("output", sections.output), fmt::arg("seconds", defaults.seconds),
                     fmt::arg("texts", defaults.texts));
}

std::string version() {
  return fmt::format("specdec_llama, specdec {}.{}.{}\n", SPECDEC_VERSION_MAJOR, SPECDEC_VERSION_MINOR,
                     SPECDEC_VERSION_PATCH);
}

}  // namespace llama
