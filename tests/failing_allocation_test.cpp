// Memory that runs out at any allocation of a generation interrupts it and does no more: called again, it goes on to
// the text that it would have had.

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <new>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <utility>
#include <vector>

#include "counting_new.hpp"
#include "still_model.hpp"

namespace {

using specdec::constant;
using specdec::generate_options;
using specdec::model_drafter;
using specdec::sampling_params;
using specdec::token_id;

constexpr std::size_t vocab_size = 24;
constexpr std::size_t length = 24;
const std::vector<token_id> prompt{1, 2, 3};
const sampling_params greedy{.temperature = 0};

still_model target_model() { return {vocab_size, {.seed = 1, .scale = 1.0F / 32, .noise = 0.25F}}; }
still_model draft_model() { return {vocab_size, {.seed = 2, .noise = 0.5F}}; }

/// What was handed on, in memory that was taken before.
struct handed_on {
  std::vector<std::pair<token_id, double>> tokens;
  std::string bytes;

  handed_on() {
    tokens.reserve(2 * length);
    bytes.reserve(16 * length);
  }
  void operator()(const specdec::outcome& out) {
    for (const auto& token : out.tokens) tokens.emplace_back(token.id, token.log_probability);
    bytes += out.text;
  }
  friend bool operator==(const handed_on&, const handed_on&) = default;
};

/// A run, and whether the allocation that was to fail in it did.
template <class Result>
struct trial {
  Result result;
  bool failed;
};

/// Calls `run` until memory no longer runs out; the n-th allocation is the one that fails, none if n is 0. Tells
/// whether there were so many.
template <class Run>
bool repeat_until_done(std::size_t n, const Run& run) {
  counting_new::fail_at(n);
  for (bool done = false; !done;) {
    try {
      run();
      done = true;
    } catch (const std::bad_alloc&) {
    }
  }
  return counting_new::fail_at(0);
}

/// Expects the same of try_with(n), a `trial`, for every n for which there is an allocation to fail, and so many of
/// them.
template <class TryWith>
void expect_no_failure_to_matter(std::size_t at_least, const TryWith& try_with) {
  if (!counting_new::can_fail()) GTEST_SKIP() << "a sanitizer's operator new does not fail";
  const auto undisturbed = try_with(0).result;
  std::size_t failures = 0;
  for (;; ++failures) {
    const auto disturbed = try_with(failures + 1);
    ASSERT_TRUE(disturbed.result == undisturbed) << "allocation " << failures + 1;
    if (!disturbed.failed) break;
  }
  EXPECT_GE(failures, at_least);
}

/// Generates with every allocation failing once, each in a run of its own.
template <class Rule, class MakeDrafter>
void expect_the_same_text(const generate_options& options, const Rule& rule, const MakeDrafter& make_drafter) {
  expect_no_failure_to_matter(20, [&](std::size_t n) {
    still_model target = target_model();
    still_model draft = draft_model();
    auto drafter = make_drafter(draft);
    specdec::session text(vocab_size, options, rule);
    trial<handed_on> made{{}, false};
    made.failed = repeat_until_done(n, [&] {
      if (text.status() == specdec::session_status::idle) text.begin(prompt);
      speculative_generate(text, target, drafter, std::ref(made.result));
    });
    EXPECT_EQ(made.result.tokens.size(), length);
    return made;
  });
}

/// Allows two tokens of three, which ones depends on how many there were.
struct two_of_three {
  std::size_t taken = 0;
  bool allows(token_id token) const { return (static_cast<std::size_t>(token) + taken) % 3 != 0; }
  void fill(std::span<std::uint32_t> words) const {
    for (std::size_t t = 0; t < vocab_size; ++t) {
      if (allows(static_cast<token_id>(t))) words[t / 32] |= 1U << t % 32;
    }
  }
  void advance(token_id) { ++taken; }
  void rollback(std::size_t n) { taken -= n; }
};

generate_options plain() { return {.max_tokens = length, .sampling = {.temperature = 0.9}, .seed = 5}; }

/// Whatever makes a law take memory of its own.
generate_options shaped() {
  generate_options options = plain();
  options.sampling = {.top_k = 20,
                      .top_p = 0.9,
                      .min_p = 0.01,
                      .repetition_penalty = 1.3,
                      .frequency_penalty = 0.2,
                      .bias = {{3, 0.5}, {4, -0.5}}};
  options.end_tokens = {7};
  options.min_tokens = length;
  return options;
}

const auto chain = [](still_model& model) { return model_drafter(model, constant{4}); };

TEST(failing_allocation, changes_no_text_with_candidates_of_the_law_or_of_the_model) {
  generate_options options = plain();
  options.top_log_probabilities = 3;
  expect_the_same_text(options, specdec::rejection{}, chain);
  options.log_probabilities = specdec::log_probability_of::model;
  expect_the_same_text(options, specdec::rejection{}, chain);
}

TEST(failing_allocation, changes_no_text_under_a_mask_filters_penalties_and_stops) {
  generate_options masked = plain();
  masked.mask = two_of_three{};
  expect_the_same_text(masked, specdec::rejection{}, chain);
  expect_the_same_text(shaped(), specdec::rejection{}, chain);
  generate_options stops = plain();
  // None is ever complete, since no token 23 comes and none spells '!'.
  stops.sampling.bias = {{23, -100.0}};
  for (token_id t = 0; t < 12; ++t) stops.stop_sequences.push_back({t, 23});
  stops.detokenize = [](token_id token, std::string& bytes) { bytes += static_cast<char>('a' + token % 20); };
  stops.stop_texts = {"o!", "pq!", "s!"};
  expect_the_same_text(stops, specdec::rejection{}, chain);
}

TEST(failing_allocation, changes_no_text_by_rules_for_chains) {
  expect_the_same_text(plain(), specdec::block_verification{}, chain);
  expect_the_same_text(plain(), specdec::coupled{}, chain);
  expect_the_same_text(plain(), specdec::big_little(2.0), chain);
  generate_options mode = plain();
  mode.sampling = greedy;
  expect_the_same_text(mode, specdec::lenient(0.5), chain);
}

TEST(failing_allocation, changes_no_text_by_rules_for_trees) {
  constexpr std::array<std::size_t, 3> branching{3, 2, 1};
  const auto tree = [&](std::size_t top, specdec::sibling_draw draw) {
    return [=](still_model& model) {
      return specdec::tree_drafter(model, specdec::tree_shape::uniform(branching), {.top = top}, draw);
    };
  };
  expect_the_same_text(plain(), specdec::recursive_rejection{}, tree(8, specdec::sibling_draw::distinct));
  expect_the_same_text(plain(), specdec::traversal{}, tree(0, specdec::sibling_draw::distinct));
  expect_the_same_text(plain(), specdec::k_seq{}, tree(8, specdec::sibling_draw::independent));
  expect_the_same_text(plain(), specdec::naive_sampling{}, [](still_model& model) {
    return specdec::dynamic_tree_drafter(model, {.nodes = 12, .depth = 4, .width = 3, .sampling = greedy});
  });
}

TEST(failing_allocation, changes_no_text_where_a_policy_asks_how_sure_a_greedy_draft_is) {
  expect_the_same_text(plain(), specdec::rejection{}, [](still_model& model) {
    return model_drafter(model, specdec::fallback{0.2, 6}, {.sampling = greedy});
  });
  expect_the_same_text(plain(), specdec::rejection{}, [](still_model& model) {
    return model_drafter(model, specdec::confidence(constant{6}), {.sampling = greedy});
  });
}

TEST(failing_allocation, changes_no_text_with_drafters_that_remember_the_text) {
  expect_the_same_text(plain(), specdec::rejection{}, [](still_model&) { return specdec::prompt_lookup{}; });
  expect_the_same_text(plain(), specdec::rejection{}, [](still_model&) { return specdec::suffix_drafter(); });
  expect_the_same_text(plain(), specdec::rejection{}, [](still_model& model) {
    return specdec::cascade_drafter(model, specdec::suffix_drafter(), constant{6});
  });
}

/// A session with five rounds behind it.
struct under_way {
  still_model target = target_model();
  still_model draft = draft_model();
  specdec::session<> text;

