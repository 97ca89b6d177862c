#ifndef STUDY_BUNDLED_HPP
#define STUDY_BUNDLED_HPP

/// @file
/// The bundled models and prompts, as the benchmarks use them.

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <measurement/method.hpp>
#include <model.hpp>
#include <specdec/types.hpp>

namespace study {

/// The prompts of one task, as the target's tokens.
using prompts_by_task = std::map<std::string, std::vector<std::vector<specdec::token_id>>, std::less<>>;

/// Where the bundled models lie.
[[nodiscard]] const std::filesystem::path& models_folder();

/// The draft that a method takes; empty if it takes none.
[[nodiscard]] std::filesystem::path draft_of(const measurement::method& method);

/// The first `per_task` prompts of every task.
[[nodiscard]] prompts_by_task bundled_prompts(const toy::tokenizer& tokenizer, std::size_t per_task);

/// The bundled target with whichever draft a method takes; loads each model once.
class model_shelf {
 public:
  /// @param ballast the target's, in parameters; 0 for none. Drafts have none.
  model_shelf(toy::weight_format format, std::size_t ballast, unsigned threads);

  /// The method's pair, valid as long as the shelf. Throws std::runtime_error naming a file that cannot be used.
  [[nodiscard]] const measurement::model_pair& pair_for(const measurement::method& method);

 private:
  toy::weight_format format_;
  unsigned threads_;
  std::map<std::filesystem::path, measurement::model_pair> pairs_;
};

/// The name of the processor; "unknown" where the system does not tell.
[[nodiscard]] std::string processor_name();

}  // namespace study

#endif  // STUDY_BUNDLED_HPP
