// The length policies of the founding methods: their sequences and thresholds are their references', and none of them
// changes the law of the text.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::confidence;
using specdec::outcome;
using specdec::round_end;
using specdec::token_id;

constexpr double tolerance = 1e-12;
const std::vector<token_id> prompt{0, 1};

/// A round that drafted and accepted so many.
outcome round_of(std::size_t accepted, std::size_t drafted, round_end end = round_end::rejected) {
  static const std::vector<token_id> tokens(64, 0);
  outcome out;
  out.drafted = std::span(tokens).first(drafted);
  out.accepted = accepted;
  out.committed = accepted + 1;
  out.end = accepted == drafted ? round_end::all_accepted : end;
  return out;
}

specdec::draft_request request_of(std::size_t max_depth) {
  return {.context = prompt, .max_depth = max_depth, .max_nodes = max_depth};
}

// --- heuristic -------------------------------------------------------------------------------------------------------

TEST(heuristic, goes_two_up_and_one_down_from_twenty) {
  specdec::heuristic policy;
  std::vector<std::size_t> lengths;
  for (const auto& [accepted, drafted] : {std::pair{20, 20}, {22, 22}, {23, 24}, {0, 23}, {5, 22}, {21, 21}}) {
    lengths.push_back(policy.depth(request_of(64)));
    policy.observe(round_of(static_cast<std::size_t>(accepted), static_cast<std::size_t>(drafted)));
  }
  lengths.push_back(policy.depth(request_of(64)));
  EXPECT_EQ(lengths, (std::vector<std::size_t>{20, 22, 24, 23, 22, 21, 23}));
}

TEST(heuristic, never_falls_below_one) {
  specdec::heuristic policy{2};
  for (int i = 0; i < 3; ++i) policy.observe(round_of(0, 1));
  EXPECT_EQ(policy.num_assistant_tokens, 1U);
  policy.observe(round_of(1, 1));
  EXPECT_EQ(policy.num_assistant_tokens, 3U);
}

TEST(heuristic, grows_no_further_than_numbers_do) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const std::size_t begin : {most, most - 1, most - 2}) {
    specdec::heuristic policy{begin};
    policy.observe(round_of(1, 1));
    EXPECT_EQ(policy.num_assistant_tokens, most);
  }
}

// transformers compare with the candidates there were, not with those asked for.
TEST(heuristic, counts_a_short_draft_as_whole) {
  specdec::heuristic policy;
  policy.observe(round_of(3, 3));
  EXPECT_EQ(policy.num_assistant_tokens, 22U);
}

TEST(heuristic, learns_nothing_where_nothing_was_judged) {
  specdec::heuristic policy;
  policy.observe(round_of(0, 0));
  policy.observe(round_of(2, 5, round_end::text_ended));
  EXPECT_EQ(policy.num_assistant_tokens, 20U);
}

// --- adaptive_exit ---------------------------------------------------------------------------------------------------

// The trace of the authors' update, by hand.
TEST(adaptive_exit, follows_the_update_of_draft_and_verify) {
  specdec::adaptive_exit policy;
  EXPECT_EQ(policy.depth(request_of(64)), 8U);
  EXPECT_EQ(policy.th_stop_draft, 0.8);
  struct step {
    std::size_t matched, drafted;
    double threshold, rate;
  };
  for (const step& s : {step{3, 4, .801, .375}, step{8, 8, .802, .6875}, step{2, 5, .803, .54375},
                        step{8, 8, .804, .771875}, step{6, 6, .805, .8859375}}) {
    policy.observe(round_of(s.matched, s.drafted));
    EXPECT_NEAR(policy.th_stop_draft, s.threshold, 1e-15);
    EXPECT_NEAR(policy.acceptance_rate, s.rate, 1e-15);
  }
  // From here on the rate is high enough: a draft of full length changes nothing, a shorter one lowers the threshold.
  policy.observe(round_of(8, 8));
  EXPECT_NEAR(policy.acceptance_rate, .94296875, 1e-15);
  EXPECT_NEAR(policy.th_stop_draft, .805, 1e-15);
  policy.observe(round_of(4, 4));
  EXPECT_NEAR(policy.th_stop_draft, .804, 1e-15);
}

