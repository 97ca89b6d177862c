// A session is a value: copies, forks, and ways back.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"
#include "scenarios.hpp"

namespace {

using scenarios::begun;
using scenarios::drafting;
using scenarios::finished;
using scenarios::heard;
using scenarios::models;
using scenarios::run_to_the_end;
using scenarios::setting;
using scenarios::state_of;
using scenarios::uninterrupted;
using specdec::generate_options;
using specdec::outcome;
using specdec::session_status;
using specdec::token_id;
using specdec::testing::law_model;

using text_session = specdec::session<>;
using tokens = std::vector<token_id>;

const tokens prompt{1, 2, 0, 3};
constexpr std::size_t vocab_size = 6;

auto target_law() { return laws::hashed(vocab_size, 21, 0.8); }
auto drafter_of_six() { return laws::drafter_over(vocab_size, laws::hashed(vocab_size, 22, 0.8), 3, {}); }

/// A law that counts what it was fed.
class counted {
 public:
  std::size_t fed = 0;
  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  void truncate(std::size_t n) { model_.truncate(n); }
  auto decode(std::span<const token_id> given, std::size_t rows) {
    fed += given.size();
    return model_.decode(given, rows);
  }

 private:
  law_model<decltype(target_law())> model_{::vocab_size, target_law()};
};

text_session begun_with(const generate_options& options) {
  text_session text(vocab_size, options);
  text.begin(prompt);
  return text;
}

tokens all_of(const text_session& text) { return {text.tokens().begin(), text.tokens().end()}; }

/// One round, step by step; calls `between(plan)` before it is committed.
template <class Target, class Draft, class Between>
void one_round(text_session& text, Target& target, Draft& drafter, specdec::draft& drafted, Between between) {
  drafted.begin(text.request());
  drafter.propose(text.request(), text.chance(), drafted);
  const auto plan = plan_for(text, drafted, target);
  between();
  target.truncate(plan.held);
  const auto v = text.verify(target.decode(plan.tokens, plan.rows));
  between();
  (void)text.commit(v);
}

template <class Target, class Draft>
void one_round(text_session& text, Target& target, Draft& drafter) {
  specdec::draft drafted;
  one_round(text, target, drafter, drafted, [] {});
}

/// The whole text of a session that has the models to itself.
tokens lone(const generate_options& options) {
  auto text = begun_with(options);
  counted target;
  auto drafter = drafter_of_six();
  speculative_generate(text, target, drafter);
  return all_of(text);
}

TEST(copy, of_a_session_goes_on_alike_from_every_round_and_from_the_middle_of_one) {
  for (const setting chosen : scenarios::settings) {
    const finished expected = uninterrupted(chosen, drafting::dense);
    auto text = begun(chosen);
    models with(chosen, drafting::dense);
    heard before;
    specdec::draft drafted;
    std::size_t checked = 0;
    while (text.running()) {
      // What the filters cost makes every copy dear; they have no state that a copy could lose.
      const bool check = chosen != setting::shaped || text.stats().rounds % 8 == 0;
      drafted.begin(text.request());
      with.drafter.propose(text.request(), text.chance(), drafted);
      const auto expect_same_end = [&] {
        if (!check) return;
        const std::string state = state_of(text);
        text_session other = text;
        EXPECT_EQ(state_of(other), state);
        // The target is another: the copied record of what it holds must not be believed beyond its size.
        models others(chosen, drafting::dense);
        heard all = before;
        run_to_the_end(other, others, std::ref(all));
        ASSERT_EQ((finished{all, state_of(other)}), expected) << "behind round " << text.stats().rounds;
        EXPECT_EQ(state_of(text), state);
        ++checked;
      };
      expect_same_end();
      const auto plan = text.plan(drafted, with.target.size());
      expect_same_end();
      with.target.truncate(plan.held);
      const auto v = text.verify(with.target.decode(plan.tokens, plan.rows));
      expect_same_end();
      before(text.commit(v));
    }
    EXPECT_EQ((finished{before, state_of(text)}), expected);
    EXPECT_GT(checked, 20U);
  }
}

TEST(copy, to_itself_changes_nothing_even_in_the_middle_of_a_round) {
  const generate_options options{.max_tokens = 40, .seed = 3};
  auto text = begun_with(options);
  text_session& same = text;
  counted target;
  auto drafter = drafter_of_six();
  specdec::draft drafted;
  while (text.running()) {
    one_round(text, target, drafter, drafted, [&] { text = same; });
  }
  EXPECT_EQ(all_of(text), lone(options));
}

TEST(copy, replaces_a_session_in_the_middle_of_a_round) {
  const generate_options options{.max_tokens = 40, .seed = 3};
  const auto fresh = begun_with(options);
  auto text = begun_with({.max_tokens = 20, .seed = 4});
  counted target;
  auto drafter = drafter_of_six();
  one_round(text, target, drafter);
  specdec::draft drafted;
  drafted.begin(text.request());
  (void)text.plan(drafted, target.size());
  text = fresh;
  text.forget_target();
  speculative_generate(text, target, drafter);
  EXPECT_EQ(all_of(text), lone(options));
}

TEST(copy, leaves_a_session_that_was_moved_from_fit_to_be_assigned) {
  const generate_options options{.max_tokens = 40, .seed = 3};
  counted target;
  auto drafter = drafter_of_six();
  auto text = begun_with(options);
  one_round(text, target, drafter);
  const text_session kept = text;
  text_session moved = std::move(text);
  text = kept;
  speculative_generate(moved, target, drafter);
  EXPECT_EQ(all_of(moved), lone(options));
  text.forget_target();
  speculative_generate(text, target, drafter);
  EXPECT_EQ(all_of(text), lone(options));
}

TEST(copy, by_move_takes_the_round_along) {
  const generate_options options{.max_tokens = 40, .seed = 3};
  auto text = begun_with(options);
  counted target;
  auto drafter = drafter_of_six();
  specdec::draft drafted;
  while (text.running()) {
    one_round(text, target, drafter, drafted, [&] {
      text_session moved = std::move(text);
      text = std::move(moved);
    });
  }
  EXPECT_EQ(all_of(text), lone(options));
}

TEST(fork, gives_the_samples_of_lone_sessions_over_one_target_that_is_fed_the_prompt_once) {
  const generate_options options{.max_tokens = 50, .seed = 8};
  counted inner;
  specdec::recorded<counted&> target(inner);
  auto drafter = drafter_of_six();
  const auto first = begun_with(options);
  constexpr std::size_t samples = 5;
  std::vector<text_session> texts;
  for (std::uint32_t stream = 0; stream < samples; ++stream) texts.push_back(first.fork(stream));

  // In their first rounds they share all but what they draft: after the first of them, the prompt is there.
  one_round(texts[0], target, drafter);
  for (std::size_t i = 1; i < samples; ++i) {
    const std::size_t before = inner.fed;
    one_round(texts[i], target, drafter);
    EXPECT_LE(inner.fed - before, 1 + 3U);
    EXPECT_GE(target.size(), prompt.size());
  }
  for (bool any = true; any;) {
    any = false;
    for (auto& text : texts) {
      if (!text.running()) continue;
      one_round(text, target, drafter);
      EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), target.tokens().begin()));
      any = true;
    }
  }
  std::vector<tokens> distinct;
  for (std::uint32_t stream = 0; stream < samples; ++stream) {
    auto alone = options;
    alone.stream = stream;
    EXPECT_EQ(all_of(texts[stream]), lone(alone)) << stream;
    EXPECT_EQ(texts[stream].options().stream, stream);
    distinct.push_back(all_of(texts[stream]));
  }
  std::sort(distinct.begin(), distinct.end());
  EXPECT_EQ(std::unique(distinct.begin(), distinct.end()), distinct.end());
}

