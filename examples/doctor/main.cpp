#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include <program/interruption.hpp>
#include <program/json.hpp>
#include <program/language_model.hpp>
#include <program/model_description.hpp>
#include <program/terminal.hpp>

#include "diagnosis.hpp"
#include "options.hpp"
#include "patient.hpp"
#include "report.hpp"

namespace doctor {
namespace {

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

/// One line on standard error. If that cannot be written either, the exit code must do: nothing throws here.
void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "doctor: %s%s\n", what, advice);
}

vocabulary words_of(const toy::tokenizer& tokenizer) {
  vocabulary words{[&tokenizer](std::string_view text) { return tokenizer.encode(text); }, {}};
  if (tokenizer.eos()) words.end_tokens = {*tokenizer.eos()};
  return words;
}

program::model_description description_of(const program::language_model& one, bool ballast) {
  return {one.path, one.model.parameter_count(), ballast ? " with ballast" : ""};
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) {
    program::terminal(stdout, false).close();
    return success;
  }
  const program::language_model target =
      program::load_model(asked->target, {asked->weights, asked->ballast, asked->threads});
  const program::language_model draft =
      program::load_model(asked->draft, {asked->weights, asked->draft_ballast, asked->threads});
  require_same_vocabulary(target, draft);
  patient pair(*asked, toy::context(target.model), toy::context(draft.model), words_of(target.tokenizer));
  const program::terminal out(stdout, asked->color);
  program::interruption::listen();
  const std::optional<findings> found = diagnose(pair, *asked, description_of(target, asked->ballast > 0),
                                                 description_of(draft, asked->draft_ballast > 0));
  if (!found) {
    complain("interrupted before there was an answer");
    return interrupted;
  }
  if (asked->json) {
    const auto list_settings = [&](nlohmann::ordered_json& settings) {
      settings["weights"] = asked->weights == toy::weight_format::float16 ? "f16" : "f32";
      settings["ballast"] = asked->ballast;
      settings["draft_ballast"] = asked->draft_ballast;
      settings["threads"] = asked->threads;
      settings["instruction_set"] = target.model.instruction_set();
    };
    out.write_styled(program::on_one_line(to_json(*asked, *found, list_settings)));
  } else {
    out.write_styled(to_text(*found, out));
  }
  out.close();
  return program::interruption::stop_requested() ? interrupted : success;
}

}  // namespace
}  // namespace doctor

int main(int argc, char** argv) {
  try {
    return doctor::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    doctor::complain(error.what(), " (--help lists the options)");
    return doctor::wrong_usage;
  } catch (const std::bad_alloc&) {
    doctor::complain("the models and their contexts need more memory than there is");
    return doctor::failure;
  } catch (const std::exception& error) {
    doctor::complain(error.what());
    return doctor::failure;
  }
}
