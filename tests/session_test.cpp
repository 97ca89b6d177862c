#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>

#include "laws.hpp"

namespace {

using laws::text_view;
using specdec::generate_options;
using specdec::outcome;
using specdec::provenance;
using specdec::session_status;
using specdec::token_id;
using specdec::testing::law_model;

const std::vector<token_id> prompt{1, 2, 0};

auto target_law() { return laws::hashed(6, 21, 0.8); }
auto draft_law() { return laws::hashed(6, 22, 0.8); }

std::vector<token_id> ids(const specdec::generation& result) {
  std::vector<token_id> tokens;
  for (const auto& token : result.tokens) tokens.push_back(token.id);
  return tokens;
}

/// A drafter that knows the greedy text of the target, and is wrong at every `period`-th token of it.
auto oracle_drafter(std::size_t gamma, std::size_t period) {
  const auto choose = [law = laws::at_temperature(target_law(), 0), period](text_view text) {
    const auto p = law(text);
    const auto best = std::max_element(p.begin(), p.end()) - p.begin();
    return static_cast<token_id>(text.size() % period == 0 ? (best + 1) % 6 : best);
  };
  return laws::point_drafter<decltype(choose)>{6, gamma, choose};
}

TEST(generate, greedy_speculation_is_greedy_decoding) {
  law_model target(6, target_law());
  const generate_options options{.max_tokens = 100, .sampling = {0.0}};
  const auto plain = ids(specdec::autoregressive_generate(target, prompt, options));
  ASSERT_EQ(plain.size(), 100U);
  for (const std::size_t gamma : {1U, 2U, 3U, 8U, 200U}) {
    law_model draft(6, draft_law());
    auto with_gamma = options;
    with_gamma.gamma = gamma;
    EXPECT_EQ(ids(specdec::speculative_generate(target, draft, prompt, with_gamma)), plain) << gamma;
    auto oracle = oracle_drafter(gamma, 5);
    EXPECT_EQ(ids(specdec::speculative_generate(target, oracle, prompt, options)), plain) << gamma;
  }
}

TEST(generate, the_same_seed_gives_the_same_text_and_another_seed_another) {
  law_model target(6, target_law());
  law_model draft(6, draft_law());
  const auto run = [&](std::uint64_t seed, std::uint32_t stream) {
    return ids(
        specdec::speculative_generate(target, draft, prompt, {.max_tokens = 60, .seed = seed, .stream = stream}));
  };
  EXPECT_EQ(run(1, 0), run(1, 0));
  EXPECT_NE(run(1, 0), run(2, 0));
  EXPECT_NE(run(1, 0), run(1, 1));
}

TEST(generate, every_token_carries_its_log_probability_and_origin) {
  const auto law = target_law();
  law_model target(6, law);
  law_model draft(6, draft_law());
  const auto result = specdec::speculative_generate(target, draft, prompt, {.gamma = 3, .max_tokens = 80, .seed = 4});
  std::vector<token_id> text = prompt;
  std::uint64_t drafted = 0;
  for (const auto& token : result.tokens) {
    EXPECT_NEAR(token.log_probability, std::log(law(text)[static_cast<std::size_t>(token.id)]), 1e-12);
    drafted += token.origin == provenance::drafted ? 1 : 0;
    text.push_back(token.id);
  }
  EXPECT_EQ(drafted, result.stats.accepted);
  EXPECT_GT(drafted, 0U);
}

TEST(generate, max_tokens_is_met_exactly) {
  for (std::size_t max_tokens = 0; max_tokens < 12; ++max_tokens) {
    law_model target(6, target_law());
    auto oracle = oracle_drafter(4, 1000);
    const auto result =
        specdec::speculative_generate(target, oracle, prompt, {.max_tokens = max_tokens, .sampling = {0.0}});
    EXPECT_EQ(result.tokens.size(), max_tokens);
    EXPECT_EQ(result.status, session_status::max_tokens);
    EXPECT_EQ(result.stats.cut, 0U);
  }
}

TEST(generate, statistics_count_what_happened) {
  law_model target(6, target_law());
  // Texts of length 3, 4, 5 .. ; wrong behind every text whose length is a multiple of 5. With gamma 4 the first
  // round drafts behind lengths 3..6: right, right, wrong -> 2 accepted, 3 evaluated.
  auto oracle = oracle_drafter(4, 5);
  std::vector<std::size_t> accepted;
  const auto result = specdec::speculative_generate(target, oracle, prompt, {.max_tokens = 8, .sampling = {0.0}},
                                                    [&](const outcome& out) { accepted.push_back(out.accepted); });
  // Lengths: 3 -> 6 (2 accepted + own), 6 -> 11 (6..9 right: 4 accepted + own) = 8 tokens.
  EXPECT_EQ(accepted, (std::vector<std::size_t>{2, 4}));
  const auto& s = result.stats;
  EXPECT_EQ(s.rounds, 2U);
  EXPECT_EQ(s.proposed, 8U);
  EXPECT_EQ(s.evaluated, 7U);
  EXPECT_EQ(s.accepted, 6U);
  EXPECT_EQ(s.emitted, 8U);
  EXPECT_EQ(s.delivered, 8U);
  EXPECT_EQ(s.evaluated_at, (std::vector<std::uint64_t>{2, 2, 2, 1}));
  EXPECT_EQ(s.accepted_at, (std::vector<std::uint64_t>{2, 2, 1, 1}));
  EXPECT_DOUBLE_EQ(s.alpha(), 6.0 / 7);
  EXPECT_DOUBLE_EQ(s.draft_acceptance_rate(), 6.0 / 8);
  EXPECT_DOUBLE_EQ(s.mean_acceptance_length(), 4);
  EXPECT_DOUBLE_EQ(s.survival(3), 0.5);
  EXPECT_DOUBLE_EQ(s.survival(9), 0);
  const std::string json = to_json(s);
  EXPECT_NE(json.find("\"accepted\": 6, "), std::string::npos) << json;
  EXPECT_NE(json.find("\"accepted_at\": [2, 2, 1, 1]"), std::string::npos) << json;
}

TEST(statistics, are_json_whatever_a_clock_says) {
  specdec::statistics s;
  s.delivered = 3;
  s.draft_seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(to_json(s).find("\"draft_seconds\": null, \"target_seconds\": 0,"), std::string::npos) << to_json(s);
  s.draft_seconds = std::numeric_limits<double>::denorm_min();
  EXPECT_NE(to_json(s).find("\"tokens_per_second\": null}"), std::string::npos) << to_json(s);
}

TEST(statistics, add_up) {
  law_model target(6, target_law());
  auto oracle = oracle_drafter(4, 5);
  const auto first = specdec::speculative_generate(target, oracle, prompt, {.max_tokens = 8, .sampling = {0.0}}).stats;
  auto deeper = oracle_drafter(6, 7);
  const auto second =
      specdec::speculative_generate(target, deeper, prompt, {.max_tokens = 30, .sampling = {0.0}}).stats;
  auto sum = first;
  sum += second;
  EXPECT_EQ(sum.rounds, first.rounds + second.rounds);
  EXPECT_EQ(sum.accepted, first.accepted + second.accepted);
  EXPECT_EQ(sum.delivered, 38U);
  ASSERT_EQ(sum.accepted_at.size(), 6U);
  EXPECT_EQ(sum.accepted_at[0], first.accepted_at[0] + second.accepted_at[0]);
  EXPECT_EQ(sum.accepted_at[5], second.accepted_at[5]);
  EXPECT_DOUBLE_EQ(sum.seconds(), first.seconds() + second.seconds());
}

TEST(generate, an_end_token_inside_a_draft_ends_the_text_there) {
  law_model target(6, target_law());
  const auto plain = ids(specdec::autoregressive_generate(target, prompt, {.max_tokens = 40, .sampling = {0.0}}));
  for (const std::size_t gamma : {0U, 1U, 3U, 7U}) {
    for (token_id end = 0; end < 6; ++end) {
      auto expected = plain;
      const auto at = std::find(expected.begin(), expected.end(), end);
      if (at == expected.end()) continue;
      expected.erase(at + 1, expected.end());
      auto oracle = oracle_drafter(gamma, 1000);
      const auto result = specdec::speculative_generate(target, oracle, prompt,
                                                        {.max_tokens = 40, .sampling = {0.0}, .end_tokens = {end}});
      EXPECT_EQ(ids(result), expected);
      EXPECT_EQ(result.status, session_status::end_token);
      EXPECT_EQ(result.stats.emitted - result.stats.cut, expected.size());
      EXPECT_EQ(result.stats.accepted, result.stats.evaluated) << "a draft that is right loses nothing at an end token";
      EXPECT_EQ(result.stats.accepted, result.stats.proposed);
    }
  }
}

/// A model with an end.
struct bounded : law_model<decltype(target_law())> {
  std::size_t limit;
  explicit bounded(std::size_t n) : law_model(6, target_law()), limit(n) {}
  std::size_t capacity() const { return limit; }
  specdec::logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
    if (size() + tokens.size() > limit) throw std::length_error("model overfilled");
    return law_model::decode(tokens, rows);
  }
};

