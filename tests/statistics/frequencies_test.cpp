// Production randomness and the float path, against the exact law: what enumeration cannot see, such as numbers that
// are not independent, or keys that collide between rounds. A million tokens of every rule with every kind of drafts.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <stdexcept>
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
  EXPECT_EQ(found.cases.size(), 8U);
  for (const finding& one : found.cases) EXPECT_TRUE(one.alarms()) << one.of->name() << ", p " << one.p();
}

std::vector<generation_case> some_cases() {
  auto all = lossless_cases();
  return {all[0], all[5], all[30]};
}

TEST(frequencies, counts_do_not_depend_on_threads_or_on_interruptions) {
  const auto cases = some_cases();
  const auto expected = count(cases, {.seed = 3, .blocks = {3, 2, 3}, .threads = 1});
  EXPECT_EQ(count(cases, {.seed = 3, .blocks = {3, 2, 3}, .threads = 3}), expected);
  tallies at_last;
  std::size_t interruptions = 0;
  while (blocks_left(cases, std::vector<std::size_t>{3, 2, 3}, at_last) > 0) {
    std::atomic<std::size_t> asked = 0;
    counting how{.seed = 3, .blocks = {3, 2, 3}, .threads = 2};
    how.stops = [&] { return ++asked > 3; };
    at_last = count(cases, how, at_last);
    ASSERT_LT(++interruptions, 50U);
  }
  EXPECT_GT(interruptions, 1U);
  EXPECT_EQ(at_last, expected);
  EXPECT_NE(count(cases, {.seed = 4, .blocks = {3, 2, 3}, .threads = 2}), expected);
}

TEST(frequencies, what_a_block_throws_is_thrown_when_all_have_ended) {
  auto cases = some_cases();
  cases[1].count = [](std::uint64_t, std::size_t, std::span<std::uint64_t>) { throw std::runtime_error("a block"); };
  EXPECT_THROW((void)count(cases, {.seed = 3, .blocks = {2, 2, 2}, .threads = 2}), std::runtime_error);
}

TEST(frequencies, tokens_are_counted_behind_the_two_before_them) {
  std::vector<std::uint64_t> texts(text_count);
  // Two texts 4 0 4 0 2, behind the prompt 3 1.
  texts[4 * 625 + 0 * 125 + 4 * 25 + 0 * 5 + 2] = 2;
  const auto counts = token_counts(texts);
  const auto at = [&](std::size_t a, std::size_t b, std::size_t t) { return counts[(a * width + b) * width + t]; };
  EXPECT_EQ(at(3, 1, 4), 2U);
  EXPECT_EQ(at(1, 4, 0), 2U);
  EXPECT_EQ(at(4, 0, 4), 2U);
  EXPECT_EQ(at(0, 4, 0), 2U);
  EXPECT_EQ(at(4, 0, 2), 2U);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}), 10U);
}

TEST(frequencies, every_case_has_a_name_of_its_own_and_a_law) {
  auto cases = lossless_cases();
  for (auto& one : mistaken_cases()) cases.push_back(one);
  std::map<std::string, int> names;
  for (const auto& one : cases) {
    EXPECT_EQ(++names[one.name()], 1) << one.name();
    const exact_law law = law_of(one.sampling);
    EXPECT_NEAR(std::accumulate(law.of_texts.begin(), law.of_texts.end(), 0.0), 1, 1e-12);
  }
}

}  // namespace
