// Races with shared noise: their law, the coupled rule under the oracle, and a text that depends on the seed alone.

#include <gtest/gtest.h>

#include <cmath>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <vector>

#include "laws.hpp"
#include "tree_drafters.hpp"

namespace {

namespace testing = specdec::testing;
using laws::probabilities;
using specdec::generate_options;
using specdec::token_id;
using tree_drafters::drawing;
using tree_drafters::tree_sampler;

constexpr double tolerance = 1e-12;
constexpr std::uint32_t seed = 5;

/// How far `counts` of `total` draws are from a law: chi-square over its cells.
double chi_square(const std::vector<double>& counts, const probabilities& law, double total) {
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    if (law[i] > 0) sum += (counts[i] - total * law[i]) * (counts[i] - total * law[i]) / (total * law[i]);
  }
  return sum;
}

// Chi-square, fixed seeds, false alarm 1e-6 each: 35.9 at 5 degrees of freedom.
TEST(race, has_the_law_of_a_proposal) {
  const std::vector<float> weights{1, 4, 0, 2, 0.5F, 2.5F};
  const std::vector<token_id> ids{0, 2, 3, 5, 7, 8};
  const specdec::philox chance(seed);
  for (const auto& q : {specdec::proposal::dense(weights), specdec::proposal::sparse(9, ids, weights)}) {
    std::vector<double> counts(6);
    constexpr std::uint32_t total = 200000;
    for (std::uint32_t position = 0; position < total; ++position) {
      const auto winner = chance.race(position, q);
      const auto at = std::find(ids.begin(), ids.end(), winner) - ids.begin();
      ++counts[q.shape() == specdec::proposal::form::dense ? static_cast<std::size_t>(winner)
                                                           : static_cast<std::size_t>(at)];
    }
    EXPECT_EQ(counts[2], 0);
    EXPECT_LT(chi_square(counts, laws::normalized({1, 4, 0, 2, 0.5, 2.5}), total), 35.9);
  }
  EXPECT_EQ(chance.race(3, specdec::proposal::point_mass(4, 2)), 2);
}

// 1499 degrees of freedom: 1768 has a false alarm of 1e-6.
TEST(race, has_the_law_of_a_row) {
  constexpr std::size_t width = 1500;
  std::vector<float> logits(width);
  probabilities law(width);
  for (std::size_t t = 0; t < width; ++t) {
    logits[t] = static_cast<float>(t * 7 % 11) * 0.25F;
    law[t] = std::exp(static_cast<double>(logits[t]) / 0.9);
  }
  law = laws::normalized(law);
  specdec::law pipeline(width, {.temperature = 0.9});
  const auto p = pipeline.of(specdec::logits_row<float>(logits.data(), width));
  const specdec::philox chance(seed, 3);
  std::vector<double> counts(width);
  constexpr std::uint32_t total = 60000;
  for (std::uint32_t position = 0; position < total; ++position) {
    ++counts[static_cast<std::size_t>(chance.race(position, p))];
  }
  EXPECT_LT(chi_square(counts, law, total), 1768);
}

TEST(race, is_the_same_for_a_row_and_a_proposal_of_one_law) {
  std::vector<float> logits(2100);
  for (std::size_t t = 0; t < logits.size(); ++t) logits[t] = static_cast<float>(t * 37 % 101) * 0.07F;
  for (const auto& params : {specdec::sampling_params{1}, specdec::sampling_params{.temperature = 0.7, .top_k = 50},
                             specdec::sampling_params{.temperature = 0}}) {
    specdec::law pipeline(logits.size(), params);
    const auto p = pipeline.of(specdec::logits_row<float>(logits.data(), logits.size()));
    std::vector<float> weights(logits.size());
    const auto q = p.propose_all(weights);
    const specdec::philox chance(seed);
    for (std::uint32_t position = 0; position < 200; ++position) {
      EXPECT_EQ(chance.race(position, p), chance.race(position, q));
      EXPECT_GT(p.probability(chance.race(position, p)), 0);
    }
  }
}

TEST(race, finds_the_least_ratio) {
  // The shortcut by upper bits against all ratios written out.
  std::vector<float> weights(3000);
  for (std::size_t t = 0; t < weights.size(); ++t) weights[t] = static_cast<float>(t * 13 % 29);
  const auto q = specdec::proposal::dense(weights);
  for (std::uint32_t position = 0; position < 100; ++position) {
    const specdec::race_noise noise(seed, 1, position);
    token_id best = -1;
    double least = std::numeric_limits<double>::infinity();
    for (std::uint32_t t = 0; t < weights.size(); ++t) {
      const double ratio = noise.of(t, noise.upper_bits(t)) / static_cast<double>(weights[t]);
      if (ratio < least) best = static_cast<token_id>(t);
      least = std::min(least, ratio);
    }
    EXPECT_EQ(q.race(noise), best);
  }
}

