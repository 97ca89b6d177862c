// A target that drafts for itself with layers left out.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <string>
#include <utility>
#include <vector>

#include "counting_new.hpp"
#include "layered_model.hpp"
#include "model.hpp"
#include "settings.hpp"
#include "tokenizer.hpp"

namespace {

namespace testing_kit = specdec::testing;
using laws::layered_model;
using specdec::layer_skip;
using specdec::layer_skip_drafter;
using specdec::token_id;
using tokens = std::vector<token_id>;

constexpr double tolerance = 1e-12;
const tokens prompt{0, 1};

static_assert(specdec::SkipsLayers<layered_model>);
static_assert(specdec::SkipsLayers<specdec::recorded<layered_model>>);
static_assert(specdec::SkipsLayers<specdec::padded<layered_model>>);
static_assert(specdec::SkipsLayers<testing_kit::faulty_model<layered_model>>);
static_assert(!specdec::SkipsLayers<specdec::recorded<testing_kit::law_model<decltype(laws::hashed(2, 1))>>>);

std::vector<layer_skip> some_skips() {
  return {layer_skip::early_exit(3, 1), layer_skip(3, {0, 2}, {}), layer_skip(3, {1}, {0, 1, 2})};
}

tokens ids(const specdec::generation& result) {
  tokens all;
  for (const auto& token : result.tokens) all.push_back(token.id);
  return all;
}

/// The oracle of exactness.hpp, with one model on both sides.
double total_variation_from_the_target(const layer_skip& skip, std::size_t vocab_size, std::size_t gamma,
                                       const specdec::model_drafter_options& drafting, double temperature,
                                       const testing_kit::enumeration& extent, double& accepted) {
  const specdec::generate_options options{.max_tokens = extent.length + 64, .sampling = {temperature}};
  const auto law = laws::at_temperature(layered_model(vocab_size).whole_law(), temperature);
  std::map<tokens, double> texts;
  testing_kit::outcome_tree tree;
  accepted = 0;
  do {
    specdec::session text(vocab_size, options, specdec::rejection{}, testing_kit::enumerating_chance(tree));
    layered_model model(vocab_size);
    layer_skip_drafter drafter(model, skip, specdec::constant{gamma}, drafting);
    specdec::draft drafted;
    text.begin(prompt);
    for (std::size_t round = 0; round < extent.rounds && text.generated().size() < extent.length; ++round) {
      const auto request = text.request();
      drafted.begin(request);
      drafter.propose(request, text.chance(), drafted);
      const auto plan = plan_for(text, drafted, model);
      model.truncate(plan.held);
      const auto out = text.commit(text.verify(model.decode(plan.tokens, plan.rows)));
      if (round == 0) accepted += tree.weight() * static_cast<double>(out.accepted);
    }
    const auto emitted = text.generated().first(std::min(text.generated().size(), extent.length));
    texts[{emitted.begin(), emitted.end()}] += tree.weight();
  } while (tree.next());

  const auto expected = testing_kit::joint_law_of(vocab_size, extent.length, prompt, law);
  testing_kit::joint_law found(expected.size(), 0.0);
  for (const auto& [emitted, weight] : texts) {
    std::size_t index = 0;
    tokens whole = prompt;
    for (const token_id token : emitted) {
      index = index * vocab_size + static_cast<std::size_t>(token);
      whole.push_back(token);
    }
    const auto rest = testing_kit::joint_law_of(vocab_size, extent.length - emitted.size(), whole, law);
    for (std::size_t i = 0; i < rest.size(); ++i) found[index * rest.size() + i] += weight * rest[i];
  }
  double sum = 0;
  for (std::size_t i = 0; i < found.size(); ++i) sum += std::abs(found[i] - expected[i]);
  return sum / 2;
}

TEST(self_speculation, is_lossless) {
  double accepted = 0;
  for (const layer_skip& skip : some_skips()) {
    for (const std::size_t vocab_size : {2U, 3U, 4U}) {
      for (const std::size_t gamma : {1U, 2U, 3U}) {
        for (const std::size_t top : {0U, 2U}) {
          EXPECT_LT(total_variation_from_the_target(skip, vocab_size, gamma, {.top = top}, 1, {1, gamma + 1}, accepted),
                    tolerance)
              << "vocabulary " << vocab_size << ", gamma " << gamma << ", top " << top;
          EXPECT_GT(accepted, 0.4);
        }
      }
    }
  }
}

TEST(self_speculation, is_lossless_over_several_rounds) {
  double accepted = 0;
  for (const layer_skip& skip : some_skips()) {
    EXPECT_LT(total_variation_from_the_target(skip, 2, 2, {.top = 0}, 1, {4, 4}, accepted), tolerance);
    EXPECT_LT(total_variation_from_the_target(skip, 3, 2, {.top = 2}, 0.7, {3, 4}, accepted), tolerance);
  }
}

TEST(self_speculation, is_lossless_at_any_temperature_of_target_and_draft) {
  double accepted = 0;
  for (const double temperature : {0.0, 0.6, 1.7}) {
    for (const double drafting : {0.0, 0.8}) {
      const specdec::model_drafter_options options{.sampling = specdec::sampling_params{drafting}};
      EXPECT_LT(
          total_variation_from_the_target(layer_skip::early_exit(3, 2), 3, 2, options, temperature, {2, 4}, accepted),
          tolerance);
    }
  }
}

TEST(self_speculation, that_leaves_nothing_out_is_always_accepted) {
  // Greedily, as q is rounded to float.
  double accepted = 0;
  EXPECT_LT(total_variation_from_the_target(layer_skip(3), 3, 3, {}, 0, {1, 4}, accepted), tolerance);
  EXPECT_EQ(accepted, 3);
}

TEST(self_speculation, works_with_every_sampling_setting) {
  for (const auto& sampling : laws::all_settings(3, 0.1)) {
    layered_model model(8);
    layer_skip_drafter drafter(model, layer_skip(3, {1}, {2}));
    const specdec::generate_options options{.max_tokens = 40, .sampling = sampling, .seed = 5};
    const auto result = specdec::speculative_generate(model, drafter, prompt, options);
    EXPECT_EQ(result.tokens.size(), 40U) << laws::describe(sampling);
    EXPECT_GT(result.stats.accepted, 0U);
    if (sampling.temperature != 0) continue;
    layered_model plain(8);
    EXPECT_EQ(ids(result), ids(specdec::autoregressive_generate(plain, prompt, options))) << laws::describe(sampling);
  }
}

TEST(self_speculation, reads_every_token_in_full_once_and_leaves_nothing_behind) {
  layered_model model(6);
  layer_skip_drafter drafter(model, layer_skip::early_exit(3, 2), specdec::constant{3});
  specdec::session text(6, {.max_tokens = 60});
  text.begin(tokens{0, 1, 2, 3, 4, 5, 0, 2});
  specdec::draft drafted;
  while (text.running()) {
    const auto request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    // Truncated to what it read in full, all but the last committed token.
    EXPECT_EQ(model.size(), text.tokens().size() - 1);
    EXPECT_TRUE(std::ranges::equal(model.tokens(), text.tokens().first(model.size())));
    const std::size_t before = model.read_in_full();
    const auto plan = plan_for(text, drafted, model);
    EXPECT_EQ(plan.held, model.size());
    (void)text.commit(text.verify(model.decode(plan.tokens, plan.rows)));
    EXPECT_EQ(model.read_in_full(), before + 1 + drafted.size());
  }
  EXPECT_GT(text.stats().accepted, 10U);
}

TEST(self_speculation, stops_drafting_at_an_end_token) {
  layered_model model(6);
  const specdec::generate_options plain{.max_tokens = 60, .sampling = {0}};
  const tokens whole = ids(specdec::autoregressive_generate(model, prompt, plain));
  for (token_id end = 0; end < 6; ++end) {
    specdec::generate_options options = plain;
    options.end_tokens = {end};
    layer_skip_drafter drafter(model, layer_skip::early_exit(3, 2), specdec::constant{20});
    const auto result = specdec::speculative_generate(model, drafter, prompt, options, [&](const auto& out) {
      const auto at = std::ranges::find(out.drafted, end);
      EXPECT_TRUE(at == out.drafted.end() || at + 1 == out.drafted.end());
    });
    const auto stop = std::ranges::find(whole, end);
    EXPECT_EQ(ids(result), tokens(whole.begin(), stop == whole.end() ? stop : stop + 1)) << end;
  }
}

TEST(self_speculation, fills_a_context_to_its_end) {
  for (std::size_t capacity = prompt.size(); capacity < 24; ++capacity) {
    layered_model plain(6, capacity), model(6, capacity);
    layer_skip_drafter drafter(model, layer_skip::early_exit(3, 2), specdec::constant{50});
    const specdec::generate_options options{.max_tokens = 100, .sampling = {0}};
    const auto expected = specdec::autoregressive_generate(plain, prompt, options);
    const auto result = specdec::speculative_generate(model, drafter, prompt, options);
    EXPECT_EQ(ids(result), ids(expected)) << capacity;
    EXPECT_EQ(result.status, specdec::session_status::context_full);
  }
}

TEST(self_speculation, survives_an_exception_in_any_call) {
  using testing_kit::fault_kind;
  const specdec::generate_options options{.max_tokens = 60, .seed = 4};
  const layer_skip skip(3, {0, 2}, {1});
  layered_model calm(7);
  layer_skip_drafter calm_drafter(calm, skip, specdec::constant{3});
  const tokens expected = ids(specdec::speculative_generate(calm, calm_drafter, prompt, options));
  for (const auto kind :
       {fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after, fault_kind::nan}) {
    // One fault in a run of its own, or the same again and again.
    for (const bool again : {false, true}) {
      std::size_t n = 1;
      for (bool struck = true; struck; ++n) {
        testing_kit::faulty_model model(layered_model(7), {kind, n});
        layer_skip_drafter drafter(model, skip, specdec::constant{3});
        specdec::session text(7, options);
        text.begin(prompt);
        std::size_t interruptions = 0;
        while (text.running()) {
          try {
            speculative_generate(text, model, drafter);
          } catch (const std::runtime_error&) {
            ++interruptions;
            ASSERT_LT(interruptions, 200U);
            text.resume();
            // In place: the drafter goes on with the same model.
            if (again) model = testing_kit::faulty_model(std::move(model.model()), {kind, 11});
          }
        }
        struck = interruptions > 0;
        if (again) {
          struck = struck && n < 30;
          EXPECT_GT(interruptions, 3U);
        }
        ASSERT_EQ(tokens(text.generated().begin(), text.generated().end()), expected)
            << to_string(kind) << " in call " << n;
      }
      if (!again) {
        EXPECT_GT(n, 60U);
      }
    }
  }
}

TEST(self_speculation, shares_its_target_with_other_sessions) {
  const specdec::generate_options options{.max_tokens = 50, .seed = 9};
  const auto alone = [&](const tokens& from) {
    layered_model model(7);
    layer_skip_drafter drafter(model, layer_skip::early_exit(3, 1));
    return ids(specdec::speculative_generate(model, drafter, from, options));
  };
  const tokens first{1, 2, 3}, second{1, 2, 4};
  layered_model model(7);
  layer_skip_drafter drafter(model, layer_skip::early_exit(3, 1));
  specdec::session a(7, options), b(7, options);
  a.begin(first);
  b.begin(second);
  while (a.running() || b.running()) {
    for (specdec::session<>* text : {&a, &b}) {
      const auto stop = [](const specdec::outcome&) { return false; };
      if (text->running()) speculative_generate(*text, model, drafter, stop);
      text->resume();
    }
  }
  EXPECT_EQ(tokens(a.generated().begin(), a.generated().end()), alone(first));
  EXPECT_EQ(tokens(b.generated().begin(), b.generated().end()), alone(second));
}

/// Ends a draft behind a token it finds improbable, and counts what it is told.
struct cautious {
  static constexpr bool reads_clock = false;
  double least = 0.5;
  std::size_t rounds = 0, accepted = 0;
  [[nodiscard]] std::size_t depth(const specdec::draft_request&) const { return 10; }
  [[nodiscard]] bool goes_on(double probability) const { return probability >= least; }
  void observe(const specdec::outcome& out) {
    ++rounds;
    accepted += out.accepted;
  }
};

TEST(self_speculation, asks_and_tells_its_policy) {
  layered_model model(7);
  layer_skip_drafter drafter(model, layer_skip::early_exit(3, 1), cautious{});
  const auto result = specdec::speculative_generate(model, drafter, prompt, {.max_tokens = 50, .seed = 9});
  EXPECT_EQ(drafter.policy().rounds, result.stats.rounds);
  EXPECT_EQ(drafter.policy().accepted, result.stats.accepted);
  layer_skip_drafter bold(model, layer_skip::early_exit(3, 1), cautious{0.0});
  EXPECT_GT(specdec::speculative_generate(model, bold, prompt, {.max_tokens = 50, .seed = 9}).stats.proposed,
            result.stats.proposed);
}

/// A model that cannot tell its tokens.
class forgetful : private layered_model {
 public:
  using layered_model::decode, layered_model::layer_count, layered_model::layered_model, layered_model::size,
      layered_model::truncate, layered_model::vocab_size;
};

TEST(self_speculation, works_through_wrappers_and_moves) {
  static_assert(specdec::SkipsLayers<forgetful> && !specdec::KnowsTokens<forgetful>);
  const specdec::generate_options options{.max_tokens = 50, .seed = 9};
  layered_model model(7);
  layer_skip_drafter drafter(model, layer_skip::early_exit(3, 1));
  const tokens expected = ids(specdec::speculative_generate(model, drafter, prompt, options));

  specdec::recorded recorded{forgetful(7)};
  specdec::any_drafter erased = layer_skip_drafter(recorded, layer_skip::early_exit(3, 1));
  EXPECT_EQ(erased.vocab_size(), 7U);
  EXPECT_EQ(ids(specdec::speculative_generate(recorded, erased, prompt, options)), expected);
  specdec::padded padded(specdec::recorded{forgetful(7)}, 7);
  erased = layer_skip_drafter(padded, layer_skip::early_exit(3, 1));
  EXPECT_EQ(ids(specdec::speculative_generate(padded, erased, prompt, options)), expected);
  EXPECT_THROW(layer_skip_drafter(model, layer_skip(4)), std::invalid_argument);
}

class bundled : public ::testing::Test {
 protected:
  const toy::gguf_file file{std::string(SPECDEC_MODELS_DIR) + "/target.gguf"};
  const toy::tokenizer tokenizer{file};
  const toy::model model{file};
  const std::vector<layer_skip> skips{layer_skip::early_exit(8, 5), layer_skip(8, {2, 5, 6}, {1, 4}), layer_skip(8),
                                      layer_skip::early_exit(8, 0)};
};

TEST_F(bundled, greedy_self_speculation_is_greedy_decoding) {
  toy::context plain(model), target(model);
  for (const char* text :
       {"It was evening.", "Question: Maria earns $15 an hour and", "The cat ran after the mouse,"}) {
    const tokens start = tokenizer.encode(text);
    const specdec::generate_options options{.max_tokens = 32, .sampling = {0.0}};
    const auto expected = ids(specdec::autoregressive_generate(plain, start, options));
    for (const layer_skip& skip : skips) {
      for (const std::size_t gamma : {1U, 4U, 40U}) {
        layer_skip_drafter drafter(target, skip, specdec::constant{gamma});
        const auto result = specdec::speculative_generate(target, drafter, start, options);
        ASSERT_EQ(ids(result), expected) << text << " with " << skip.skipped_blocks() << " left out, gamma " << gamma;
        if (skip.skipped_blocks() == 0) {
          EXPECT_EQ(result.stats.accepted, result.stats.evaluated);
        }
      }
    }
  }
}

TEST_F(bundled, a_small_context_is_filled) {
  const tokens start = tokenizer.encode("It was evening.");
  const specdec::generate_options options{.max_tokens = 200, .sampling = {0.0}};
  toy::context plain(model, 32), target(model, 32);
  const auto expected = specdec::autoregressive_generate(plain, start, options);
  layer_skip_drafter drafter(target, skips[0], specdec::constant{100});
  const auto result = specdec::speculative_generate(target, drafter, start, options);
  EXPECT_EQ(ids(result), ids(expected));
  EXPECT_EQ(result.status, specdec::session_status::context_full);
}

TEST_F(bundled, rounds_do_not_allocate_once_warm) {
  toy::context target(model);
  layer_skip_drafter drafter(target, skips[1], specdec::constant{4});
  specdec::session text(target.vocab_size(), {.max_tokens = 300});
  text.begin(tokenizer.encode("It was evening."));
  specdec::draft drafted;
  std::size_t round = 0;
  for (; text.running() && round < 60; ++round) {
    const std::size_t before = counting_new::allocations();
    const auto request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const auto plan = plan_for(text, drafted, target);
    if (target.size() > plan.held) target.truncate(plan.held);
    (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
    if (round > 0) {
      EXPECT_EQ(counting_new::allocations(), before) << "round " << round;
    }
  }
  EXPECT_EQ(round, 60U);
}

}  // namespace
