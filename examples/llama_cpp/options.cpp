#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <generate/request_options.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>

#include "help.hpp"

namespace llama {
namespace {

using generate::usage_error;
using program::parse_number;

constexpr double default_check_seconds = 300;
constexpr std::string_view default_prompt = "Once upon a time";

void require_method(const measurement::method& method) {
  if (has(method)) return;
  std::vector<std::string_view> names;
  for (const measurement::method& one : measurement::methods()) {
    if (has(one)) names.push_back(one.name);
  }
  throw usage_error(fmt::format("--method: expected one of {} with llama.cpp's models; got '{}'",
                                fmt::join(names, ", "), method.name));
}

}  // namespace

bool has(const measurement::method& method) { return method.assemble_anywhere != nullptr; }

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  // So that a chain of llama.cpp's samplers with these parameters has the same law.
  result.sampling.order = specdec::filter_order::llama_cpp;
  const std::filesystem::path bundled(SPECDEC_MODELS_DIR);
  std::string target = (bundled / "target.gguf").string(), prompts = (bundled / "prompts.jsonl").string();
  std::string draft, context_size, gpu_layers, threads, draft_threads, seconds, check, texts;
  generate::request_options request(result);
  bool help = false, version = false, doctor = false, compare = false;

  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  const auto add = [&app](const char* names, std::string& value) -> const CLI::Option& {
    return *app.add_option(names, value)->type_name("value");
  };
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  const CLI::Option& target_given = add("-m,--model,--target", target);
  const CLI::Option& draft_given = add("--model-draft,--draft", draft);
  const CLI::Option& context_given = add("-c,--ctx-size", context_size);
  const CLI::Option& layers_given = add("--gpu-layers,--n-gpu-layers", gpu_layers);
  request.add_to(app);
  app.add_flag("--doctor", doctor);
  app.add_flag("--compare", compare);
  const CLI::Option& prompts_given = add("--prompts", prompts);
  const CLI::Option& seconds_given = add("--seconds", seconds);
  const CLI::Option& check_given = *app.add_option("--check", check)->type_name("value")->expected(0, 1);
  const CLI::Option& texts_given = add("--texts", texts);
  const CLI::Option& threads_given = add("-t,--threads", threads);
  const CLI::Option& draft_threads_given = add("--threads-draft", draft_threads);
  try {
    app.parse(generate::request_options::arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }
  if (help || version) {
    program::terminal(stdout, false).write_styled(help ? llama::help() : llama::version());
    return std::nullopt;
  }

  if (doctor && compare) throw usage_error("--doctor and --compare: expected one of them; got both");
  result.what = doctor ? task::examine : compare ? task::compare : task::generate;
  result.target = target;
  // One model alone drafts from its own text.
  const bool alone = draft_given.empty() && !target_given.empty();
  if (alone && result.what == task::generate) request.set_default_method("suffix");
  request.apply();
  require_method(*result.method);
  if (!draft_given.empty()) {
    result.draft = request.draft_model(draft);
  } else if (is_model(result.method->drafts_with)) {
    if (alone) {
      throw usage_error(fmt::format("--model-draft: expected a file with it, for {} to draft with; got none",
                                    result.what == task::generate ? "--method " + std::string(result.method->name)
                                    : doctor                      ? "--doctor"
                                                                  : "--compare"));
    }
    result.draft = bundled / "draft.gguf";
  }
  if (result.what != task::generate && !result.draft) {
    throw usage_error(fmt::format("{}: expected a draft model, and a method that drafts with one; got --method {}",
                                  doctor ? "--doctor" : "--compare", result.method->name));
  }
  if (result.what != task::generate && (request.method_given() && result.method->name != "rejection")) {
    throw usage_error(fmt::format("{}: expected --method rejection, if any; got '{}'",
                                  doctor ? "--doctor" : "--compare", result.method->name));
  }
  if (result.what != task::generate) {
    if (const auto name = request.given_for_a_text()) {
      throw usage_error(
          fmt::format("{}: expected without {}, which writes no text", *name, doctor ? "--doctor" : "--compare"));
    }
  }
  if (doctor && request.length_given()) throw usage_error("--predict: expected without --doctor, which writes no text");
  if (doctor && request.gamma_given()) throw usage_error("--gamma: expected without --doctor, which says how many");
  if (compare && !result.gamma) throw usage_error("--gamma: expected a number with --compare; got 'auto'");
  const auto require_task = [](const CLI::Option& given, std::string_view name, bool holds, std::string_view wanted) {
    if (!given.empty() && !holds) throw usage_error(fmt::format("{}: expected {} with it", name, wanted));
  };
  require_task(seconds_given, "--seconds", doctor, "--doctor");
  require_task(check_given, "--check", doctor, "--doctor");
  require_task(texts_given, "--texts", compare, "--compare");
  require_task(prompts_given, "--prompts", doctor || compare, "--doctor or --compare");
  if (!context_given.empty()) {
    result.context_size = parse_number<std::size_t>("--ctx-size", context_size, 1, 1U << 24, "a number of tokens");
  }
  if (!layers_given.empty()) {
    result.gpu_layers = parse_number<int>("--gpu-layers", gpu_layers, 0, 10000, "a number of layers");
  }
  if (!threads_given.empty()) {
    result.threads = parse_number<unsigned>("--threads", threads, 1, 256, "a number of threads, 1 to 256");
  }
  if (!draft_threads_given.empty()) {
    result.draft_threads =
        parse_number<unsigned>("--threads-draft", draft_threads, 1, 256, "a number of threads, 1 to 256");
  }
  constexpr std::string_view a_time = "a number of seconds, 1 to 86400";
  if (!seconds_given.empty()) result.seconds = parse_number<double>("--seconds", seconds, 1, 86400, a_time);
  if (!check_given.empty()) {
    result.check_seconds =
        check.empty() ? default_check_seconds : parse_number<double>("--check", check, 1, 86400, a_time);
  }
  if (!texts_given.empty()) {
    result.texts = parse_number<std::size_t>("--texts", texts, 3, 100000, "a number of texts from 3 up");
  }
  result.prompts = prompts;
  result.has_prompt = request.prompt_given();
  result.has_gamma = request.gamma_given();
  if (result.what == task::generate || result.has_prompt) request.apply_prompt(std::string(default_prompt));
  return result;
}

}  // namespace llama
