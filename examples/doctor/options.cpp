#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <program/sampling_options.hpp>
#include <program/terminal.hpp>
#include <specdec/version.hpp>

namespace doctor {
namespace {

using program::parse_number;
using program::usage_error;

constexpr std::string_view help_text =
    R"(Says whether speculative decoding pays with a pair of models, with how many drafted tokens, and why.

  doctor [TARGET.gguf [DRAFT.gguf]] [options]
  doctor large.gguf small.gguf
  doctor --ballast 150M --check

Measures, on texts that the target generates: what a call of the target costs for 1 to {rows} tokens, what drafting
costs, and how often the target accepts the draft's guesses, place by place. From these follows the speed of every
gamma, the number of tokens drafted per call of the target; nothing is guessed from the models' sizes. Times are taken
in turns, so that what disturbs the machine disturbs all alike. The answer goes to standard output, with the bounds
that hold it with a probability of 90 %.

Models
  TARGET, DRAFT            GGUF files of one vocabulary [the bundled pair]
  --weights f32|f16        what weights are kept as in memory [f16]
  --ballast PARAMETERS     make a token of the target cost what one of a model of this size costs, without changing
                           its text: 500M, 1.5G
  --draft-ballast PARAMETERS
                           the same for the draft

Texts
  --prompts FILE           what they begin with: one JSON object a line, with "prompt" and maybe "task"
                           [the bundled prompts.jsonl]
  -p,  --prompt TEXT       only texts that begin so
{sampling}  --draft-temp T           the draft's temperature [the target's]
  --draft-top K            draft from the K likeliest tokens, 0 for all [{draft_top}]
  -s,  --seed N            the same seed gives the same texts; what is measured on them varies [{seed}]

Examination
  --seconds N              how long to measure [{seconds}]; a large model may need more for its least
  --check [SECONDS]        then generate texts with every gamma, and show their speeds beside the forecasts [{check}]
  -t,  --threads N         threads that compute [one per processor]
  --json                   print one JSON object
  --no-color               no colour; nor is there any if NO_COLOR is set or the output is not a terminal
  -h,  --help              print this
  --version                print the version

Ctrl-C ends the examination, with exit status 130.
)";

constexpr double default_check_seconds = 300;

std::string help() {
  const options defaults;
  return fmt::format(help_text, fmt::arg("rows", 17),
                     fmt::arg("sampling", program::sampling_options::help(defaults.sampling)),
                     fmt::arg("draft_top", defaults.draft_top), fmt::arg("seed", defaults.seed),
                     fmt::arg("seconds", defaults.seconds), fmt::arg("check", default_check_seconds));
}

std::string version() {
  return fmt::format("doctor, specdec {}.{}.{}\n", SPECDEC_VERSION_MAJOR, SPECDEC_VERSION_MINOR, SPECDEC_VERSION_PATCH);
}

}  // namespace

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  const std::filesystem::path bundled(SPECDEC_MODELS_DIR);
  std::string target = (bundled / "target.gguf").string();
  std::string draft = (bundled / "draft.gguf").string();
  std::string prompts = (bundled / "prompts.jsonl").string();
  std::string prompt, draft_temperature, draft_top, seed, threads, weights, ballast, draft_ballast, seconds, check;
  program::sampling_options sampling(result.sampling);
  bool help_wanted = false, version_wanted = false, no_color = false;

  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help_wanted);
  app.add_flag("--version", version_wanted);
  app.add_option("target", target)->type_name("value");
  app.add_option("draft", draft)->type_name("value");
  const CLI::Option& prompts_given = *app.add_option("--prompts", prompts)->type_name("value");
  const CLI::Option& prompt_given = *app.add_option("-p,--prompt", prompt)->type_name("value");
  sampling.add_to(app);
  const auto add = [&app](const char* names, std::string& value) -> const CLI::Option& {
    return *app.add_option(names, value)->type_name("value");
  };
  const CLI::Option& draft_temperature_given = add("--draft-temp", draft_temperature);
  const CLI::Option& draft_top_given = add("--draft-top", draft_top);
  const CLI::Option& seed_given = add("-s,--seed", seed);
  const CLI::Option& threads_given = add("-t,--threads", threads);
  const CLI::Option& weights_given = add("--weights", weights);
  const CLI::Option& ballast_given = add("--ballast", ballast);
  const CLI::Option& draft_ballast_given = add("--draft-ballast", draft_ballast);
  const CLI::Option& seconds_given = add("--seconds", seconds);
  const CLI::Option& check_given = *app.add_option("--check", check)->type_name("value")->expected(0, 1);
  app.add_flag("--json", result.json);
  app.add_flag("--no-color", no_color);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }
  if (help_wanted || version_wanted) {
    program::terminal(stdout, false).write_styled(help_wanted ? help() : version());
    return std::nullopt;
  }

  result.target = target;
  result.draft = draft;
  if (!prompt_given.empty() && !prompts_given.empty()) {
    throw usage_error("--prompt and --prompts: expected one of them; got both");
  }
  result.prompts = prompts;
  if (!prompt_given.empty()) {
    if (prompt.empty()) throw usage_error("--prompt: expected a text; got an empty one");
    result.prompt = prompt;
  }
  sampling.apply();
  if (!draft_temperature_given.empty()) {
    constexpr std::string_view expected = "0 or a number from 1e-6 to 1e30";
    const double value = parse_number<double>("--draft-temp", draft_temperature, 0, 1e30, expected);
    if (value > 0 && value < 1e-6) {
      throw usage_error(fmt::format("--draft-temp: expected {}; got '{}'", expected, draft_temperature));
    }
    result.draft_temperature = value;
  }
  if (!draft_top_given.empty()) {
    result.draft_top = parse_number<std::size_t>("--draft-top", draft_top, 0, std::numeric_limits<std::size_t>::max(),
                                                 "a number of tokens, 0 for all");
  }
  if (!seed_given.empty()) {
    result.seed = parse_number<std::uint64_t>("--seed", seed, 0, std::numeric_limits<std::uint64_t>::max(),
                                              "a whole number from 0 up");
  }
  if (!threads_given.empty()) {
    result.threads = parse_number<unsigned>("--threads", threads, 1, 256, "a number of threads, 1 to 256");
  }
  if (!weights_given.empty()) result.weights = program::parse_weights("--weights", weights);
  if (!ballast_given.empty()) result.ballast = program::parse_size("--ballast", ballast);
  if (!draft_ballast_given.empty()) result.draft_ballast = program::parse_size("--draft-ballast", draft_ballast);
  constexpr std::string_view a_time = "a number of seconds, 1 to 86400";
  if (!seconds_given.empty()) result.seconds = parse_number<double>("--seconds", seconds, 1, 86400, a_time);
  if (!check_given.empty()) {
    result.check_seconds =
        check.empty() ? default_check_seconds : parse_number<double>("--check", check, 1, 86400, a_time);
  }
  result.color = !no_color;
  return result;
}

}  // namespace doctor
