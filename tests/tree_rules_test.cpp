// The rules for blocks and trees under the exactness oracle, and their published numbers.

#include <gtest/gtest.h>

#include <map>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <tuple>
#include <vector>

#include "laws.hpp"
#include "tree_drafters.hpp"

namespace {

namespace testing = specdec::testing;
using laws::probabilities;
using specdec::generate_options;
using specdec::node_id;
using specdec::token_id;
using tree_drafters::drawing;
using tree_drafters::merged_paths;
using tree_drafters::tree_sampler;

constexpr double tolerance = 1e-12;

template <class Rule, class P>
testing::exactness enumerate_tree(const Rule& rule, std::size_t vocab_size, const P& p, const tree_sampler& sampler,
                                  double temperature = 1, std::size_t rounds = 1) {
  return testing::enumerate(vocab_size, {0, 1}, p, laws::at_temperature(p, temperature), [&] { return sampler; }, rule,
                            generate_options{.sampling = {temperature}}, {rounds, sampler.branching.size() + 1});
}

/// Expected number of accepted tokens where p and q are the same everywhere; checks that nothing is lost on the way.
template <class Rule>
double accepted(const Rule& rule, const probabilities& p, const probabilities& q, std::vector<std::size_t> branching,
                drawing mode = drawing::distinctly) {
  const auto found = enumerate_tree(rule, p.size(), laws::fixed(p), {laws::fixed(q), std::move(branching), mode});
  EXPECT_LT(found.total_variation(), tolerance);
  return found.expected_accepted;
}

std::vector<std::size_t> chain(std::size_t gamma) { return std::vector<std::size_t>(gamma, 1); }

const probabilities toy_p{1.0 / 3, 2.0 / 3};
const probabilities toy_q{2, 1};
const probabilities p3{0.5, 0.3, 0.2};
const probabilities q3{2, 3, 5};

template <class Rule>
class tree_rules : public ::testing::Test {};
using every_rule = ::testing::Types<specdec::block_verification, specdec::naive_sampling, specdec::recursive_rejection,
                                    specdec::k_seq, specdec::traversal, specdec::rejection>;
TYPED_TEST_SUITE(tree_rules, every_rule);

TYPED_TEST(tree_rules, are_lossless_on_chains) {
  for (const std::size_t vocab_size : {2U, 3U}) {
    for (std::size_t gamma = 1; gamma <= 4; ++gamma) {
      for (const std::uint64_t seed : {1U, 2U, 3U}) {
        for (const bool dense : {true, false}) {
          const tree_sampler sampler{laws::hashed(vocab_size, seed + 40), chain(gamma), drawing::distinctly, dense};
          const auto found = enumerate_tree(TypeParam{}, vocab_size, laws::hashed(vocab_size, seed), sampler);
          EXPECT_LT(found.total_variation(), tolerance) << vocab_size << ' ' << gamma << ' ' << seed;
        }
      }
    }
  }
}

TYPED_TEST(tree_rules, are_lossless_on_trees) {
  const std::vector<std::vector<std::size_t>> shapes{{2}, {3}, {2, 1}, {1, 2}, {2, 2}, {3, 1}, {1, 1, 2}};
  for (const auto& shape : shapes) {
    for (const drawing mode : {drawing::independently, drawing::distinctly, drawing::by_turns, drawing::fixed}) {
      for (const bool dense : {true, false}) {
        const tree_sampler sampler{laws::hashed(3, 61), shape, mode, dense};
        const auto found = enumerate_tree(TypeParam{}, 3, laws::hashed(3, 60), sampler);
        EXPECT_LT(found.total_variation(), tolerance) << shape.size() << ' ' << shape[0] << ' ' << int(mode);
      }
    }
  }
}

TYPED_TEST(tree_rules, are_lossless_where_some_siblings_are_draws_of_one_law_and_one_is_of_another) {
  const std::vector<std::vector<std::size_t>> shapes{{1}, {2}, {3}, {1, 1}};
  for (const auto& shape : shapes) {
    for (const drawing mode : {drawing::and_extended, drawing::and_independently_again}) {
      const tree_sampler sampler{laws::hashed(3, 61), shape, mode};
      EXPECT_LT(enumerate_tree(TypeParam{}, 3, laws::hashed(3, 60), sampler).total_variation(), tolerance)
          << shape.size() << ' ' << shape[0] << ' ' << int(mode);
    }
  }
}

TYPED_TEST(tree_rules, are_lossless_where_laws_have_holes) {
  const auto even = laws::without_parity(laws::hashed(4, 62), 1);
  const auto odd = laws::without_parity(laws::hashed(4, 63), 0);
  for (const drawing mode : {drawing::independently, drawing::distinctly, drawing::fixed}) {
    for (const bool dense : {true, false}) {
      EXPECT_LT(enumerate_tree(TypeParam{}, 4, even, {odd, {2, 1}, mode, dense}).total_variation(), tolerance);
      EXPECT_LT(enumerate_tree(TypeParam{}, 4, even, {laws::hashed(4, 64), {2, 1}, mode, dense}).total_variation(),
                tolerance);
      EXPECT_LT(enumerate_tree(TypeParam{}, 4, laws::hashed(4, 65), {even, {2, 1}, mode, dense}).total_variation(),
                tolerance);
      EXPECT_LT(enumerate_tree(TypeParam{}, 4, even, {even, {2, 1}, mode, dense}).total_variation(), tolerance);
    }
  }
}

TYPED_TEST(tree_rules, are_lossless_at_any_temperature) {
  for (const double temperature : {0.0, 0.6, 1.7}) {
    for (const drawing mode : {drawing::independently, drawing::distinctly, drawing::fixed}) {
      const tree_sampler sampler{laws::hashed(3, 66), {2, 2}, mode, true};
      const auto found = enumerate_tree(TypeParam{}, 3, laws::hashed(3, 67), sampler, temperature);
      EXPECT_LT(found.total_variation(), tolerance) << temperature;
    }
  }
}

TYPED_TEST(tree_rules, share_no_noise_between_rounds) {
  const tree_sampler sampler{laws::hashed(2, 68), {2, 1}, drawing::independently, true};
  EXPECT_LT(enumerate_tree(TypeParam{}, 2, laws::hashed(2, 69), sampler, 1, 3).total_variation(), tolerance);
}

TYPED_TEST(tree_rules, report_an_unusable_row_that_the_text_gets_to) {
  // Behind token 1 there is no law.
  const auto p = [](laws::text_view text) {
    return text.back() == 1 && text.size() > 1 ? probabilities{0, 0} : probabilities{0.75, 0.25};
  };
  testing::outcome_tree outcomes;
  double failed = 0;
  do {
    specdec::session text(2, generate_options{}, TypeParam{}, testing::enumerating_chance(outcomes));
    testing::law_model target(2, p);
    const tree_sampler sampler{laws::fixed({1, 1}), {2, 1}, drawing::distinctly, true};
    specdec::draft drafted;
    text.begin(std::vector<token_id>{0});
    const auto request = text.request();
    drafted.begin(request);
    sampler.propose(request, text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    const auto judged = text.verify(specdec::score(target, plan));
    if (judged.fault == specdec::row_fault::none) target.keep(text.kept_path());
    const auto out = text.commit(judged);
    if (out.status == specdec::session_status::failed) {
      failed += outcomes.weight();
      EXPECT_EQ(judged.fault, specdec::row_fault::all_negative_infinity);
      EXPECT_TRUE(text.generated().empty());
      EXPECT_TRUE(text.kept_path().empty());
    }
  } while (outcomes.next());
  EXPECT_LE(failed, 1.0);
  EXPECT_GT(failed, 0.0);
}

// Reference numbers: the expected number of accepted tokens, from exact fractions.
TEST(block_verification, keeps_as_much_as_published) {
  const double expected[] = {2.0 / 3, 11.0 / 9, 5.0 / 3, 166.0 / 81, 64.0 / 27};
  for (std::size_t gamma = 1; gamma <= 5; ++gamma) {
    EXPECT_NEAR(accepted(specdec::block_verification{}, toy_p, toy_q, chain(gamma)), expected[gamma - 1], tolerance);
    EXPECT_NEAR(accepted(specdec::traversal{}, toy_p, toy_q, chain(gamma)), expected[gamma - 1], tolerance);
  }
  EXPECT_NEAR(accepted(specdec::rejection{}, toy_p, toy_q, chain(2)), 10.0 / 9, tolerance);
  EXPECT_NEAR(accepted(specdec::block_verification{}, p3, q3, chain(2)), 1.25, tolerance);
  EXPECT_NEAR(accepted(specdec::block_verification{}, p3, q3, chain(3)), 1.695, tolerance);
  EXPECT_NEAR(accepted(specdec::block_verification{}, p3, q3, chain(4)), 2.0635, tolerance);
  EXPECT_NEAR(accepted(specdec::rejection{}, p3, q3, chain(2)), 1.19, tolerance);
  EXPECT_NEAR(accepted(specdec::rejection{}, p3, q3, chain(3)), 1.533, tolerance);
  EXPECT_NEAR(accepted(specdec::rejection{}, p3, q3, chain(4)), 1.7731, tolerance);
}

/// The law of what one round emits: texts with their probabilities.
template <class Rule>
std::map<std::vector<token_id>, double> atoms(const Rule& rule, const probabilities& p, const tree_sampler& sampler) {
  std::map<std::vector<token_id>, double> found;
  testing::outcome_tree outcomes;
  do {
    specdec::session text(p.size(), generate_options{}, rule, testing::enumerating_chance(outcomes));
    testing::law_model target(p.size(), laws::fixed(p));
    specdec::draft drafted;
    text.begin(std::vector<token_id>{0});
    const auto request = text.request();
    drafted.begin(request);
    sampler.propose(request, text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    (void)text.commit(text.verify(specdec::score(target, plan)));
    found[{text.generated().begin(), text.generated().end()}] += outcomes.weight();
  } while (outcomes.next());
  return found;
}

TEST(block_verification, emits_the_published_atoms) {
  const std::map<std::vector<token_id>, double> expected{
      {{1}, 1.0 / 3},        {{1, 1}, 1.0 / 9},     {{0, 0, 1}, 2.0 / 27}, {{0, 1, 0}, 2.0 / 27},
      {{1, 0, 1}, 2.0 / 27}, {{0, 1, 1}, 4.0 / 27}, {{0, 0, 0}, 1.0 / 27}, {{1, 0, 0}, 1.0 / 27},
      {{1, 1, 0}, 1.0 / 27}, {{1, 1, 1}, 2.0 / 27}};
  const auto found = atoms(specdec::block_verification{}, toy_p, {laws::fixed(toy_q), chain(2)});
  for (const auto& [text, probability] : found) {
    const auto at = expected.find(text);
    EXPECT_NEAR(probability, at == expected.end() ? 0 : at->second, tolerance);
  }
  EXPECT_GE(found.size(), expected.size());
}

TEST(block_verification, is_rejection_on_point_masses) {
  const tree_sampler certain{laws::hashed(3, 70), chain(3), drawing::fixed};
  const auto p = laws::hashed(3, 71);
  EXPECT_NEAR(enumerate_tree(specdec::block_verification{}, 3, p, certain).expected_accepted,
              enumerate_tree(specdec::rejection{}, 3, p, certain).expected_accepted, tolerance);
}

TEST(block_verification, never_keeps_less_than_rejection) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const tree_sampler sampler{laws::hashed(3, seed), chain(3)};
    const auto p = laws::hashed(3, seed + 100);
    EXPECT_GE(enumerate_tree(specdec::block_verification{}, 3, p, sampler).expected_accepted,
              enumerate_tree(specdec::rejection{}, 3, p, sampler).expected_accepted - tolerance);
  }
}

TEST(siblings, are_kept_as_often_as_published) {
  using specdec::k_seq;
  using specdec::naive_sampling;
  using specdec::recursive_rejection;
  const auto iid = drawing::independently;
  const auto distinct = drawing::distinctly;
  EXPECT_NEAR(accepted(recursive_rejection{}, p3, q3, {2}, iid), 0.76, tolerance);
  EXPECT_NEAR(accepted(recursive_rejection{}, p3, q3, {3}, iid), 0.808, tolerance);
  EXPECT_NEAR(accepted(recursive_rejection{}, p3, q3, {2}, distinct), 0.82, tolerance);
  EXPECT_NEAR(accepted(recursive_rejection{}, p3, q3, {3}, distinct), 1, tolerance);
  EXPECT_NEAR(accepted(k_seq{}, p3, q3, {2}, iid), 0.7914, 5e-5);
  EXPECT_NEAR(accepted(k_seq{}, p3, q3, {3}, iid), 0.8585, 5e-5);
  EXPECT_NEAR(accepted(naive_sampling{}, p3, q3, {2}, iid), 0.483, tolerance);
  EXPECT_NEAR(accepted(naive_sampling{}, p3, q3, {3}, iid), 0.6161, tolerance);
  EXPECT_NEAR(accepted(recursive_rejection{}, toy_p, toy_q, {2}, iid), 7.0 / 9, tolerance);
  EXPECT_NEAR(accepted(recursive_rejection{}, toy_p, toy_q, {2}, distinct), 1, tolerance);
  EXPECT_NEAR(accepted(k_seq{}, toy_p, toy_q, {2}, iid), 0.81142, 5e-6);
  EXPECT_NEAR(accepted(naive_sampling{}, toy_p, toy_q, {2}, iid), 2.0 / 3, tolerance);
  for (const auto& [p, q] : {std::pair{p3, q3}, std::pair{toy_p, toy_q}}) {
    const double alone = accepted(recursive_rejection{}, p, q, {1}, iid);
    EXPECT_NEAR(accepted(k_seq{}, p, q, {1}, iid), alone, tolerance);
    EXPECT_NEAR(accepted(specdec::rejection{}, p, q, {1}, iid), alone, tolerance);
  }
}

/// The top two of q = (.2, .3, .5).
struct top_two {
  [[maybe_unused]] static constexpr bool drafts_trees = true;
  void propose(const specdec::draft_request&, auto& chance, specdec::draft& answer) const {
    answer.extend(specdec::root, specdec::proposal::point_mass(3, 2), chance);
    answer.extend(specdec::root, specdec::proposal::point_mass(3, 1), chance);
  }
};

TEST(siblings, that_are_fixed_are_kept_with_their_own_probability) {
  const auto kept = [](const auto& rule) {
    const auto found = testing::enumerate(3, {0}, laws::fixed(p3), laws::fixed(p3), [] { return top_two{}; }, rule,
                                          generate_options{}, {1, 2});
    EXPECT_LT(found.total_variation(), tolerance);
    return found.expected_accepted;
  };
  EXPECT_NEAR(kept(specdec::naive_sampling{}), 0.5, tolerance);
  EXPECT_NEAR(kept(specdec::recursive_rejection{}), 0.5, tolerance);
  EXPECT_NEAR(kept(specdec::traversal{}), 0.5, tolerance);
  EXPECT_NEAR(kept(specdec::k_seq{}), 0.5, tolerance);
}

TEST(k_seq, finds_the_least_rho) {
  const std::vector<float> q{2, 3, 5};
  const laws::table p{p3};
  const auto two = specdec::plan_k_seq(p, specdec::proposal::dense(q), 2);
  const auto three = specdec::plan_k_seq(p, specdec::proposal::dense(q), 3);
  EXPECT_NEAR(two.rho, 1.45678, 5e-6);
  EXPECT_NEAR(three.rho, 1.79259, 5e-6);
  for (const auto& plan : {two, three}) {
    EXPECT_NEAR(plan.factor, plan.rho, tolerance);
    EXPECT_LE(plan.factor, plan.rho);
  }
  EXPECT_EQ(specdec::plan_k_seq(p, specdec::proposal::dense(q), 1).rho, 1);
  const auto certain = specdec::plan_k_seq(laws::table{{0, 1}}, specdec::proposal::point_mass(2, 0), 3);
  EXPECT_EQ(certain.factor, 0);
}

template <class Rule>
double accepted_of_merged(const Rule& rule, std::size_t count) {
  const auto found = testing::enumerate(2, {0}, laws::fixed(toy_p), laws::fixed(toy_p),
                                        [&] {
                                          return merged_paths{{2, 1}, 2, count};
                                        },
                                        rule, generate_options{}, {1, 3});
  EXPECT_LT(found.total_variation(), tolerance);
  return found.expected_accepted;
}

TEST(traversal, keeps_as_much_of_merged_paths_as_published) {
  EXPECT_NEAR(accepted_of_merged(specdec::traversal{}, 1), 11.0 / 9, tolerance);
  EXPECT_NEAR(accepted_of_merged(specdec::traversal{}, 2), 115.0 / 81, tolerance);
  EXPECT_NEAR(accepted_of_merged(specdec::traversal{}, 3), 1136.0 / 729, tolerance);
  EXPECT_NEAR(accepted_of_merged(specdec::recursive_rejection{}, 1), 10.0 / 9, tolerance);
  EXPECT_NEAR(accepted_of_merged(specdec::recursive_rejection{}, 2), 4.0 / 3, tolerance);
  EXPECT_NEAR(accepted_of_merged(specdec::recursive_rejection{}, 3), 1087.0 / 729, tolerance);
}

TEST(fixed_trees, are_worth_the_probability_of_their_nodes) {
  // E[accepted] is the sum of the target's probabilities of all nodes, for any rule that loses nothing on point masses.
  const auto p = laws::hashed(3, 72);
  const tree_sampler sampler{laws::hashed(3, 73), {2, 2}, drawing::fixed};
  const std::vector<token_id> prompt{0, 1};
  double expected = 0;
  for (const token_id a : {0, 1}) {
    const std::vector<token_id> behind{0, 1, a};
    const double first = p(prompt)[static_cast<std::size_t>(a)];
    expected += first * (1 + p(behind)[0] + p(behind)[1]);
  }
  EXPECT_NEAR(enumerate_tree(specdec::naive_sampling{}, 3, p, sampler).expected_accepted, expected, tolerance);
  EXPECT_NEAR(enumerate_tree(specdec::recursive_rejection{}, 3, p, sampler).expected_accepted, expected, tolerance);
  EXPECT_NEAR(enumerate_tree(specdec::traversal{}, 3, p, sampler).expected_accepted, expected, tolerance);
}

TEST(recursive_rejection, is_rejection_on_a_chain_bit_for_bit) {
  testing::law_model target(5, laws::hashed(5, 80));
  testing::law_model model(5, laws::hashed(5, 81));
  const auto text_of = [&](const auto& rule) {
    specdec::session text(5, generate_options{.max_tokens = 200, .seed = 9}, rule);
    text.begin(std::vector<token_id>{0});
    target.truncate(0);
    model.truncate(0);
    specdec::model_drafter drafter(model, specdec::constant{3});
    specdec::speculative_generate(text, target, drafter);
    return std::vector<token_id>(text.tokens().begin(), text.tokens().end());
  };
  EXPECT_EQ(text_of(specdec::recursive_rejection{}), text_of(specdec::rejection{}));
}

}  // namespace
