// Wrong rules, written out: each is a mistake somebody made. The oracle must catch every one, or it proves nothing
// about the right ones.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>

#include "chain_rule.hpp"
#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using chain_rules::chain_rule;
using chain_rules::emitted_by;
using chain_rules::first_token;
using chain_rules::fixed_drafter;
using laws::probabilities;
using specdec::generate_options;
using specdec::purpose;

const probabilities p3{0.5, 0.3, 0.2};
const std::vector<float> q3{2, 3, 5};

TEST(mutants, the_unchanged_rule_survives) {
  EXPECT_LT(emitted_by({}, p3, q3, 2).total_variation(), 1e-12);
  EXPECT_LT(emitted_by({}, p3, q3, 3, 0.7).total_variation(), 1e-12);
}

TEST(mutants, replacement_from_p) {
  chain_rule mutant;
  mutant.replacement = [](const auto& p, const auto&, const auto&) { return p; };
  // On p = (1/3, 2/3), q = (2/3, 1/3), gamma = 2 the total variation is 1/9.
  EXPECT_NEAR(emitted_by(mutant, {1.0 / 3, 2.0 / 3}, {2, 1}, 2).total_variation(), 1.0 / 9, 1e-12);
}

TEST(mutants, replacement_from_the_absolute_difference) {
  chain_rule mutant;
  mutant.replacement = [](probabilities p, const auto& q, const auto&) {
    for (std::size_t i = 0; i < p.size(); ++i) p[i] = std::abs(p[i] - q[i]);
    return p;
  };
  EXPECT_GT(emitted_by(mutant, p3, q3, 2).total_variation(), 0.01);
}

// llama.cpp v0.5.0, examples/speculative: the drafted token is the argmax, but it is tested with its softmax q.
TEST(mutants, argmax_draft_tested_with_its_softmax) {
  chain_rule mutant;
  mutant.believed_q = {0.6, 0.4};
  const auto found = emitted_by(mutant, {0.5, 0.5}, {1, 0}, 1);
  EXPECT_NEAR(first_token(found, 0, 2), 5.0 / 6, 1e-12);
}

// llama.cpp v0.5.0, examples/speculative: p and q are subtracted by rank in their truncated lists, not by token.
TEST(mutants, residual_subtracted_by_rank) {
  chain_rule mutant;
  mutant.replacement = [](const probabilities& p, const probabilities& q, const auto&) {
    probabilities shares;
    for (const double x : q) {
      if (x > 0) shares.push_back(x);
    }
    probabilities left(p.size(), 0.0);
    std::size_t rank = 0;
    for (std::size_t t = 0; t < p.size(); ++t) {
      if (!(p[t] > 0)) continue;
      left[t] = std::max(0.0, p[t] - (rank < shares.size() ? shares[rank] : 0.0));
      ++rank;
    }
    return left;
  };
  // Support {0, 2, 3} against {1, 2}.
  EXPECT_GT(emitted_by(mutant, {0.5, 0, 0.3, 0.2}, {0, 6, 4, 0}, 1).total_variation(), 0.1);
}

// openvino.genai (August 2026): the ratio is upside down ...
TEST(mutants, inverted_ratio) {
  chain_rule mutant;
  mutant.acceptance = [](const auto& p, const auto& q, std::size_t x) {
    return p[x] > 0 ? std::min(1.0, q[x] / p[x]) : 1.0;
  };
  EXPECT_GT(emitted_by(mutant, {0.5, 0.5}, {9, 1}, 1).total_variation(), 0.1);
}

// ... and the replacement comes from the row behind the refused token.
TEST(mutants, replacement_from_the_next_row) {
  chain_rule mutant;
  mutant.replacement = [](const auto&, const auto&, const auto& later) { return later; };
  const auto p = laws::hashed(3, 1);
  const auto found = testing::enumerate(3, {0}, p, p,
                                        [&] {
                                          return fixed_drafter{q3, 2};
                                        },
                                        mutant, generate_options{}, {1, 3});
  EXPECT_GT(found.total_variation(), 0.01);
}