TEST(adaptive_exit, stops_behind_a_token_below_the_threshold) {
  const specdec::adaptive_exit policy;
  EXPECT_TRUE(policy.goes_on(0.8));
  EXPECT_FALSE(policy.goes_on(std::nextafter(0.8, 0.0)));
}

TEST(adaptive_exit, learns_nothing_where_nothing_was_judged) {
  specdec::adaptive_exit policy;
  policy.observe(round_of(0, 0));
  policy.observe(round_of(1, 5, round_end::text_ended));
  EXPECT_EQ(policy.th_stop_draft, 0.8);
  EXPECT_EQ(policy.acceptance_rate, 0);
}

// --- confidence ------------------------------------------------------------------------------------------------------

/// A round in which tokens of these probabilities were drawn, and so many of them accepted.
template <class Policy>
void hold_round(Policy& policy, const std::vector<double>& probabilities, std::size_t accepted) {
  static_cast<void>(policy.depth(request_of(64)));
  for (const double p : probabilities) static_cast<void>(policy.goes_on(p));
  policy.observe(round_of(accepted, probabilities.size()));
}

/// What transformers do with all samples: scikit-learn's roc_curve, points between equal steps left out, and the first
/// threshold of the least fpr + 3 fnr. In floating point as there.
double fitted_as_in_transformers(const std::vector<double>& probabilities, const std::vector<int>& matches) {
  std::vector<std::size_t> order(probabilities.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
  });
  std::vector<double> fps, tps, thresholds;
  double positives = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    positives += matches[order[i]];
    const bool last = i + 1 == order.size();
    if (!last && probabilities[order[i + 1]] == probabilities[order[i]]) continue;
    tps.push_back(positives);
    fps.push_back(static_cast<double>(i + 1) - positives);
    thresholds.push_back(probabilities[order[i]]);
  }
  std::vector<double> costs{3};
  std::vector<double> kept{std::numeric_limits<double>::infinity()};
  for (std::size_t i = 0; i < fps.size(); ++i) {
    const bool inner = i > 0 && i + 1 < fps.size();
    if (fps.size() > 2 && inner && fps[i + 1] - 2 * fps[i] + fps[i - 1] == 0 &&
        tps[i + 1] - 2 * tps[i] + tps[i - 1] == 0) {
      continue;
    }
    costs.push_back(fps[i] / fps.back() + 3 * (1 - tps[i] / tps.back()));
    kept.push_back(thresholds[i]);
  }
  return kept[static_cast<std::size_t>(std::min_element(costs.begin(), costs.end()) - costs.begin())];
}

TEST(confidence, is_twenty_tokens_and_four_tenths_at_first) {
  confidence policy;
  EXPECT_EQ(policy.assistant_confidence_threshold(), 0.4);
  EXPECT_EQ(policy.depth(request_of(64)), 20U);
  EXPECT_TRUE(policy.goes_on(0.4));
  EXPECT_FALSE(policy.goes_on(0.39));
}

// By hand: positives .9 .8 .7 .3, negatives .6 .2. Costs at .9 .8 .7 .6 .3 .2: 2.25, 1.5, .75, 1.25, .5, 1.
TEST(confidence, fits_its_threshold_to_what_was_accepted) {
  confidence policy;
  hold_round(policy, {.9, .6}, 1);
  hold_round(policy, {.8, .7}, 2);
  EXPECT_EQ(policy.assistant_confidence_threshold(), 0.4) << "four samples are too few";
  hold_round(policy, {.3, .2, .99, .99}, 1);
  EXPECT_EQ(policy.assistant_confidence_threshold(), 0.3) << "what lay behind the refused token counts as neither";
}

TEST(confidence, needs_more_than_five_samples_of_both_kinds) {
  confidence one_kind;
  hold_round(one_kind, {.9, .8, .7, .6, .5, .45, .42}, 7);
  EXPECT_EQ(one_kind.assistant_confidence_threshold(), 0.4);
  confidence five;
  hold_round(five, {.9, .8, .7, .6, .5}, 4);
  EXPECT_EQ(five.assistant_confidence_threshold(), 0.4);
  hold_round(five, {.65}, 1);
  EXPECT_EQ(five.assistant_confidence_threshold(), 0.6);
}

