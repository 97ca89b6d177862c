// Many texts over one target: each must be what it is alone, whatever happens to the others.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/faulty.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "laws.hpp"

namespace {

using batches::alone;
using batches::failing;
using batches::many_wishes;
using batches::never_interrupted;
using batches::result;
using batches::together;
using batches::watched;
using batches::wish;
using specdec::separate_sequences;
using specdec::session_batch;
using specdec::session_status;
using specdec::token_id;
using tokens = std::vector<token_id>;

constexpr std::size_t vocab = 9;
constexpr std::size_t sequences = 3;

using law = decltype(laws::hashed(vocab, 0, 0.0));
using model = specdec::testing::law_model<law>;

model target_model() { return {vocab, laws::hashed(vocab, 1, 0.6)}; }
/// Right often enough to be worth its while.
model draft_model() { return {vocab, laws::hashed(vocab, 1, 0.4)}; }

separate_sequences<model> targets(std::size_t count = sequences) {
  return separate_sequences(std::vector<model>(count, target_model()));
}
separate_sequences<model> drafts(std::size_t count = sequences) {
  return separate_sequences(std::vector<model>(count, draft_model()));
}

static_assert(specdec::DecodesBatches<separate_sequences<model>> && !specdec::DecodesBatches<model>);
static_assert(!specdec::HasCapacity<separate_sequences<model>>);
static_assert(specdec::BatchDrafter<specdec::batch_model_drafter<separate_sequences<model>>>);

/// What every wish gives alone, with a drafter made by `make(draft)`.
template <class Make>
std::vector<result> all_alone(const std::vector<wish>& wishes, const Make& make) {
  std::vector<result> results;
  for (const wish& wanted : wishes) {
    model draft = draft_model();
    results.push_back(alone(target_model(), make(draft), wanted));
  }
  return results;
}

const auto with_gamma = [](std::size_t gamma) {
  return [=](model& draft) { return specdec::model_drafter(draft, specdec::constant{gamma}); };
};

TEST(batch, texts_are_those_generated_alone) {
  const auto wishes = many_wishes(vocab, 14);
  const auto expected = all_alone(wishes, with_gamma(4));
  std::size_t accepted = 0;
  for (const result& r : expected) accepted += r.accepted;
  EXPECT_GT(accepted, 50U);
  for (const std::size_t prefill : {std::size_t{1}, std::size_t{7}, std::size_t{500}}) {
    for (const std::size_t rounds_between : {0U, 2U, 9U}) {
      auto target = targets();
      auto draft = drafts();
      specdec::batch_model_drafter drafter(draft, specdec::constant{4});
      session_batch batch(target, drafter, {prefill});
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
  auto target = targets();
  auto draft = drafts();
  specdec::batch_model_drafter drafter(draft, specdec::constant{3});
  session_batch batch(target, drafter);
  EXPECT_EQ(together(batch, sequences, vocab, wishes, 1, never_interrupted), all_alone(wishes, with_gamma(3)));
}

TEST(batch, a_round_is_one_call_of_the_target_and_one_of_the_draft_for_every_step) {
  watched<separate_sequences<model>> target{targets()};
  watched<separate_sequences<model>> draft{drafts()};
  specdec::batch_model_drafter drafter(draft, specdec::constant{4});
  session_batch batch(target, drafter, {10});
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

TEST(batch, a_cost_model_drafts_where_it_pays) {
  // Scoring is free up to 8 tokens; a guess costs a tenth of a call.
  const specdec::recorded_costs costs{.target_call = {1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
                                      .draft_step = {0.1}};
  const auto proposed_by = [&](std::size_t count) {
    auto target = targets(count);
    auto draft = drafts(count);
    specdec::batch_model_drafter drafter(draft, specdec::cost_model(costs));
    session_batch batch(target, drafter);
    std::vector<specdec::session<>> texts;
    for (std::uint32_t i = 0; i < count; ++i) {
      texts.emplace_back(vocab, specdec::generate_options{.max_tokens = 100, .stream = i});
      texts.back().begin(tokens{1, 2});
    }
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

TEST(batch, unusable_logits_fail_their_own_text) {
  using faulty = specdec::testing::faulty_model<model>;
  const auto wishes = many_wishes(vocab, 3);
  std::vector<faulty> models;
  for (std::size_t i = 0; i < sequences; ++i) {
    models.emplace_back(
        target_model(),
        specdec::testing::fault{i == 1 ? specdec::testing::fault_kind::nan : specdec::testing::fault_kind::none, 4});
  }
  separate_sequences target(std::move(models));
  auto draft = drafts();
  specdec::batch_model_drafter drafter(draft, specdec::constant{4});
  session_batch batch(target, drafter);
  std::vector<specdec::session<>> texts;
  for (const wish& wanted : wishes) {
    texts.emplace_back(vocab, wanted.options);
    texts.back().begin(wanted.prompt);
  }
  for (auto& text : texts) batch.join(text);
  std::size_t failures = 0;
  while (batch.running()) {
    batch.round([&](auto& text, const specdec::outcome& out) {
      if (out.status != session_status::failed) return;
      EXPECT_EQ(&text, &texts[1]);
      ++failures;
    });
  }
  EXPECT_EQ(failures, 1U);
  EXPECT_EQ(texts[1].status(), session_status::failed);
  EXPECT_EQ(texts[1].fault(), specdec::row_fault::nan);
  texts[1].resume();
  while (batch.running()) batch.round();
  const auto expected = all_alone(wishes, with_gamma(4));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokens(texts[i].generated().begin(), texts[i].generated().end()), expected[i].generated);
    EXPECT_EQ(texts[i].status(), expected[i].status);
  }
}

TEST(batch, unusable_logits_of_the_draft_are_thrown_when_the_others_are_done) {
  using faulty = specdec::testing::faulty_model<model>;
  const auto wishes = many_wishes(vocab, 3);
  std::vector<faulty> models;
  for (std::size_t i = 0; i < sequences; ++i) {
    models.emplace_back(
        draft_model(),
        specdec::testing::fault{i == 0 ? specdec::testing::fault_kind::nan : specdec::testing::fault_kind::none, 3});
  }
  auto target = targets();
  separate_sequences draft(std::move(models));
  specdec::batch_model_drafter drafter(draft, specdec::constant{4});
  session_batch batch(target, drafter);
  std::size_t errors = 0;
  const auto results = together(batch, sequences, vocab, wishes, 0, [&](const std::exception& error) {
    EXPECT_STREQ(error.what(), "specdec: expected usable logits from the draft model, but a row has NaN");
    EXPECT_NE(batch.faulty(), nullptr);
    ++errors;
    return true;
  });
  EXPECT_EQ(errors, 1U);
  EXPECT_EQ(results, all_alone(wishes, with_gamma(4)));
}

TEST(batch, goes_on_behind_an_exception_of_either_model_at_any_call) {
  const auto wishes = many_wishes(vocab, 5);
  const auto expected = all_alone(wishes, with_gamma(2));
  std::size_t interruptions = 0;
  for (const failing way : {failing::before, failing::midway, failing::after}) {
    for (const bool in_target : {true, false}) {
      for (std::size_t call = 1; call <= 30; ++call) {
        watched<separate_sequences<model>> target{targets()};
        watched<separate_sequences<model>> draft{drafts()};
        target.way = draft.way = way;
        (in_target ? target.fail_at : draft.fail_at) = call;
        specdec::batch_model_drafter drafter(draft, specdec::constant{2});
        session_batch batch(target, drafter, {11});
        const auto results = together(batch, sequences, vocab, wishes, 1, [&](const std::exception& error) {
          EXPECT_EQ(error.what(), "call " + std::to_string(call) + " failed");
          EXPECT_EQ(batch.faulty(), nullptr);
          ++interruptions;
          return true;
        });
        ASSERT_EQ(results, expected) << static_cast<int>(way) << ", " << in_target << ", " << call;
      }
    }
  }
  EXPECT_GT(interruptions, 100U);
}

TEST(batch, what_one_texts_hooks_throw_is_thrown_when_the_others_are_done) {
  auto wishes = many_wishes(vocab, 3);
  const auto expected = all_alone(wishes, with_gamma(3));
  std::size_t asked = 0;
  wishes[1].options.detokenize = [&](token_id, std::string&) {
    if (++asked % 7 == 0) throw std::runtime_error("no bytes");
  };
  auto target = targets();
  auto draft = drafts();
  specdec::batch_model_drafter drafter(draft, specdec::constant{3});
  session_batch batch(target, drafter);
  std::vector<specdec::session<>> texts;
  for (const wish& wanted : wishes) {
    texts.emplace_back(vocab, wanted.options);
    texts.back().begin(wanted.prompt);
  }
  for (auto& text : texts) batch.join(text);
  std::size_t errors = 0;
  while (batch.running() && errors < 1000) {
    const std::size_t before = texts[0].generated().size();
    const bool ran = texts[0].running();
    try {
      batch.round();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "no bytes");
      EXPECT_EQ(batch.faulty(), &texts[1]);
      EXPECT_TRUE(!ran || texts[0].generated().size() > before);
      ++errors;
    }
  }
  EXPECT_GT(errors, 0U);
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokens(texts[i].generated().begin(), texts[i].generated().end()), expected[i].generated) << i;
}

TEST(batch, a_sink_stops_or_fails_its_own_text) {
  auto target = targets();
  session_batch batch(target);
  std::vector<specdec::session<>> texts;
  for (std::uint32_t i = 0; i < sequences; ++i) {
    texts.emplace_back(vocab, specdec::generate_options{.max_tokens = 10, .stream = i});
    texts.back().begin(tokens{1, 2});
  }
  for (auto& text : texts) batch.join(text);
  const auto sink = [&](auto& text, const specdec::outcome&) {
    if (&text == &texts[0] && text.generated().size() == 4) throw std::runtime_error("full");
    return &text != &texts[1] || text.generated().size() < 6;
  };
  std::size_t errors = 0;
  while (batch.running()) {
    try {
      batch.round(sink);
    } catch (const std::runtime_error&) {
      EXPECT_EQ(batch.faulty(), &texts[0]);
      EXPECT_EQ(texts[2].generated().size(), 4U);
      ++errors;
    }
  }
  EXPECT_EQ(errors, 1U);
  EXPECT_EQ(texts[0].generated().size(), 10U);
  EXPECT_EQ(texts[1].status(), session_status::stopped);
  EXPECT_EQ(texts[1].generated().size(), 6U);
}

TEST(batch, texts_leave_and_join_where_they_like) {
  const wish wanted = many_wishes(vocab, 3)[1];
  auto one = targets();
  auto other = targets();
  auto draft = drafts();
  auto other_draft = drafts();
  specdec::batch_model_drafter drafter(draft, specdec::constant{3});
  specdec::batch_model_drafter other_drafter(other_draft, specdec::constant{3});
  session_batch here(one, drafter);
  session_batch there(other, other_drafter);
  specdec::session text(vocab, wanted.options);
  text.begin(wanted.prompt);
  for (int move = 0; text.running(); ++move) {
    auto& batch = move % 2 == 0 ? here : there;
    batch.join(text);
    batch.round();
    batch.leave(text);
    batch.leave(text);
    EXPECT_EQ(batch.size(), 0U);
    EXPECT_FALSE(batch.running());
  }
  EXPECT_EQ(tokens(text.generated().begin(), text.generated().end()),
            all_alone({wanted}, with_gamma(3)).front().generated);

  // Elsewhere, over a target that does not tell its tokens, it goes on as if it had never been in a batch.
  text.append(tokens{1, 2});
  model target = target_model();
  specdec::no_draft nothing;
  specdec::speculative_generate(text, target, nothing);
  EXPECT_EQ(target.size() + 1, text.tokens().size());
}

TEST(batch, a_sink_lets_texts_go_and_takes_others_in) {
  const auto wishes = many_wishes(vocab, 9);
  const auto expected = all_alone(wishes, with_gamma(3));
  auto target = targets(2);
  auto draft = drafts(2);
  specdec::batch_model_drafter drafter(draft, specdec::constant{3});
  session_batch batch(target, drafter);
  std::vector<specdec::session<>> texts;
  for (const wish& wanted : wishes) {
    texts.emplace_back(vocab, wanted.options);
    texts.back().begin(wanted.prompt);
  }
  std::size_t next = 2;
  batch.join(texts[0]);
  batch.join(texts[1]);
  while (batch.running()) {
    batch.round([&](auto& text, const specdec::outcome& out) {
      if (out.status == session_status::running) return;
      batch.leave(text);
      if (next < texts.size()) batch.join(texts[next++]);
    });
  }
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(tokens(texts[i].generated().begin(), texts[i].generated().end()), expected[i].generated) << i;

  // The first to have its round sends the second away, whose tokens it keeps for itself.
  specdec::session one(vocab, {.max_tokens = 5}), two(vocab, {.max_tokens = 5}), three(vocab, {.max_tokens = 5});
  for (auto* text : {&one, &two, &three}) text->begin(tokens{1});
  batch.join(one);
  batch.join(two);
  std::vector<const specdec::session<>*> told;
  batch.round([&](auto& text, const specdec::outcome&) {
    told.push_back(&text);
    batch.leave(two);
    if (batch.size() == 1) batch.join(three);
  });
  EXPECT_EQ(told, (std::vector<const specdec::session<>*>{&one}));
  EXPECT_FALSE(two.generated().empty());
  while (batch.running()) batch.round();
  EXPECT_TRUE(std::ranges::equal(one.generated(), three.generated()));
}

TEST(batch, a_free_sequence_is_chosen_for_what_it_holds) {
  watched<separate_sequences<model>> target{targets()};
  session_batch batch(target);
  std::vector<specdec::session<>> texts;
  for (token_id i = 0; i < static_cast<token_id>(sequences); ++i) {
    texts.emplace_back(vocab, specdec::generate_options{.max_tokens = 1});
    texts.back().begin(tokens(20, i));
  }
  for (auto& text : texts) batch.join(text);
  batch.round();
  EXPECT_EQ(target.tokens_fed, 60U);
  for (auto& text : texts) batch.leave(text);
  specdec::session again(vocab, {.max_tokens = 1});
  again.begin(tokens(20, 1));
  batch.join(again);
  batch.round();
  EXPECT_EQ(target.tokens_fed, 61U);

  // The next turn of a conversation feeds what is new.
  again.append(tokens{3, 4, 5});
  EXPECT_TRUE(batch.running());
  batch.round();
  EXPECT_EQ(target.tokens_fed, 61U + 4U);
}

TEST(batch, a_full_context_ends_its_text) {
  struct bounded : model {
    using model::model;
    [[nodiscard]] std::size_t capacity() const { return 25; }
  };
  separate_sequences target(std::vector<bounded>(2, bounded(vocab, laws::hashed(vocab, 1, 0.6))));
  separate_sequences draft(std::vector<bounded>(2, bounded(vocab, laws::hashed(vocab, 1, 0.4))));
  specdec::batch_model_drafter drafter(draft, specdec::constant{4});
  session_batch batch(target, drafter);
  specdec::session text(vocab, {.max_tokens = 100}), other(vocab, {.max_tokens = 10});
  text.begin(tokens{1, 2});
  other.begin(tokens{3});
  batch.join(text);
  batch.join(other);
  while (batch.running()) batch.round();
  EXPECT_EQ(text.status(), session_status::context_full);
  EXPECT_EQ(text.tokens().size(), 26U);
  EXPECT_EQ(other.status(), session_status::max_tokens);
}

template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no exception";
}

TEST(batch, misuse_is_refused) {
  auto target = targets(1);
  auto draft = drafts(2);
  specdec::batch_model_drafter drafter(draft);
  EXPECT_EQ(message_of([&] { session_batch batch(target, drafter); }),
            "specdec: expected a draft of 1 sequences, as the target has; it has 2");
  separate_sequences narrow(std::vector{specdec::testing::law_model(4, laws::hashed(4, 1))});
  specdec::batch_model_drafter narrow_drafter(narrow);
  EXPECT_EQ(message_of([&] { session_batch batch(target, narrow_drafter); }),
            "specdec: expected one vocabulary of 9 tokens; the draft has 4");
  EXPECT_EQ(message_of([&] { session_batch batch(target, {0}); }), "specdec: expected to read 1 token a round or more");
  EXPECT_EQ(message_of([&] { separate_sequences none(std::vector<model>{}); }),
            "specdec: expected at least one model for a batch; got none");

  session_batch batch(target);
  specdec::session text(vocab, {}), other(vocab, {}), foreign(4, {});
  EXPECT_EQ(message_of([&] { batch.join(foreign); }),
            "specdec: expected one vocabulary of 9 tokens; the session has 4");
  batch.join(text);
  EXPECT_EQ(message_of([&] { batch.join(text); }), "specdec: expected a session to join a batch once");
  EXPECT_EQ(message_of([&] { batch.join(other); }),
            "specdec: expected at most 1 sessions in a batch, the target's sequences; all are taken");
  EXPECT_EQ(batch.size(), 1U);
  // A session without a text waits for one.
  EXPECT_FALSE(batch.running());
  batch.round();
  text.begin(tokens{1});
  EXPECT_TRUE(batch.running());
}

struct branching {
  void propose(const specdec::draft_request&, auto& chance, specdec::draft& answer) {
    for (token_id t = 0; t < 2; ++t) answer.extend(specdec::root, specdec::proposal::point_mass(vocab, t), chance);
  }
};

TEST(batch, drafts_that_branch_are_refused) {
  auto target = targets();
  specdec::separate_drafters drafters(sequences, [](std::size_t) { return branching{}; });
  session_batch batch(target, drafters);
  specdec::session text(vocab, {});
  text.begin(tokens{1});
  batch.join(text);
  EXPECT_EQ(message_of([&] { batch.round(); }),
            "specdec: expected a draft without branches, since a batch scores no trees");
}

TEST(batch, a_target_that_returns_too_few_rows_is_refused) {
  using right = separate_sequences<model>;
  struct short_of_one : right {
    using right::right;
    std::size_t calls = 0;
    auto decode(std::span<const specdec::sequence_feed> feeds) {
      std::vector<specdec::sequence_feed> fewer(feeds.begin(), feeds.end());
      if (++calls == 2) --fewer.back().rows;
      return right::decode(fewer);
    }
  };
  short_of_one target(std::vector<model>(sequences, target_model()));
  session_batch batch(target);
  specdec::session text(vocab, {.max_tokens = 5});
  text.begin(tokens{1});
  batch.join(text);
  batch.round();
  EXPECT_EQ(message_of([&] { batch.round(); }),
            "specdec: expected 1 rows of logits from a call for several sequences; got 0");
  EXPECT_EQ(text.generated().size(), 1U);
  while (batch.running()) batch.round();
  EXPECT_EQ(tokens(text.generated().begin(), text.generated().end()),
            all_alone({{{1}, {.max_tokens = 5}}}, [](model&) { return specdec::no_draft{}; }).front().generated);
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
