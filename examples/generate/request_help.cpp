#include "request_help.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

#include <program/sampling_options.hpp>

#include "method_options.hpp"

namespace generate {
namespace {

constexpr std::string_view text_help = R"(Text
  -p,  --prompt TEXT       where the text begins [a line of ours]
  -f,  --file FILE         read the prompt from a file, '-' for standard input
  -n,  --predict N         how many tokens to generate at most [{predict}]
  --min-tokens N           the end-of-text token cannot come before N tokens [0]
  -r,  --reverse-prompt, --stop TEXT
                           end the text before TEXT, which is not printed; repeatable. \n, \r, \t, \\ and \xHH
                           are understood
  --samples N              N texts from the prompt, which is read once: the seed's streams 0 to N-1. They are measured
                           together, and not without speculation
{sampling}  -s,  --seed N            the same seed gives the same text [{seed}]
  --ignore-eos             go on behind the token that ends a text
)";

constexpr std::string_view speculation_help = R"(Speculation
  --draft-max, --gamma N   tokens drafted per call of the target; 'auto' measures which number is best, and may
                           differ from run to run [what the method is known for]
  --draft-top K            draft from the K likeliest tokens, 0 for all [{draft_top}]
  --trace                  tell on standard error of every round, in a line: the drafted tokens (✓ kept, ✗ rejected,
                           · not judged), and the target's own. The text follows at its end
  --no-baseline            do not measure generation without speculation
)";

constexpr std::string_view output_help =
    R"(  --json                   print one JSON object with text, tokens, settings and measurements
  --logprobs N             with --json, give every token the N likeliest in its place [0]
  --logprobs-of law|model  take log-probabilities from the law that tokens are chosen from, or from the model's own,
                           before temperature, penalties and cuts [law]
  --no-color               no colour; nor is there any if NO_COLOR is set or the output is not a terminal
  -h,  --help              print this
  --version                print the version
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

}  // namespace

request_help help_of_request(const request& defaults, const std::function<bool(const measurement::method&)>& has) {
  request_help sections;
  sections.methods = fmt::format("Methods, for --method NAME [{}]\n", defaults.method->name);
  for (const measurement::method& method : measurement::methods()) {
    if (!has(method)) continue;
    sections.methods +=
        entry(method.name, fmt::format("{}{} ({})", method.summary, method.lossless ? "" : "; lossy", method.source));
  }
  sections.text = fmt::format(text_help, fmt::arg("predict", defaults.predict),
                              fmt::arg("sampling", program::sampling_options::help(defaults.sampling)),
                              fmt::arg("seed", defaults.seed));
  sections.speculation = fmt::format(speculation_help, fmt::arg("draft_top", defaults.method_settings.draft_top));
  sections.parameters = "Parameters of single methods\n";
  for (const method_options::description& one : method_options::help()) {
    if (has(measurement::find_method(one.method))) sections.parameters += entry(one.name, one.meaning);
  }
  sections.output = output_help;
  return sections;
}

}  // namespace generate