TEST(fork, to_its_own_stream_is_the_original) {
  const generate_options options{.max_tokens = 50, .seed = 8, .stream = 6};
  const auto text = begun_with(options);
  auto same = text.fork(6);
  counted target;
  auto drafter = drafter_of_six();
  speculative_generate(same, target, drafter);
  EXPECT_EQ(all_of(same), lone(options));
}

TEST(fork, in_the_middle_of_a_text_shares_what_is_before_it) {
  const generate_options options{.max_tokens = 50, .seed = 8};
  counted inner;
  specdec::recorded<counted&> target(inner);
  auto drafter = drafter_of_six();
  auto text = begun_with(options);
  while (text.generated().size() < 20) one_round(text, target, drafter);
  const tokens shared = all_of(text);
  auto same = text.fork(0);
  auto other = text.fork(1);
  auto another = text.fork(1);
  while (text.running() || same.running() || other.running() || another.running()) {
    for (auto* each : {&text, &same, &other, &another}) {
      if (each->running()) one_round(*each, target, drafter);
    }
  }
  EXPECT_EQ(all_of(text), lone(options));
  EXPECT_EQ(all_of(same), all_of(text));
  EXPECT_EQ(all_of(another), all_of(other));
  EXPECT_NE(all_of(other), all_of(text));
  EXPECT_TRUE(std::equal(shared.begin(), shared.end(), other.tokens().begin()));
}

