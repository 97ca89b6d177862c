// The length policy that weighs costs against acceptance, on a virtual clock.

#include "virtual_clock.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using namespace virtual_clock;
using specdec::cost_model;
using specdec::draft_hindsight;
using specdec::measured_costs;
using specdec::recorded_costs;
using specdec::token_id;

// --- what drafts would have brought ----------------------------------------------------------------------------------

/// Learns from a text that was drafted with one gamma throughout.
draft_hindsight learnt(const fates& right, std::size_t gamma, double horizon = 1e6, std::size_t max_gamma = 8) {
  draft_hindsight found(max_gamma, horizon, 0.5);
  for (std::size_t at = 0; at + gamma < right.size();) {
    const auto out = round_at(right, at, gamma);
    found.learn(out, gamma);
    at += out.committed;
  }
  return found;
}

double counted_tokens_per_round(const fates& right, std::size_t gamma) {
  specdec::constant always{gamma};
  const run all = play(always, right, recorded_costs{.target_call = {1}});
  return all.tokens / all.rounds;
}

TEST(hindsight, begins_with_what_is_believed) {
  const draft_hindsight found(4, 100, 0.7);
  for (std::size_t gamma = 0; gamma <= 4; ++gamma) {
    EXPECT_NEAR(found.tokens_per_round(gamma), specdec::theory::expected_tokens(0.7, gamma), 1e-12);
    EXPECT_NEAR(found.acceptance(gamma), 0.7, 1e-12);
  }
}

