// What acceptance rules emit, to the last digit: this library's, and those of other engines as they were read. Every
// outcome of every random decision is enumerated, so that nothing here is sampled; and every case of another engine's
// rule is small enough to be worked out by hand, as the page does.

#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "chain_rule.hpp"
#include "engines.hpp"
#include "own.hpp"

namespace {

using namespace exactness_report;

/// The most that a rule may be off for its rounding.
constexpr double tolerance = 1e-12;

bool print_own_rules() {
  bool all = true;
  fmt::print(
      "This library's rules. Laws of two and three tokens that depend on the whole text, temperatures 1 and 0.6, up "
      "to\n"
      "two rounds; the greatest total variation between what is emitted and the target's law. Last, the probability "
      "of\n"
      "token 0 where 1/2 is due, in 17 digits: p = (1/2, 1/2), q = (.9, .1).\n\n"
      "{:<22}{:<30}{:>6}{:>10}{:>12}{:>22}\n",
      "rule", "drafts", "cases", "outcomes", "furthest", "where 1/2 is due");
  for (const own_finding& one : rules_of_this_library()) {
    const bool exact = one.furthest < tolerance && std::abs(one.first_token - 0.5) < tolerance;
    all = all && exact;
    fmt::print("{:<22}{:<30}{:>6}{:>10}{:>12.1e}{:>22.17g}{}\n", one.rule, one.drafts, one.cases, one.runs,
               one.furthest, one.first_token, exact ? "" : "  NOT EXACT");
  }
  return all;
}

bool print_engines() {
  bool all = true;
  fmt::print(
      "\nRules of other engines, as their source was read and written out here; none was run. In every case the\n"
      "target gives token 0 probability 1/2.\n");
  for (const examined_rule& one : rules_of_other_engines()) {
    const auto found = one.emitted();
    const double first = chain_rules::first_token(found, 0, one.vocab_size);
    const bool as_worked = std::abs(first - one.by_hand) < tolerance;
    all = all && as_worked;
    fmt::print(
        "\n{}\n  {}\n  case:     {}\n  by hand:  {}\n  emitted:  {:.6f} where .5 is due; total variation {:.6f}{}\n",
        one.engine, one.reading, one.case_of, one.working, first, found.total_variation(),
        as_worked ? "" : "  NOT AS WORKED OUT");
  }
  fmt::print(
      "\nRules that use one random number for two decisions. What they emit depends on the generator; the oracle\n"
      "refuses them.\n");
  for (const examined_rule& one : rules_that_reuse_numbers()) {
    try {
      (void)one.emitted();
      fmt::print("\n{}\n  {}\n  NOT REFUSED\n", one.engine, one.reading);
      all = false;
    } catch (const std::logic_error& refused) {
      fmt::print("\n{}\n  {}\n  case:     {}\n  refused:  {}\n", one.engine, one.reading, one.case_of, refused.what());
    }
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const bool asked = argv[1] == std::string_view("--help");
    fmt::print(asked ? stdout : stderr,
               "exactness takes no arguments: it prints one page, and fails if a rule is not what it says.\n");
    return asked ? 0 : 2;
  }
  try {
    const bool own = print_own_rules();
    const bool others = print_engines();
    if (std::fclose(stdout) != 0) throw std::runtime_error("the page cannot be written");
    return own && others ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "exactness: {}\n", error.what());
    return 1;
  }
}
