#include "options.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>
#include <study/command_line.hpp>
#include <study/lists.hpp>

namespace trees {
namespace {

using program::parse_number;

constexpr std::string_view help_text = R"(What block verification and trees yield, on the bundled pair.

  trees [options]

First, for every task and gamma, the expected tokens per call of the target when the same drafted chains are verified
token by token and as blocks. Then trees of several sizes: shapes that the dynamic programme makes of measured
acceptance, with what it predicts; shapes of constant branching; trees that grow by the draft's confidence; and chains.
Last, which shape is fastest at the measured costs of a target with ballast.

  --temp T             temperature [{temperature}]
  --gamma N            the longest chain [{gamma}]
  --nodes N,...        sizes of trees [{nodes}]
  --depth N            their levels, at most [{depth}]
  --prompts N          prompts of each task [{prompts}]
  --tokens N           tokens behind each prompt [{tokens}]
  --rounds N           rounds timed for each shape; 0 to measure no speed [{rounds}]
  --ballast SIZE       make the timed target cost what one of so many parameters costs [150M]
  --seed N             the same seed gives the same texts [{seed}]
  -h, --help           print this
)";

constexpr std::size_t most_nodes = 256;

}  // namespace

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  study::command_line line;
  line.option("--temp", [&](std::string_view text) {
    result.temperature = parse_number<double>("--temp", text, 0, 100, "a temperature, 0 to 100");
  });
  line.number("--gamma", result.gamma, 1, measurement::most_drafted);
  line.option("--nodes", [&](std::string_view text) {
    result.nodes = study::parse_list("--nodes", text, [](std::string_view one) {
      return parse_number<std::size_t>("--nodes", one, 1, most_nodes, fmt::format("sizes, 1 to {}", most_nodes));
    });
    std::sort(result.nodes.begin(), result.nodes.end());
  });
  line.number("--depth", result.depth, 1, 32);
  line.number("--prompts", result.prompts, 1, 1000);
  line.number("--tokens", result.tokens, 16, 100000);
  line.number("--rounds", result.rounds, 0, 100000);
  line.seed_and_ballast(result.seed, result.ballast);
  if (!line.parse(argc, argv)) {
    const options defaults;
    fmt::print(help_text, fmt::arg("temperature", defaults.temperature), fmt::arg("gamma", defaults.gamma),
               fmt::arg("nodes", fmt::join(defaults.nodes, ",")), fmt::arg("depth", defaults.depth),
               fmt::arg("prompts", defaults.prompts), fmt::arg("tokens", defaults.tokens),
               fmt::arg("rounds", defaults.rounds), fmt::arg("seed", defaults.seed));
    return std::nullopt;
  }
  return result;
}

}  // namespace trees