TEST(hindsight, knows_a_perfect_draft_and_a_hopeless_one) {
  const draft_hindsight perfect = learnt(fates(20'000, true), 8, 4000);
  const draft_hindsight hopeless = learnt(fates(20'000, false), 8, 4000);
  for (std::size_t gamma = 0; gamma <= 8; ++gamma) {
    EXPECT_NEAR(perfect.tokens_per_round(gamma) / static_cast<double>(gamma + 1), 1, 0.01) << gamma;
    EXPECT_NEAR(hopeless.tokens_per_round(gamma), 1, 0.01) << gamma;
  }
}

// Behind a draft that is always long enough, every guess is judged but one a round.
TEST(hindsight, counts_the_rounds_of_every_shorter_draft) {
  for (const double sticky : {0.0, 0.7}) {
    const fates right = guesses(0.5, sticky, 100'000, 3);
    const draft_hindsight found = learnt(right, 8);
    for (std::size_t gamma = 1; gamma <= 8; ++gamma) {
      EXPECT_NEAR(found.tokens_per_round(gamma) / counted_tokens_per_round(right, gamma), 1, 0.015)
          << gamma << " of guesses that repeat with " << sticky;
    }
  }
  // That takes more than the survival of the long draft: where guesses come in stretches, its rounds begin elsewhere.
  const fates right = guesses(0.5, 0.7, 100'000, 3);
  specdec::statistics stats;
  stats.reserve(8);
  for (std::size_t at = 0; at + 8 < right.size();) {
    const auto out = round_at(right, at, 8);
    stats.add_round(8, out.accepted, out.end == specdec::round_end::rejected, false, out.committed);
    at += out.committed;
  }
  EXPECT_LT((1 + stats.survival(1) + stats.survival(2)) / counted_tokens_per_round(right, 2), 0.95);
}

// A draft shorter than was wanted ended by itself: nothing behind its end would have been drafted in any round.
TEST(hindsight, expects_a_draft_that_ends_by_itself_to_end_there_again) {
  draft_hindsight found(4, 1e6, 0.5);
  for (int i = 0; i < 20'000; ++i) found.learn(round_at(fates(8, true), 0, 2), 4);
  EXPECT_NEAR(found.tokens_per_round(2), 3, 0.01);
  EXPECT_NEAR(found.tokens_per_round(4), 3, 0.01);
}

TEST(hindsight, counts_the_round_that_a_texts_end_interrupts_in_part) {
  draft_hindsight found(4, 1e6, 0.5);
  // Two accepted tokens and the target's own make a whole text, over and over: 3 of the 5 tokens of a round.
  for (int i = 0; i < 20'000; ++i) found.learn(round_at(fates(3, true), 0, 2), 2);
  EXPECT_NEAR(found.tokens_per_round(2), 3, 0.01);
  EXPECT_NEAR(found.tokens_per_round(4), 5, 0.1);
}

TEST(hindsight, ignores_a_round_that_failed) {
  draft_hindsight found(2, 10, 0.5);
  specdec::outcome out = round_at(fates(8, true), 0, 2);
  out.end = specdec::round_end::failed;
  const double before = found.tokens_per_round(2);
  found.learn(out, 2);
  EXPECT_EQ(found.tokens_per_round(2), before);
}

// --- costs -----------------------------------------------------------------------------------------------------------

TEST(recorded_costs, go_on_as_their_last_entries_do) {
  const recorded_costs costs{
      .target_call = {10, 11, 13}, .draft_step = {2}, .overhead = 0.5, .switching = 3, .catching_up = 0.25};
  EXPECT_EQ(costs.target(1), 10.5);
  EXPECT_EQ(costs.target(3), 13.5);
  EXPECT_EQ(costs.target(5), 17.5);
  EXPECT_EQ(costs.draft(1), 2);
  EXPECT_EQ(costs.draft(8), 2);
  EXPECT_EQ(costs.resumption(0), 0);
  EXPECT_EQ(costs.resumption(4), 4);
  EXPECT_EQ((recorded_costs{.target_call = {3}}.target(100)), 3);
}

TEST(recorded_costs, and_options_out_of_range_are_refused) {
  const auto refused = [](const recorded_costs& costs, const specdec::cost_model_options& options, const char* said) {
    try {
      cost_model<recorded_costs> policy(costs, options);
      ADD_FAILURE() << "expected to be refused: " << said;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(said), std::string::npos) << error.what();
    }
  };
  const recorded_costs one{.target_call = {1}};
  refused({}, {}, "at least one target_call");
  refused({.target_call = {1}, .draft_step = {}}, {}, "1 and 0");
  refused({.target_call = {0}}, {}, "target_call must cost more than 0; got 0");
  refused({.target_call = {1}, .draft_step = {-1}}, {}, "draft_step");
  refused({.target_call = {1}, .overhead = std::nan("")}, {}, "overhead");
  refused(one, {.max_gamma = 1025}, "max_gamma must be at most 1024; got 1025");
  refused(one, {.exploration = 1}, "exploration");
  refused(one, {.catching_up = -1}, "catching_up");
  refused(one, {.horizon = 0}, "horizon");
  refused(one, {.prior_acceptance = 1.5}, "prior_acceptance");
}

TEST(recent_times, are_typified_by_their_median) {
  specdec::recent_times times;
  EXPECT_EQ(times.typical(), 0);
  times.add(5);
  EXPECT_EQ(times.typical(), 5);
  for (const double time : {1.0, 100.0, 2.0}) times.add(time);
  EXPECT_EQ(times.typical(), 2);
  for (int i = 0; i < 4; ++i) times.add(7);
  EXPECT_EQ(times.typical(), 7);
  EXPECT_EQ(times.count(), 7U);
}

TEST(cost_by_size, guesses_what_was_not_measured) {
  specdec::cost_by_size curve;
  EXPECT_FALSE(curve.known());
  curve.add(4, 8);
  EXPECT_TRUE(curve.known());
  EXPECT_DOUBLE_EQ(curve.at(1), 2);
  EXPECT_DOUBLE_EQ(curve.at(4), 8);
  EXPECT_DOUBLE_EQ(curve.at(6), 8.4);
  curve.add(1, 5);
  EXPECT_DOUBLE_EQ(curve.at(2), 6);
  EXPECT_DOUBLE_EQ(curve.at(8), 12);
  // Slow by accident: it is no slower than four tokens were.
  specdec::cost_by_size other;
  other.add(1, 50);
  other.add(4, 8);
  EXPECT_DOUBLE_EQ(other.at(1), 8);
  // Large calls are known in eights.
  curve.add(100, 60);
  EXPECT_DOUBLE_EQ(curve.at(98), 60);
  EXPECT_GT(curve.at(5000), 60);
}

specdec::timed_round timed(std::size_t drafted, double draft, double target) {
  return {.drafted = drafted, .times = {draft, target, 0, drafted + 1}};
}

TEST(measured_costs, are_those_of_the_rounds) {
  measured_costs costs;
  EXPECT_GT(costs.target(2), costs.target(1));
  EXPECT_LT(costs.draft(1), costs.target(1));
  for (int i = 0; i < 3; ++i) {
    costs.learn(timed(0, 0, 10));
    costs.learn(timed(3, 6, 16));
  }
  EXPECT_NEAR(costs.target(1), 10, 1e-9);
  EXPECT_NEAR(costs.target(2), 12, 1e-9);
  EXPECT_NEAR(costs.draft(1), 2, 1e-9);
  EXPECT_EQ(costs.resumption(5), 0);
  specdec::timed_round late = timed(3, 16, 16);
  late.missed = 20;
  for (int i = 0; i < 2; ++i) costs.learn(late);
  EXPECT_EQ(costs.resumption(10), 0);
  costs.learn(late);
  EXPECT_NEAR(costs.resumption(10), 5, 1e-9);
}

TEST(measured_costs, learn_nothing_from_what_was_not_measured_or_reads_a_prompt) {
  measured_costs costs;
  const double before = costs.target(3);
  costs.learn({.drafted = 2});
  specdec::timed_round first = timed(2, 1, 100);
  first.times.scored = 40;
  costs.learn(first);
  EXPECT_EQ(costs.target(3), before);
}

// --- the policy on a virtual clock -----------------------------------------------------------------------------------

constexpr std::size_t warm_up = 256;
constexpr std::size_t text_size = 4096;

TEST(cost_model, is_as_fast_as_the_best_fixed_gamma_without_being_told) {
  for (const named_costs& shape : realistic_costs()) {
    for (const double alpha : {0.0, 0.3, 0.6, 0.8, 0.95, 1.0}) {
      for (const double sticky : {0.0, 0.6}) {
        const fates right = guesses(alpha, sticky, text_size, 7);
        cost_model policy(shape.costs);
        const run found = play(policy, right, shape.costs, {warm_up});
        const fixed best = best_fixed(right, shape.costs, {warm_up});
        EXPECT_GT(found.speed() / best.speed, 0.97)
            << shape.name << ", alpha " << alpha << ", stretches " << sticky << ": best gamma " << best.gamma
            << ", drafted on average " << found.drafted / found.rounds;
      }
    }
  }
}

TEST(cost_model, loses_next_to_nothing_to_a_draft_that_is_always_wrong) {
  for (const named_costs& shape : realistic_costs()) {
    for (const double dear : {1.0, 4.0, 30.0}) {
      recorded_costs costs = shape.costs;
      costs.draft_step[0] *= dear;
      const fates right(text_size, false);
      cost_model policy(costs);
      specdec::constant none{0};
      const double plain = play(none, right, costs, {warm_up}).speed();
      EXPECT_GT(play(policy, right, costs, {warm_up}).speed() / plain, 0.97) << shape.name << ", draft " << dear;
    }
  }
}

// Where even a perfect draft would cost more than it brings, it is never asked again.
TEST(cost_model, does_not_try_what_cannot_pay) {
  const recorded_costs costs = costs_of([](std::size_t) { return 1.0; }, 1.2);
  cost_model policy(costs);
  EXPECT_EQ(play(policy, fates(text_size, true), costs, {warm_up}).drafted, 0);
}

TEST(cost_model, follows_a_draft_that_becomes_good_or_bad) {
  constexpr std::size_t half = 6144;
  for (const named_costs& shape : realistic_costs()) {
    const fates bad = guesses(0.02, 0, half, 11);
    const fates good = guesses(0.9, 0, half, 12);
    for (const bool becomes_good : {true, false}) {
      const fates& last = becomes_good ? good : bad;
      cost_model policy(shape.costs);
      const fates right = becomes_good ? behind_each_other(bad, good) : behind_each_other(good, bad);
      // At last it must be as fast as if it had never known another draft.
      const run found = play(policy, right, shape.costs, {half + half / 2});
      const fixed best = best_fixed(last, shape.costs, {half / 2});
      EXPECT_GT(found.speed() / best.speed, 0.97) << shape.name << (becomes_good ? ": good" : ": bad") << " at last";
    }
    // And on the whole it beats every fixed gamma that loses on one half, or is as good.
    cost_model policy(shape.costs);
    const fates right = behind_each_other(good, bad);
    EXPECT_GT(play(policy, right, shape.costs, {warm_up}).speed() / best_fixed(right, shape.costs, {warm_up}).speed,
              0.97)
        << shape.name;
  }
}

// How soon "do not speculate" is left, at what trials may cost by default.
TEST(cost_model, takes_up_a_draft_that_has_become_perfect) {
  const recorded_costs costs = costs_of([](std::size_t n) { return 1 + 0.02 * static_cast<double>(n - 1); }, 0.1);
  cost_model policy(costs);
  (void)play(policy, fates(2048, false), costs);
  EXPECT_GT(play(policy, fates(512, true), costs, {256}).speed(), 4.0);
}

// What the draft missed while nothing was drafted is dear to read by now, but it is read once.
TEST(cost_model, comes_back_to_a_draft_that_has_missed_much) {
  constexpr std::size_t bad = 6144;
  constexpr std::size_t good = 4096;
  const fates last = guesses(0.9, 0, good, 12);
  for (const double catching_up : {0.003, 0.01, 0.015}) {
    for (const named_costs& shape : realistic_costs()) {
      recorded_costs costs = shape.costs;
      costs.catching_up = catching_up;
      costs.switching = 2 * catching_up;
      const fates right = behind_each_other(guesses(0.02, 0, bad, 11), last);
      const double best = best_fixed(last, costs, {good / 2}).speed;
      cost_model told(costs);
      EXPECT_GT(play(told, right, costs, {bad + good / 2}).speed() / best, 0.95) << shape.name << ", " << catching_up;
      cost_model<> measuring;
      const conditions timed{.warm_up = bad + good / 2, .noise = [] { return 1.0; }};
      EXPECT_GT(play(measuring, right, costs, timed).speed() / best, 0.95) << shape.name << ", " << catching_up;
      // And it costs no more than it may where the draft stays bad.
      cost_model in_vain(costs);
      specdec::constant none{0};
      const fates wrong(8192, false);
      const double plain = play(none, wrong, costs, {warm_up}).speed();
      EXPECT_GT(play(in_vain, wrong, costs, {warm_up}).speed() / plain, 0.97) << shape.name << ", " << catching_up;
    }
  }
}

// What it may not spend on a draft that is never right, it may on one that has earned it.
TEST(cost_model, has_a_dear_draft_read_again_what_it_can_afford) {
  recorded_costs costs = realistic_costs().front().costs;
  costs.catching_up = 0.1;
  specdec::constant none{0};
  const fates wrong(8192, false);
  cost_model never(costs);
  EXPECT_GT(play(never, wrong, costs, {warm_up}).speed() / play(none, wrong, costs, {warm_up}).speed(), 0.99);
  const fates good = guesses(0.95, 0, 8192, 3);
  const fates right = behind_each_other(behind_each_other(good, fates(256, false)), good);
  cost_model earned(costs);
  EXPECT_GT(play(earned, right, costs, {8192 + 2048}).speed() / best_fixed(good, costs, {2048}).speed, 0.95);
}

/// Costs that note how much a draft was said to have missed.
struct noting_costs {
  static constexpr bool reads_clock = false;

  std::size_t* most_missed;

  double target(std::size_t tokens) const { return 1 + 0.1 * static_cast<double>(tokens); }
  double draft(std::size_t) const { return 0.1; }
  double resumption(std::size_t missed) const {
    *most_missed = std::max(*most_missed, missed);
    return 0.001 * static_cast<double>(missed);
  }
};

TEST(cost_model, charges_a_new_text_with_nothing_that_an_old_one_missed) {
  std::size_t most_missed = 0;
  cost_model policy(noting_costs{&most_missed}, {.max_gamma = 0});
  const std::vector<token_id> text(4000, 0);
  const auto ask = [&](std::size_t size) {
    (void)policy.depth({.context = std::span(text).first(size), .max_depth = 8, .max_nodes = 8, .prompt_size = 4});
  };
  for (std::size_t size = 4; size < text.size(); ++size) {
    ask(size);
    policy.observe(round_at(fates(8, false), 0, 0));
  }
  policy.limit(2);
  ask(100);
  EXPECT_EQ(most_missed, 100U);
  most_missed = 0;
  ask(4);
  EXPECT_EQ(most_missed, 4U);
}

TEST(cost_model, weighs_what_it_costs_to_draft_again) {
  // Guesses that pay a little; but to begin costs more than the horizon could bring back.
  recorded_costs costs = costs_of([](std::size_t n) { return 1 + 0.05 * static_cast<double>(n - 1); }, 0.3);
  const fates right = guesses(0.5, 0, text_size, 5);
  cost_model free(costs);
  EXPECT_GT(play(free, right, costs, {warm_up}).drafted, 100);
  costs.switching = 60;
  cost_model dear(costs, {.prior_acceptance = 0.5});
  EXPECT_EQ(play(dear, right, costs, {warm_up}).drafted, 0);
}

// A batch scores all its texts' tokens in one call: memory-bound for a few, compute-bound for many.
TEST(cost_model, stops_speculating_where_the_batch_makes_scoring_compute_bound) {
  const auto call = [](std::size_t n) { return std::max(1.0, static_cast<double>(n) / 32); };
  recorded_costs costs = costs_of(call, 0.05, 600);
  for (std::size_t s = 2; s <= 32; ++s) costs.draft_step.push_back(std::max(0.05, 0.05 * static_cast<double>(s) / 32));
  const fates right = guesses(0.7, 0, text_size, 9);
  std::vector<double> drafted;
  for (const std::size_t sequences : {1U, 4U, 16U, 32U}) {
    cost_model policy(costs);
    const conditions how{warm_up, sequences};
    const run found = play(policy, right, costs, how);
    EXPECT_GT(found.speed() / best_fixed(right, costs, how).speed, 0.97) << sequences;
    drafted.push_back(found.drafted / found.rounds);
  }
  EXPECT_GT(drafted[0], 4);
  EXPECT_GT(drafted[1], drafted[2]);
  EXPECT_LT(drafted[3], 0.05);
}

// Times that are told, not known: off by some percent each, some far too long, and a machine that is slow at times.
TEST(cost_model, measures_what_it_is_not_told) {
  for (const named_costs& shape : realistic_costs()) {
    for (const double alpha : {0.0, 0.3, 0.6, 0.9}) {
      std::mt19937_64 random(21);
      std::normal_distribution<double> normal;
      std::uniform_real_distribution<double> uniform;
      std::size_t round = 0;
      const auto noise = [&] {
        const double pace = ++round % 300 < 100 ? 1.3 : 1.0;
        return pace * std::exp(0.05 * normal(random)) * (uniform(random) < 0.01 ? 8 : 1);
      };
      const fates right = guesses(alpha, 0.3, text_size, 8);
      cost_model<> policy;
      const run found = play(policy, right, shape.costs, {.warm_up = warm_up, .noise = noise});
      const fixed best = best_fixed(right, shape.costs, {warm_up});
      EXPECT_GT(found.speed() / best.speed, 0.95) << shape.name << ", alpha " << alpha << ": best gamma " << best.gamma
                                                  << ", drafted on average " << found.drafted / found.rounds;
    }
  }
}

// --- what every policy must keep -------------------------------------------------------------------------------------

TEST(cost_model, asked_again_for_a_round_answers_as_before) {
  const recorded_costs costs = realistic_costs().front().costs;
  cost_model policy(costs, {.exploration = 0.2});
  const fates right = guesses(0.6, 0, 600, 2);
  const std::vector<token_id> text(700, 0);
  for (std::size_t at = 0; at + 17 < right.size();) {
    const specdec::draft_request request{
        .context = std::span(text).first(8 + at), .max_depth = 16, .max_nodes = 16, .prompt_size = 8};
    const std::size_t gamma = policy.depth(request);
    EXPECT_LE(gamma, 16U);
    EXPECT_EQ(policy.depth(request), gamma);
    const auto out = round_at(right, at, gamma);
    policy.observe(out);
    at += out.committed;
  }
}

TEST(cost_model, drafts_no_more_than_is_asked_for) {
  cost_model policy(costs_of([](std::size_t) { return 1.0; }, 0));
  const std::vector<token_id> text(8, 0);
  for (std::size_t most = 0; most < 8; ++most) {
    EXPECT_EQ(policy.depth({.context = text, .max_depth = most, .max_nodes = 8, .prompt_size = 4}), most);
  }
  EXPECT_THROW(policy.limit(std::numeric_limits<std::size_t>::max()), std::invalid_argument);
  policy.limit(3);
  EXPECT_EQ(policy.depth({.context = text, .max_depth = 8, .max_nodes = 8, .prompt_size = 4}), 3U);
  EXPECT_EQ(policy.options().max_gamma, 3U);
  policy.limit(0);
  policy.observe(round_at(fates(8, true), 0, 0));
  EXPECT_EQ(policy.depth({.context = text, .max_depth = 8, .max_nodes = 8, .prompt_size = 4}), 0U);
}

TEST(cost_model, keeps_the_law_of_the_text) {
  const std::vector<token_id> prompt{0, 1};
  const auto p = laws::hashed(3, 31);
  testing::law_model draft(3, laws::hashed(3, 32));
  const auto found = testing::enumerate(3, prompt, p, p,
                                        [&] {
                                          draft.truncate(0);
                                          cost_model policy(realistic_costs().front().costs, {.exploration = 0.5});
                                          return specdec::model_drafter(draft, policy);
                                        },
                                        specdec::rejection{}, specdec::generate_options{}, {2, 4});
  EXPECT_LT(found.total_variation(), 1e-12);
  EXPECT_GT(found.expected_accepted, 0.1);
}

TEST(cost_model, repeats_itself_on_recorded_costs) {
  const std::vector<token_id> prompt{0, 1};
  const auto once = [&] {
    testing::law_model target(4, laws::hashed(4, 33));
    testing::law_model draft(4, laws::hashed(4, 34));
    specdec::model_drafter drafter(draft, cost_model(realistic_costs()[1].costs));
    const auto text = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 300, .seed = 4});
    EXPECT_GT(text.stats.proposed, 0U);
    std::vector<token_id> ids;
    for (const auto& token : text.tokens) ids.push_back(token.id);
    return ids;
  };
  EXPECT_EQ(once(), once());
}

// The loop tells the policy what its rounds took.
TEST(cost_model, is_told_the_times_of_rounds) {
  const std::vector<token_id> prompt{0, 1};
  testing::law_model target(4, laws::hashed(4, 35));
  testing::law_model draft(4, laws::hashed(4, 36));
  specdec::model_drafter drafter(draft, cost_model<>());
  double draft_seconds = 0, target_seconds = 0, verify_seconds = 0;
  std::size_t scored = 0;
  const auto text = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 200, .seed = 4},
                                                  [&](const specdec::outcome& out) {
                                                    draft_seconds += out.times.draft;
                                                    target_seconds += out.times.target;
                                                    verify_seconds += out.times.verify;
                                                    scored += out.times.scored;
                                                  });
  EXPECT_DOUBLE_EQ(draft_seconds, text.stats.draft_seconds);
  EXPECT_DOUBLE_EQ(target_seconds, text.stats.target_seconds);
  EXPECT_DOUBLE_EQ(verify_seconds, text.stats.verify_seconds);
  EXPECT_EQ(scored, text.stats.rounds + text.stats.proposed + prompt.size() - 1);
  EXPECT_LT(drafter.policy().costs().target(1), 0.1);
}

}  // namespace
