// What goes wrong in a batch goes wrong for one text, or for none: the others are what they are alone. Faults of the
// models in every call are tried in faults/.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "company.hpp"
#include "laws.hpp"
#include "message_of.hpp"

namespace {

using namespace company;
using batches::many_wishes;
using batches::together;
using specdec::session_status;

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
  auto texts = begun(wishes);
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
    EXPECT_EQ(generated(texts[i]), expected[i].generated);
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

TEST(batch, what_one_texts_hooks_throw_is_thrown_when_the_others_are_done) {
  auto wishes = many_wishes(vocab, 3);
  const auto expected = all_alone(wishes, with_gamma(3));
  std::size_t asked = 0;
  wishes[1].options.detokenize = [&](token_id, std::string&) {
    if (++asked % 7 == 0) throw std::runtime_error("no bytes");
  };
  drafting_batch some(targets(), drafts(), specdec::constant{3});
  auto& batch = some.batch;
  auto texts = begun(wishes);
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
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(generated(texts[i]), expected[i].generated) << i;
}

TEST(batch, a_sink_stops_or_fails_its_own_text) {
  auto target = targets();
  session_batch batch(target);
  auto texts = begun(sequences, 10, tokens{1, 2});
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

TEST(batch, a_text_is_stopped_by_the_hook_of_another_in_the_middle_of_a_round) {
  specdec::session<>* other = nullptr;
  const auto hook = [&other](token_id token, std::string& text) {
    text += static_cast<char>('a' + token);
    if (other != nullptr) other->stop();
  };
  auto target = targets(2);
  auto draft = drafts(2);
  specdec::batch_model_drafter drafter(draft, specdec::constant{3});
  session_batch batch(target, drafter);
  const specdec::generate_options plain{.max_tokens = 12, .seed = 2};
  specdec::session first(vocab, {.max_tokens = 12, .stop_texts = {"zzz"}, .detokenize = hook}), second(vocab, plain);
  first.begin(tokens{1, 2, 3});
  second.begin(tokens{1, 2, 3});
  batch.join(first);
  batch.join(second);
  batch.round();
  other = &second;
  while (batch.running()) batch.round();
  EXPECT_EQ(first.status(), session_status::max_tokens);
  ASSERT_EQ(second.status(), session_status::stopped);
  second.resume();
  other = nullptr;
  while (batch.running()) batch.round();
  auto alone_target = target_model();
  auto alone_draft = draft_model();
  specdec::session alone(vocab, plain);
  alone.begin(tokens{1, 2, 3});
  specdec::model_drafter alone_drafter(alone_draft, specdec::constant{3});
  specdec::speculative_generate(alone, alone_target, alone_drafter);
  EXPECT_EQ(generated(second), generated(alone));
}

TEST(batch, a_sink_that_throws_behind_a_change_of_places_fails_its_own_text) {
  auto target = targets(1);
  session_batch batch(target);
  auto texts = begun(2, 10, tokens{1, 2});
  batch.join(texts[0]);
  const auto sink = [&](auto& text, const specdec::outcome&) {
    batch.leave(text);
    batch.join(texts[1]);
    throw std::runtime_error("full");
  };
  EXPECT_THROW(batch.round(sink), std::runtime_error);
  EXPECT_EQ(batch.faulty(), &texts[0]);
  EXPECT_TRUE(texts[1].generated().empty());
  while (batch.running()) batch.round();
  EXPECT_EQ(batch.faulty(), nullptr);
  EXPECT_EQ(texts[1].generated().size(), 10U);
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

TEST(batch, the_rows_of_each_of_several_models_are_counted) {
  using specdec::testing::fault;
  using specdec::testing::fault_kind;
  using faulty = specdec::testing::faulty_model<model>;
  const auto models = [](model (*make)(), const fault& planned) {
    std::vector<faulty> made;
    for (std::size_t i = 0; i < sequences; ++i) made.emplace_back(make(), i == 1 ? planned : fault{});
    return separate_sequences(std::move(made));
  };
  const auto wishes = many_wishes(vocab, 3);
  const auto expected = all_alone(wishes, with_gamma(4));
  for (const auto& [kind, came] : {std::pair(fault_kind::too_few_rows, 0), std::pair(fault_kind::too_many_rows, 2)}) {
    for (const bool of_target : {true, false}) {
      // The first call that returns a row to it, and so one row.
      const fault planned{kind, 1};
      const std::string refusal =
          "specdec: expected 1 rows of logits from the model of sequence 1; got " + std::to_string(came);
      auto target = models(target_model, of_target ? planned : fault{});
      auto draft = models(draft_model, of_target ? fault{} : planned);
      specdec::batch_model_drafter drafter(draft, specdec::constant{of_target ? 0U : 4U});
      session_batch batch(target, drafter);
      std::size_t errors = 0;
      const auto results = together(batch, sequences, vocab, wishes, 0, [&](const std::exception& error) {
        EXPECT_NE(dynamic_cast<const std::invalid_argument*>(&error), nullptr);
        EXPECT_EQ(error.what(), refusal);
        ++errors;
        return true;
      });
      EXPECT_EQ(errors, 1U);
      EXPECT_EQ(results, of_target ? all_alone(wishes, with_gamma(0)) : expected);
    }
  }
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
  EXPECT_EQ(generated(text),
            all_alone({{{1}, {.max_tokens = 5}}}, [](model&) { return specdec::no_draft{}; }).front().generated);
}

}  // namespace
