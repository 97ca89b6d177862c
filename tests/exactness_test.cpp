#include <gtest/gtest.h>

#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <tuple>
#include <vector>

#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using laws::text_view;
using specdec::generate_options;
using specdec::token_id;

constexpr double tolerance = 1e-12;
const std::vector<token_id> prompt{0, 1};

template <class P, class Q>
testing::exactness enumerate_model(std::size_t vocab_size, P p, Q q, std::size_t gamma, std::size_t top,
                                   double temperature = 1, double draft_temperature = 1, std::size_t rounds = 1,
                                   std::size_t length = 0) {
  const specdec::model_drafter_options options{specdec::sampling_params{draft_temperature}, top};
  return testing::enumerate(vocab_size, prompt, p, laws::at_temperature(p, temperature),
                            [&] { return laws::drafter_over(vocab_size, q, gamma, options); }, specdec::rejection{},
                            generate_options{.sampling = {temperature}}, {rounds, length == 0 ? gamma + 1 : length});
}

class every_vocabulary_and_gamma : public ::testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {};

INSTANTIATE_TEST_SUITE_P(exactness, every_vocabulary_and_gamma,
                         ::testing::Combine(::testing::Values(2, 3, 4, 5), ::testing::Values(1, 2, 3, 4)));

TEST_P(every_vocabulary_and_gamma, dense_drafts_are_lossless) {
  const auto [vocab_size, gamma] = GetParam();
  for (const std::uint64_t seed : {1U, 2U}) {
    const auto found =
        enumerate_model(vocab_size, laws::hashed(vocab_size, seed), laws::hashed(vocab_size, seed + 9), gamma, 0);
    EXPECT_LT(found.total_variation(), tolerance);
    EXPECT_GT(found.runs, 1U);
  }
}

TEST_P(every_vocabulary_and_gamma, sparse_drafts_are_lossless) {
  const auto [vocab_size, gamma] = GetParam();
  for (std::size_t top = 1; top < vocab_size; ++top) {
    const auto found =
        enumerate_model(vocab_size, laws::hashed(vocab_size, 3), laws::hashed(vocab_size, 4), gamma, top);
    EXPECT_LT(found.total_variation(), tolerance) << "top " << top;
  }
}

TEST_P(every_vocabulary_and_gamma, point_mass_drafts_are_lossless) {
  // Not a structured binding: Clang before 16 does not let lambdas capture those.
  const std::size_t vocab_size = std::get<0>(GetParam());
  const std::size_t gamma = std::get<1>(GetParam());
  const auto p = laws::hashed(vocab_size, 5);
  const auto choose = [=](text_view text) {
    return static_cast<token_id>((static_cast<std::size_t>(text.back()) * 3 + text.size()) % vocab_size);
  };
  const auto found = testing::enumerate(vocab_size, prompt, p, p,
                                        [&] {
                                          return laws::point_drafter<decltype(choose)>{vocab_size, gamma, choose};
                                        },
                                        specdec::rejection{}, generate_options{}, {1, gamma + 1});
  EXPECT_LT(found.total_variation(), tolerance);
}

TEST_P(every_vocabulary_and_gamma, a_draft_that_equals_the_target_is_always_accepted) {
  const auto [vocab_size, gamma] = GetParam();
  // Laws of quarters, so that their float copies are equal and not merely close.
  laws::probabilities quarters(vocab_size, 0.0);
  quarters[0] = 0.75;
  quarters[vocab_size - 1] = 0.25;
  const auto found = enumerate_model(vocab_size, laws::fixed(quarters), laws::fixed(quarters), gamma, 0);
  EXPECT_LT(found.total_variation(), tolerance);
  EXPECT_NEAR(found.expected_accepted, static_cast<double>(gamma), 1e-7 * static_cast<double>(gamma));
}

TEST_P(every_vocabulary_and_gamma, disjoint_supports_are_lossless_and_never_accepted) {
  const auto [vocab_size, gamma] = GetParam();
  const auto p = laws::without_parity(laws::hashed(vocab_size, 6), 0);
  const auto q = laws::without_parity(laws::hashed(vocab_size, 7), 1);
  const auto found = enumerate_model(vocab_size, p, q, gamma, 0);
  EXPECT_LT(found.total_variation(), tolerance);
  EXPECT_EQ(found.expected_accepted, 0);
}

