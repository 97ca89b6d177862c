#ifndef MEASUREMENT_PROMPTS_HPP
#define MEASUREMENT_PROMPTS_HPP

/// @file
/// Prompts to measure on.

#include <filesystem>
#include <string>
#include <vector>

namespace measurement {

/// One line of a file of prompts.
struct prompt {
  /// What kind of text it begins; may be empty.
  std::string task;
  std::string text;
  /// What is said behind it, where that is known.
  std::string answer = {};
};

/// Reads a file with one JSON object a line: "prompt", a text, and if there are any "task" and "answer". Empty lines
/// are passed over. Throws std::runtime_error naming the file, the line, what was expected and what came.
[[nodiscard]] std::vector<prompt> read_prompts(const std::filesystem::path& path);

/// The prompts in another order: the first of each task, then the second of each, and so on. Any beginning of it has
/// of every task alike.
[[nodiscard]] std::vector<prompt> task_by_task(std::vector<prompt> prompts);

}  // namespace measurement

#endif  // MEASUREMENT_PROMPTS_HPP
