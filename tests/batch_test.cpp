// Many texts over one target: each must be what it is alone, and costs its share of the calls.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "company.hpp"
#include "laws.hpp"

namespace {

using namespace company;
using batches::many_wishes;
using batches::never_interrupted;
using batches::together;
using batches::watched;

TEST(batch, texts_are_those_generated_alone) {
  const auto wishes = many_wishes(vocab, 14);
  const auto expected = all_alone(wishes, with_gamma(4));
  std::size_t accepted = 0;
  for (const result& r : expected) accepted += r.accepted;
  EXPECT_GT(accepted, 50U);
  for (const std::size_t prefill : {std::size_t{1}, std::size_t{7}, std::size_t{500}}) {
    for (const std::size_t rounds_between : {0U, 2U, 9U}) {
      drafting_batch some(targets(), drafts(), specdec::constant{4}, {prefill});
      auto& batch = some.batch;
      EXPECT_EQ(together(batch, sequences, vocab, wishes, rounds_between, never_interrupted), expected)
          << prefill << ", " << rounds_between;
    }
  }
}

TEST(batch, texts_are_those_generated_alone_without_a_draft) {
  const auto wishes = many_wishes(vocab, 8);
  auto target = targets();
  session_batch batch(target);
  EXPECT_EQ(together(batch, sequences, vocab, wishes, 1, never_interrupted),
            all_alone(wishes, [](model&) { return specdec::no_draft{}; }));
}

TEST(batch, every_text_has_a_policy_of_its_own) {
  const auto wishes = many_wishes(vocab, 12);
  const auto compare = [&](auto policy) {
    auto target = targets();
    auto draft = drafts();
    specdec::batch_model_drafter drafter(draft, policy, {.top = 0});
    session_batch batch(target, drafter);
    EXPECT_EQ(
        together(batch, sequences, vocab, wishes, 3, never_interrupted),
        all_alone(wishes, [&](model& alone_draft) { return specdec::model_drafter(alone_draft, policy, {.top = 0}); }));
  };
  compare(specdec::heuristic{});
  compare(specdec::confidence(specdec::constant{6}));
  compare(specdec::fallback{.fallback_threshold = 0.5});
}

/// Drafts one token more in every round, whatever text that is of.
template <bool ReadsClock>
struct growing {
  static constexpr bool reads_clock = ReadsClock;

  std::size_t rounds = 0;