TEST_P(every_vocabulary_and_gamma, temperatures_of_target_and_draft_may_differ) {
  const auto [vocab_size, gamma] = GetParam();
  for (const double temperature : {0.0, 0.6, 1.7}) {
    for (const double draft_temperature : {0.0, 0.8}) {
      const auto found = enumerate_model(vocab_size, laws::hashed(vocab_size, 8), laws::hashed(vocab_size, 9), gamma,
                                         64, temperature, draft_temperature);
      EXPECT_LT(found.total_variation(), tolerance) << temperature << " and " << draft_temperature;
    }
  }
}

TEST(exactness, several_rounds_share_no_noise) {
  for (const std::size_t gamma : {1U, 2U}) {
    const auto found = enumerate_model(2, laws::hashed(2, 10), laws::hashed(2, 11), gamma, 0, 1, 1, 4, 4);
    EXPECT_LT(found.total_variation(), tolerance);
  }
  EXPECT_LT(enumerate_model(3, laws::hashed(3, 12), laws::hashed(3, 13), 2, 2, 0.7, 1, 3, 4).total_variation(),
            tolerance);
}

TEST(exactness, a_target_that_drafts_for_itself_is_lossless) {
  // One model on both sides: the draft's calls and the target's disturb the same context.
  const auto p = laws::hashed(3, 14);
  testing::law_model shared(3, p);
  const generate_options options{.max_tokens = 40, .seed = 3};
  const auto alone = specdec::autoregressive_generate(shared, prompt, {.max_tokens = 40, .sampling = {0}});
  const auto itself = specdec::speculative_generate(shared, shared, prompt, {.max_tokens = 40, .sampling = {0}});
  ASSERT_EQ(alone.tokens.size(), itself.tokens.size());
  for (std::size_t i = 0; i < alone.tokens.size(); ++i) EXPECT_EQ(alone.tokens[i].id, itself.tokens[i].id);
  EXPECT_EQ(itself.stats.accepted, itself.stats.evaluated);
  const auto sampled = specdec::speculative_generate(shared, shared, prompt, options);
  EXPECT_EQ(sampled.tokens.size(), 40U);
}

TEST(exactness, greedy_rule_emits_the_greedy_text) {
  const auto p = laws::hashed(4, 15);
  const auto q = laws::hashed(4, 16);
  const auto found = testing::enumerate(4, prompt, p, laws::at_temperature(p, 0),
                                        [&] { return laws::drafter_over(4, q, 3, {.top = 0}); }, specdec::greedy{},
                                        generate_options{}, {1, 4});
  EXPECT_LT(found.total_variation(), tolerance);
}

// Closed forms of algorithms: the toy pair p = (1/3, 2/3), q = (2/3, 1/3) has alpha = 2/3, so the expected number of
// accepted tokens is Leviathan's equation 1 less one: 10/9 at gamma 2, 38/27 at 3, 130/81 at 4, 422/243 at 5.
TEST(exactness, expected_acceptance_has_its_closed_form) {
  const auto p = laws::fixed({1.0 / 3, 2.0 / 3});
  const auto q = laws::fixed({2.0 / 3, 1.0 / 3});
  const double expected[] = {2.0 / 3, 10.0 / 9, 38.0 / 27, 130.0 / 81, 422.0 / 243};
  for (std::size_t gamma = 1; gamma <= 5; ++gamma) {
    const auto found = enumerate_model(2, p, q, gamma, 0);
    // q is stored in float; its own rounding moves alpha by 2e-8.
    EXPECT_NEAR(found.expected_accepted, expected[gamma - 1], 1e-6);
    EXPECT_NEAR(specdec::theory::expected_tokens(2.0 / 3, gamma) - 1, expected[gamma - 1], 1e-12);
  }
}

/// Drafts from (3, 5, 8) / 16.
struct sixteenths {
  std::size_t gamma;
  template <class Chance>
  void propose(const specdec::draft_request&, Chance& chance, specdec::draft& answer) {
    constexpr float weights[] = {3, 5, 8};
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < gamma; ++i) tip = answer.extend(tip, specdec::proposal::dense(weights), chance);
  }
};

TEST(exactness, expected_acceptance_of_exact_floats_is_exact) {
  // Laws of sixteenths are exact in float: sum min(p, q) = 11/16.
  const auto p = laws::fixed({8.0 / 16, 5.0 / 16, 3.0 / 16});
  const double alpha = 11.0 / 16;
  for (std::size_t gamma = 1; gamma <= 4; ++gamma) {
    const auto found = testing::enumerate(3, prompt, p, p, [&] { return sixteenths{gamma}; }, specdec::rejection{},
                                          generate_options{}, {1, gamma + 1});
    EXPECT_LT(found.total_variation(), tolerance);
    EXPECT_NEAR(found.expected_accepted, specdec::theory::expected_tokens(alpha, gamma) - 1, tolerance);
  }
}

}  // namespace