TEST(race, has_the_same_bits_on_every_instruction_set) {
  namespace detail = specdec::detail;
  const detail::isa before = detail::isa_in_use();
  const specdec::race_noise noise(0x123456789ABCDEF0U, 7, 12345);
  std::vector<std::uint32_t> expected(1024);
  for (std::uint32_t t = 0; t < 1024; ++t) expected[t] = noise.upper_bits(2048 + t);
  alignas(64) float weights[1024];
  for (std::size_t t = 0; t < 1024; ++t) weights[t] = t % 97 == 3 ? 1.0F : 1e-3F;
  for (const detail::isa set : detail::every_isa) {
    if (!detail::supported(set)) continue;
    detail::isa_in_use() = set;
    std::vector<std::uint32_t> words(1024);
    const float bound = 0.01F;
    const std::uint32_t chunks = detail::race_chunks_of(noise, 2048, weights, 16, bound, words.data());
    EXPECT_EQ(words, expected) << detail::to_string(set);
    std::uint32_t possible = 0;
    for (std::uint32_t t = 0; t < 1024; ++t) {
      if (expected[t] * 0x1p-32 < 0.01 * static_cast<double>(weights[t])) possible |= 1U << t / 64;
    }
    EXPECT_EQ(chunks, possible) << detail::to_string(set);
  }
  detail::isa_in_use() = before;
}

TEST(race, noise_is_exponential_down_to_its_smallest_values) {
  const specdec::race_noise noise(1, 0, 0);
  EXPECT_GT(noise.of(0, 0), 0);
  EXPECT_LT(noise.of(0, 0), 0x1p-32);
  EXPECT_GT(noise.of(7, 0xFFFFFFFF), 21);
  EXPECT_LT(noise.of(7, 0xFFFFFFFF), 37);
  // Where the series takes over from the logarithm, both agree.
  for (std::uint32_t upper = (1U << 22) - 3; upper < (1U << 22) + 3; ++upper) {
    const double v = (static_cast<double>(upper) + 0.5) * 0x1p-32;
    EXPECT_NEAR(noise.of(3, upper), -std::log1p(-v), 0x1p-32);
  }
}

// The two are so close that a product which is fused into a sum, as -mfma allows, would let the other one win.
TEST(race, has_the_same_winner_everywhere) {
  const std::vector<token_id> ids{4, 8};
  const std::vector<float> weights{0x1.a90602p-1F, 0x1.c2c548p-10F};
  EXPECT_EQ(specdec::philox(1).race(197542, specdec::proposal::sparse(64, ids, weights)), 4);
}

TEST(joint_race, has_both_laws_as_its_margins) {
  for (std::uint64_t s = 0; s < 20; ++s) {
    auto q = laws::hashed(5, s)(std::vector<token_id>{1});
    auto p = laws::hashed(5, s + 50)(std::vector<token_id>{1});
    if (s % 3 == 1) q[2] = 0;
    if (s % 3 == 2) p[1] = p[4] = 0;
    q = laws::normalized(q);
    p = laws::normalized(p);
    for (std::size_t a = 0; a < 5; ++a) {
      double row = 0;
      double column = 0;
      for (std::size_t b = 0; b < 5; ++b) {
        row += testing::joint_race_probability(q, p, a, b);
        column += testing::joint_race_probability(q, p, b, a);
      }
      EXPECT_NEAR(row, q[a], tolerance);
      EXPECT_NEAR(column, p[a], tolerance);
    }
  }
}

// 8 degrees of freedom, false alarm 1e-6: 42.7.
TEST(joint_race, is_what_happens) {
  const probabilities q{0.2, 0.3, 0.5};
  const probabilities p{0.5, 0.3, 0.2};
  const std::vector<float> q_weights(q.begin(), q.end());
  const std::vector<float> p_weights(p.begin(), p.end());
  const specdec::philox chance(seed, 9);
  std::vector<double> counts(9);
  constexpr std::uint32_t total = 300000;
  for (std::uint32_t position = 0; position < total; ++position) {
    const auto x = static_cast<std::size_t>(chance.race(position, specdec::proposal::dense(q_weights)));
    const auto y = static_cast<std::size_t>(chance.race(position, specdec::proposal::dense(p_weights)));
    ++counts[x * 3 + y];
  }
  probabilities joint;
  for (std::size_t x = 0; x < 3; ++x) {
    for (std::size_t y = 0; y < 3; ++y) joint.push_back(testing::joint_race_probability(q, p, x, y));
  }
  EXPECT_LT(chi_square(counts, joint, total), 42.7);
}

template <class Rule, class P>
testing::exactness enumerate_chain(const Rule& rule, std::size_t vocab_size, const P& p, const tree_sampler& sampler,
                                   std::size_t rounds = 1, double temperature = 1) {
  return testing::enumerate(vocab_size, {0}, p, laws::at_temperature(p, temperature), [&] { return sampler; }, rule,
                            generate_options{.sampling = {temperature}}, {rounds, sampler.branching.size() + 1});
}

