#include "command_line.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <program/values.hpp>

namespace study {

void command_line::option(std::string name, std::function<void(std::string_view)> set) {
  entries_.push_back({std::move(name), std::move(set)});
}

void command_line::number(std::string name, std::size_t& value, std::size_t least, std::size_t most) {
  const std::string expected =
      most == no_limit ? fmt::format("a number from {} up", least) : fmt::format("a number, {} to {}", least, most);
  const auto set = [name, &value, least, most, expected](std::string_view text) {
    value = program::parse_number<std::size_t>(name, text, least, most, expected);
  };
  option(name, set);
}

void command_line::text(std::string name, std::string& value) {
  option(std::move(name), [&value](std::string_view text) { value = text; });
}

void command_line::seed_and_ballast(std::uint64_t& seed, std::size_t& ballast) {
  option("--ballast", [&ballast](std::string_view text) { ballast = program::parse_size("--ballast", text); });
  option("--seed", [&seed](std::string_view text) {
    seed = program::parse_number<std::uint64_t>("--seed", text, 0, std::numeric_limits<std::uint64_t>::max(),
                                                "a whole number from 0 up");
  });
}

bool command_line::parse(int argc, const char* const* argv) const {
  CLI::App app;
  bool help = false;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("-h,--help", help);
  for (const auto& [name, value] : flags_) app.add_flag(name, *value);
  std::vector<std::string> texts(entries_.size());
  std::vector<const CLI::Option*> given;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    given.push_back(app.add_option(entries_[i].name, texts[i])->type_name("value"));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw program::usage_error(error.what());
  }
  if (help) return false;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!given[i]->empty()) entries_[i].set(texts[i]);
  }
  return true;
}

}  // namespace study
