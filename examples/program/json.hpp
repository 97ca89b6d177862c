#ifndef PROGRAM_JSON_HPP
#define PROGRAM_JSON_HPP

/// @file
/// JSON as programs print it.

#include <nlohmann/json.hpp>
#include <string>

namespace program {

/// The object on a line of its own; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] inline std::string on_one_line(const nlohmann::ordered_json& object) {
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace program

#endif  // PROGRAM_JSON_HPP
