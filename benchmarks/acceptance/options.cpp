#include "options.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>
#include <study/command_line.hpp>
#include <study/lists.hpp>

namespace acceptance {
namespace {

using program::parse_number;

constexpr std::string_view help_text = R"(How does acceptance change with the length of the draft?

  acceptance [options]

For every method, temperature, gamma and task, on the bundled pair: how many drafted tokens the target accepts, by
their position in the draft, how many tokens a call of the target yields, and what that gains. Acceptance is counted on
all texts; speed is measured on rounds of a target with ballast, each beside a round of plain decoding. Ballast does
not change a bit of the text, so the counts hold for it too.

  --methods NAME,...   which methods [{methods}], of
                       {known}
  --gammas N,...       tokens drafted a round, at most [{gammas}]
  --temps T,...        temperatures [{temperatures}]
  --tasks NAME,...     tasks of the bundled prompts [all]
  --prompts N          prompts of each task [{prompts}]
  --tokens N           tokens behind each prompt [{tokens}]
  --timed-rounds N     rounds timed for each cell; 0 to measure no speed [{timed_rounds}]
  --ballast SIZE       make the timed target cost what one of so many parameters costs [150M]
  --weights f32|f16    what weights are kept as in memory [f32]
  --seed N             the same seed gives the same texts [{seed}]
  --output DIR         where everything goes [{output}]
  --plot-only          measure nothing; draw what DIR has
  -h, --help           print this

DIR/acceptance.jsonl has one line for its settings, then one for each cell that is finished. Stop with Ctrl-C, start
again with the same options: what is there is not measured again. Other methods, gammas, temperatures and tasks are
added to it; with other settings it is refused. The tables cells.csv and positions.csv and, if gnuplot is installed,
pictures (SVG and PNG) are made of it at the end.
)";

// The methods that the default study compares: one that drafts a fixed number of tokens, one that knows when to end,
// one without a model.
constexpr std::array<std::string_view, 3> usual_methods{"rejection", "assisted", "prompt_lookup"};

std::string help() {
  const options defaults;
  std::vector<std::string_view> known;
  for (const measurement::method& method : measurement::methods()) known.push_back(method.name);
  std::vector<std::string_view> usual;
  for (const std::string_view name : usual_methods) {
    if (std::find(known.begin(), known.end(), name) != known.end()) usual.push_back(name);
  }
  return fmt::format(help_text, fmt::arg("methods", fmt::join(usual, ",")),
                     fmt::arg("known", fmt::join(known.begin() + 1, known.end(), ", ")),
                     fmt::arg("gammas", fmt::join(defaults.gammas, ",")),
                     fmt::arg("temperatures", fmt::join(defaults.temperatures, ",")),
                     fmt::arg("prompts", defaults.prompts), fmt::arg("tokens", defaults.tokens),
                     fmt::arg("timed_rounds", defaults.timed_rounds), fmt::arg("seed", defaults.seed),
                     fmt::arg("output", defaults.output.string()));
}

}  // namespace

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  std::string output = result.output.string();
  study::command_line line;
  line.flag("--plot-only", result.plot_only);
  line.text("--output", output);
  line.option("--methods", [&](std::string_view text) { result.methods = study::parse_methods(text); });
  line.option("--gammas", [&](std::string_view text) {
    result.gammas = study::parse_list("--gammas", text, [](std::string_view one) {
      constexpr std::size_t most = measurement::most_drafted;
      return parse_number<std::size_t>("--gammas", one, 1, most, fmt::format("numbers of tokens, 1 to {}", most));
    });
    std::sort(result.gammas.begin(), result.gammas.end());
  });
  line.option("--temps", [&](std::string_view text) { result.temperatures = study::parse_temperatures(text); });
  line.option("--tasks", [&](std::string_view text) {
    result.tasks = study::parse_list("--tasks", text, [](std::string_view task) { return std::string(task); });
  });
  line.number("--prompts", result.prompts, 1);
  line.number("--tokens", result.tokens, 1);
  line.number("--timed-rounds", result.timed_rounds, 0);
  line.option("--weights", [&](std::string_view text) { result.weights = program::parse_weights("--weights", text); });
  line.seed_and_ballast(result.seed, result.ballast);
  if (!line.parse(argc, argv)) {
    std::fputs(help().c_str(), stdout);
    return std::nullopt;
  }
  if (result.methods.empty()) {
    for (const measurement::method& method : measurement::methods()) {
      if (std::find(usual_methods.begin(), usual_methods.end(), method.name) != usual_methods.end()) {
        result.methods.push_back(&method);
      }
    }
  }
  result.output = output;
  return result;
}

}  // namespace acceptance
