#include "consultation.hpp"

#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <doctor/diagnosis.hpp>
#include <doctor/report.hpp>
#include <program/json.hpp>
#include <program/text.hpp>

namespace llama {
namespace {

doctor::question question_of(const options& asked) {
  doctor::question question;
  if (asked.has_prompt) question.prompt = asked.prompt;
  question.prompts = asked.prompts;
  question.sampling = asked.sampling;
  question.draft_top = asked.method_settings.draft_top;
  question.seed = asked.seed;
  question.seconds = asked.seconds;
  question.check_seconds = asked.check_seconds;
  question.json = asked.json;
  question.color = asked.color;
  return question;
}

std::optional<doctor::findings> examined(const engine& models, const doctor::question& question) {
  const doctor::vocabulary words{[&models](std::string_view text) { return models.encode(text); }, models.end_tokens()};
  doctor::patient pair(question, models.new_target(), models.new_draft(), words);
  return doctor::diagnose(pair, question, models.target(), *models.draft());
}

std::string said_of_server(const options& asked, const doctor::advice& given) {
  constexpr std::size_t width = 80;
  constexpr std::string_view indent = "  ";
  const doctor::forecast& best = given.forecasts[given.best_draft];
  const std::string expectation =
      given.best > 0
          ? fmt::format("expect {:.2f} times its plain speed with {} drafted tokens, between {:.2f} and {:.2f}:",
                        best.speedup, best.gamma, best.low, best.high)
          : fmt::format("which does not pay here: {:.2f} times its plain speed at best. Without a draft:",
                        best.speedup);
  return program::wrapped(
             "llama-server drafts the likeliest tokens, and accepts them while its own samples are the "
             "same; " +
                 expectation,
             width, indent) +
         fmt::format("\n    llama-server {}\n", server_options(asked, given));
}

}  // namespace

std::string server_options(const options& asked, const doctor::advice& given) {
  std::string flags = fmt::format("-m {}", program::shell_word(asked.target.string()));
  if (given.best > 0) {
    flags += fmt::format(
        " --spec-type draft-simple -md {} --spec-draft-n-max {} --spec-draft-n-min 0 "
        "--spec-draft-p-min 0",
        program::shell_word(asked.draft->string()), given.best);
  }
  const specdec::sampling_params& sampling = asked.sampling;
  flags += fmt::format(" --temp {} --top-k {} --top-p {} --min-p {}", sampling.temperature, sampling.top_k,
                       sampling.top_p, sampling.min_p);
  if (sampling.penalizes()) {
    flags += fmt::format(" --repeat-penalty {} --frequency-penalty {} --presence-penalty {} --repeat-last-n {}",
                         sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty,
                         sampling.penalty_window);
  }
  if (asked.context_size > 0) flags += fmt::format(" -c {}", asked.context_size);
  if (asked.gpu_layers) {
    flags += fmt::format(" -ngl {}", *asked.gpu_layers);
    if (given.best > 0) flags += fmt::format(" -ngld {}", *asked.gpu_layers);
  }
  if (asked.threads > 0) flags += fmt::format(" -t {}", asked.threads);
  if (given.best > 0 && asked.draft_threads > 0) flags += fmt::format(" -td {}", asked.draft_threads);
  return flags;
}

bool consult(const engine& models, const options& asked, const program::terminal& out) {
  doctor::question question = question_of(asked);
  const std::optional<doctor::findings> ours = examined(models, question);
  if (!ours) return false;
  question.draft_temperature = 0;
  question.check_seconds.reset();
  const std::optional<doctor::findings> theirs = examined(models, question);
  if (!theirs) return false;
  const auto list_settings = [&](nlohmann::ordered_json& settings) { models.list_settings(settings); };
  if (asked.json) {
    nlohmann::ordered_json object = doctor::to_json(question_of(asked), *ours, list_settings);
    object["llama_server"] = {{"options", server_options(asked, theirs->given)},
                              {"advice", doctor::to_json(question, *theirs, list_settings)}};
    out.write_styled(program::on_one_line(object));
  } else {
    out.write_styled(doctor::to_text(*ours, out) + '\n' + said_of_server(asked, theirs->given));
  }
  return true;
}

}  // namespace llama
