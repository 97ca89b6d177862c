#include "options.hpp"

#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>
#include <study/command_line.hpp>
#include <study/lists.hpp>

namespace methods {
namespace {

constexpr std::string_view help_text = R"(What each published method gains over plain decoding, on the bundled pair.

  methods [options]

For each method, weight format and temperature: which gamma is best by measurement, then the method and plain decoding
in turns, round by round, on the same prompts, beside the speed-up that the parts' costs predict and the paper's own.
The target has ballast: the text of a small model at the cost of a large one. Methods by which the target drafts for
itself run without, since it would be what they skip. Of lossy methods see how far their text is the target's.

  --methods NAME,...   [{known}]
  --temps T,...        temperatures [{temperatures}]
  --weights F,...      what weights are kept as in memory, f32 or f16 [f32,f16]
  --gamma N            tokens drafted a round, at most [the best of some]
  --prompts N          prompts of each task [{prompts}]
  --tokens N           tokens behind each prompt [{tokens}]
  --ballast SIZE       make the target cost what one of so many parameters costs [150M]
  --seed N             the same seed gives the same texts [{seed}]
  --json               print one JSON object instead of the table
  -h, --help           print this
)";

std::string help() {
  const options defaults;
  std::vector<std::string_view> known;
  for (const measurement::method& method : measurement::methods()) known.push_back(method.name);
  return fmt::format(help_text, fmt::arg("known", fmt::join(known.begin() + 1, known.end(), ",")),
                     fmt::arg("temperatures", fmt::join(defaults.temperatures, ",")),
                     fmt::arg("prompts", defaults.prompts), fmt::arg("tokens", defaults.tokens),
                     fmt::arg("seed", defaults.seed));
}

}  // namespace

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  ::study::command_line line;
  line.flag("--json", result.json);
  line.option("--methods", [&](std::string_view text) { result.methods = ::study::parse_methods(text); });
  line.option("--temps", [&](std::string_view text) { result.temperatures = ::study::parse_temperatures(text); });
  line.option("--weights", [&](std::string_view text) {
    result.weights = ::study::parse_list("--weights", text,
                                         [](std::string_view one) { return program::parse_weights("--weights", one); });
  });
  line.option("--gamma", [&](std::string_view text) {
    constexpr std::size_t most = measurement::most_drafted;
    result.gamma =
        program::parse_number<std::size_t>("--gamma", text, 1, most, fmt::format("a number of tokens, 1 to {}", most));
  });
  line.number("--prompts", result.prompts, 1);
  line.number("--tokens", result.tokens, 16);
  line.seed_and_ballast(result.seed, result.ballast);
  if (!line.parse(argc, argv)) {
    std::fputs(help().c_str(), stdout);
    return std::nullopt;
  }
  if (result.methods.empty()) {
    for (const measurement::method& method : measurement::methods()) {
      if (method.drafts_with != measurement::draft_source::nothing) result.methods.push_back(&method);
    }
  }
  return result;
}

}  // namespace methods