TEST(coupled, is_lossless) {
  for (const std::size_t vocab_size : {2U, 3U, 4U}) {
    for (std::size_t gamma = 1; gamma <= 3; ++gamma) {
      for (const double temperature : {0.0, 0.7, 1.0}) {
        const tree_sampler sampler{laws::hashed(vocab_size, 30), std::vector<std::size_t>(gamma, 1)};
        const auto p = laws::hashed(vocab_size, 31);
        EXPECT_LT(enumerate_chain(specdec::coupled{}, vocab_size, p, sampler, 1, temperature).total_variation(),
                  tolerance);
      }
    }
  }
  // Further rounds draft anew, with the noise of the places that the last draft had reached.
  const tree_sampler sampler{laws::hashed(2, 32), {1}};
  EXPECT_LT(enumerate_chain(specdec::coupled{}, 2, laws::hashed(2, 33), sampler, 2).total_variation(), tolerance);
}

TEST(coupled, is_lossless_with_drafts_that_know_nothing_of_the_noise) {
  const tree_sampler certain{laws::hashed(3, 34), {2, 2}, drawing::fixed};
  EXPECT_LT(enumerate_chain(specdec::coupled{}, 3, laws::hashed(3, 35), certain).total_variation(), tolerance);
}

TEST(coupled, keeps_as_much_as_its_closed_form_says) {
  const auto kept = [](const probabilities& p, const probabilities& q) {
    const auto found = enumerate_chain(specdec::coupled{}, p.size(), laws::fixed(p), {laws::fixed(q), {1}});
    EXPECT_LT(found.total_variation(), tolerance);
    return found.expected_accepted;
  };
  EXPECT_NEAR(kept({0.5, 0.3, 0.2}, {2, 3, 5}), 41.0 / 65, tolerance);
  EXPECT_NEAR(kept({1.0 / 3, 2.0 / 3}, {2, 1}), 2.0 / 3, tolerance);
}

/// The rule that forgets that it looks at all of a draft: what it refuses has noise that the next round must not see.
struct blocks_with_shared_noise : specdec::block_verification {
  [[nodiscard]] static constexpr bool shares_noise() noexcept { return true; }
};

TEST(coupled, noise_does_not_suit_other_rules) {
  const tree_sampler sampler{laws::hashed(2, 36), {1, 1}};
  const auto p = laws::hashed(2, 37);
  EXPECT_LT(enumerate_chain(blocks_with_shared_noise{}, 2, p, sampler, 1).total_variation(), tolerance);
  EXPECT_GT(enumerate_chain(blocks_with_shared_noise{}, 2, p, sampler, 2).total_variation(), 1e-4);
  EXPECT_LT(enumerate_chain(specdec::block_verification{}, 2, p, sampler, 2).total_variation(), tolerance);
}

template <class Draft>
std::vector<token_id> coupled_text(Draft&& drafter, const specdec::sampling_params& params) {
  testing::law_model target(7, laws::hashed(7, 38, 0.7));
  specdec::session text(7, generate_options{.max_tokens = 150, .sampling = params, .seed = 11}, specdec::coupled{});
  text.begin(std::vector<token_id>{0, 1});
  specdec::speculative_generate(text, target, drafter);
  return {text.tokens().begin(), text.tokens().end()};
}

TEST(coupled, text_depends_on_the_seed_alone) {
  for (const auto& params :
       {specdec::sampling_params{1}, specdec::sampling_params{.temperature = 0.8, .top_k = 5},
        specdec::sampling_params{.temperature = 1.2, .repetition_penalty = 1.3}, specdec::sampling_params{0}}) {
    const auto expected = coupled_text(specdec::no_draft{}, params);
    EXPECT_EQ(expected.size(), 152U);
    for (std::size_t gamma = 1; gamma <= 8; ++gamma) {
      EXPECT_EQ(coupled_text(laws::drafter_over(7, laws::hashed(7, 39), gamma, {}), params), expected);
    }
    for (const drawing mode : {drawing::distinctly, drawing::independently, drawing::fixed}) {
      EXPECT_EQ(coupled_text(tree_sampler{laws::hashed(7, 40), {2, 2, 1}, mode}, params), expected);
    }
    EXPECT_EQ(coupled_text(specdec::prompt_lookup{}, params), expected);
  }
}

TEST(coupled, drafts_that_are_like_the_target_are_kept) {
  const auto p = laws::hashed(7, 38, 0.7);
  testing::law_model target(7, p);
  testing::law_model model(7, p);
  specdec::session text(7, generate_options{.max_tokens = 300, .seed = 2}, specdec::coupled{});
  text.begin(std::vector<token_id>{0});
  specdec::model_drafter drafter(model, specdec::constant{4}, {.top = 0});
  specdec::speculative_generate(text, target, drafter);
  EXPECT_EQ(text.stats().accepted, text.stats().evaluated);
  // The same through a rule that is chosen at run time.
  using any = specdec::any_verifier<specdec::logits_view<double>>;
  specdec::session other(7, generate_options{.max_tokens = 300, .seed = 2}, any(specdec::coupled{}));
  other.begin(std::vector<token_id>{0});
  specdec::speculative_generate(other, target, drafter);
  EXPECT_TRUE(std::equal(text.tokens().begin(), text.tokens().end(), other.tokens().begin(), other.tokens().end()));
}

}  // namespace
