// Production randomness and the float path, against the exact law: what enumeration cannot see, such as numbers that
// are not independent, or keys that collide between rounds. A million tokens of every rule that is counted.

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "cases.hpp"
#include "counting.hpp"
#include "page.hpp"

namespace {

using namespace frequencies;

constexpr std::uint64_t seed = 1;
constexpr std::uint64_t a_million = 1'000'000;

tallies counted(std::span<const generation_case> cases) {
  return count(cases, {.seed = seed,
                       .blocks = blocks_for(cases, a_million),
                       .threads = std::max(1U, std::thread::hardware_concurrency())});
}

TEST(frequencies, a_million_tokens_of_every_lossless_rule_have_the_law_of_the_target) {
  const auto cases = lossless_cases();
  const findings found = examine(cases, counted(cases));
  EXPECT_EQ(found.cases.size(), cases.size());
  EXPECT_TRUE(found.are_as_they_should()) << page_of(found);
  EXPECT_EQ(found.rules.size(), 8U);
  EXPECT_EQ(2 * found.cases.size() + found.rules.size(), test_count());
  for (const rule_finding& one : found.rules) EXPECT_GE(one.tokens, a_million) << one.rule;
}

TEST(frequencies, a_quarter_of_that_finds_known_mistakes) {
  auto mistaken = mistaken_cases();
  std::erase_if(mistaken, [](const generation_case& one) { return one.tokens_to_find > a_million / 4; });
  const findings found = examine(mistaken, counted(mistaken));
  EXPECT_EQ(found.cases.size(), 7U);
  for (const finding& one : found.cases) EXPECT_TRUE(one.alarms()) << one.of->name() << ", p " << one.p();
}

}  // namespace
