#ifndef EXACTNESS_OWN_HPP
#define EXACTNESS_OWN_HPP

/// @file
/// This library's rules under the oracle.

#include <cstddef>
#include <string>
#include <vector>

namespace exactness_report {

/// What the oracle found of a rule, over all of its cases.
struct own_finding {
  std::string rule;
  std::string drafts;  ///< what it judged
  std::size_t cases = 0;
  std::size_t runs = 0;    ///< outcomes enumerated
  double furthest = 0;     ///< the greatest total variation from the target's law
  double first_token = 0;  ///< the probability of token 0 where 1/2 is due: p = (1/2, 1/2), q = (.9, .1)
};

/// Enumerates every lossless rule, on laws that depend on the whole text, at several temperatures, over two rounds.
[[nodiscard]] std::vector<own_finding> rules_of_this_library();

}  // namespace exactness_report

#endif  // EXACTNESS_OWN_HPP
