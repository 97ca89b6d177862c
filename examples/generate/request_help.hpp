#ifndef GENERATE_REQUEST_HELP_HPP
#define GENERATE_REQUEST_HELP_HPP

/// @file
/// What programs that generate say of the options that they share.

#include <functional>
#include <string>

#include "request.hpp"

namespace generate {

/// Sections of a help text, each with its heading.
struct request_help {
  std::string methods, text, speculation, parameters;
  std::string output;  ///< without a heading: programs have more to say there
};

/// The sections for a program with these defaults, and with the methods that `has` is true of.
[[nodiscard]] request_help help_of_request(const request& defaults,
                                           const std::function<bool(const measurement::method&)>& has);

}  // namespace generate

#endif  // GENERATE_REQUEST_HELP_HPP
