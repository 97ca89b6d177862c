// The same seeds give the same laws, draws and texts on every machine: under every compiler, standard library, level of
// optimisation and instruction set, for x86-64 and AArch64. Each digest below is what GCC 12 gave on x86-64. One that
// changes on all machines at once says that the users' seeds name other texts from now on: a new version should say so.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <span>
#include <specdec/specdec.hpp>
#include <utility>
#include <vector>

#include "../scenarios.hpp"
#include "../still_model.hpp"
#include "digest.hpp"

namespace {

using machines::digest;
using specdec::token_id;

std::uint64_t word(token_id token) { return static_cast<std::uint64_t>(token); }

TEST(machine, runs_the_instruction_set_that_the_environment_forces) {
  const char* forced = std::getenv("SPECDEC_ISA");
  const auto in_use = specdec::detail::isa_in_use();
  if (forced != nullptr) {
    EXPECT_STREQ(to_string(in_use), forced);
    return;
  }
  for (const auto set : specdec::detail::every_isa) {
    if (specdec::detail::supported(set)) {
      EXPECT_GE(in_use, set) << "not the widest, which has " << to_string(set);
    }
  }
}

TEST(bits, of_random_numbers_are_the_same_everywhere) {
  digest all;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{1} << 40}) {
    for (const std::uint32_t stream : {0U, 3U}) {
      const specdec::philox chance(seed, stream);
      for (std::uint32_t round = 0; round < 20; ++round) {
        for (std::uint32_t position = 0; position < 20; ++position) {
          all.add(chance.uniform({.round = round, .position = position, .lane = 2, .level = 1,
                                  .use = specdec::purpose::residual}));
        }
      }
      const specdec::race_noise noise(seed, stream, 9);
      for (std::uint32_t token = 0; token < 2000; ++token) all.add(std::uint64_t{noise.upper_bits(token)});
    }
  }
  EXPECT_EQ(all.value(), 0x2ce823d5760c3ceaU);
}

/// Logits that are exact in every arithmetic, with ties, sunken blocks and holes.
std::vector<float> logits(std::size_t size, std::uint32_t seed) {
  std::vector<float> row(size);
  std::uint32_t state = seed;
  for (std::size_t t = 0; t < size; ++t) {
    state = state * 1664525U + 1013904223U;
    row[t] = static_cast<float>(state >> 20) / 256.0F;
    if (t / 1024 % 3 == 1) row[t] -= 60;
    if (state % 31 == 0) row[t] = -std::numeric_limits<float>::infinity();
  }
  return row;
}

/// The nearest below: what is lost does not matter here, that everybody loses the same does.
specdec::bfloat16 shortened(float x) { return {static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16)}; }

template <class Law>
void add_draws(digest& all, const Law& p) {
  for (const double u : {0.0, 0.1, 0.37, 0.62, 0.9, 0x1.fffffffffffffp-1}) all.add(word(p.draw(u)));
}

template <class T>
void add_laws(digest& all, const std::vector<T>& row) {
  const std::vector<specdec::sampling_params> every_setting{
      {.temperature = 0.8},
      {.temperature = 0},
      {.temperature = 1.3, .top_k = 40},
      {.temperature = 0.7, .top_p = 0.9},
      {.temperature = 1.1, .min_p = 0.02},
      {.temperature = 0.9, .top_k = 50, .top_p = 0.8, .min_p = 0.01, .order = specdec::filter_order::llama_cpp},
      {.temperature = 0.6, .top_p = 0.95, .bias = {{0, 1.5}, {2, -0.7}}}};
  std::vector<float> weights(row.size());
  for (std::size_t t = 0; t < weights.size(); ++t) weights[t] = static_cast<float>(t * 7919 % 1000) / 64 + 0.25F;
  for (const specdec::sampling_params& settings : every_setting) {
    specdec::law pipeline(row.size(), settings);
    const auto p = pipeline.of(specdec::logits_row<T>(row.data(), row.size()));
    ASSERT_TRUE(p.valid());
    all.add(p.total());
    all.add(word(p.mode()));
    for (std::size_t t = 0; t < row.size(); t += 1 + row.size() / 200) {
      all.add(p.probability(static_cast<token_id>(t)));
    }
    add_draws(all, p);
    for (std::uint32_t position = 0; position < 20; ++position) {
      all.add(word(p.race(specdec::race_noise(5, 0, position))));
    }
    std::vector<token_id> ids(std::min<std::size_t>(7, row.size()));
    std::vector<float> top(ids.size());
    for (const specdec::proposal& q : {specdec::proposal::dense(weights), p.propose_top(ids, top),
                                       specdec::proposal::point_mass(row.size(), p.mode())}) {
      all.add(q.total());
      add_draws(all, q);
      const specdec::residual left(p, q);
      all.add(left.mass());
      add_draws(all, left);
    }
  }
}

