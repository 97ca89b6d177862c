// A session as bytes goes on as if nothing had happened.

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "plain_text.hpp"
#include "scenarios.hpp"

namespace {

using plain::begun_with;
using plain::plain_text;
using plain::run_plain;
using plain::spell;
using plain::spelled;
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
using specdec::session_state;
using specdec::session_status;
using specdec::token_id;

using text_session = specdec::session<>;
using tokens = std::vector<token_id>;
using bytes = std::vector<std::byte>;

text_session restored(const generate_options& options, const bytes& from) {
  text_session text(scenarios::vocab_size, options);
  text.restore(from);
  return text;
}

/// Everything that a snapshot holds, times and log-probabilities to the bit.
void expect_same(const text_session& a, const text_session& b) {
  EXPECT_EQ(state_of(a), state_of(b));
  EXPECT_EQ(a.snapshot(), b.snapshot());
  EXPECT_EQ(a.stop_index(), b.stop_index());
  EXPECT_EQ(a.fault(), b.fault());
  EXPECT_EQ(a.faulty_position(), b.faulty_position());
  EXPECT_EQ(to_json(a.stats()), to_json(b.stats()));
  ASSERT_EQ(a.waiting().size(), b.waiting().size());
  for (std::size_t i = 0; i < a.waiting().size(); ++i) {
    EXPECT_EQ(a.waiting()[i].origin, b.waiting()[i].origin);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a.waiting()[i].log_probability),
              std::bit_cast<std::uint64_t>(b.waiting()[i].log_probability));
  }
}

TEST(snapshot, goes_on_alike_from_every_round) {
  for (const setting chosen : scenarios::settings) {
    const finished expected = uninterrupted(chosen, drafting::top_64);
    auto text = begun(chosen);
    models with(chosen, drafting::top_64);
    heard before;
    std::size_t waiting = 0;
    const auto check = [&] {
      auto other = restored(options_of(chosen), text.snapshot());
      expect_same(other, text);
      waiting += other.waiting().size();
      // What the filters cost makes every run dear, and they have no state.
      if (chosen == setting::shaped && text.stats().rounds % 8 != 0) return;
      heard all = before;
      models others(chosen, drafting::top_64);
      run_to_the_end(other, others, std::ref(all));
      ASSERT_EQ((finished{all, state_of(other)}), expected) << "behind round " << text.stats().rounds;
    };
    check();
    run_to_the_end(text, with, [&](const outcome& out) {
      before(out);
      check();
    });
    EXPECT_GT(text.stats().target_seconds, 0);
    EXPECT_EQ(waiting > 0, chosen == setting::bounded);
  }
}

TEST(snapshot, of_a_session_without_a_text_gives_one_without_a_text) {
  const text_session idle(scenarios::vocab_size, scenarios::options_of(setting::plain));
  auto text = begun(setting::plain);
  models with(setting::plain, drafting::dense);
  specdec::draft drafted;
  drafted.begin(text.request());
  (void)text.plan(drafted, 0);
  text.restore(idle.snapshot());
  expect_same(text, idle);
  EXPECT_EQ(text.status(), session_status::idle);
  EXPECT_THROW(speculative_generate(text, with.target, with.drafter), std::logic_error);
  text.begin(scenarios::prompt);
  heard all;
  run_to_the_end(text, with, std::ref(all));
  EXPECT_EQ((finished{all, state_of(text)}), uninterrupted(setting::plain, drafting::dense));
}

TEST(snapshot, behind_max_tokens_goes_on_to_a_higher_limit) {
  const tokens all = plain_text(40);
  auto text = begun_with({.max_tokens = 15});
  tokens delivered = run_plain(text);
  EXPECT_EQ(restored({.max_tokens = 15}, text.snapshot()).status(), session_status::max_tokens);
  auto further = restored({.max_tokens = 40}, text.snapshot());
  EXPECT_EQ(further.status(), session_status::running);
  const tokens rest = run_plain(further);
  delivered.insert(delivered.end(), rest.begin(), rest.end());
  EXPECT_EQ(delivered, all);
  EXPECT_EQ(restored({.max_tokens = 10}, text.snapshot()).status(), session_status::max_tokens);
}

TEST(snapshot, when_taken_up_trusts_nothing_that_was_known_of_the_target) {
  auto text = begun_with({.max_tokens = 15});
  (void)run_plain(text);
  auto further = begun_with({.max_tokens = 40});
  auto target = scenarios::target_model;
  specdec::no_draft nothing;
  speculative_generate(further, target, nothing, [](const outcome&) { return false; });
  further.restore(text.snapshot());
  specdec::draft drafted;
  drafted.begin(further.request());
  EXPECT_EQ(further.plan(drafted, target.size()).held, 0U);
}

