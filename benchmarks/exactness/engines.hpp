#ifndef EXACTNESS_ENGINES_HPP
#define EXACTNESS_ENGINES_HPP

/// @file
/// How other engines accept drafts, written out as they were read.

#include <functional>
#include <string>
#include <vector>

#include <specdec/testing/exactness.hpp>

namespace exactness_report {

/// A rule of another engine, on a case that a reader can work out.
struct examined_rule {
  std::string engine;   ///< and the version that was read
  std::string reading;  ///< what it does
  std::string case_of;  ///< the laws
  std::string working;  ///< what comes of them, by hand
  std::size_t vocab_size;
  double by_hand;  ///< the probability that the working has for token 0 as the first token; half is due
  std::function<specdec::testing::exactness()> emitted;
};

/// Every rule that was read, those that are right among them. In every case token 0 has probability 1/2 at every place.
[[nodiscard]] std::vector<examined_rule> rules_of_other_engines();

/// Rules that use one random number for two decisions, which the oracle refuses to enumerate: `emitted` throws.
[[nodiscard]] std::vector<examined_rule> rules_that_reuse_numbers();

}  // namespace exactness_report

#endif  // EXACTNESS_ENGINES_HPP