TEST(bits, of_laws_are_the_same_everywhere) {
  digest all;
  for (const std::size_t size : {3U, 17U, 1000U, 5003U}) {
    const auto row = logits(size, static_cast<std::uint32_t>(size));
    add_laws(all, row);
    std::vector<double> wide(row.begin(), row.end());
    add_laws(all, wide);
    std::vector<specdec::bfloat16> narrow;
    for (const float x : row) narrow.push_back(shortened(x));
    add_laws(all, narrow);
  }
  EXPECT_EQ(all.value(), 0xd82cfddd53313bbfU);
}

TEST(bits, of_texts_are_the_same_everywhere) {
  digest all;
  for (const auto chosen : scenarios::settings) {
    for (const auto kind : scenarios::draftings) {
      auto text = scenarios::begun(chosen);
      scenarios::models with(chosen, kind);
      scenarios::heard delivered;
      scenarios::run_to_the_end(text, with, std::ref(delivered));
      for (const token_id token : text.tokens()) all.add(word(token));
      all.add(std::uint64_t{text.stats().accepted});
      all.add(delivered.text);
    }
  }
  EXPECT_EQ(all.value(), 0xd1e23b775c0dac7dU);
}

constexpr std::size_t vocabulary = 300;

still_model model(float noise) { return {vocabulary, {.seed = 1, .scale = 1.0F / 24, .noise = noise}}; }

template <class Rule, class Drafter>
void add_text(digest& all, const Rule& rule, Drafter drafter, double temperature) {
  still_model target = model(0);
  specdec::session text(vocabulary,
                        {.max_tokens = 150, .sampling = {.temperature = temperature}, .seed = 5, .stream = 2}, rule);
  text.begin(std::vector<token_id>{10, 11, 12});
  specdec::speculative_generate(text, target, drafter);
  for (const token_id token : text.tokens()) all.add(word(token));
  all.add(std::uint64_t{text.stats().proposed});
  all.add(std::uint64_t{text.stats().accepted});
}

/// What a rule makes of the drafts of every drafter.
template <class Rule>
std::uint64_t texts_of(const Rule& rule) {
  digest all;
  still_model draft = model(0.05F);
  const std::vector<std::size_t> branching{3, 2, 1};
  const specdec::tree_shape shape = specdec::tree_shape::uniform(branching);
  std::vector<token_id> corpus;
  for (token_id t = 0; t < 5000; ++t) corpus.push_back(t * t % static_cast<token_id>(vocabulary));
  const specdec::ngram_table table(vocabulary, corpus);
  for (const double temperature : {0.0, 0.8}) {
    add_text(all, rule, specdec::model_drafter(draft, specdec::constant{4}), temperature);
    add_text(all, rule, specdec::model_drafter(draft, specdec::constant{4}, {.top = 0}), temperature);
    add_text(all, rule, specdec::model_drafter(draft, specdec::heuristic{}), temperature);
    add_text(all, rule, specdec::model_drafter(draft, specdec::confidence(specdec::constant{5})), temperature);
    add_text(all, rule, specdec::model_drafter(draft, specdec::adaptive_exit{.max_step_draft = 5}), temperature);
    add_text(all, rule, specdec::model_drafter(draft, specdec::adaedl{}), temperature);
    const specdec::recorded_costs costs{.target_call = {1, 1.1}, .draft_step = {0.1}};
    add_text(all, rule, specdec::model_drafter(draft, specdec::cost_model(costs)), temperature);
    add_text(all, rule, specdec::prompt_lookup{}, temperature);
    add_text(all, rule, specdec::ngram_drafter(table, specdec::constant{5}), temperature);
    add_text(all, rule, specdec::suffix_drafter(), temperature);
    for (const auto draw : {specdec::sibling_draw::distinct, specdec::sibling_draw::independent}) {
      add_text(all, rule, specdec::tree_drafter(draft, shape, {.top = 0}, draw), temperature);
    }
    add_text(all, rule, specdec::dynamic_tree_drafter(draft, {.nodes = 16, .depth = 4}), temperature);
  }
  return all.value();
}

TEST(bits, of_every_rule_are_the_same_everywhere) {
  EXPECT_EQ(texts_of(specdec::rejection{}), 0x38e00871610f6d28U);
  EXPECT_EQ(texts_of(specdec::block_verification{}), 0x2abb1862d077fe0cU);
  EXPECT_EQ(texts_of(specdec::naive_sampling{}), 0xc68d286d7feb26d8U);
  EXPECT_EQ(texts_of(specdec::recursive_rejection{}), 0x6b188b8bde708e56U);
  EXPECT_EQ(texts_of(specdec::k_seq{}), 0x5408c395429b86cdU);
  EXPECT_EQ(texts_of(specdec::traversal{}), 0x4a57fdd9b93e2816U);
  EXPECT_EQ(texts_of(specdec::coupled{}), 0xc892875023ad3493U);
}

}  // namespace