TEST(confidence, takes_the_higher_of_equally_good_thresholds) {
  // Costs at .9 .8 .7 .6 .5 .4: 2, 1, 2, 3, 0 + ... by counts of 3 positives and 3 negatives.
  const std::vector<double> probabilities{.9, .8, .7, .6, .5, .4};
  confidence policy;
  // .9 and .8 accepted, .7 refused; then .6 refused, .5 refused; then .4 accepted: 2, 1, 4/3, 5/3, 2, 1.
  hold_round(policy, {.9, .8, .7}, 2);
  hold_round(policy, {.6}, 0);
  hold_round(policy, {.5}, 0);
  hold_round(policy, {.4}, 1);
  EXPECT_EQ(policy.assistant_confidence_threshold(), 0.8);
  EXPECT_EQ(fitted_as_in_transformers(probabilities, {1, 1, 0, 0, 0, 1}), 0.8);
}

TEST(confidence, fits_as_transformers_do) {
  std::uint64_t state = 5;
  const auto next = [&state](std::uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % below;
  };
  std::size_t fits = 0;
  for (int run = 0; run < 200; ++run) {
    confidence policy;
    std::vector<double> probabilities;
    std::vector<int> matches;
    for (int round = 0; round < 12; ++round) {
      // Eighths give ties and steps of equal height.
      std::vector<double> drawn(1 + next(6));
      for (double& p : drawn)
        p = run % 2 == 0 ? static_cast<double>(1 + next(7)) / 8 : static_cast<double>(next(1000)) / 1000;
      const std::size_t accepted = next(drawn.size() + 1);
      hold_round(policy, drawn, accepted);
      for (std::size_t i = 0; i < accepted; ++i) matches.push_back(1);
      if (accepted < drawn.size()) matches.push_back(0);
      probabilities.insert(probabilities.end(), drawn.begin(),
                           drawn.begin() + static_cast<std::ptrdiff_t>(matches.size() - probabilities.size()));
    }
    const auto positives = static_cast<std::size_t>(std::count(matches.begin(), matches.end(), 1));
    if (positives == 0 || positives == matches.size() || matches.size() <= 5) continue;
    ++fits;
    const double expected = fitted_as_in_transformers(probabilities, matches);
    const double found = policy.assistant_confidence_threshold();
    if (found == expected) continue;
    // In floating point equal costs may differ in the last bit; then theirs may be any of the equal ones.
    const auto cost = [&](double threshold) {
      double fp = 0, fn = 0;
      for (std::size_t i = 0; i < matches.size(); ++i) {
        if (probabilities[i] >= threshold && matches[i] == 0) ++fp;
        if (probabilities[i] < threshold && matches[i] == 1) ++fn;
      }
      return fp / static_cast<double>(matches.size() - positives) + 3 * fn / static_cast<double>(positives);
    };
    EXPECT_NEAR(cost(found), cost(expected), 1e-12);
    EXPECT_GT(found, expected);
  }
  EXPECT_GT(fits, 150U);
}

TEST(confidence, forgets_the_oldest_samples) {
  confidence all(specdec::constant{20});
  confidence last(specdec::constant{20}, {.most_samples = 6});
  for (const double p : {.1, .15, .05}) {
    hold_round(all, {p}, 1);
    hold_round(last, {p}, 1);
  }
  for (auto* policy : {&all, &last}) {
    hold_round(*policy, {.9, .8, .7}, 2);
    hold_round(*policy, {.6}, 0);
    hold_round(*policy, {.5}, 0);
    hold_round(*policy, {.4}, 1);
  }
  EXPECT_EQ(last.assistant_confidence_threshold(), 0.8) << "the six above";
  EXPECT_EQ(all.assistant_confidence_threshold(), 0.05);
}