TEST(fork, of_a_text_that_was_stopped_waits_to_be_resumed) {
  const generate_options options{.max_tokens = 50, .seed = 8, .stream = 6};
  auto text = begun_with(options);
  text.stop();
  auto same = text.fork(6);
  EXPECT_EQ(same.status(), specdec::session_status::stopped);
  same.resume();
  counted target;
  auto drafter = drafter_of_six();
  speculative_generate(same, target, drafter);
  EXPECT_EQ(all_of(same), lone(options));
  EXPECT_EQ(text.status(), specdec::session_status::stopped);
}

TEST(fork, keeps_the_seed_of_randomness_that_was_given) {
  counted target;
  auto drafter = drafter_of_six();
  const generate_options options{.max_tokens = 50, .seed = 1};
  text_session given(vocab_size, options, {}, specdec::philox(8, 2));
  given.begin(prompt);
  auto other = given.fork(3);
  speculative_generate(other, target, drafter);
  EXPECT_EQ(all_of(other), lone({.max_tokens = 50, .seed = 8, .stream = 3}));
}

TEST(rewind, to_an_earlier_place_feeds_nothing_again_that_the_target_holds) {
  counted target;
  auto drafter = drafter_of_six();
  auto text = begun_with({.max_tokens = 30, .seed = 9});
  speculative_generate(text, target, drafter);
  const tokens first = all_of(text);
  for (const std::size_t place : {std::size_t{20}, std::size_t{5}, prompt.size(), std::size_t{1}}) {
    text.rewind(place);
    EXPECT_EQ(text.prompt_size(), place);
    EXPECT_TRUE(text.running());
    const std::size_t before = target.fed;
    one_round(text, target, drafter);
    EXPECT_LE(target.fed - before, 1 + 3U) << "the pending token and the draft";
    // What is believed of the target is true: a new one gives the same text.
    auto same = text;
    counted new_target;
    speculative_generate(same, new_target, drafter);
    speculative_generate(text, target, drafter);
    EXPECT_EQ(all_of(text), all_of(same));
    EXPECT_EQ(text.generated().size(), 30U);
    EXPECT_TRUE(std::equal(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(place), text.tokens().begin()));
    const auto shared = specdec::shared_prefix(first, text.tokens());
    EXPECT_LT(shared, std::min(first.size(), text.tokens().size())) << "no noise is used twice";
  }
}

TEST(rewind, before_a_stop_and_append_is_the_next_turn_without_recomputation) {
  const tokens free_run = lone({.max_tokens = 30, .seed = 9});
  const auto at = free_run.begin() + 20;
  const generate_options options{.max_tokens = 30, .seed = 9, .stop_sequences = {tokens(at, at + 3)}};
  counted target;
  auto drafter = drafter_of_six();
  auto text = begun_with(options);
  tokens delivered;
  speculative_generate(text, target, drafter, [&](const outcome& out) {
    for (const auto& token : out.tokens) delivered.push_back(token.id);
  });
  ASSERT_EQ(text.status(), session_status::stop_sequence);
  EXPECT_EQ(text.stop_index(), 0U);
  EXPECT_EQ(text.delivered(), delivered.size());
  EXPECT_EQ(text.waiting().size(), 3U);
  const std::size_t turn = prompt.size() + delivered.size();
  EXPECT_LE(turn, 20U);
  text.rewind(prompt.size() + text.delivered());
  EXPECT_EQ(text.tokens().size(), turn);
  const tokens next{5, 5, 4};
  text.append(next);
  EXPECT_EQ(text.delivered(), 0U);
  EXPECT_TRUE(text.waiting().empty());
  const std::size_t before = target.fed;
  one_round(text, target, drafter);
  EXPECT_LE(target.fed - before, 1 + next.size() + 3);
  EXPECT_TRUE(std::equal(next.begin(), next.end(), text.tokens().begin() + static_cast<std::ptrdiff_t>(turn)));
  EXPECT_EQ(text.prompt_size(), turn + next.size());
}