TEST(snapshot, behind_a_full_context_goes_on_in_a_larger_one) {
  const tokens all = plain_text(40);
  auto text = begun_with({.max_tokens = 40});
  text.limit(20);
  tokens delivered = run_plain(text);
  EXPECT_EQ(text.status(), session_status::context_full);
  auto further = restored({.max_tokens = 40}, text.snapshot());
  const tokens rest = run_plain(further);
  delivered.insert(delivered.end(), rest.begin(), rest.end());
  EXPECT_EQ(delivered, all);
  text.restore(text.snapshot());
  EXPECT_EQ(text.status(), session_status::context_full);
}

TEST(snapshot, behind_an_end_that_the_text_reached_stays_there) {
  const tokens free_text = plain_text(40);
  const tokens inside(free_text.begin() + 20, free_text.begin() + 23);
  const generate_options by_token{.max_tokens = 40, .end_tokens = {inside[0]}};
  const generate_options by_sequence{.max_tokens = 40, .stop_sequences = {{70, 71}, inside}};
  const generate_options by_text{.max_tokens = 40, .stop_texts = {"!", spelled(inside).substr(1)}, .detokenize = spell};
  const std::vector<std::pair<generate_options, session_status>> ends{{by_token, session_status::end_token},
                                                                      {by_sequence, session_status::stop_sequence},
                                                                      {by_text, session_status::stop_text}};
  for (const auto& end : ends) {
    auto text = begun_with(end.first);
    const tokens delivered = run_plain(text);
    ASSERT_EQ(text.status(), end.second);
    auto other = restored(end.first, text.snapshot());
    expect_same(other, text);
    other.resume();
    EXPECT_FALSE(other.running());
    EXPECT_EQ(other.delivered(), delivered.size());
    // The next turn is that of the session which was not put away.
    const tokens next{9, 9};
    for (auto* each : {&text, &other}) {
      each->rewind(each->prompt_size() + each->delivered());
      each->append(next);
    }
    EXPECT_EQ(run_plain(text), run_plain(other));
    expect_same(begun_with(end.first), begun_with(end.first));
  }
}

TEST(snapshot, of_a_session_that_was_interrupted_resumes) {
  const tokens all = plain_text(40);
  for (const bool fails : {false, true}) {
    auto text = begun_with({.max_tokens = 40});
    tokens delivered;
    specdec::testing::faulty_model target(scenarios::target_model, {specdec::testing::fault_kind::nan, 20});
    specdec::no_draft nothing;
    const auto sink = [&](const outcome& out) {
      for (const auto& token : out.tokens) delivered.push_back(token.id);
      return fails || delivered.size() < 10;
    };
    try {
      speculative_generate(text, target, nothing, sink);
    } catch (const specdec::logits_error&) {
      EXPECT_TRUE(fails);
    }
    EXPECT_EQ(text.status(), fails ? session_status::failed : session_status::stopped);
    auto other = restored({.max_tokens = 40}, text.snapshot());
    expect_same(other, text);
    other.resume();
    const tokens rest = run_plain(other);
    delivered.insert(delivered.end(), rest.begin(), rest.end());
    EXPECT_EQ(delivered, all);
  }
}

TEST(snapshot, behind_a_limit_lets_a_stop_complete_that_began_before_it) {
  const tokens free_text = plain_text(40);
  // At the limit all is handed on, the beginning of the stop too; it completes behind.
  for (std::size_t limit = 11; limit < 15; ++limit) {
    const tokens stop(free_text.begin() + 10, free_text.begin() + 15);
    generate_options by_text{.max_tokens = limit, .stop_texts = {spelled(stop)}, .detokenize = spell};
    generate_options by_sequence{.max_tokens = limit, .stop_sequences = {stop}};
    for (generate_options options : {by_text, by_sequence}) {
      auto text = begun_with(options);
      EXPECT_EQ(run_plain(text).size(), limit);
      options.max_tokens = 40;
      auto other = restored(options, text.snapshot());
      std::string more;
      auto target = scenarios::target_model;
      specdec::no_draft nothing;
      speculative_generate(other, target, nothing, [&](const outcome& out) {
        EXPECT_TRUE(out.tokens.empty());
        more += out.text;
      });
      EXPECT_EQ(more, "");
      EXPECT_EQ(other.status(), options.stop_texts.empty() ? session_status::stop_sequence : session_status::stop_text);
      EXPECT_EQ(other.generated().size(), 15U);
      EXPECT_EQ(other.delivered(), limit);
      other.append(tokens{1, 2});
      EXPECT_GT(run_plain(other).size(), 0U);
    }
  }
}

TEST(snapshot, taken_up_under_other_stops_goes_on) {
  const tokens free_text = plain_text(40);
  auto text = begun_with({.max_tokens = 20});
  text.limit(12);
  const tokens delivered = run_plain(text);
  // A stop that nobody watched for when its beginning was handed on.
  const auto begin = free_text.begin() + static_cast<std::ptrdiff_t>(delivered.size()) - 3;
  const std::string stop = spelled(tokens(begin, begin + 5));
  auto other = restored({.max_tokens = 40, .stop_texts = {stop}, .detokenize = spell}, text.snapshot());
  EXPECT_EQ(run_plain(other), tokens{});
  EXPECT_EQ(other.status(), session_status::stop_text);
  EXPECT_EQ(other.generated().size(), delivered.size() + 2);
}

