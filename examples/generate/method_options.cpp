#include "method_options.hpp"

#include <CLI/CLI.hpp>
#include <limits>

#include <fmt/format.h>

#include <layer_search/skip_file.hpp>
#include <program/text_file.hpp>
#include <program/values.hpp>

namespace generate {

using measurement::method_settings;
using program::parse_number;
using program::usage_error;

method_options::method_options() : options_(list()) {}

void method_options::add_to(CLI::App& app) {
  name_given_ = app.add_option("--method", name_)->type_name("value");
  for (option& one : options_) one.given = app.add_option(one.name, one.text)->type_name("value");
}

bool method_options::given() const { return name_given_ != nullptr && !name_given_->empty(); }

const measurement::method& method_options::method() const { return measurement::find_method(name_); }

method_settings method_options::settings() const {
  method_settings result;
  for (const option& one : options_) {
    if (one.given == nullptr || one.given->empty()) continue;
    if (one.method != name_) {
      throw usage_error(fmt::format("{}: expected --method {} with it; got --method {}", one.name, one.method, name_));
    }
    one.set(one, result);
  }
  return result;
}

std::vector<method_options::description> method_options::help() {
  std::vector<description> entries;
  for (const option& one : list()) {
    entries.push_back(
        {fmt::format("{} {}", one.name, one.value), one.method, fmt::format("{}: {}", one.method, one.help)});
  }
  return entries;
}

std::vector<method_options::option> method_options::list() {
  const method_settings defaults;
  const auto probability = [](double method_settings::*member, double least) {
    return [=](const option& one, method_settings& settings) {
      settings.*member = parse_number<double>(one.name, one.text, least, 1,
                                              least > 0 ? "a number above 0 and at most 1" : "a number from 0 to 1");
    };
  };
  const auto count = [](std::size_t method_settings::*member, std::size_t least, std::size_t most) {
    return [=](const option& one, method_settings& settings) {
      settings.*member = parse_number<std::size_t>(one.name, one.text, least, most,
                                                   fmt::format("a whole number from {} to {}", least, most));
    };
  };
  constexpr double above_zero = std::numeric_limits<double>::min();
  return {
      {"--lenience", "lenient", "L", fmt::format("accept a token with probability p/(L q) [{}]", defaults.lenience),
       probability(&method_settings::lenience, above_zero)},
      {"--assistant-confidence-threshold", "assisted", "P",
       fmt::format("the first token less probable than P is the draft's last; P is fitted as the text goes on, 0 for "
                   "none [{}]",
                   defaults.assistant_confidence_threshold),
       probability(&method_settings::assistant_confidence_threshold, 0)},
      {"--num-assistant-tokens-schedule", "assisted", "constant|heuristic", "how --gamma moves [constant]",
       [](const option& one, method_settings& settings) {
         if (one.text != "constant" && one.text != "heuristic") {
           throw usage_error(fmt::format("{}: expected constant or heuristic; got '{}'", one.name, one.text));
         }
         settings.num_assistant_tokens_schedule = one.text == "heuristic" ? measurement::assistant_schedule::heuristic
                                                                          : measurement::assistant_schedule::constant;
       }},
      {"--max-matching-ngram-size", "prompt_lookup", "N",
       fmt::format("look up the last N tokens, then fewer [{}]", defaults.max_matching_ngram_size),
       count(&method_settings::max_matching_ngram_size, 1, 64)},
      {"--max-spec-factor", "suffix", "X",
       fmt::format("follow a match of m tokens for X m tokens at most [{}]", defaults.max_spec_factor),
       [](const option& one, method_settings& settings) {
         settings.max_spec_factor = parse_number<double>(one.name, one.text, 0, 64, "a number from 0 to 64");
       }},
      {"--doubt", "suffix", "X",
       fmt::format("behind m matched tokens, take the next to be right with (m+1)/(m+1+X), times what counts say [{}]",
                   defaults.doubt),
       [](const option& one, method_settings& settings) {
         settings.doubt = parse_number<double>(one.name, one.text, 0, 1000, "a number from 0 to 1000");
       }},
      {"--min-token-prob", "suffix", "P",
       fmt::format("end the draft before a token less probable [{}]", defaults.min_token_prob),
       probability(&method_settings::min_token_prob, 0)},
      {"--target-lookbehind", "universal", "N",
       fmt::format("encode so many old tokens with the new ones for the draft [{}]", defaults.target_lookbehind),
       count(&method_settings::target_lookbehind, 0, 1000)},
      {"--assistant-lookbehind", "universal", "N",
       fmt::format("encode so many old tokens with the drafted ones for the target [{}]",
                   defaults.assistant_lookbehind),
       count(&method_settings::assistant_lookbehind, 0, 1000)},
      {"--ngram-text", "ngram", "FILE", "the text to count in [the bundled prompts]",
       [](const option& one, method_settings& settings) { settings.ngram_text = program::read_file(one.text); }},
      {"--ngram-order", "ngram", "1|2", fmt::format("unigrams or bigrams [{}]", defaults.ngram_order),
       count(&method_settings::ngram_order, 1, 2)},
      {"--fallback-threshold", "big_little", "P",
       fmt::format("the small model stops where its best token is less probable than P [{}]",
                   defaults.fallback_threshold),
       probability(&method_settings::fallback_threshold, 0)},
      {"--rollback-threshold", "big_little", "D",
       fmt::format("the target rolls back a token that it finds less probable than exp(-D) [{}]",
                   defaults.rollback_threshold),
       [](const option& one, method_settings& settings) {
         settings.rollback_threshold = parse_number<double>(
             one.name, one.text, 0, std::numeric_limits<double>::infinity(), "a number from 0 up, or inf");
       }},
      {"--skip", "draft_verify", "FILE",
       "what to leave out, as layer_search finds it [every second layer but the last]",
       [](const option& one, method_settings& settings) { settings.skip = layer_search::load_layer_skip(one.text); }},
      {"--th-stop-draft", "draft_verify", "P",
       "the first token less probable than P is the draft's last; P adapts [0.8 at temperature 0, else 0.5]",
       [](const option& one, method_settings& settings) {
         settings.th_stop_draft = parse_number<double>(one.name, one.text, 0, 1, "a number from 0 to 1");
       }},
      {"--assistant-early-exit", "early_exit", "N", "draft with the first N layers [half of them]",
       [](const option& one, method_settings& settings) {
         settings.assistant_early_exit = parse_number<std::size_t>(one.name, one.text, 1, 1000, "a number of layers");
       }},
  };
}

}  // namespace generate
