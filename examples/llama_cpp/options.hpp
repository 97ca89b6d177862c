#ifndef LLAMA_CPP_OPTIONS_HPP
#define LLAMA_CPP_OPTIONS_HPP

/// @file
/// The command line.

#include <cstddef>
#include <filesystem>
#include <optional>

#include <generate/request.hpp>

namespace llama {

/// What the program shall do with its models.
enum class task { generate, examine, compare };

/// What the user asks for.
struct options : generate::request {
  task what = task::generate;
  std::filesystem::path target;
  /// Nothing stands for no draft model.
  std::optional<std::filesystem::path> draft;
  /// The tokens that a context holds; 0 is as many as both models were trained on, but at most 4096.
  std::size_t context_size = 0;
  /// 0 is one per processor; for the draft, as many as for the target.
  unsigned threads = 0, draft_threads = 0;
  /// How many layers go to a graphics card; nothing is what llama.cpp does by itself.
  std::optional<int> gpu_layers;

  /// Whether the command line has a prompt, or a number of drafted tokens. Without a prompt, `prompts` are what doctor
  /// and comparison measure on.
  bool has_prompt = false, has_gamma = false;
  std::filesystem::path prompts;
  double seconds = 60;
  std::optional<double> check_seconds;
  std::size_t texts = 24;
};

/// Whether this program has the method: those that need no more of an engine than contexts.
[[nodiscard]] bool has(const measurement::method& method);

/// The options on the command line; nothing if it asked for help or the version, which are then printed. Reads the
/// prompt's file, or standard input. Throws `program::usage_error`, and std::runtime_error if a file cannot be read.
[[nodiscard]] std::optional<options> parse(int argc, const char* const* argv);

}  // namespace llama

#endif  // LLAMA_CPP_OPTIONS_HPP
