#ifndef GENERATE_MEASUREMENT_HPP
#define GENERATE_MEASUREMENT_HPP

/// @file
/// What speculation gains on one text: measured, and predicted from its parts.

#include <cstddef>
#include <optional>

#include <measurement/costs.hpp>
#include <measurement/generator.hpp>
#include <specdec/specdec.hpp>

namespace generate {

using measurement::costs;
using measurement::gamma_setter;
using measurement::generator;

/// Runs of the same text, and how many there were; `stats` are those of the run that took the median time.
struct repeated_run {
  specdec::statistics stats;
  std::size_t runs = 0;
};

/// What was measured of a text, with speculation and without, and what theory makes of the parts.
struct comparison {
  repeated_run speculative, plain;
  /// Of one token and of gamma+1; nothing if the text is too short to measure them.
  std::optional<costs> parts;
  double predicted_speedup = 0;
};

/// Runs both ways of generating and their parts in turns, so that what disturbs the machine disturbs all alike, until
/// the times mean something. Nothing if the user interrupts it.
/// @param gamma the tokens that the speculative one drafts a round
[[nodiscard]] std::optional<comparison> compare(generator& speculative, generator& plain, std::size_t gamma);

/// Sets the number of drafted tokens to what theory prefers, for the acceptance in a few rounds of this text and its
/// costs, and returns it.
std::size_t choose_gamma(generator& generator, const gamma_setter& set_gamma);

}  // namespace generate

#endif  // GENERATE_MEASUREMENT_HPP
