#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>
#include <study/lists.hpp>

namespace acceptance {
namespace {

using program::parse_number;
using program::usage_error;

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
  std::string methods, gammas, temperatures, tasks, prompts, tokens, timed_rounds, ballast, weights, seed,
      output = result.output.string();
  bool help_wanted = false;
  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help_wanted);
  app.add_flag("--plot-only", result.plot_only);
  app.add_option("--output", output)->type_name("value");
  const auto option = [&](const char* name, std::string& text) -> const CLI::Option& {
    return *app.add_option(name, text)->type_name("value");
  };
  const auto& methods_given = option("--methods", methods);
  const auto& gammas_given = option("--gammas", gammas);
  const auto& temperatures_given = option("--temps", temperatures);
  const auto& tasks_given = option("--tasks", tasks);
  const auto& prompts_given = option("--prompts", prompts);
  const auto& tokens_given = option("--tokens", tokens);
  const auto& timed_given = option("--timed-rounds", timed_rounds);
  const auto& ballast_given = option("--ballast", ballast);
  const auto& weights_given = option("--weights", weights);
  const auto& seed_given = option("--seed", seed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }
  if (help_wanted) {
    std::fputs(help().c_str(), stdout);
    return std::nullopt;
  }

  if (methods_given.empty()) {
    for (const measurement::method& method : measurement::methods()) {
      if (std::find(usual_methods.begin(), usual_methods.end(), method.name) != usual_methods.end()) {
        result.methods.push_back(&method);
      }
    }
  } else {
    result.methods = study::parse_methods(methods);
  }
  constexpr std::size_t any_size = std::numeric_limits<std::size_t>::max();
  if (!gammas_given.empty()) {
    result.gammas = study::parse_list("--gammas", gammas, [](std::string_view text) {
      constexpr std::size_t most = measurement::most_drafted;
      return parse_number<std::size_t>("--gammas", text, 1, most, fmt::format("numbers of tokens, 1 to {}", most));
    });
    std::sort(result.gammas.begin(), result.gammas.end());
  }
  if (!temperatures_given.empty()) result.temperatures = study::parse_temperatures(temperatures);
  if (!tasks_given.empty()) {
    result.tasks = study::parse_list("--tasks", tasks, [](std::string_view task) { return std::string(task); });
  }
  const auto number = [&](const CLI::Option& given, const char* name, const std::string& text, std::size_t least,
                          std::size_t& value) {
    if (given.empty()) return;
    value = parse_number<std::size_t>(name, text, least, any_size, fmt::format("a number from {} up", least));
  };
  number(prompts_given, "--prompts", prompts, 1, result.prompts);
  number(tokens_given, "--tokens", tokens, 1, result.tokens);
  number(timed_given, "--timed-rounds", timed_rounds, 0, result.timed_rounds);
  if (!ballast_given.empty()) result.ballast = program::parse_size("--ballast", ballast);
  if (!weights_given.empty()) result.weights = program::parse_weights("--weights", weights);
  if (!seed_given.empty()) {
    result.seed = parse_number<std::uint64_t>("--seed", seed, 0, std::numeric_limits<std::uint64_t>::max(),
                                              "a whole number from 0 up");
  }
  result.output = output;
  return result;
}

}  // namespace acceptance