TEST(rewind, refuses_a_place_that_is_not_in_the_text) {
  auto text = begun_with({.max_tokens = 30});
  const auto refused = [&text](std::size_t place) -> std::string {
    try {
      text.rewind(place);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(refused(0), "specdec: expected to go back to 1 to 4 tokens; got 0");
  EXPECT_EQ(refused(5), "specdec: expected to go back to 1 to 4 tokens; got 5");
  EXPECT_EQ(all_of(text), prompt);
  EXPECT_TRUE(text.running());
  text = text_session(vocab_size, {});
  EXPECT_EQ(refused(1),
            "specdec: expected to go back to a place in the text; there is no text yet: call begin(prompt) first");
}

/// Calls somebody whenever it is asked for logits, as a progress bar may be.
struct calling {
  law_model<decltype(target_law())> model{::vocab_size, target_law()};
  std::function<void()> call = [] {};

  [[nodiscard]] std::size_t vocab_size() const { return ::vocab_size; }
  [[nodiscard]] std::size_t size() const { return model.size(); }
  void truncate(std::size_t n) { model.truncate(n); }
  auto decode(std::span<const token_id> fed, std::size_t rows) {
    call();
    return model.decode(fed, rows);
  }
};

TEST(stop, by_a_model_while_it_drafts_or_scores_goes_on_to_the_same_text) {
  const auto run = [](bool target_stops, bool draft_stops) {
    calling target, draft;
    auto text = begun_with({.max_tokens = 12, .seed = 4});
    std::size_t stops = 0;
    const auto stop_once = [&] {
      if (text.generated().size() < 4 || stops > 0) return;
      text.stop();
      ++stops;
    };
    if (target_stops) target.call = stop_once;
    if (draft_stops) draft.call = stop_once;
    specdec::model_drafter drafter(draft, specdec::constant{3});
    while (text.status() != session_status::max_tokens) {
      text.resume();
      speculative_generate(text, target, drafter);
    }
    EXPECT_EQ(stops, target_stops || draft_stops ? 1U : 0U);
    return all_of(text);
  };
  const tokens undisturbed = run(false, false);
  EXPECT_EQ(run(true, false), undisturbed);
  EXPECT_EQ(run(false, true), undisturbed);
}

TEST(stop, in_the_middle_of_a_round_that_reaches_the_limit_ends_at_the_limit_with_nothing_kept_back) {
  const tokens free_run = lone({.max_tokens = 10, .seed = 9});
  const token_id last = free_run.back();
  // The last token may begin a stop, so it would wait if more could follow.
  const generate_options options{
      .max_tokens = 10, .seed = 9, .stop_sequences = {{last, last, last, last, last, last, last, last, last}}};
  counted target;
  auto text = begun_with(options);
  specdec::draft drafted;
  auto drafter = drafter_of_six();
  std::size_t delivered = 0;
  while (text.running()) {
    drafted.begin(text.request());
    drafter.propose(text.request(), text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    target.truncate(plan.held);
    const auto v = text.verify(target.decode(plan.tokens, plan.rows));
    text.stop();
    delivered += text.commit(v).tokens.size();
    EXPECT_EQ(text.status(), text.generated().size() == 10 ? session_status::max_tokens : session_status::stopped);
    text.resume();
  }
  EXPECT_EQ(text.status(), session_status::max_tokens);
  EXPECT_EQ(delivered, 10U);
  EXPECT_EQ(all_of(text), free_run);
}

}  // namespace
