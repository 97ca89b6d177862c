#include "help.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

#include <specdec/version.hpp>

#include "method_options.hpp"
#include "options.hpp"

namespace generate {
namespace {

constexpr std::string_view help_text = R"(Generates text with speculative decoding, and measures what speculation gains.

  generate [options]
  generate -p "Once upon a time" -n 200
  generate -m large.gguf -md small.gguf -f prompt.txt

A small draft model guesses the next few tokens, the target model checks all of them in one call, and rejection
sampling keeps the text's law exactly the target's own. The text goes to standard output; what was measured, beside the
same text length without speculation, goes to standard error.

Methods, for --method NAME [{method}]
{methods}
Models
  -m,  --model FILE        the target, a GGUF file [the bundled target.gguf]
  -md, --model-draft FILE  the draft model, if the method has one; 'none' for no draft [the bundled draft.gguf, or
                           draft-1k.gguf for a method that takes another vocabulary]
  --weights f32|f16        what weights are kept as in memory [f16]
  --ballast PARAMETERS     make a token of the target cost what one of a model of this size costs, without changing
                           its text: 500M, 1.5G

Text
  -p,  --prompt TEXT       where the text begins [a line of ours]
  -f,  --file FILE         read the prompt from a file, '-' for standard input
  -n,  --predict N         how many tokens to generate at most [{predict}]
  --min-tokens N           the end-of-text token cannot come before N tokens [0]
  -r,  --reverse-prompt, --stop TEXT
                           end the text before TEXT, which is not printed; repeatable. \n, \r, \t, \\ and \xHH
                           are understood
  --samples N              N texts from the prompt, which is read once: the seed's streams 0 to N-1. They are measured
                           together, and not without speculation
  --temp T                 temperature; 0 always takes the likeliest token [{temperature}]
  --top-k K                choose among the K likeliest tokens, 0 for all [{top_k}]
  --top-p P                choose among the likeliest tokens that together reach probability P [{top_p}]
  --min-p P                choose among tokens at least P times as likely as the likeliest [{min_p}]
  --repeat-penalty X       divide the logits of tokens that occurred by X; 1 for none [{repetition_penalty}]
  --frequency-penalty X    take X from a token's logit for every time it occurred [{frequency_penalty}]
  --presence-penalty X     take X from the logit of every token that occurred [{presence_penalty}]
  --repeat-last-n N        how many of the last tokens these penalties look at [{penalty_window}]
  -s,  --seed N            the same seed gives the same text [{seed}]
  --ignore-eos             go on behind the token that ends a text

Speculation
  --draft-max, --gamma N   tokens drafted per call of the target; 'auto' measures which number is best, and may
                           differ from run to run [what the method is known for]
  --draft-top K            draft from the K likeliest tokens, 0 for all [{draft_top}]
  --trace                  tell on standard error of every round, in a line: the drafted tokens (✓ kept, ✗ rejected,
                           · not judged), and the target's own. The text follows at its end
  --no-baseline            do not measure generation without speculation

Parameters of single methods
{method_options}
Machine and output
  -t,  --threads N         threads that compute [one per processor]
  --json                   print one JSON object with text, tokens, settings and measurements
  --logprobs N             with --json, give every token the N likeliest in its place [0]
  --logprobs-of law|model  take log-probabilities from the law that tokens are chosen from, or from the model's own,
                           before temperature, penalties and cuts [law]
  --no-color               no colour; nor is there any if NO_COLOR is set or the output is not a terminal
  -h,  --help              print this
  --version                print the version

Ctrl-C ends the text; what was generated stays and is measured, with exit status 130. A second one kills.
)";

// An entry of the help: a name, and what it means, broken into lines.
std::string entry(std::string_view name, std::string_view text) {
  constexpr std::size_t indent = 27, width = 120;
  std::string line = fmt::format("  {:<{}}", name, indent - 2);
  std::string lines;
  const auto wrap = [&] {
    lines += line.erase(line.find_last_not_of(' ') + 1) + '\n';
    line.assign(indent, ' ');
  };
  if (line.size() > indent) wrap();
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (line.size() + word.size() > width) wrap();
    line.append(word).append(" ");
  }
  wrap();
  return lines;
}

std::string list_of_methods() {
  std::string entries;
  for (const measurement::method& method : measurement::methods()) {
    entries +=
        entry(method.name, fmt::format("{}{} ({})", method.summary, method.lossless ? "" : "; lossy", method.source));
  }
  return entries;
}

std::string list_of_parameters() {
  std::string entries;
  for (const auto& [name, meaning] : method_options::help()) entries += entry(name, meaning);
  return entries;
}

}  // namespace

std::string help() {
  const options defaults;
  return fmt::format(help_text, fmt::arg("methods", list_of_methods()), fmt::arg("method", defaults.method->name),
                     fmt::arg("method_options", list_of_parameters()), fmt::arg("predict", defaults.predict),
                     fmt::arg("temperature", defaults.sampling.temperature), fmt::arg("top_k", defaults.sampling.top_k),
                     fmt::arg("top_p", defaults.sampling.top_p), fmt::arg("min_p", defaults.sampling.min_p),
                     fmt::arg("repetition_penalty", defaults.sampling.repetition_penalty),
                     fmt::arg("frequency_penalty", defaults.sampling.frequency_penalty),
                     fmt::arg("presence_penalty", defaults.sampling.presence_penalty),
                     fmt::arg("penalty_window", defaults.sampling.penalty_window), fmt::arg("seed", defaults.seed),
                     fmt::arg("draft_top", defaults.method_settings.draft_top));
}

std::string version() {
  return fmt::format("generate, specdec {}.{}.{}\n", SPECDEC_VERSION_MAJOR, SPECDEC_VERSION_MINOR,
                     SPECDEC_VERSION_PATCH);
}

}  // namespace generate