  explicit under_way(const generate_options& options) : text(vocab_size, options) {
    text.begin(prompt);
    auto drafter = chain(draft);
    std::size_t rounds = 0;
    speculative_generate(text, target, drafter, [&](const specdec::outcome&) { return ++rounds < 5; });
    text.resume();
  }
};

/// The session's tokens.
std::vector<token_id> all_of(const specdec::session<>& text) { return {text.tokens().begin(), text.tokens().end()}; }

TEST(failing_allocation, changes_no_text_of_a_copied_session) {
  expect_no_failure_to_matter(20, [](std::size_t n) {
    under_way original(shaped());
    specdec::session<> text = original.text;
    auto drafter = chain(original.draft);
    const bool failed = repeat_until_done(n, [&] { speculative_generate(text, original.target, drafter); });
    return trial<std::vector<token_id>>{all_of(text), failed};
  });
}

TEST(failing_allocation, in_a_verification_lets_it_be_asked_again) {
  const std::vector<float> even(vocab_size, 1);
  expect_no_failure_to_matter(3, [&](std::size_t n) {
    still_model target = target_model();
    specdec::session<> text(vocab_size, shaped());
    text.begin(prompt);
    specdec::draft drafted;
    drafted.begin(text.request());
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < 4; ++i) tip = drafted.extend(tip, specdec::proposal::dense(even), text.chance());
    const auto plan = text.plan(drafted, target.size());
    const auto rows = target.decode(plan.tokens, plan.rows);
    specdec::verdict v;
    const bool failed = repeat_until_done(n, [&] { v = text.verify(rows); });
    text.commit(v);
    return trial<std::vector<token_id>>{all_of(text), failed};
  });
}

}  // namespace
