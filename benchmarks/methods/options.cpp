#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>
#include <study/lists.hpp>

namespace methods {
namespace {

using program::parse_number;
using program::usage_error;

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
  std::string methods, temperatures, weights, gamma, prompts, tokens, ballast, seed;
  bool help_wanted = false;
  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help_wanted);
  app.add_flag("--json", result.json);
  const auto option = [&](const char* name, std::string& text) -> const CLI::Option& {
    return *app.add_option(name, text)->type_name("value");
  };
  const auto& methods_given = option("--methods", methods);
  const auto& temperatures_given = option("--temps", temperatures);
  const auto& weights_given = option("--weights", weights);
  const auto& gamma_given = option("--gamma", gamma);
  const auto& prompts_given = option("--prompts", prompts);
  const auto& tokens_given = option("--tokens", tokens);
  const auto& ballast_given = option("--ballast", ballast);
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
      if (method.drafts_with != measurement::draft_source::nothing) result.methods.push_back(&method);
    }
  } else {
    result.methods = study::parse_methods(methods);
  }
  if (!temperatures_given.empty()) result.temperatures = study::parse_temperatures(temperatures);
  if (!weights_given.empty()) {
    result.weights = study::parse_list("--weights", weights,
                                       [](std::string_view text) { return program::parse_weights("--weights", text); });
  }
  if (!gamma_given.empty()) {
    constexpr std::size_t most = measurement::most_drafted;
    result.gamma =
        parse_number<std::size_t>("--gamma", gamma, 1, most, fmt::format("a number of tokens, 1 to {}", most));
  }
  constexpr std::size_t any_size = std::numeric_limits<std::size_t>::max();
  const auto number = [&](const CLI::Option& given, const char* name, const std::string& text, std::size_t least,
                          std::size_t& value) {
    if (given.empty()) return;
    value = parse_number<std::size_t>(name, text, least, any_size, fmt::format("a number from {} up", least));
  };
  number(prompts_given, "--prompts", prompts, 1, result.prompts);
  number(tokens_given, "--tokens", tokens, 16, result.tokens);
  if (!ballast_given.empty()) result.ballast = program::parse_size("--ballast", ballast);
  if (!seed_given.empty()) {
    result.seed = parse_number<std::uint64_t>("--seed", seed, 0, std::numeric_limits<std::uint64_t>::max(),
                                              "a whole number from 0 up");
  }
  return result;
}

}  // namespace methods
