// llama.cpp's rule of speculation, as the comparison runs it: the text is the target's, whatever the draft.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <llama_cpp/matching.hpp>
#include <measurement/any_context.hpp>

#include "chain_context.hpp"

namespace {

using llama::matching_text;
using llama_test::chain_context;
using llama_test::logits_behind;
using specdec::token_id;

constexpr std::size_t vocabulary = 7;
const std::vector<token_id> prompt{1, 2, 3};

measurement::any_context context(double noise = 0) { return chain_context(vocabulary, noise); }

std::vector<token_id> greedy_text(std::size_t size) {
  std::vector<token_id> text = prompt;
  while (text.size() < size) {
    const std::vector<float> logits = logits_behind(text, vocabulary, 0);
    text.push_back(static_cast<token_id>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  return text;
}

TEST(matching, greedy_text_is_the_targets_own) {
  for (const double noise : {0.0, 1.0, 4.0, 30.0}) {
    for (const std::size_t gamma : {0U, 1U, 4U}) {
      matching_text text(context(), gamma > 0 ? context(noise) : measurement::any_context(), gamma, {.temperature = 0},
                         {});
      text.begin(prompt, 1);
      while (text.tokens().size() < 120) (void)text.round();
      const std::vector<token_id> got(text.tokens().begin(), text.tokens().begin() + 120);
      EXPECT_EQ(got, greedy_text(120)) << noise << " " << gamma;
    }
  }
}

TEST(matching, a_draft_that_knows_all_is_accepted_whole) {
  matching_text text(context(), context(), 4, {.temperature = 0}, {});
  text.begin(prompt, 1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(text.round(), 5U);
  EXPECT_EQ(text.tokens().size(), prompt.size() + 50);
}

TEST(matching, a_text_begins_anew) {
  matching_text text(context(), context(2), 3, {.temperature = 0.8}, {});
  const auto written = [&](std::uint32_t seed) {
    text.begin(prompt, seed);
    while (text.tokens().size() < 60) (void)text.round();
    return std::vector<token_id>(text.tokens().begin(), text.tokens().begin() + 60);
  };
  const auto first = written(1), second = written(2);
  EXPECT_NE(first, second);
  EXPECT_EQ(written(1), first);
}

TEST(matching, what_never_comes_does_not) {
  const std::vector<token_id> never{greedy_text(4).back()};
  matching_text text(context(), context(), 4, {.temperature = 1.5}, never);
  text.begin(prompt, 5);
  while (text.tokens().size() < 300) (void)text.round();
  const std::span<const token_id> written = text.tokens().subspan(prompt.size());
  EXPECT_EQ(std::count(written.begin(), written.end(), never.front()), 0);
}

TEST(matching, the_full_context_ends_the_drafts) {
  matching_text text(chain_context(vocabulary, 0, 20), chain_context(vocabulary, 0, 20), 4, {.temperature = 0}, {});
  text.begin(prompt, 1);
  while (text.tokens().size() < 20) (void)text.round();
  EXPECT_LE(text.tokens().size(), 21U);
}

// The law of the two tokens behind the prompt, against the product of the target's.
TEST(matching, text_has_the_targets_law) {
  constexpr std::size_t texts = 40'000;
  const specdec::sampling_params sampling{
      .temperature = 0.7, .top_k = 5, .top_p = 0.9, .order = specdec::filter_order::llama_cpp};
  matching_text text(context(), context(3), 2, sampling, {});
  std::map<std::pair<token_id, token_id>, double> counts;
  for (std::uint32_t i = 0; i < texts; ++i) {
    text.begin(prompt, i + 1);
    while (text.tokens().size() < prompt.size() + 2) (void)text.round();
    counts[{text.tokens()[prompt.size()], text.tokens()[prompt.size() + 1]}] += 1;
  }
  specdec::law law(vocabulary, sampling);
  const auto laws_behind = [&](const std::vector<token_id>& before) {
    const std::vector<float> logits = logits_behind(before, vocabulary, 0);
    const auto p = law.of(specdec::logits_row<float>(logits.data(), vocabulary));
    std::vector<double> probabilities;
    for (std::size_t t = 0; t < vocabulary; ++t) probabilities.push_back(p.probability(static_cast<token_id>(t)));
    return probabilities;
  };
  const std::vector<double> first = laws_behind(prompt);
  double statistic = 0;
  std::size_t cells = 0;
  for (std::size_t a = 0; a < vocabulary; ++a) {
    std::vector<token_id> before = prompt;
    before.push_back(static_cast<token_id>(a));
    const std::vector<double> second = laws_behind(before);
    for (std::size_t b = 0; b < vocabulary; ++b) {
      const double expected = texts * first[a] * second[b];
      const double got = counts[{static_cast<token_id>(a), static_cast<token_id>(b)}];
      if (expected == 0) {
        EXPECT_EQ(got, 0) << a << " " << b;
        continue;
      }
      statistic += (got - expected) * (got - expected) / expected;
      ++cells;
    }
  }
  ASSERT_GT(cells, 4U);
  // Chi-square with cells - 1 degrees of freedom is beyond this with a probability of about 1e-4; the seeds are fixed.
  const auto freedom = static_cast<double>(cells - 1);
  EXPECT_LT(statistic, freedom + 3.7 * std::sqrt(2 * freedom) + 5);
}

}  // namespace
