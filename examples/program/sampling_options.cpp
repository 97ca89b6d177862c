#include "sampling_options.hpp"

#include <CLI/CLI.hpp>
#include <cstddef>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "values.hpp"

namespace program {

sampling_options::sampling_options(specdec::sampling_params& params) {
  constexpr double most = std::numeric_limits<double>::max();
  const auto number = [](double& value, double least, double largest, std::string_view expected) {
    return [=, &value](const option& given) {
      value = parse_number<double>(given.name, given.text, least, largest, expected);
    };
  };
  const auto count = [](std::size_t& value) {
    return [&value](const option& given) {
      value = parse_number<std::size_t>(given.name, given.text, 0, std::numeric_limits<std::size_t>::max(),
                                        "a number of tokens from 0 up");
    };
  };
  const auto temperature = [&params](const option& given) {
    constexpr std::string_view expected = "0 or a number from 1e-6 to 1e30";
    params.temperature = parse_number<double>(given.name, given.text, 0, 1e30, expected);
    const bool usable = params.temperature == 0 || params.temperature >= 1e-6;
    if (!usable) throw usage_error(fmt::format("{}: expected {}; got '{}'", given.name, expected, given.text));
  };
  constexpr double above_zero = std::numeric_limits<double>::min();
  options_ = {{"--temp", temperature},
              {"--top-k", count(params.top_k)},
              {"--top-p", number(params.top_p, above_zero, 1, "a probability above 0 and at most 1")},
              {"--min-p", number(params.min_p, 0, 1, "a number from 0 to 1")},
              {"--repeat-penalty", number(params.repetition_penalty, above_zero, most, "a finite number above 0")},
              {"--frequency-penalty", number(params.frequency_penalty, -most, most, "a finite number")},
              {"--presence-penalty", number(params.presence_penalty, -most, most, "a finite number")},
              {"--repeat-last-n", count(params.penalty_window)}};
}

void sampling_options::add_to(CLI::App& app) {
  for (option& one : options_) one.given = app.add_option(one.name, one.text)->type_name("value");
}

void sampling_options::apply() const {
  for (const option& one : options_) {
    if (one.given != nullptr && !one.given->empty()) one.set(one);
  }
}

std::string sampling_options::help(const specdec::sampling_params& defaults) {
  constexpr std::string_view lines =
      R"(  --temp T                 temperature; 0 always takes the likeliest token [{temperature}]
  --top-k K                choose among the K likeliest tokens, 0 for all [{top_k}]
  --top-p P                choose among the likeliest tokens that together reach probability P [{top_p}]
  --min-p P                choose among tokens at least P times as likely as the likeliest [{min_p}]
  --repeat-penalty X       divide the logits of tokens that occurred by X; 1 for none [{repetition_penalty}]
  --frequency-penalty X    take X from a token's logit for every time it occurred [{frequency_penalty}]
  --presence-penalty X     take X from the logit of every token that occurred [{presence_penalty}]
  --repeat-last-n N        how many of the last tokens these penalties look at [{penalty_window}]
)";
  return fmt::format(lines, fmt::arg("temperature", defaults.temperature), fmt::arg("top_k", defaults.top_k),
                     fmt::arg("top_p", defaults.top_p), fmt::arg("min_p", defaults.min_p),
                     fmt::arg("repetition_penalty", defaults.repetition_penalty),
                     fmt::arg("frequency_penalty", defaults.frequency_penalty),
                     fmt::arg("presence_penalty", defaults.presence_penalty),
                     fmt::arg("penalty_window", defaults.penalty_window));
}

}  // namespace program
