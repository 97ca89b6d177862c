// The founding methods allocate nothing per round either, once rounds have reached their size.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <specdec/specdec.hpp>
#include <vector>

#include "still_model.hpp"

namespace {

using specdec::token_id;

constexpr std::size_t vocabulary = 300;

/// A model whose text repeats itself.
still_model repetitive(float noise) { return {vocabulary, {.scale = 1.0F / 24, .noise = noise}}; }

/// Runs 200 rounds, of which those behind the first `warm` must not allocate.
template <class Rule, class Drafter>
void expect_no_allocation_once_warm(const Rule& rule, Drafter drafter, double temperature, std::size_t warm = 20) {
  still_model target = repetitive(0);
  specdec::session text(vocabulary, {.max_tokens = 3000, .sampling = {temperature}}, rule);
  text.begin(std::vector<token_id>{10, 11, 12});
  specdec::draft drafted;
  std::size_t round = 0;
  for (; text.running() && round < 200; ++round) {
    const counted_round made = make_round(text, target, drafter, drafted);
    if (round >= warm) {
      EXPECT_EQ(made.allocations, 0U) << "round " << round;
    }
  }
  EXPECT_GT(round, 50U);
  EXPECT_GT(text.stats().proposed, 20U);
}

/// Whoever guesses for a draft is not told how long the text will be: a first text shows it.
template <class Rule, class Drafter>
void expect_no_allocation_the_second_time(const Rule& rule, Drafter& drafter, double temperature) {
  expect_no_allocation_once_warm(rule, specdec::any_drafter(std::ref(drafter)), temperature, 200);
  expect_no_allocation_once_warm(rule, specdec::any_drafter(std::ref(drafter)), temperature);
}

template <class Rule>
void expect_no_allocation_once_warm(const Rule& rule) {
  for (const double temperature : {0.0, 1.0}) {
    still_model draft = repetitive(0.05F);
    const specdec::constant five{5};
    expect_no_allocation_once_warm(rule, specdec::model_drafter(draft, specdec::adaptive_exit{.max_step_draft = 5}),
                                   temperature);
    expect_no_allocation_once_warm(rule, specdec::model_drafter(draft, specdec::confidence(five)), temperature);
    expect_no_allocation_once_warm(rule, specdec::model_drafter(draft, specdec::fallback{.fallback_threshold = 0.02}),
                                   temperature);
    expect_no_allocation_once_warm(
        rule, specdec::model_drafter(draft, specdec::adaedl{.threshold = {.th_stop_draft = 0.0}}), temperature);
    expect_no_allocation_once_warm(rule, specdec::prompt_lookup{}, temperature, 60);
    std::vector<token_id> corpus;
    for (token_id t = 0; t < 5000; ++t) corpus.push_back(t * t % static_cast<token_id>(vocabulary));
    const specdec::ngram_table table(vocabulary, corpus);
    expect_no_allocation_once_warm(rule, specdec::ngram_drafter(table, five), temperature);
    specdec::suffix_corpus texts(vocabulary, 10000);
    texts.add(corpus);
    expect_no_allocation_once_warm(rule, specdec::suffix_drafter(texts, {.max_spec_tokens = 2, .max_spec_factor = 2}),
                                   temperature, 60);
    still_model cheaper = repetitive(0.1F);
    specdec::cascade_drafter cascade(draft, specdec::model_drafter(cheaper, specdec::constant{3}), five);
    expect_no_allocation_the_second_time(rule, cascade, temperature);
    specdec::first_of ordered(specdec::suffix_drafter({.max_spec_tokens = 5, .min_score = 2}),
                              specdec::cascade_drafter(draft, specdec::suffix_drafter(texts), five, {.top = 0}));
    expect_no_allocation_the_second_time(rule, ordered, temperature);
  }
}

TEST(allocation, is_none_in_the_founding_methods_once_warm) {
  expect_no_allocation_once_warm(specdec::rejection{});
  expect_no_allocation_once_warm(specdec::lenient(0.3));
  expect_no_allocation_once_warm(specdec::big_little());
}

/// Asks and tells a policy that was just made: what it remembers has its place already.
template <class Policy>
void expect_no_allocation(Policy policy) {
  const std::vector<token_id> text(4000, 0);
  const std::size_t before = counting_new::allocations();
  for (std::size_t size = 10; size + 40 < text.size();) {
    const specdec::draft_request request{
        .context = std::span(text).first(size), .max_depth = 30, .max_nodes = 30, .prompt_size = 10};
    specdec::outcome out;
    out.drafted = std::span(text).first(policy.depth(request));
    out.accepted = std::min(out.drafted.size(), size / 7 % 9);
    out.committed = out.accepted + 1;
    out.end = out.accepted < out.drafted.size() ? specdec::round_end::rejected : specdec::round_end::all_accepted;
    out.times = {0.1, 1.0 + static_cast<double>(size % 5), 0.1, out.drafted.size() + 1};
    policy.observe(out);
    size += out.committed;
  }
  EXPECT_EQ(counting_new::allocations(), before);
}

TEST(allocation, is_none_where_costs_are_weighed) {
  expect_no_allocation(specdec::cost_model(specdec::recorded_costs{.target_call = {1, 1.1}, .draft_step = {0.1}}));
  expect_no_allocation(specdec::cost_model(specdec::measured_costs{}));
}

TEST(allocation, is_none_in_a_suffix_drafter_behind_its_first_round) {
  specdec::suffix_corpus corpus(vocabulary, 10000);
  std::vector<token_id> text;
  for (std::size_t i = 0; i < 4000; ++i) text.push_back(static_cast<token_id>(i * i / 40 % vocabulary));
  corpus.add(text);
  specdec::suffix_drafter drafter(corpus);
  const specdec::law target(vocabulary, {});
  specdec::philox chance(1);
  specdec::draft answer;
  std::size_t drafted = 0;
  const auto propose = [&](std::size_t size) {
    const specdec::draft_request request{.context = std::span(text).first(size),
                                         .max_depth = text.size() - size,
                                         .max_nodes = text.size() - size,
                                         .target_law = &target};
    answer.begin(request);
    drafter.propose(request, chance, answer);
    drafted += answer.size();
  };
  propose(10);
  const std::size_t before = counting_new::allocations();
  for (std::size_t size = 11; size < text.size(); size += 1 + size % 5) propose(size);
  // Another text, no longer than the first.
  text[3] = 299;
  for (std::size_t size = 5; size < text.size(); size += 1 + size % 90) propose(size);
  EXPECT_EQ(counting_new::allocations(), before);
  EXPECT_GT(drafted, 10000U);
}

}  // namespace
