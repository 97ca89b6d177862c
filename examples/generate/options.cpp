#include "options.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <limits>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "help.hpp"
#include "terminal.hpp"
#include "values.hpp"

namespace generate {
namespace {

constexpr std::string_view default_prompt =
    "It was a dark evening in November, and the fire had burned low, when my father called me into the study and said,";

// More rows than this in one call of the target never pay.
constexpr std::size_t most_drafted = 64;

// An option on the command line that sets one sampling parameter.
struct sampling_option {
  std::string name;
  std::function<void(const sampling_option&)> set;
  std::string text = {};
};

std::vector<sampling_option> list_sampling_options(specdec::sampling_params& params) {
  constexpr double most = std::numeric_limits<double>::max();
  const auto number = [](double& value, double least, double largest, std::string_view expected) {
    return [=, &value](const sampling_option& option) {
      value = parse_number<double>(option.name, option.text, least, largest, expected);
    };
  };
  const auto count = [](std::size_t& value) {
    return [&value](const sampling_option& option) {
      value = parse_number<std::size_t>(option.name, option.text, 0, std::numeric_limits<std::size_t>::max(),
                                        "a number of tokens from 0 up");
    };
  };
  const auto temperature = [&params](const sampling_option& option) {
    constexpr std::string_view expected = "0 or a number from 1e-6 to 1e30";
    params.temperature = parse_number<double>(option.name, option.text, 0, 1e30, expected);
    const bool usable = params.temperature == 0 || params.temperature >= 1e-6;
    if (!usable) throw usage_error(fmt::format("{}: expected {}; got '{}'", option.name, expected, option.text));
  };
  constexpr double above_zero = std::numeric_limits<double>::min();
  return {{"--temp", temperature},
          {"--top-k", count(params.top_k)},
          {"--top-p", number(params.top_p, above_zero, 1, "a probability above 0 and at most 1")},
          {"--min-p", number(params.min_p, 0, 1, "a number from 0 to 1")},
          {"--repeat-penalty", number(params.repetition_penalty, above_zero, most, "a finite number above 0")},
          {"--frequency-penalty", number(params.frequency_penalty, -most, most, "a finite number")},
          {"--presence-penalty", number(params.presence_penalty, -most, most, "a finite number")},
          {"--repeat-last-n", count(params.penalty_window)}};
}

std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw std::runtime_error(fmt::format("{}: expected a file with the prompt; this is a directory", path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be opened to read the prompt", path));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

// A file's last line ends; the text that continues it should go on in that line.
std::string without_last_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  const std::filesystem::path bundled(SPECDEC_MODELS_DIR);
  std::string target = (bundled / "target.gguf").string();
  std::string draft = (bundled / "draft.gguf").string();
  std::string prompt, file, predict, seed, threads, gamma, draft_top, weights, ballast, min_tokens, samples, logprobs,
      logprobs_of;
  std::vector<sampling_option> sampling_options = list_sampling_options(result.sampling);
  bool help = false, version = false, no_baseline = false, no_color = false;

  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  app.add_option("-m,--model", target)->type_name("value");
  app.add_option("--model-draft", draft)->type_name("value");
  const CLI::Option& prompt_given = *app.add_option("-p,--prompt", prompt)->type_name("value");
  const CLI::Option& file_given = *app.add_option("-f,--file", file)->type_name("value");
  const CLI::Option& predict_given = *app.add_option("-n,--predict", predict)->type_name("value");
  const CLI::Option& min_tokens_given = *app.add_option("--min-tokens", min_tokens)->type_name("value");
  // Not into a vector: CLI11 would read lists in brackets into it.
  const CLI::Option& stop_given = *app.add_option("-r,--reverse-prompt,--stop")
                                       ->type_name("value")
                                       ->expected(1)
                                       ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  const CLI::Option& samples_given = *app.add_option("--samples", samples)->type_name("value");
  const CLI::Option& logprobs_given = *app.add_option("--logprobs", logprobs)->type_name("value");
  const CLI::Option& logprobs_of_given = *app.add_option("--logprobs-of", logprobs_of)->type_name("value");
  const CLI::Option& gamma_given = *app.add_option("--draft-max,--gamma", gamma)->type_name("value");
  for (sampling_option& option : sampling_options) app.add_option(option.name, option.text)->type_name("value");
  const CLI::Option& seed_given = *app.add_option("-s,--seed", seed)->type_name("value");
  const CLI::Option& threads_given = *app.add_option("-t,--threads", threads)->type_name("value");
  const CLI::Option& draft_top_given = *app.add_option("--draft-top", draft_top)->type_name("value");
  const CLI::Option& weights_given = *app.add_option("--weights", weights)->type_name("value");
  const CLI::Option& ballast_given = *app.add_option("--ballast", ballast)->type_name("value");
  app.add_flag("--trace", result.trace);
  app.add_flag("--json", result.json);
  app.add_flag("--no-baseline", no_baseline);
  app.add_flag("--no-color", no_color);
  app.add_flag("--ignore-eos", result.ignore_eos);

  // CLI11 takes its arguments last first, and knows no names of several letters behind one dash.
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  for (std::string& argument : arguments) {
    if (argument == "-md") argument = "--model-draft";
  }
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }

  if (help || version) {
    terminal(stdout, false).write_styled(help ? generate::help() : generate::version());
    return std::nullopt;
  }

  constexpr std::size_t any_size = std::numeric_limits<std::size_t>::max();
  result.target = target;
  if (draft != "none") result.draft = draft;
  if (!predict_given.empty()) {
    result.predict = parse_number<std::size_t>("--predict", predict, 1, any_size, "a number of tokens from 1 up");
  }
  if (!min_tokens_given.empty()) {
    result.min_tokens =
        parse_number<std::size_t>("--min-tokens", min_tokens, 0, any_size, "a number of tokens from 0 up");
  }
  for (const std::string& text : stop_given.results()) {
    if (text.empty()) throw usage_error("--stop: expected a text; got an empty one");
    result.stop_texts.push_back(unescaped(text));
  }
  if (!samples_given.empty()) {
    result.samples = parse_number<std::uint32_t>("--samples", samples, 1, std::numeric_limits<std::uint32_t>::max(),
                                                 "a number of texts from 1 up");
  }
  if (!logprobs_given.empty()) {
    result.top_log_probabilities =
        parse_number<std::size_t>("--logprobs", logprobs, 0, any_size, "a number of tokens from 0 up");
  }
  if (logprobs_of == "model") {
    result.log_probabilities = specdec::log_probability_of::model;
  } else if (!logprobs_of_given.empty() && logprobs_of != "law") {
    throw usage_error(fmt::format("--logprobs-of: expected law or model; got '{}'", logprobs_of));
  }
  if (!result.json && !(logprobs_given.empty() && logprobs_of_given.empty())) {
    throw usage_error("--logprobs and --logprobs-of: expected --json with them, since only that tells them");
  }
  if (gamma == "auto") {
    result.gamma.reset();
  } else if (!gamma_given.empty()) {
    result.gamma = parse_number<std::size_t>("--gamma", gamma, 0, most_drafted,
                                             fmt::format("a number of tokens, 0 to {}, or 'auto'", most_drafted));
  }
  for (const sampling_option& option : sampling_options) {
    if (!option.text.empty()) option.set(option);
  }
  if (!seed_given.empty()) {
    result.seed = parse_number<std::uint64_t>("--seed", seed, 0, std::numeric_limits<std::uint64_t>::max(),
                                              "a whole number from 0 up");
  }
  if (!threads_given.empty()) {
    result.threads = parse_number<unsigned>("--threads", threads, 1, 256, "a number of threads, 1 to 256");
  }
  if (!draft_top_given.empty()) {
    result.draft_top =
        parse_number<std::size_t>("--draft-top", draft_top, 0, any_size, "a number of tokens, 0 for all");
  }
  if (weights_given.empty() || weights == "f16") {
    result.weights = toy::weight_format::float16;
  } else if (weights == "f32") {
    result.weights = toy::weight_format::float32;
  } else {
    throw usage_error(fmt::format("--weights: expected f32 or f16; got '{}'", weights));
  }
  if (!ballast_given.empty()) result.ballast = parse_size("--ballast", ballast);
  result.baseline = !no_baseline;
  result.color = !no_color;
  if (!prompt_given.empty() && !file_given.empty()) {
    throw usage_error("--prompt and --file: expected one of them; got both");
  }
  if (!prompt_given.empty()) {
    result.prompt = prompt;
  } else if (!file_given.empty()) {
    result.prompt = without_last_newline(file == "-" ? read_standard_input() : read_file(file));
  } else {
    if (isatty(STDIN_FILENO) == 0) result.prompt = without_last_newline(read_standard_input());
    if (result.prompt.empty()) result.prompt = default_prompt;
  }
  return result;
}

}  // namespace generate
