#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <program/terminal.hpp>

#include "help.hpp"
#include "request_options.hpp"

namespace generate {
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
  std::string draft, threads, weights, ballast;
  request_options request(result);
  bool help = false, version = false;

  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  app.add_option("-m,--model", target)->type_name("value");
  const CLI::Option& draft_given = *app.add_option("--model-draft", draft)->type_name("value");
  request.add_to(app);
  const CLI::Option& threads_given = *app.add_option("-t,--threads", threads)->type_name("value");
  const CLI::Option& weights_given = *app.add_option("--weights", weights)->type_name("value");
  const CLI::Option& ballast_given = *app.add_option("--ballast", ballast)->type_name("value");
  try {
    app.parse(request_options::arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }

  if (help || version) {
    program::terminal(stdout, false).write_styled(help ? generate::help() : generate::version());
    return std::nullopt;
  }

  result.target = target;
  request.apply();
  result.draft = request.draft_model(draft_given.empty() ? bundled_draft(*result.method) : draft);
  if (!threads_given.empty()) {
    result.threads = program::parse_number<unsigned>("--threads", threads, 1, 256, "a number of threads, 1 to 256");
  }
  if (!weights_given.empty()) result.weights = program::parse_weights("--weights", weights);
  if (!ballast_given.empty()) result.ballast = program::parse_size("--ballast", ballast);
  request.apply_prompt(std::string(default_prompt));
  return result;
}

}  // namespace generate