TEST(generate, a_full_context_ends_the_text_and_never_overflows) {
  for (const std::size_t capacity : {3U, 4U, 5U, 9U, 20U}) {
    for (const std::size_t gamma : {1U, 4U, 30U}) {
      bounded target(capacity);
      bounded draft(capacity - 1);
      const auto result =
          specdec::speculative_generate(target, draft, prompt, {.gamma = gamma, .max_tokens = 100, .sampling = {0.0}});
      EXPECT_EQ(result.status, session_status::context_full);
      EXPECT_EQ(result.tokens.size(), capacity + 1 - prompt.size());
    }
  }
  bounded small(2);
  try {
    (void)specdec::autoregressive_generate(small, prompt);
    FAIL();
  } catch (const std::length_error& error) {
    EXPECT_STREQ(error.what(), "specdec: the prompt has 3 tokens, but the target's context holds 2");
  }
}

template <class Call>
std::string refused(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(generate, refuses_bad_input_in_words) {
  law_model target(6, target_law());
  law_model draft(5, laws::hashed(5, 1));
  EXPECT_EQ(refused([&] { (void)specdec::autoregressive_generate(target, {}); }),
            "specdec: the prompt must have at least one token (a model's begin token will do)");
  EXPECT_EQ(refused([&] {
              (void)specdec::autoregressive_generate(target, std::vector<token_id>{1, 6});
            }),
            "specdec: expected tokens 0 to 5; the prompt has token 6");
  EXPECT_EQ(
      refused([&] { (void)specdec::speculative_generate(target, draft, prompt); }),
      "specdec: expected one vocabulary of 6 tokens; the draft has 5 (if the wider one is padding, wrap that model in "
      "specdec::padded)");
  EXPECT_EQ(refused([&] { (void)specdec::autoregressive_generate(target, prompt, {.end_tokens = {99}}); }),
            "specdec: expected tokens 0 to 5; the list of end tokens has token 99");
  EXPECT_EQ(refused([&] { (void)specdec::autoregressive_generate(target, prompt, {.sampling = {-0.5}}); }),
            "specdec: the temperature must be 0 (greedy) or from 1e-6 to 1e30; got -0.5");
}

TEST(generate, unusable_logits_end_in_an_error_and_keep_the_text) {
  const auto broken = [law = target_law()](text_view text) {
    auto p = law(text);
    if (text.size() >= 10) p[2] = std::numeric_limits<double>::quiet_NaN();
    return p;
  };
  law_model target(6, broken);
  law_model draft(6, draft_law());
  specdec::session text(6, {.max_tokens = 50});
  text.begin(prompt);
  specdec::model_drafter drafter(draft);
  try {
    speculative_generate(text, target, drafter);
    FAIL();
  } catch (const specdec::logits_error& error) {
    EXPECT_STREQ(error.what(),
                 "specdec: expected usable logits from the target for token 10 of the text; its row has NaN");
  }
  EXPECT_EQ(text.status(), session_status::failed);
  EXPECT_GE(text.generated().size(), 1U);
  EXPECT_LE(text.tokens().size(), 10U);
}

TEST(generate, what_the_sink_throws_arrives_unchanged_and_the_session_goes_on) {
  law_model target(6, target_law());
  specdec::session text(6, {.max_tokens = 30, .seed = 5});
  text.begin(prompt);
  specdec::no_draft nothing;
  EXPECT_THROW(speculative_generate(text, target, nothing, [](const outcome&) { throw std::string("full"); }),
               std::string);
  EXPECT_EQ(text.generated().size(), 1U);
  EXPECT_EQ(speculative_generate(text, target, nothing), session_status::max_tokens);
  EXPECT_EQ(std::vector<token_id>(text.generated().begin(), text.generated().end()),
            ids(specdec::autoregressive_generate(target, prompt, {.max_tokens = 30, .seed = 5})));
}

TEST(generate, a_sink_may_stop_the_session) {
  law_model target(6, target_law());
  std::size_t seen = 0;
  const auto result = specdec::autoregressive_generate(target, prompt, {.max_tokens = 30}, [&](const outcome& out) {
    seen += out.tokens.size();
    return seen < 7;
  });
  EXPECT_EQ(result.status, session_status::stopped);
  EXPECT_EQ(result.tokens.size(), 7U);
}

TEST(session, refuses_a_draft_that_does_not_fit_the_request) {
  specdec::session text(6, {.max_tokens = 3});
  text.begin(prompt);
  specdec::draft deep;
  deep.begin(text.request());
  specdec::node_id tip = specdec::root;
  for (int i = 0; i < 3; ++i) tip = deep.extend(tip, specdec::proposal::point_mass(6, 1), text.chance());
  EXPECT_EQ(refused([&] { (void)text.plan(deep, 0); }), "specdec: expected a draft of depth 2 at most; got depth 3");
  specdec::draft foreign;
  foreign.begin(text.request());
  foreign.extend(specdec::root, specdec::proposal::point_mass(100, 7), text.chance());
  EXPECT_EQ(refused([&] { (void)text.plan(foreign, 0); }), "specdec: expected tokens 0 to 5; the draft has token 7");
}

TEST(session, refuses_a_law_over_another_vocabulary) {
  specdec::session text(6, {.max_tokens = 3});
  text.begin(prompt);
  specdec::draft narrow;
  narrow.begin(text.request());
  const std::vector<float> weights{1, 1, 1};
  narrow.extend(specdec::root, specdec::proposal::dense(weights), text.chance());
  EXPECT_EQ(refused([&] { (void)text.plan(narrow, 0); }),
            "specdec: expected proposals over 6 tokens; the draft has one over 3");
}

TEST(session, refuses_a_draft_model_of_another_vocabulary_before_it_is_asked) {
  for (const std::size_t size : {3U, 9U}) {
    // Behind an end token, and under a penalty on a token, that a narrower model does not have.
    specdec::session text(
        6, {.max_tokens = 3, .sampling = {.repetition_penalty = 1.5}, .end_tokens = {5}, .min_tokens = 2});
    text.begin(std::vector<token_id>{4, 5});
    law_model draft(size, laws::hashed(size, 2));
    specdec::model_drafter drafter(draft, specdec::constant{2});
    specdec::draft answer;
    const auto request = text.request();
    answer.begin(request);
    EXPECT_EQ(refused([&] { drafter.propose(request, text.chance(), answer); }),
              "specdec: expected one vocabulary of 6 tokens; the draft has " + std::to_string(size) +
                  " (if the wider one is padding, wrap that model in specdec::padded)");
    EXPECT_EQ(draft.size(), 0U);
  }
}

TEST(session, drafts_with_a_policy_that_sets_no_bound) {
  law_model target(6, target_law());
  law_model draft(6, draft_law());
  specdec::session text(6, {.max_tokens = std::numeric_limits<std::size_t>::max()});
  text.begin(prompt);
  specdec::model_drafter drafter(draft, specdec::confidence(specdec::constant{text.options().max_tokens}));
  std::size_t rounds = 0;
  specdec::speculative_generate(text, target, drafter, [&](const specdec::outcome&) { return ++rounds < 20; });
  EXPECT_EQ(rounds, 20U);
  EXPECT_GT(text.stats().accepted, 0U);
}

TEST(session, lifts_a_bare_draft_model) {
  law_model target(6, target_law());
  law_model draft(6, draft_law());
  specdec::session text(6, {.gamma = 3, .max_tokens = 30, .seed = 9});
  text.begin(prompt);
  EXPECT_EQ(speculative_generate(text, target, draft), session_status::max_tokens);
  const auto direct = specdec::speculative_generate(target, draft, prompt, {.gamma = 3, .max_tokens = 30, .seed = 9});
  EXPECT_EQ(std::vector<token_id>(text.generated().begin(), text.generated().end()), ids(direct));
  EXPECT_GT(text.stats().accepted, 0U);
}

TEST(session, feeds_only_what_the_target_lacks) {
  law_model target(6, target_law());
  specdec::session text(6, {.max_tokens = 30, .sampling = {0.0}});
  text.begin(prompt);
  auto drafter = oracle_drafter(4, 5);
  specdec::draft drafted;
  std::vector<std::size_t> fed;
  while (text.running()) {
    const auto request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    EXPECT_LT(plan.held, text.tokens().size());
    EXPECT_EQ(plan.rows, drafted.size() + 1);
    fed.push_back(plan.tokens.size() - drafted.size());
    target.truncate(plan.held);
    (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
  }
  EXPECT_EQ(fed.front(), prompt.size());
  EXPECT_TRUE(std::all_of(fed.begin() + 1, fed.end(), [](std::size_t n) { return n == 1; }));
}

TEST(session, goes_on_behind_its_text_without_feeding_it_again) {
  law_model target(6, target_law());
  specdec::no_draft nothing;
  specdec::session text(6, {.max_tokens = 10, .seed = 6});
  text.begin(prompt);
  EXPECT_EQ(speculative_generate(text, target, nothing), session_status::max_tokens);
  const std::vector<token_id> first(text.tokens().begin(), text.tokens().end());
  const std::vector<token_id> next_turn{5, 4, 3};
  text.append(next_turn);
  EXPECT_TRUE(text.running());
  EXPECT_TRUE(text.generated().empty());
  specdec::draft drafted;
  drafted.begin(text.request());
  const auto plan = text.plan(drafted, target.size());
  EXPECT_EQ(plan.held, first.size() - 1);
  EXPECT_EQ(plan.tokens.size(), 1 + next_turn.size());
  EXPECT_EQ(speculative_generate(text, target, nothing), session_status::max_tokens);
  EXPECT_EQ(text.generated().size(), 10U);
  EXPECT_TRUE(std::equal(next_turn.begin(), next_turn.end(), text.tokens().begin() + 13));
  text.append(text.tokens().first(0));
  EXPECT_EQ(speculative_generate(text, target, nothing), session_status::max_tokens);
  EXPECT_EQ(text.tokens().size(), 3U + 10 + 3 + 10 + 10);
  EXPECT_EQ(text.stats().delivered, 30U);
  EXPECT_EQ(refused([&] { text.append(std::vector<token_id>{6}); }),
            "specdec: expected tokens 0 to 5; the appended text has token 6");
}

TEST(session, shares_a_target_if_told_so) {
  law_model target(6, target_law());
  law_model own_target(6, target_law());
  const std::vector<token_id> other_prompt{5, 5, 5};
  const auto expected = specdec::autoregressive_generate(own_target, prompt, {.max_tokens = 20, .seed = 6});
  specdec::session text(6, {.max_tokens = 20, .seed = 6});
  text.begin(prompt);
  while (text.running()) {
    // One round of ours, then somebody else's text in the same target, of the same length.
    text.forget_target();
    specdec::draft drafted;
    drafted.begin(text.request());
    const auto plan = text.plan(drafted, target.size());
    target.truncate(plan.held);
    (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
    (void)specdec::autoregressive_generate(target, other_prompt, {.max_tokens = text.generated().size()});
  }
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(text.generated()[i], expected.tokens[i].id);
}

/// Counts the tokens that a model is fed.
struct counted_model : law_model<decltype(draft_law())> {
  counted_model() : law_model(6, draft_law()) {}
  specdec::logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
    fed += tokens.size();
    return law_model::decode(tokens, rows);
  }
  std::size_t fed = 0;
};

TEST(generate, the_draft_model_is_fed_only_what_it_lacks) {
  law_model target(6, target_law());
  counted_model draft;
  const auto result = specdec::speculative_generate(target, draft, prompt, {.gamma = 4, .max_tokens = 200, .seed = 3});
  const auto& stats = result.stats;
  ASSERT_GT(stats.rounds, 40U);
  // The prompt, a token for every guess, and what was committed behind a draft: one token, or two behind a whole one.
  EXPECT_LE(draft.fed, prompt.size() + stats.proposed + stats.rounds);
}

TEST(session, trusts_nothing_of_a_text_that_was_taken_back_while_its_target_failed) {
  specdec::testing::faulty_model target(law_model(6, target_law()));
  law_model own_target(6, target_law());
  specdec::no_draft nothing;
  specdec::session text(6, {.max_tokens = 10, .sampling = {0.0}});
  text.begin(prompt);
  (void)speculative_generate(text, target, nothing);
  const std::vector<token_id> first(text.generated().begin(), text.generated().end());
  // Two other tokens, of which the target takes the first before it fails; then those from before.
  text.rewind(prompt.size());
  text.append(std::vector<token_id>(2, (first[0] + 1) % 6));
  target.arm({specdec::testing::fault_kind::throw_midway, 2});
  EXPECT_THROW((void)speculative_generate(text, target, nothing), specdec::testing::injected_fault);
  text.rewind(prompt.size());
  text.append(std::span(first).first(3));
  std::vector<token_id> same(text.tokens().begin(), text.tokens().end());
  (void)speculative_generate(text, target, nothing);
  const auto expected = specdec::autoregressive_generate(own_target, same, {.max_tokens = 10, .sampling = {0.0}});
  EXPECT_EQ(std::vector<token_id>(text.generated().begin(), text.generated().end()), ids(expected));
}

/// Leaves no token at place 2 behind token 0.
struct dead_end {
  std::vector<token_id> taken;
  [[nodiscard]] bool allows(token_id) const { return taken.empty() || taken.front() != 0; }
  void fill(std::span<std::uint32_t> words) const { words[0] = allows(0) ? 3 : 0; }
  void advance(token_id token) { taken.push_back(token); }
  void rollback(std::size_t count) { taken.resize(taken.size() - count); }
};

TEST(session, leaves_a_dead_end_with_fresh_noise) {
  const auto even = [](laws::text_view) { return laws::probabilities{0.5, 0.5}; };
  law_model target(2, even), draft(2, even);
  std::size_t dead = 0, dead_again = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    for (const bool by_append : {false, true}) {
      specdec::session text(2, {.max_tokens = 3, .seed = seed, .mask = dead_end{}});
      specdec::model_drafter drafter(draft, specdec::constant{2});
      const auto fails = [&] {
        try {
          (void)speculative_generate(text, target, drafter);
        } catch (const specdec::logits_error&) {
          return true;
        }
        return false;
      };
      target.truncate(0);
      draft.truncate(0);
      text.begin(std::vector<token_id>{1});
      // Token 0 leaves nothing behind it: the round fails for what was drawn in it.
      if (!fails()) continue;
      ++dead;
      by_append ? text.append({}) : text.rewind(text.tokens().size());
      dead_again += fails() ? 1 : 0;
    }
  }
  // Each is half of the one before; beyond these bounds with a probability of less than one in a million.
  ASSERT_GT(dead, 130U);
  EXPECT_GT(dead_again, dead / 4);
  EXPECT_LT(dead_again, 3 * dead / 4);
}

TEST(session, begins_anew_with_the_same_noise) {
  law_model target(6, target_law());
  specdec::no_draft nothing;
  specdec::session text(6, {.max_tokens = 20, .seed = 6});
  text.begin(prompt);
  (void)speculative_generate(text, target, nothing);
  const std::vector<token_id> first(text.generated().begin(), text.generated().end());
  text.begin(prompt);
  (void)speculative_generate(text, target, nothing);
  EXPECT_EQ(std::vector<token_id>(text.generated().begin(), text.generated().end()), first);
}

TEST(session, verify_may_be_asked_twice) {
  law_model target(6, target_law());
  law_model draft(6, draft_law());
  specdec::session text(6, {.max_tokens = 30});
  text.begin(prompt);
  specdec::model_drafter drafter(draft);
  specdec::draft drafted;
  drafted.begin(text.request());
  drafter.propose(text.request(), text.chance(), drafted);
  const auto plan = text.plan(drafted, target.size());
  const auto rows = target.decode(plan.tokens, plan.rows);
  const auto first = text.verify(rows);
  const auto second = text.verify(rows);
  EXPECT_EQ(first.kept, second.kept);
  EXPECT_EQ(first.next, second.next);
  const outcome out = text.commit(second);
  EXPECT_EQ(out.tokens.size(), text.generated().size());
}

TEST(session, a_wrong_number_of_rows_is_an_error_and_the_round_can_be_made_again) {
  law_model target(6, target_law());
  specdec::session text(6, {.max_tokens = 5});
  text.begin(prompt);
  specdec::draft nothing;
  nothing.begin(text.request());
  (void)text.plan(nothing, 0);
  const std::vector<double> logits(12, 0.0);
  EXPECT_EQ(refused([&] { (void)text.verify(specdec::logits_view<double>(logits.data(), 2, 6)); }),
            "specdec: expected 1 rows of logits from the target; got 2");
  specdec::no_draft none;
  EXPECT_EQ(speculative_generate(text, target, none), session_status::max_tokens);
}

// The rejection rule reads row i+1 only after token i was accepted.
TEST(rejection, leaves_rows_behind_a_rejection_unread) {
  struct watched_rows {
    specdec::logits_view<double> rows;
    mutable std::vector<bool> read = std::vector<bool>(5);
    std::size_t size() const { return rows.size(); }
    specdec::logits_row<double> row(std::size_t i) const {
      read[i] = true;
      return rows.row(i);
    }
  };
  law_model target(6, target_law());
  specdec::session text(6, {.max_tokens = 30, .sampling = {0.0}});
  text.begin(prompt);
  auto drafter = oracle_drafter(4, 5);
  specdec::draft drafted;
  drafted.begin(text.request());
  drafter.propose(text.request(), text.chance(), drafted);
  const auto plan = text.plan(drafted, 0);
  const watched_rows rows{target.decode(plan.tokens, plan.rows)};
  const auto verdict = text.verify(rows);
  EXPECT_EQ(drafted.depth(verdict.kept), 2U);
  EXPECT_EQ(rows.read, (std::vector<bool>{true, true, true, false, false}));
}

}  // namespace