// transformers #47932, MLC: the draft samples from its top tokens, the rule tests the law before truncation.
// q = (.5, .3, .2) cut to its top 2, p = (.4, .4, .2): (1/2, 1/2, 0) comes out, total variation 1/5.
TEST(mutants, q_before_truncation) {
  chain_rule mutant;
  mutant.believed_q = {0.5, 0.3, 0.2};
  const auto found = emitted_by(mutant, {0.4, 0.4, 0.2}, {5, 3, 0}, 1);
  EXPECT_NEAR(first_token(found, 0, 3), 0.5, 1e-12);
  EXPECT_NEAR(first_token(found, 1, 3), 0.5, 1e-12);
  EXPECT_NEAR(first_token(found, 2, 3), 0.0, 1e-12);
}

// MLC: r < p / (q + 1e-5).
TEST(mutants, padded_denominator) {
  chain_rule mutant;
  mutant.acceptance = [](const auto& p, const auto& q, std::size_t x) { return std::min(1.0, p[x] / (q[x] + 1e-5)); };
  EXPECT_GT(emitted_by(mutant, p3, q3, 1).total_variation(), 1e-7);
}

TEST(mutants, every_token_accepted_that_is_possible) {
  chain_rule mutant;
  mutant.acceptance = [](const auto& p, const auto&, std::size_t x) { return p[x] > 0 ? 1.0 : 0.0; };
  EXPECT_GT(emitted_by(mutant, p3, q3, 1).total_variation(), 0.1);
}

// Spec-Bench's EAGLE-1: the bonus token is drawn from unprocessed logits.
TEST(mutants, bonus_ignores_the_temperature) {
  chain_rule mutant;
  mutant.bonus = [](const auto&) { return p3; };
  EXPECT_LT(emitted_by(mutant, p3, q3, 2, 1).total_variation(), 1e-12);
  EXPECT_GT(emitted_by(mutant, p3, q3, 2, 0.5).total_variation(), 0.01);
}

// OpenVINO, ORT-GenAI, SGLang: a draft token of q = 0 counts as accepted. Here q believes in another token.
TEST(mutants, a_token_of_no_probability_is_accepted) {
  chain_rule mutant;
  mutant.believed_q = {0, 0.4, 0.6};
  EXPECT_GT(emitted_by(mutant, p3, q3, 1).total_variation(), 0.01);
}

// vLLM #47386: the replacement is drawn with the noise that drew the draft token.
TEST(mutants, noise_of_the_draft_reused) {
  chain_rule mutant;
  mutant.replacement_key = [](const auto& d, std::size_t depth) { return d.key_of(depth, purpose::draft); };
  EXPECT_THROW(emitted_by(mutant, p3, q3, 1), std::logic_error);
}

// feifeibear's random_seed: every position is tested with the same number.
TEST(mutants, one_number_for_all_positions) {
  chain_rule mutant;
  mutant.acceptance_key = [](const auto& d, std::size_t) { return d.key_of(1, purpose::accept); };
  EXPECT_THROW(emitted_by(mutant, p3, q3, 2), std::logic_error);
}

/// Drops a drafted token if it is an unlikely one: a decision that looks at the sampled value.
struct peeking_drafter {
  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    const auto q = specdec::proposal::dense(q3);
    answer.extend(specdec::root, q, chance);
    if (q.probability(answer.token(1)) < 0.4) answer.begin(request);
  }
};

TEST(mutants, dropping_unlikely_draws) {
  const auto p = laws::fixed(p3);
  const auto found = testing::enumerate(3, {0}, p, p, [] { return peeking_drafter{}; }, specdec::rejection{},
                                        generate_options{}, {1, 2});
  EXPECT_GT(found.total_variation(), 0.05);
}

}  // namespace
