#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>
#include <study/lists.hpp>

namespace trees {
namespace {

using program::parse_number;
using program::usage_error;

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
  std::string temperature, gamma, nodes, depth, prompts, tokens, rounds, ballast, seed;
  bool help_wanted = false;
  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help_wanted);
  const auto option = [&](const char* name, std::string& text) { app.add_option(name, text)->type_name("value"); };
  option("--temp", temperature);
  option("--gamma", gamma);
  option("--nodes", nodes);
  option("--depth", depth);
  option("--prompts", prompts);
  option("--tokens", tokens);
  option("--rounds", rounds);
  option("--ballast", ballast);
  option("--seed", seed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }
  if (help_wanted) {
    fmt::print(help_text, fmt::arg("temperature", result.temperature), fmt::arg("gamma", result.gamma),
               fmt::arg("nodes", fmt::join(result.nodes, ",")), fmt::arg("depth", result.depth),
               fmt::arg("prompts", result.prompts), fmt::arg("tokens", result.tokens),
               fmt::arg("rounds", result.rounds), fmt::arg("seed", result.seed));
    return std::nullopt;
  }
  const auto number = [](const char* name, const std::string& text, std::size_t least, std::size_t most,
                         std::size_t& value) {
    if (text.empty()) return;
    value = parse_number<std::size_t>(name, text, least, most, fmt::format("a number, {} to {}", least, most));
  };
  if (!temperature.empty()) {
    result.temperature = parse_number<double>("--temp", temperature, 0, 100, "a temperature, 0 to 100");
  }
  number("--gamma", gamma, 1, measurement::most_drafted, result.gamma);
  number("--depth", depth, 1, 32, result.depth);
  number("--prompts", prompts, 1, 1000, result.prompts);
  number("--tokens", tokens, 16, 100000, result.tokens);
  number("--rounds", rounds, 0, 100000, result.rounds);
  if (!nodes.empty()) {
    result.nodes = study::parse_list("--nodes", nodes, [](std::string_view text) {
      return parse_number<std::size_t>("--nodes", text, 1, most_nodes, fmt::format("sizes, 1 to {}", most_nodes));
    });
    std::sort(result.nodes.begin(), result.nodes.end());
  }
  if (!ballast.empty()) result.ballast = program::parse_size("--ballast", ballast);
  if (!seed.empty()) {
    result.seed = parse_number<std::uint64_t>("--seed", seed, 0, std::numeric_limits<std::uint64_t>::max(),
                                              "a whole number from 0 up");
  }
  return result;
}

}  // namespace trees