TEST(confidence, takes_room_for_what_there_is_whatever_is_asked_for) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  confidence bounded(specdec::constant{20});
  confidence endless(specdec::constant{most}, {.most_samples = most});
  for (auto* policy : {&bounded, &endless}) {
    for (const std::size_t max_depth : {most, most / 2, std::size_t{64}}) {
      static_cast<void>(policy->depth(request_of(max_depth)));
      for (const double p : {.9, .8, .7, .6}) static_cast<void>(policy->goes_on(p));
      policy->observe(round_of(2, 4));
    }
  }
  EXPECT_EQ(bounded.assistant_confidence_threshold(), 0.8);
  EXPECT_EQ(endless.assistant_confidence_threshold(), 0.8);
}

TEST(confidence, neither_stops_nor_learns_at_zero_and_need_not_refit) {
  confidence off(specdec::constant{20}, {.assistant_confidence_threshold = 0});
  confidence fixed(specdec::constant{20}, {.refits = false});
  for (auto* policy : {&off, &fixed}) hold_round(*policy, {.9, .8, .7, .6, .5, .3, .2}, 6);
  EXPECT_EQ(off.assistant_confidence_threshold(), 0);
  EXPECT_TRUE(off.goes_on(0));
  EXPECT_EQ(fixed.assistant_confidence_threshold(), 0.4);
}

// A round that was abandoned never was; one in which a mask forced tokens cannot be read.
TEST(confidence, takes_samples_of_committed_rounds_only) {
  confidence policy;
  static_cast<void>(policy.depth(request_of(64)));
  for (const double p : {.1, .2, .3}) static_cast<void>(policy.goes_on(p));
  hold_round(policy, {.9, .6}, 1);
  hold_round(policy, {.8, .7}, 2);
  static_cast<void>(policy.depth(request_of(64)));
  static_cast<void>(policy.goes_on(.1));
  policy.observe(round_of(2, 2));
  hold_round(policy, {.3, .2}, 1);
  EXPECT_EQ(policy.assistant_confidence_threshold(), 0.3);
}

TEST(confidence, counts_nothing_as_refused_where_the_text_ended) {
  confidence policy;
  static_cast<void>(policy.depth(request_of(64)));
  for (const double p : {.9, .8, .7, .6, .5, .45, .3}) static_cast<void>(policy.goes_on(p));
  policy.observe(round_of(6, 7, round_end::text_ended));
  EXPECT_EQ(policy.assistant_confidence_threshold(), 0.4);
}

TEST(confidence, refuses_a_threshold_out_of_range) {
  for (const double threshold : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THROW(confidence(specdec::constant{4}, {.assistant_confidence_threshold = threshold}),
                 std::invalid_argument);
  }
}

TEST(confidence, asks_and_tells_the_policy_inside) {
  confidence scheduled(specdec::heuristic{});
  hold_round(scheduled, {.9, .8}, 2);
  EXPECT_EQ(scheduled.depth(request_of(64)), 22U);
  EXPECT_EQ(scheduled.inner().num_assistant_tokens, 22U);

  confidence hesitant(specdec::fallback{});
  static_assert(specdec::EndsBeforeToken<decltype(hesitant)>);
  EXPECT_EQ(hesitant.depth(request_of(64)), 10U);
  EXPECT_FALSE(hesitant.draws(0.59));
  EXPECT_TRUE(hesitant.draws(0.6));

  confidence twice(specdec::adaptive_exit{});
  EXPECT_FALSE(twice.goes_on(0.7));
  EXPECT_TRUE(twice.goes_on(0.8));
  hold_round(twice, {.9, .7}, 1);
  EXPECT_EQ(twice.inner().acceptance_rate, 0.25);
}

// --- adaedl ----------------------------------------------------------------------------------------------------------

TEST(adaedl, draws_while_the_bound_on_acceptance_reaches_the_threshold) {
  // 1 - sqrt(0.2 H) = 0.5 at H = 1.25.
  specdec::adaedl policy{.threshold = {.th_stop_draft = 0.5}};
  specdec::adaedl surer{.entropy_weight = 0.8, .threshold = {.th_stop_draft = 0.5}};
  for (int draft = 0; draft < 2; ++draft) {
    EXPECT_EQ(policy.depth(request_of(64)), 8U);
    // The first token is drawn in any case.
    EXPECT_TRUE(policy.draws_at_entropy(100));
    EXPECT_TRUE(policy.draws_at_entropy(0));
    EXPECT_TRUE(policy.draws_at_entropy(1.2499));
    EXPECT_FALSE(policy.draws_at_entropy(1.2501));
    EXPECT_EQ(surer.depth(request_of(64)), 8U);
    EXPECT_TRUE(surer.draws_at_entropy(100));
    EXPECT_TRUE(surer.draws_at_entropy(0.3124));
    EXPECT_FALSE(surer.draws_at_entropy(0.3126));
  }
}