TEST(snapshot, taken_up_without_the_stop_that_tokens_waited_for_hands_them_on) {
  const tokens free_text = plain_text(40);
  const tokens stop{free_text[6], free_text[7], free_text[8], 71};
  auto text = begun_with({.max_tokens = 40, .stop_sequences = {stop}});
  auto target = scenarios::target_model;
  specdec::no_draft nothing;
  tokens delivered;
  speculative_generate(text, target, nothing, [&](const outcome& out) {
    for (const auto& token : out.tokens) delivered.push_back(token.id);
    return text.waiting().size() < 3;
  });
  ASSERT_EQ(text.waiting().size(), 3U);
  auto other = restored({.max_tokens = 40}, text.snapshot());
  other.resume();
  const tokens rest = run_plain(other);
  delivered.insert(delivered.end(), rest.begin(), rest.end());
  EXPECT_EQ(delivered, free_text);
}

TEST(snapshot, is_the_same_on_every_machine) {
  const session_state state{.committed = {1, 2, 3, 4},
                            .prompt_size = 2,
                            .round = 5,
                            .status = session_status::running,
                            .faulty_position = 6,
                            .stop_index = 7,
                            .stats = {.rounds = 5,
                                      .proposed = 9,
                                      .evaluated = 7,
                                      .accepted = 3,
                                      .emitted = 9,
                                      .delivered = 8,
                                      .cut = 1,
                                      .evaluated_at = {5, 2},
                                      .accepted_at = {2, 1}},
                            .waiting = {{3, specdec::provenance::drafted, -0.5}, {4, {}, -1.25}},
                            .waiting_top = {{3, -0.5}, {4, -1.25}}};
  generate_options options{.end_tokens = {5}, .seed = 0x0123456789abcdef, .stream = 4, .top_log_probabilities = 1};
  options.sampling.bias = {{3, -1.5}};
  const bytes written = specdec::to_bytes(state, 6, options);
  const std::string magic("\0specdec", 8);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(written[i], static_cast<std::byte>(magic[i]));
  EXPECT_EQ(written[8], std::byte{1});
  EXPECT_EQ(written[20], std::byte{0xef});
  EXPECT_EQ(written.size(), 304U);
  EXPECT_EQ(specdec::snapshot_format::checksum(written), 6844832088564228147U);
  const session_state read = specdec::from_bytes(written, 6, options);
  EXPECT_EQ(specdec::to_bytes(read, 6, options), written);
}

/// Follows the text, and throws when it is copied while the switch is on.
struct uncopyable_at_times {
  const bool* refuse;
  std::size_t taken = 0;
  explicit uncopyable_at_times(const bool* r) : refuse(r) {}
  uncopyable_at_times(const uncopyable_at_times& other) : refuse(other.refuse), taken(other.taken) {
    if (*refuse) throw std::runtime_error("no copy");
  }
  bool allows(token_id token) const { return (static_cast<std::size_t>(token) + taken) % 3 != 0; }
  void fill(std::span<std::uint32_t> words) const {
    for (std::size_t t = 0; t < scenarios::vocab_size; ++t) {
      if (allows(static_cast<token_id>(t))) words[t / 32] |= 1U << t % 32;
    }
  }
  void advance(token_id) { ++taken; }
  void rollback(std::size_t n) { taken -= n; }
};

TEST(snapshot, that_a_hook_of_the_users_prevents_leaves_the_session_as_it_was) {
  bool refuse = false;
  bool mute = false;
  const generate_options options{
      .max_tokens = 40, .mask = uncopyable_at_times(&refuse), .detokenize = [&mute](token_id token, std::string& text) {
        if (mute) throw std::runtime_error("no text");
        spell(token, text);
      }};
  auto alone = begun_with(options);
  const tokens expected = run_plain(alone);
  auto text = begun_with(options);
  auto target = scenarios::target_model;
  specdec::no_draft nothing;
  std::size_t rounds = 0;
  speculative_generate(text, target, nothing, [&](const outcome&) { return ++rounds < 5; });
  const bytes before = text.snapshot();
  for (bool* hook : {&refuse, &mute}) {
    *hook = true;
    EXPECT_THROW(text.restore(before), std::runtime_error);
    *hook = false;
    EXPECT_EQ(text.snapshot(), before);
  }
  refuse = true;
  EXPECT_THROW(text.begin(scenarios::prompt), std::runtime_error);
  EXPECT_THROW(text.append(scenarios::prompt), std::runtime_error);
  EXPECT_THROW(text.rewind(3), std::runtime_error);
  refuse = false;
  EXPECT_EQ(text.snapshot(), before);
  auto other = restored(options, before);
  const tokens rest(expected.begin() + 5, expected.end());
  for (auto* each : {&text, &other}) {
    each->resume();
    EXPECT_EQ(run_plain(*each), rest);
  }
}

}  // namespace
