// What a session knows of its target, where others use that too or the session goes on with another one.

#include <gtest/gtest.h>

#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "laws.hpp"

namespace {

using specdec::generate_options;
using specdec::outcome;
using specdec::session_status;
using specdec::token_id;
using specdec::testing::law_model;
using tokens = std::vector<token_id>;

constexpr std::size_t vocab = 8;
const tokens prompt{1, 2, 3};
const generate_options greedy{.max_tokens = 20, .sampling = {.temperature = 0}};

auto target_model() { return law_model(vocab, laws::hashed(vocab, 21, 0.8)); }

tokens generated(const specdec::session<>& text) { return {text.generated().begin(), text.generated().end()}; }

tokens greedy_text(const tokens& behind) {
  auto target = target_model();
  tokens text;
  for (const auto& token : specdec::autoregressive_generate(target, behind, greedy).tokens) text.push_back(token.id);
  return text;
}

/// Three tokens a round, most of them wrong.
auto guesser() {
  const auto choose = [](laws::text_view text) { return static_cast<token_id>(text.back() % 5); };
  return laws::point_drafter<std::remove_const_t<decltype(choose)>>{vocab, 3, choose};
}

/// Runs three rounds at most.
template <class Target, class Drafter>
void run_some_rounds(specdec::session<>& text, Target& target, Drafter& drafter) {
  int rounds = 0;
  text.resume();
  specdec::speculative_generate(text, target, drafter, [&](const outcome&) { return ++rounds < 3; });
}

TEST(targets, may_be_used_by_others_at_any_point_of_a_round_if_the_session_is_told) {
  const tokens other_prompt{4, 5, 6, 7};
  for (const bool before_commit : {false, true}) {
    auto target = target_model();
    specdec::session one(vocab, greedy), other(vocab, greedy);
    one.begin(prompt);
    other.begin(other_prompt);
    specdec::draft drafted;
    const auto round = [&](specdec::session<>& text) {
      if (!text.running()) return;
      drafted.begin(text.request());
      const auto plan = text.plan(drafted, target.size());
      target.truncate(plan.held);
      const auto verdict = text.verify(target.decode(plan.tokens, plan.rows));
      if (before_commit) text.forget_target();
      static_cast<void>(text.commit(verdict));
      if (!before_commit) text.forget_target();
    };
    while (one.running() || other.running()) {
      round(one);
      round(other);
    }
    EXPECT_EQ(generated(one), greedy_text(prompt));
    EXPECT_EQ(generated(other), greedy_text(other_prompt));
  }
}

TEST(targets, may_be_used_by_a_hook_in_the_middle_of_a_round_if_the_session_is_told) {
  auto target = target_model();
  specdec::session<>* told = nullptr;
  generate_options options = greedy;
  options.stop_texts = {"never"};
  options.detokenize = [&](token_id token, std::string& text) {
    text += static_cast<char>('a' + token);
    if (told == nullptr) return;
    target.truncate(0);
    static_cast<void>(target.decode(tokens{7, 7}, 0));
    told->forget_target();
  };
  specdec::session text(vocab, options);
  text.begin(prompt);
  auto drafter = guesser();
  specdec::draft drafted;
  while (text.running()) {
    drafted.begin(text.request());
    drafter.propose(text.request(), text.chance(), drafted);
    told = &text;
    const auto plan = text.plan(drafted, target.size());
    told = nullptr;
    if (target.size() > plan.held) target.truncate(plan.held);
    static_cast<void>(text.commit(text.verify(target.decode(plan.tokens, plan.rows))));
  }
  EXPECT_EQ(generated(text), greedy_text(prompt));
}

TEST(targets, may_change_between_calls) {
  auto one = target_model();
  auto other = target_model();
  specdec::recorded third(target_model());
  auto drafter = guesser();
  specdec::session text(vocab, greedy);
  text.begin(prompt);
  for (int part = 0; text.status() != session_status::max_tokens; ++part) {
    switch (part % 4) {
      case 1:
        run_some_rounds(text, other, drafter);
        break;
      case 3:
        run_some_rounds(text, third, drafter);
        break;
      default:
        run_some_rounds(text, one, drafter);
    }
  }
  EXPECT_EQ(generated(text), greedy_text(prompt));
}

TEST(targets, of_a_fork_from_a_batch_may_be_the_one_before_the_batch) {
  auto own = target_model();
  auto drafter = guesser();
  specdec::session text(vocab, greedy);
  text.begin(prompt);
  run_some_rounds(text, own, drafter);
  text.resume();
  specdec::separate_sequences together(std::vector{target_model()});
  specdec::session_batch batch(together);
  batch.join(text);
  for (int round = 0; round < 4; ++round) batch.round();
  specdec::session fork = text.fork(1);
  specdec::speculative_generate(fork, own, drafter);
  EXPECT_EQ(generated(fork), greedy_text(prompt));
}

}  // namespace
