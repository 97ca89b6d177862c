// How texts are handed out to threads and counted, and what is told of the counts: on a few blocks, whose law is tested
// elsewhere.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cases.hpp"
#include "counting.hpp"
#include "page.hpp"

namespace {

using namespace frequencies;

/// Without drafts, with chains by counts that all share, and with trees.
std::vector<generation_case> some_cases() {
  std::vector<generation_case> some;
  std::set<std::string> wanted{"no drafts", "chains, by bigrams", "trees, siblings distinct"};
  for (const generation_case& one : lossless_cases()) {
    if (wanted.erase(one.drafts) > 0) some.push_back(one);
  }
  return some;
}

TEST(counting, counts_do_not_depend_on_threads_or_on_interruptions) {
  const auto cases = some_cases();
  ASSERT_EQ(cases.size(), 3U);
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

TEST(counting, what_a_block_throws_is_thrown_when_all_have_ended) {
  auto cases = some_cases();
  cases[1].count = [](std::uint64_t, std::size_t, std::span<std::uint64_t>) { throw std::runtime_error("a block"); };
  EXPECT_THROW((void)count(cases, {.seed = 3, .blocks = {2, 2, 2}, .threads = 2}), std::runtime_error);
}

TEST(counting, tokens_are_counted_behind_the_two_before_them) {
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

TEST(counting, every_case_has_a_name_of_its_own_and_a_law) {
  auto cases = lossless_cases();
  for (auto& one : mistaken_cases()) cases.push_back(one);
  std::map<std::string, int> names;
  for (const auto& one : cases) {
    EXPECT_EQ(++names[one.name()], 1) << one.name();
    const exact_law law = law_of(one);
    EXPECT_NEAR(std::accumulate(law.of_texts.begin(), law.of_texts.end(), 0.0), 1, 1e-12);
  }
}

TEST(counting, a_vocabulary_of_classes_has_the_law_of_its_classes) {
  generation_case narrow{}, several_blocks{.vocab_size = wide};
  const exact_law expected = law_of(narrow);
  const exact_law got = law_of(several_blocks);
  ASSERT_EQ(got.of_tokens.size(), expected.of_tokens.size());
  for (std::size_t i = 0; i < got.of_tokens.size(); ++i) EXPECT_NEAR(got.of_tokens[i], expected.of_tokens[i], 1e-6);
  for (token_id t = 0; t < token_id{wide}; ++t) {
    const std::size_t index = class_of(t, wide);
    ASSERT_LE(first_of_class(index, wide), t);
    ASSERT_GT(first_of_class(index + 1, wide), t);
  }
}

/// A page on so many mistakes that were found, missed, and not counted for long enough.
std::string page_on(std::size_t found, std::size_t missed, std::size_t waiting) {
  static const generation_case mistake{.rule = "a mistake", .is_lossless = false, .tokens_to_find = 1000};
  findings all;
  all.rules.push_back({.rule = "none", .tokens = 1000, .each = {.degrees = 100}});
  const auto add = [&](std::size_t count, std::uint64_t tokens, bool alarms) {
    const fit test{.degrees = 100, .too_far = alarms ? 1e-12 : 0.5, .too_near = 0.5};
    for (; count > 0; --count) all.cases.push_back({.of = &mistake, .tokens = tokens, .texts = test, .each = test});
  };
  add(found - found / 2, 1000, true);
  add(found / 2, 999, true);
  add(missed, 1000, false);
  add(waiting, 999, false);
  EXPECT_EQ(all.are_as_they_should(), missed == 0);
  return page_of(all);
}

TEST(counting, a_page_tells_mistakes_that_were_missed_from_those_that_need_more_tokens) {
  const auto says = [](const std::string& page, const char* what) {
    EXPECT_NE(page.find(std::string("Known mistakes: ") + what), std::string::npos) << page;
  };
  says(page_on(8, 0, 3), "8 of the 8 that show in so many tokens found; 3 need more.\n");
  says(page_on(7, 1, 1), "7 of the 8 that show in so many tokens found; 1 needs more.\n");
  says(page_on(11, 0, 0), "11 of the 11 that show in so many tokens found.\n");
}

}  // namespace
