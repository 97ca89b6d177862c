#ifndef GENERATE_REQUEST_OPTIONS_HPP
#define GENERATE_REQUEST_OPTIONS_HPP

/// @file
/// The options that say what text is wanted: those of every program that generates.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <program/sampling_options.hpp>
#include <program/values.hpp>

#include "method_options.hpp"
#include "request.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace generate {

using program::usage_error;

/// Prompt, length, stops, sampling, method and output, on the way from a command line to a request.
class request_options {
 public:
  /// `asked` is referenced, and holds what is meant where an option is not given.
  explicit request_options(request& asked) : asked_(&asked), sampling_(asked.sampling) {}

  request_options(const request_options&) = delete;
  request_options& operator=(const request_options&) = delete;

  /// Makes the options known to the parser, which then refers to this object.
  void add_to(CLI::App& app);

  /// Sets what was given, but for the prompt. Throws `usage_error` if it cannot be, std::runtime_error if a file cannot
  /// be read.
  void apply();

  /// Whether the command line named a method, a number of drafted tokens, or a prompt.
  [[nodiscard]] bool method_given() const;
  [[nodiscard]] bool gamma_given() const;
  [[nodiscard]] bool prompt_given() const;
  /// The method that is meant where --method is not given. Precondition: options were parsed, but not yet applied.
  void set_default_method(std::string_view name);
  /// The first option on the command line that only means something to a text that is written, or nothing.
  [[nodiscard]] std::optional<std::string_view> given_for_a_text() const;
  /// Whether the command line said how long the text shall be.
  [[nodiscard]] bool length_given() const;

  /// The draft model that --model-draft names, or nothing for 'none': then a method that drafts with one becomes plain
  /// decoding. Throws `usage_error` if the method drafts without. Precondition: options were applied.
  [[nodiscard]] std::optional<std::filesystem::path> draft_model(const std::string& given);

  /// Sets the prompt: as it was given, or else what standard input has if it is no terminal, or else `otherwise`.
  /// Throws as `apply`.
  void apply_prompt(const std::string& otherwise);

  /// The arguments of a program in the order in which CLI11 wants them, with the long names of the options that have
  /// several letters behind one dash.
  [[nodiscard]] static std::vector<std::string> arguments(int argc, const char* const* argv);

 private:
  struct text_option {
    const CLI::Option* given = nullptr;
    std::string text = {};
  };

  void add(CLI::App& app, const char* names, text_option& option);
  void apply_method();
  void apply_log_probabilities();

  request* asked_;
  program::sampling_options sampling_;
  method_options methods_;
  text_option prompt_, file_, predict_, min_tokens_, samples_, logprobs_, logprobs_of_, gamma_, seed_, draft_top_;
  const CLI::Option* stop_ = nullptr;
  bool no_baseline_ = false, no_color_ = false;
};

}  // namespace generate

#endif  // GENERATE_REQUEST_OPTIONS_HPP
