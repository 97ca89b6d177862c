// Texts that come to a batch and leave it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
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
using batches::watched;
using specdec::session_status;

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
  EXPECT_EQ(generated(text), all_alone({wanted}, with_gamma(3)).front().generated);

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
  drafting_batch some(targets(2), drafts(2), specdec::constant{3});
  auto& batch = some.batch;
  auto texts = begun(wishes);
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
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(generated(texts[i]), expected[i].generated) << i;

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

/// Draws the line where its context ends.
struct short_model : model {
  using model::model;
  [[nodiscard]] std::size_t capacity() const { return 20; }
  auto decode(std::span<const token_id> tokens, std::size_t rows) {
    if (size() + tokens.size() > capacity()) throw std::length_error("fed beyond its capacity");
    return model::decode(tokens, rows);
  }
};

TEST(batch, a_prompt_that_the_draft_has_no_room_for_is_read_without_it) {
  const short_model small(vocab, laws::hashed(vocab, 1, 0.4));
  // The longest prompt that the draft can read, one more, one of many chunks, and one that grows beyond it.
  std::vector<wish> wishes;
  for (const std::size_t size : {20U, 21U, 60U, 3U}) {
    wishes.push_back({tokens(size, 1), {.max_tokens = 25, .stream = static_cast<std::uint32_t>(size)}});
  }
  std::vector<result> expected;
  for (const wish& wanted : wishes) {
    short_model draft = small;
    expected.push_back(alone(target_model(), specdec::model_drafter(draft, specdec::constant{4}), wanted));
  }
  EXPECT_EQ(expected[2].proposed, 0U);
  EXPECT_GT(expected[3].proposed, 10U);
  drafting_batch some(targets(4), separate_sequences(std::vector<short_model>(4, small)), specdec::constant{4}, {16});
  EXPECT_EQ(batches::together(some.batch, 4, vocab, wishes, 0, batches::never_interrupted), expected);
  EXPECT_EQ(some.draft.size(2), 0U);
}

}  // namespace
