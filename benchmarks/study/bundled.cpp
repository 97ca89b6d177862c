#include "bundled.hpp"

#include <fstream>
#include <optional>
#include <utility>

#include <measurement/prompts.hpp>
#include <program/language_model.hpp>

namespace study {

using measurement::draft_source;

const std::filesystem::path& models_folder() {
  static const std::filesystem::path folder(SPECDEC_MODELS_DIR);
  return folder;
}

std::filesystem::path draft_of(const measurement::method& method) {
  switch (method.drafts_with) {
    case draft_source::model:
      return models_folder() / "draft.gguf";
    case draft_source::foreign_model:
      return models_folder() / "draft-1k.gguf";
    default:
      return {};
  }
}

prompts_by_task bundled_prompts(const toy::tokenizer& tokenizer, std::size_t per_task) {
  prompts_by_task prompts;
  for (const measurement::prompt& one : measurement::read_prompts(models_folder() / "prompts.jsonl")) {
    auto& of_task = prompts[one.task];
    if (of_task.size() < per_task) of_task.push_back(tokenizer.encode(one.text));
  }
  return prompts;
}

model_shelf::model_shelf(toy::weight_format format, std::size_t ballast, unsigned threads)
    : format_(format), threads_(threads) {
  const auto target = program::load_model(models_folder() / "target.gguf", {format, ballast, threads});
  pairs_.emplace(std::filesystem::path(), measurement::model_pair{target, std::nullopt});
}

const measurement::model_pair& model_shelf::pair_for(const measurement::method& method) {
  const std::filesystem::path draft = draft_of(method);
  const auto found = pairs_.find(draft);
  if (found != pairs_.end()) return found->second;
  // Copies of a model share its weights.
  measurement::model_pair pair{pairs_.at({}).target, program::load_model(draft, {format_, 0, threads_})};
  if (method.drafts_with == draft_source::model) program::require_same_vocabulary(pair.target, *pair.draft);
  return pairs_.emplace(draft, std::move(pair)).first->second;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace study