TEST(adaedl, moves_its_threshold_as_draft_and_verify_does) {
  specdec::adaedl policy{.threshold = {.th_stop_draft = 0.8}};
  specdec::adaptive_exit other{.th_stop_draft = 0.8};
  for (const auto& [matched, drafted] : {std::pair{3, 4}, {8, 8}, {2, 5}, {8, 8}, {6, 6}}) {
    const outcome out = round_of(static_cast<std::size_t>(matched), static_cast<std::size_t>(drafted));
    policy.observe(out);
    other.observe(out);
  }
  EXPECT_EQ(policy.threshold.th_stop_draft, other.th_stop_draft);
  EXPECT_NEAR(policy.threshold.th_stop_draft, .805, 1e-15);
}

TEST(adaedl, is_asked_through_the_policies_around_it) {
  confidence around(specdec::adaedl{.threshold = {.th_stop_draft = 0.5}});
  static_assert(specdec::EndsBeforeEntropy<decltype(around)> && specdec::EndsBehindToken<decltype(around)>);
  static_assert(!specdec::EndsBeforeEntropy<confidence<>> && !specdec::EndsBeforeToken<specdec::adaedl>);
  EXPECT_EQ(around.depth(request_of(64)), 8U);
  EXPECT_TRUE(around.draws_at_entropy(2));
  EXPECT_TRUE(around.draws_at_entropy(1));
  EXPECT_FALSE(around.draws_at_entropy(2));
}

static_assert(!confidence<specdec::heuristic>::reads_clock && !specdec::fallback::reads_clock);

// --- The law of the text ---------------------------------------------------------------------------------------------

/// The greatest difference from the target's law over several rounds, all of which the policy observes.
template <class Policy>
testing::exactness emitted_with(Policy policy, double temperature, std::size_t vocab_size, std::size_t rounds,
                                std::size_t length) {
  const auto p = laws::hashed(vocab_size, 21, 0.7);
  const auto q = laws::hashed(vocab_size, 22, 0.7);
  return testing::enumerate(vocab_size, prompt, p, laws::at_temperature(p, temperature),
                            [&] { return laws::drafter_over(vocab_size, q, policy, {.top = 0}); }, specdec::rejection{},
                            {.sampling = {temperature}}, {rounds, length});
}

template <class Policy>
void expect_lossless(const Policy& policy) {
  for (const double temperature : {0.0, 0.8}) {
    const auto small = emitted_with(policy, temperature, 2, 4, 4);
    EXPECT_LT(small.total_variation(), tolerance) << temperature;
    EXPECT_GT(small.expected_accepted, 0.1);
    EXPECT_LT(emitted_with(policy, temperature, 3, 2, 4).total_variation(), tolerance) << temperature;
  }
}

TEST(policies, keep_the_law_of_the_text) {
  expect_lossless(specdec::heuristic{1});
  expect_lossless(specdec::fallback{0.5, 3});
  expect_lossless(specdec::adaptive_exit{.max_step_draft = 3, .th_stop_draft = 0.5});
  expect_lossless(specdec::adaedl{.threshold = {.max_step_draft = 3, .th_stop_draft = 0.6}});
  expect_lossless(specdec::cost_model(specdec::recorded_costs{.target_call = {1, 1.1}, .draft_step = {0.2}},
                                      {.max_gamma = 3, .exploration = 0.5, .horizon = 2}));
  // Five samples already: the threshold moves with the first round.
  confidence taught(specdec::heuristic{2});
  hold_round(taught, {.9, .55, .3, .6, .5}, 4);
  expect_lossless(taught);
  taught.inner().num_assistant_tokens = 2;
  EXPECT_EQ(taught.assistant_confidence_threshold(), 0.4);
}

