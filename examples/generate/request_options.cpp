#include "request_options.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <program/text_file.hpp>

namespace generate {

using program::parse_number;

namespace {

constexpr std::size_t any_size = std::numeric_limits<std::size_t>::max();

}  // namespace

void request_options::add(CLI::App& app, const char* names, text_option& option) {
  option.given = app.add_option(names, option.text)->type_name("value");
}

void request_options::add_to(CLI::App& app) {
  methods_.add_to(app);
  add(app, "-p,--prompt", prompt_);
  add(app, "-f,--file", file_);
  add(app, "-n,--predict", predict_);
  add(app, "--min-tokens", min_tokens_);
  // Not into a vector: CLI11 would read lists in brackets into it.
  stop_ = app.add_option("-r,--reverse-prompt,--stop")
              ->type_name("value")
              ->expected(1)
              ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add(app, "--samples", samples_);
  add(app, "--logprobs", logprobs_);
  add(app, "--logprobs-of", logprobs_of_);
  add(app, "--draft-max,--gamma", gamma_);
  sampling_.add_to(app);
  add(app, "-s,--seed", seed_);
  add(app, "--draft-top", draft_top_);
  app.add_flag("--trace", asked_->trace);
  app.add_flag("--json", asked_->json);
  app.add_flag("--no-baseline", no_baseline_);
  app.add_flag("--no-color", no_color_);
  app.add_flag("--ignore-eos", asked_->ignore_eos);
}

void request_options::apply() {
  request& asked = *asked_;
  const auto number = [](const text_option& option, const char* name, auto& value, auto least, auto most,
                         std::string_view expected) {
    using number_type = std::remove_reference_t<decltype(value)>;
    if (!option.given->empty()) value = parse_number<number_type>(name, option.text, least, most, expected);
  };
  number(predict_, "--predict", asked.predict, 1U, any_size, "a number of tokens from 1 up");
  number(min_tokens_, "--min-tokens", asked.min_tokens, 0U, any_size, "a number of tokens from 0 up");
  for (const std::string& text : stop_->results()) {
    if (text.empty()) throw usage_error("--stop: expected a text; got an empty one");
    asked.stop_texts.push_back(program::unescaped(text));
  }
  if (!samples_.given->empty()) {
    asked.samples = parse_number<std::uint32_t>(
        "--samples", samples_.text, 1, std::numeric_limits<std::uint32_t>::max(), "a number of texts from 1 up");
  }
  apply_log_probabilities();
  sampling_.apply();
  number(seed_, "--seed", asked.seed, 0U, std::numeric_limits<std::uint64_t>::max(), "a whole number from 0 up");
  apply_method();
  asked.baseline = !no_baseline_;
  asked.color = !no_color_;
}

void request_options::apply_log_probabilities() {
  if (!logprobs_.given->empty()) {
    asked_->top_log_probabilities =
        parse_number<std::size_t>("--logprobs", logprobs_.text, 0, any_size, "a number of tokens from 0 up");
  }
  if (logprobs_of_.text == "model") {
    asked_->log_probabilities = specdec::log_probability_of::model;
  } else if (!logprobs_of_.given->empty() && logprobs_of_.text != "law") {
    throw usage_error(fmt::format("--logprobs-of: expected law or model; got '{}'", logprobs_of_.text));
  }
  if (!asked_->json && !(logprobs_.given->empty() && logprobs_of_.given->empty())) {
    throw usage_error("--logprobs and --logprobs-of: expected --json with them, since only that tells them");
  }
}

void request_options::apply_method() {
  request& asked = *asked_;
  asked.method = &methods_.method();
  asked.method_settings = methods_.settings();
  asked.method_settings.greedy = asked.sampling.temperature == 0;
  if (!draft_top_.given->empty()) {
    asked.method_settings.draft_top =
        parse_number<std::size_t>("--draft-top", draft_top_.text, 0, any_size, "a number of tokens, 0 for all");
  }
  if (gamma_.given->empty()) {
    asked.gamma = asked.method->default_gamma;
  } else if (gamma_.text == "auto") {
    if (!asked.method->fixed_depth) {
      throw usage_error(fmt::format(
          "--gamma: expected a number with --method {}, which decides itself how far to draft", asked.method->name));
    }
    asked.gamma = std::nullopt;
  } else {
    constexpr std::size_t most = measurement::most_drafted;
    asked.gamma = parse_number<std::size_t>("--gamma", gamma_.text, 0, most,
                                            fmt::format("a number of tokens, 0 to {}, or 'auto'", most));
  }
}

bool request_options::method_given() const { return methods_.given(); }
bool request_options::gamma_given() const { return !gamma_.given->empty(); }
bool request_options::prompt_given() const { return !prompt_.given->empty() || !file_.given->empty(); }

bool request_options::length_given() const { return !predict_.given->empty(); }

void request_options::set_default_method(std::string_view name) {
  if (!method_given()) methods_.set_method(name);
}

std::optional<std::string_view> request_options::given_for_a_text() const {
  const std::pair<std::string_view, bool> options[] = {{"--min-tokens", !min_tokens_.given->empty()},
                                                       {"--stop", !stop_->empty()},
                                                       {"--samples", !samples_.given->empty()},
                                                       {"--logprobs", !logprobs_.given->empty()},
                                                       {"--logprobs-of", !logprobs_of_.given->empty()},
                                                       {"--trace", asked_->trace},
                                                       {"--no-baseline", no_baseline_},
                                                       {"--ignore-eos", asked_->ignore_eos}};
  for (const auto& [name, given] : options) {
    if (given) return name;
  }
  return std::nullopt;
}

std::optional<std::filesystem::path> request_options::draft_model(const std::string& given) {
  const bool takes_one = is_model(asked_->method->drafts_with);
  if (given == "none") {
    if (takes_one) asked_->method = &measurement::find_method("autoregressive");
    return std::nullopt;
  }
  if (!takes_one) {
    throw usage_error(fmt::format("--model-draft: expected none with --method {}, which drafts without one; got '{}'",
                                  asked_->method->name, given));
  }
  return given;
}

void request_options::apply_prompt(const std::string& otherwise) {
  if (!prompt_.given->empty() && !file_.given->empty()) {
    throw usage_error("--prompt and --file: expected one of them; got both");
  }
  if (!prompt_.given->empty()) {
    asked_->prompt = prompt_.text;
  } else if (!file_.given->empty()) {
    asked_->prompt = program::read_prompt(file_.text);
  } else {
    if (isatty(STDIN_FILENO) == 0) asked_->prompt = program::read_prompt("-");
    if (asked_->prompt.empty()) asked_->prompt = otherwise;
  }
}

std::vector<std::string> request_options::arguments(int argc, const char* const* argv) {
  // CLI11 takes its arguments last first, and knows no names of several letters behind one dash.
  std::vector<std::string> given(argv + std::min(argc, 1), argv + argc);
  constexpr std::pair<std::string_view, const char*> long_names[] = {
      {"-md", "--model-draft"}, {"-ngl", "--gpu-layers"}, {"-td", "--threads-draft"}};
  for (std::string& argument : given) {
    for (const auto& [brief, full] : long_names) {
      if (argument == brief) argument = full;
    }
  }
  std::reverse(given.begin(), given.end());
  return given;
}

}  // namespace generate
