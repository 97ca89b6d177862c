#ifndef STUDY_LISTS_HPP
#define STUDY_LISTS_HPP

/// @file
/// Options that are lists.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <measurement/method.hpp>
#include <program/values.hpp>

namespace study {

/// The parts of a list such as a,b,c, each made a value by `make`. Throws `program::usage_error` for an empty part or
/// one that comes twice, and whatever `make` throws.
template <class Make>
[[nodiscard]] auto parse_list(std::string_view name, std::string_view list, Make&& make) {
  std::vector<decltype(make(list))> values;
  while (true) {
    const std::size_t comma = list.find(',');
    const std::string_view part = list.substr(0, comma);
    if (part.empty()) {
      throw program::usage_error(fmt::format("{}: expected a list such as a,b,c; got an empty part", name));
    }
    auto value = make(part);
    if (std::find(values.begin(), values.end(), value) != values.end()) {
      throw program::usage_error(fmt::format("{}: expected each once; got '{}' twice", name, part));
    }
    values.push_back(std::move(value));
    if (comma == std::string_view::npos) return values;
    list.remove_prefix(comma + 1);
  }
}

/// Methods by name. Throws `program::usage_error` for one that there is not, and for one that drafts nothing.
[[nodiscard]] inline std::vector<const measurement::method*> parse_methods(std::string_view list) {
  return parse_list("--methods", list, [](std::string_view name) {
    const measurement::method& method = measurement::find_method(name);
    if (method.drafts_with == measurement::draft_source::nothing) {
      throw program::usage_error(fmt::format("--methods: expected methods that draft; got '{}'", name));
    }
    return &method;
  });
}

/// Temperatures, ascending. Throws `program::usage_error`.
[[nodiscard]] inline std::vector<double> parse_temperatures(std::string_view list) {
  auto values = parse_list("--temps", list, [](std::string_view text) {
    return program::parse_number<double>("--temps", text, 0, 100, "temperatures, 0 to 100");
  });
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace study

#endif  // STUDY_LISTS_HPP