/// A point mass needs no chance, and the oracle answers no key twice.
struct certain {
  bool accept(const specdec::key&, double, double) const { return true; }
  token_id draw(const specdec::key&, const auto& law) const { return law.draw(0); }
};

/// Drafts as with a confidence threshold, but does away with the token that was below it.
struct dropping_drafter {
  std::vector<float> weights;
  double threshold;
  bool demotes = false;  ///< keeps that token, but as a certainty
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    certain nothing;
    const auto q = specdec::proposal::dense(weights);
    specdec::draft drawn;
    drawn.begin(request);
    const token_id token = drawn.token(drawn.extend(specdec::root, q, chance));
    if (q.probability(token) >= threshold) {
      answer = drawn;
    } else if (demotes) {
      answer.extend(specdec::root, specdec::proposal::point_mass(weights.size(), token), nothing);
    }
  }
};

// Whether a drawn token stays must not depend on which it is. Nor must the law it is tested with: those that are left
// to be tested with q would be drawn from a part of q. (.5, .3, .2) becomes (.55, .15, .3).
TEST(policies, would_change_the_law_if_they_dropped_what_was_drawn) {
  const auto p = laws::fixed({.5, .3, .2});
  const auto found = [&](const dropping_drafter& drafter) {
    return testing::enumerate(3, prompt, p, p, [&] { return drafter; }, specdec::rejection{}, {}, {1, 2})
        .total_variation();
  };
  EXPECT_GT(found({{2, 3, 5}, 0.4}), 0.1);
  EXPECT_NEAR(found({{2, 3, 5}, 0.4, true}), 0.15, tolerance);
  EXPECT_LT(found({{2, 3, 5}, 0.0}), tolerance);
}

// --- Interruptions ---------------------------------------------------------------------------------------------------

template <class Policy>
void expect_the_same_text_when_interrupted(const Policy& policy) {
  constexpr std::size_t vocab_size = 6;
  const auto run = [&](const testing::fault& planned, const testing::fault& of_draft) {
    testing::faulty_model target(testing::law_model(vocab_size, laws::hashed(vocab_size, 31, 0.7)), planned);
    testing::faulty_model draft(testing::law_model(vocab_size, laws::hashed(vocab_size, 31, 0.6)), of_draft);
    specdec::model_drafter drafter(draft, policy);
    specdec::session text(vocab_size, {.max_tokens = 60, .seed = 4});
    text.begin(prompt);
    for (int i = 0; i < 3 && text.status() != specdec::session_status::max_tokens; ++i) {
      try {
        specdec::speculative_generate(text, target, drafter);
      } catch (const std::exception&) {
        text.resume();
      }
    }
    auto stats = text.stats();
    stats.draft_seconds = stats.target_seconds = stats.verify_seconds = 0;
    return std::pair(std::vector<token_id>(text.tokens().begin(), text.tokens().end()), to_json(stats));
  };
  const auto expected = run({}, {});
  for (std::size_t call = 1; call <= 12; ++call) {
    const testing::fault planned{testing::fault_kind::throw_before, call};
    EXPECT_EQ(run(planned, {}), expected) << "target, call " << call;
    EXPECT_EQ(run({}, planned), expected) << "draft, call " << call;
  }
}

TEST(policies, have_learnt_the_same_when_a_round_is_begun_again) {
  expect_the_same_text_when_interrupted(specdec::heuristic{3});
  expect_the_same_text_when_interrupted(specdec::adaptive_exit{.th_stop_draft = 0.5});
  expect_the_same_text_when_interrupted(specdec::fallback{});
  expect_the_same_text_when_interrupted(specdec::adaedl{.threshold = {.th_stop_draft = 0.6}});
  expect_the_same_text_when_interrupted(specdec::cost_model(
      specdec::recorded_costs{.target_call = {1, 1.1}, .draft_step = {0.1}}, {.exploration = 0.2, .horizon = 10}));
  expect_the_same_text_when_interrupted(confidence(specdec::heuristic{6}));
}

}  // namespace