  [[nodiscard]] std::size_t depth(const specdec::draft_request&) const { return rounds; }
  void observe(const specdec::outcome&) { ++rounds; }
};

TEST(batch, a_policy_that_reads_the_clock_learns_across_texts) {
  const auto rounds_known = [](auto policy) {
    drafting_batch some(targets(1), drafts(1), policy);
    std::vector<std::size_t> behind_each_text;
    for (int i = 0; i < 2; ++i) {
      specdec::session text(vocab, {.max_tokens = 20});
      text.begin(tokens{1});
      some.batch.join(text);
      while (some.batch.running()) some.batch.round();
      some.batch.leave(text);
      behind_each_text.push_back(some.drafter.policy(0).rounds);
    }
    return behind_each_text;
  };
  const auto forgotten = rounds_known(growing<false>{});
  EXPECT_EQ(forgotten[1], forgotten[0]);
  const auto kept = rounds_known(growing<true>{});
  EXPECT_EQ(kept[0], forgotten[0]);
  EXPECT_GT(kept[1], kept[0]);
}

TEST(batch, drafters_that_know_no_batches_draft_one_by_one) {
  const auto wishes = many_wishes(vocab, 10);
  auto target = targets();
  specdec::separate_drafters lookups(sequences, [](std::size_t) { return specdec::prompt_lookup{}; });
  session_batch batch(target, lookups);
  EXPECT_EQ(together(batch, sequences, vocab, wishes, 2, never_interrupted),
            all_alone(wishes, [](model&) { return specdec::prompt_lookup{}; }));

  std::vector<model> own(sequences, draft_model());
  specdec::separate_drafters any(sequences, [&](std::size_t sequence) {
    return specdec::any_drafter(specdec::model_drafter(own[sequence], specdec::constant{4}));
  });
  session_batch erased(target, any);
  EXPECT_EQ(together(erased, sequences, vocab, wishes, 2, never_interrupted), all_alone(wishes, with_gamma(4)));
}

TEST(batch, masks_and_hooks_are_each_texts_own) {
  struct even {
    bool allows(token_id token) const { return token % 2 == 0; }
    void fill(std::span<std::uint32_t> words) const { words[0] = 0x155; }
    void advance(token_id) {}
    void rollback(std::size_t) {}
  };
  auto wishes = many_wishes(vocab, 6);
  wishes[1].options.mask = even{};
  wishes[4].options.mask = even{};
  wishes[2].options.detokenize = [](token_id token, std::string& text) { text += static_cast<char>('a' + token); };
  wishes[2].options.stop_texts = {"bc", "ee"};
  drafting_batch some(targets(), drafts(), specdec::constant{3});
  auto& batch = some.batch;
  EXPECT_EQ(together(batch, sequences, vocab, wishes, 1, never_interrupted), all_alone(wishes, with_gamma(3)));
}

TEST(batch, a_round_is_one_call_of_the_target_and_one_of_the_draft_for_every_step) {
  drafting_batch some(watched<separate_sequences<model>>{targets()}, watched<separate_sequences<model>>{drafts()},
                      specdec::constant{4}, {10});
  auto& [target, draft, drafter, batch] = some;
  std::vector<specdec::session<>> texts;
  for (std::uint32_t i = 0; i < sequences; ++i) {
    texts.emplace_back(vocab, specdec::generate_options{.max_tokens = 60, .stream = i});
    texts.back().begin(tokens(30, static_cast<token_id>(i)));
  }
  for (auto& text : texts) batch.join(text);
  // 29 tokens of each prompt lie before the pending one: 87 in chunks of 10.
  std::size_t rounds = 0;
  for (; texts.back().generated().empty(); ++rounds) batch.round();
  EXPECT_EQ(rounds, 9U);
  EXPECT_EQ(target.calls, rounds);
  EXPECT_LE(target.most_tokens, 10U + 2 * 5U + 5U);
  EXPECT_LE(draft.most_tokens, 10U + 2 * 2U + 10U);
  for (std::size_t i = 0; i < 5; ++i) {
    target.calls = draft.calls = 0;
    batch.round();
    EXPECT_EQ(target.calls, 1U);
    EXPECT_EQ(draft.calls, 4U);
  }
}

/// Writes down what it is told.
struct listening {
  static constexpr bool reads_clock = false;
  std::vector<std::size_t>* sequences;
  std::vector<specdec::round_times>* times;
  [[nodiscard]] std::size_t depth(const specdec::draft_request& request) {
    sequences->push_back(request.sequences);
    return 2;
  }
  void observe(const specdec::outcome& out) { times->push_back(out.times); }
};

TEST(batch, policies_are_told_how_many_texts_share_a_call_and_what_it_took) {
  watched<separate_sequences<model>> target{targets()};
  auto draft = drafts();
  std::vector<std::size_t> shared;
  std::vector<specdec::round_times> times;
  specdec::batch_model_drafter drafter(draft, listening{&shared, &times});
  session_batch batch(target, drafter);
  specdec::session first(vocab, {.max_tokens = 9}), second(vocab, {.max_tokens = 20});
  first.begin(tokens{1});
  second.begin(tokens{2, 3, 4});
  batch.join(first);
  batch.join(second);
  batch.round();
  EXPECT_EQ(shared, (std::vector<std::size_t>{2, 2}));
  ASSERT_EQ(times.size(), 2U);
  EXPECT_EQ(times[0].scored, target.tokens_fed);
  EXPECT_EQ(times[1].scored, target.tokens_fed);
  EXPECT_GT(times[0].draft, 0);
  EXPECT_GT(times[0].target, 0);
  EXPECT_GT(times[0].verify, 0);
  const double all = first.stats().target_seconds + second.stats().target_seconds;
  EXPECT_NEAR(all, times[0].target, 1e-12);
  while (batch.running()) batch.round();
  EXPECT_EQ(shared.back(), 1U);
}

// Whether a round fails depends on its noise, which it meets again when it is begun again.
TEST(batch, a_round_that_is_begun_again_is_drafted_for_as_many_texts_as_before) {
  using faulty = specdec::testing::faulty_model<model>;
  std::vector<faulty> models;
  for (std::size_t i = 0; i < 2; ++i) {
    models.emplace_back(
        target_model(),
        specdec::testing::fault{i == 0 ? specdec::testing::fault_kind::nan : specdec::testing::fault_kind::none, 1});
  }
  separate_sequences target(std::move(models));
  auto draft = drafts(2);
  std::vector<std::size_t> shared;
  std::vector<specdec::round_times> times;
  specdec::batch_model_drafter drafter(draft, listening{&shared, &times});
  session_batch batch(target, drafter);
  specdec::session first(vocab, {.max_tokens = 9}), second(vocab, {.max_tokens = 20, .seed = 1});
  first.begin(tokens{1});
  second.begin(tokens{2, 3, 4});
  batch.join(first);
  batch.round();
  ASSERT_EQ(first.status(), specdec::session_status::failed);
  first.resume();
  batch.join(second);
  batch.round();
  batch.round();
  EXPECT_EQ(shared, (std::vector<std::size_t>{1, 1, 2, 2, 2}));
}

TEST(batch, time_of_reading_a_prompt_is_that_of_its_text) {
  auto target = targets(1);
  session_batch batch(target, {.prefill_tokens = 10});
  specdec::session text(vocab, {.max_tokens = 5});
  text.begin(tokens(101, 3));
  batch.join(text);
  for (std::size_t round = 0; round < 10; ++round) {
    const double before = text.stats().target_seconds;
    batch.round();
    EXPECT_GT(text.stats().target_seconds, before) << round;
  }
}

TEST(batch, a_cost_model_drafts_where_it_pays) {
  // Scoring is free up to 8 tokens; a guess costs a tenth of a call.
  const specdec::recorded_costs costs{.target_call = {1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                                      .draft_step = {0.1}};
  const auto proposed_by = [&](std::size_t count) {
    drafting_batch some(targets(count), drafts(count), specdec::cost_model(costs));
    auto& batch = some.batch;
    auto texts = begun(count, 100, tokens{1, 2});
    for (auto& text : texts) batch.join(text);
    while (batch.size() == count && texts.front().running()) batch.round();
    return static_cast<double>(texts.front().stats().proposed) / static_cast<double>(texts.front().stats().rounds);
  };
  EXPECT_GT(proposed_by(1), 2.0);
  EXPECT_GT(proposed_by(1), proposed_by(4));
  EXPECT_LT(proposed_by(12), 0.2);
}

TEST(batch, a_prompt_keeps_nobody_waiting) {
  auto target = targets();
  session_batch batch(target, {4});
  specdec::session first(vocab, {.max_tokens = 50}), second(vocab, {.max_tokens = 50});
  first.begin(tokens{1});
  second.begin(tokens(81, 2));
  batch.join(first);
  batch.join(second);
  for (std::size_t round = 1; round <= 20; ++round) {
    batch.round();
    EXPECT_EQ(first.generated().size(), round);
    EXPECT_EQ(second.generated().size(), round == 20 ? 1U : 0U);
  }
}

TEST(batch, one_sequence_is_a_model) {
  auto target = targets();
  (void)specdec::one_sequence(target, 0).decode(tokens{1, 2}, 0);
  specdec::one_sequence second(target, 1);
  const auto report = specdec::testing::check_target_model(second);
  EXPECT_TRUE(report.conforming()) << report.text();
  EXPECT_EQ(target.size(0), 2U);
  EXPECT_EQ(target.size(2), 0U);
}

}  // namespace
