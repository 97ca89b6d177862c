#include "options.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <limits>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <program/sampling_options.hpp>
#include <program/terminal.hpp>
#include <program/text_file.hpp>

#include "help.hpp"
#include "method_options.hpp"

namespace generate {

using program::parse_number;
using program::parse_size;
using program::parse_weights;
using program::terminal;
using program::unescaped;

namespace {

constexpr std::string_view default_prompt =
    "It was a dark evening in November, and the fire had burned low, when my father called me into the study and said,";

// The draft that a method takes where the command line names none.
std::string bundled_draft(const measurement::method& method) {
  const std::filesystem::path models(SPECDEC_MODELS_DIR);
  switch (method.drafts_with) {
    case measurement::draft_source::model:
      return (models / "draft.gguf").string();
    case measurement::draft_source::foreign_model:
      return (models / "draft-1k.gguf").string();
    default:
      return "none";
  }
}

}  // namespace

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  std::string target = (std::filesystem::path(SPECDEC_MODELS_DIR) / "target.gguf").string();
  std::string draft, prompt, file, predict, seed, threads, gamma, draft_top, weights, ballast, min_tokens, samples,
      logprobs, logprobs_of;
  program::sampling_options sampling(result.sampling);
  method_options methods;
  bool help = false, version = false, no_baseline = false, no_color = false;

  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  app.add_option("-m,--model", target)->type_name("value");
  methods.add_to(app);
  const CLI::Option& draft_given = *app.add_option("--model-draft", draft)->type_name("value");
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
  sampling.add_to(app);
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
  result.method = &methods.method();
  result.method_settings = methods.settings();
  if (draft_given.empty()) draft = bundled_draft(*result.method);
  if (draft != "none") {
    if (!is_model(result.method->drafts_with)) {
      throw usage_error(fmt::format("--model-draft: expected none with --method {}, which drafts without one; got '{}'",
                                    result.method->name, draft));
    }
    result.draft = draft;
  } else if (is_model(result.method->drafts_with)) {
    result.method = &measurement::find_method("autoregressive");
  }
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
  if (gamma_given.empty()) {
    result.gamma = result.method->default_gamma;
  } else if (gamma == "auto") {
    if (!result.method->fixed_depth) {
      throw usage_error(fmt::format(
          "--gamma: expected a number with --method {}, which decides itself how far to draft", result.method->name));
    }
  } else {
    constexpr std::size_t most = measurement::most_drafted;
    result.gamma = parse_number<std::size_t>("--gamma", gamma, 0, most,
                                             fmt::format("a number of tokens, 0 to {}, or 'auto'", most));
  }
  sampling.apply();
  result.method_settings.greedy = result.sampling.temperature == 0;
  if (!seed_given.empty()) {
    result.seed = parse_number<std::uint64_t>("--seed", seed, 0, std::numeric_limits<std::uint64_t>::max(),
                                              "a whole number from 0 up");
  }
  if (!threads_given.empty()) {
    result.threads = parse_number<unsigned>("--threads", threads, 1, 256, "a number of threads, 1 to 256");
  }
  if (!draft_top_given.empty()) {
    result.method_settings.draft_top =
        parse_number<std::size_t>("--draft-top", draft_top, 0, any_size, "a number of tokens, 0 for all");
  }
  if (!weights_given.empty()) result.weights = parse_weights("--weights", weights);
  if (!ballast_given.empty()) result.ballast = parse_size("--ballast", ballast);
  result.baseline = !no_baseline;
  result.color = !no_color;
  if (!prompt_given.empty() && !file_given.empty()) {
    throw usage_error("--prompt and --file: expected one of them; got both");
  }
  if (!prompt_given.empty()) {
    result.prompt = prompt;
  } else if (!file_given.empty()) {
    result.prompt = program::read_prompt(file);
  } else {
    if (isatty(STDIN_FILENO) == 0) result.prompt = program::read_prompt("-");
    if (result.prompt.empty()) result.prompt = default_prompt;
  }
  return result;
}

}  // namespace generate
