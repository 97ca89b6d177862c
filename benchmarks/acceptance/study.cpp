#include "study.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <program/interruption.hpp>
#include <program/text_file.hpp>
#include <program/values.hpp>
#include <study/work.hpp>

namespace acceptance {
namespace {

using measurement::method;
using program::interruption;

/// Enough to tell one file from another (FNV-1a).
std::string fingerprint(const std::filesystem::path& path) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : program::read_file(path.string())) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace

nlohmann::ordered_json settings_of(const options& asked) {
  nlohmann::ordered_json files;
  const auto add = [&](const std::filesystem::path& path) {
    if (std::filesystem::exists(path)) files[path.filename().string()] = fingerprint(path);
  };
  add(::study::models_folder() / "prompts.jsonl");
  add(::study::models_folder() / "target.gguf");
  for (const method& one : measurement::methods()) add(::study::draft_of(one));
  nlohmann::ordered_json settings{{"prompts", asked.prompts},
                                  {"tokens", asked.tokens},
                                  {"seed", asked.seed},
                                  {"weights", asked.weights == toy::weight_format::float16 ? "f16" : "f32"},
                                  {"timed_rounds", asked.timed_rounds}};
  // Counts are the same on every machine; times are not.
  if (asked.timed_rounds > 0) {
    settings["ballast"] = asked.ballast;
    settings["processor"] = ::study::processor_name();
  }
  settings["files"] = std::move(files);
  return settings;
}

study::study(const options& asked)
    : asked_(asked),
      small_(asked.weights, 0, 1),
      large_(asked.weights, asked.timed_rounds > 0 ? asked.ballast : 0, 0),
      prompts_(
          ::study::bundled_prompts(small_.pair_for(measurement::methods().front()).target.tokenizer, asked.prompts)) {
  // What cannot be loaded should not come up after half an hour.
  for (const method* one : asked_.methods) (void)small_.pair_for(*one);
  if (asked_.tasks.empty()) {
    for (const auto& [task, prompts] : prompts_) asked_.tasks.push_back(task);
  }
  for (const std::string& task : asked_.tasks) {
    if (prompts_.count(task) > 0) continue;
    std::string known;
    for (const auto& [name, prompts] : prompts_) known += (known.empty() ? "" : ", ") + name;
    throw program::usage_error(fmt::format("--tasks: expected some of {}; got '{}'", known, task));
  }
}

std::vector<cell_name> study::names() const {
  std::vector<cell_name> names;
  for (const method* one : asked_.methods) {
    for (const double temperature : asked_.temperatures) {
      for (const std::size_t gamma : asked_.gammas) {
        for (const std::string& task : asked_.tasks)
          names.push_back({std::string(one->name), temperature, gamma, task});
      }
    }
  }
  return names;
}

std::optional<findings> study::measure(const cell_name& name) {
  const method& how = measurement::find_method(name.method);
  const ::study::setting setting{&how, name.gamma, name.temperature, asked_.tokens, asked_.seed};
  const auto& prompts = prompts_.find(name.task)->second;
  findings found;
  static_cast<::study::counted&>(found) = ::study::count(setting, small_.pair_for(how), prompts);
  if (asked_.timed_rounds > 0 && !interruption::stop_requested()) {
    // Ballast is inert units of feed-forward blocks: a self-draft that skips such blocks would be flattered by it.
    const bool drafts_itself = how.drafts_with == measurement::draft_source::target;
    auto timed = ::study::time(setting, (drafts_itself ? small_ : large_).pair_for(how), small_.pair_for(how), prompts,
                               asked_.timed_rounds);
    found.rounds = std::move(timed.rounds);
    found.parts = std::move(timed.parts);
  }
  if (interruption::stop_requested()) return std::nullopt;
  return found;
}

}  // namespace acceptance
