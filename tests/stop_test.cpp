// Stop sequences and stop texts: found wherever rounds and tokens break them, never handed on, and nothing else waits.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <string>
#include <vector>

#include "laws.hpp"
#include "message_of.hpp"

namespace {

using laws::text_view;
using specdec::generate_options;
using specdec::outcome;
using specdec::session_status;
using specdec::token_id;
using specdec::testing::law_model;

const std::vector<token_id> prompt{1, 2, 0};
const std::vector<token_id> prompt_of_ones{1, 1};

/// Bytes of a vocabulary of 6 tokens: they overlap, and one has none.
const std::vector<std::string> pieces{"a", "b", "ab", "", "ba", "cab"};

void append_piece(token_id token, std::string& text) { text += pieces[static_cast<std::size_t>(token)]; }

auto target_law() { return laws::at_temperature(laws::hashed(6, 21, 0.8), 0); }

/// Drafts the target's own greedy text, with an error now and then.
auto nearly_right(std::size_t gamma, std::size_t period) {
  const auto choose = [law = target_law(), period](text_view text) {
    const auto p = law(text);
    const auto best = std::max_element(p.begin(), p.end()) - p.begin();
    return static_cast<token_id>(text.size() % period == 0 ? (best + 1) % 6 : best);
  };
  return laws::point_drafter<decltype(choose)>{6, gamma, choose};
}

/// A text as plain search sees it: which tokens and bytes may be handed on after its first n tokens.
struct expectation {
  std::size_t committed = 0;
  std::size_t delivered = 0;
  std::string text;
  session_status status = session_status::running;
  std::size_t index = 0;
};

template <class Sequence>
bool ends_with(const Sequence& text, const Sequence& end) {
  return text.size() >= end.size() &&
         std::equal(end.begin(), end.end(), text.end() - static_cast<std::ptrdiff_t>(end.size()));
}

/// How many of the last symbols may begin one of the stops.
template <class Sequence>
std::size_t undecided(const Sequence& text, const std::vector<Sequence>& stops) {
  std::size_t longest = 0;
  for (const Sequence& stop : stops) {
    for (std::size_t n = 1; n < stop.size(); ++n) {
      const Sequence head(stop.begin(), stop.begin() + static_cast<std::ptrdiff_t>(n));
      if (ends_with(text, head)) longest = std::max(longest, n);
    }
  }
  return longest;
}

/// What holds once `count` tokens of `plain` have been committed, and no more will come if `all`.
expectation expected(const std::vector<token_id>& plain, std::size_t count, bool all, const generate_options& options) {
  std::vector<token_id> tokens;
  std::string text;
  std::vector<std::size_t> ends;
  const auto deliver = [&](std::size_t last_tokens, std::size_t last_bytes, session_status status, std::size_t index) {
    expectation e{tokens.size(), 0, {}, status, index};
    while (e.delivered + last_tokens < tokens.size() && ends[e.delivered] + last_bytes <= text.size()) ++e.delivered;
    const std::size_t whole = e.delivered == 0 ? 0 : ends[e.delivered - 1];
    // A token that a stop text begins in is told up to there, unless it belongs to a stop sequence.
    const bool in_sequence = e.delivered + last_tokens >= tokens.size();
    const bool stopped = status == session_status::stop_text || status == session_status::stop_sequence;
    e.text = text.substr(0, stopped && last_bytes > 0 && !in_sequence ? text.size() - last_bytes : whole);
    return e;
  };
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(plain[i]);
    const std::size_t before = text.size();
    append_piece(plain[i], text);
    ends.push_back(text.size());
    std::size_t sequence_length = 0;
    std::size_t sequence = 0;
    for (std::size_t s = 0; s < options.stop_sequences.size(); ++s) {
      const auto& stop = options.stop_sequences[s];
      if (!ends_with(tokens, stop) || stop.size() <= sequence_length) continue;
      sequence_length = stop.size();
      sequence = s;
    }
    std::size_t last_bytes = 0;
    std::size_t stop_text = 0;
    bool inside = false;
    for (std::size_t end = before + 1; end <= text.size() && last_bytes == 0; ++end) {
      for (std::size_t s = 0; s < options.stop_texts.size(); ++s) {
        const std::size_t cut = options.stop_texts[s].size() + text.size() - end;
        if (!ends_with(text.substr(0, end), options.stop_texts[s]) || cut <= last_bytes) continue;
        last_bytes = cut;
        stop_text = s;
        inside = end < text.size();
      }
    }
    if (sequence_length == 0 && last_bytes == 0) continue;
    const bool by_text = last_bytes > 0 && (sequence_length == 0 || inside);
    return deliver(sequence_length, last_bytes, by_text ? session_status::stop_text : session_status::stop_sequence,
                   by_text ? stop_text : sequence);
  }
  if (all) return deliver(0, 0, session_status::max_tokens, 0);
  return deliver(undecided(tokens, options.stop_sequences), undecided(text, options.stop_texts),
                 session_status::running, 0);
}

std::vector<token_id> ids(std::span<const specdec::emitted_token> tokens) {
  std::vector<token_id> result;
  for (const auto& token : tokens) result.push_back(token.id);
  return result;
}

TEST(stops, are_found_wherever_rounds_and_tokens_break_them) {
  std::mt19937 engine(7);
  law_model target(6, target_law());
  constexpr std::size_t length = 40;
  std::size_t stopped_by_sequence = 0;
  std::size_t stopped_by_text = 0;
  std::size_t waited = 0;
  for (int trial = 0; trial < 600; ++trial) {
    const std::vector<token_id> begin{static_cast<token_id>(engine() % 6), static_cast<token_id>(engine() % 6)};
    const auto plain = ids(specdec::autoregressive_generate(target, begin, {.max_tokens = length}).tokens);
    generate_options options{.max_tokens = length, .detokenize = append_piece};
    if (trial % 3 != 0) {
      for (std::size_t s = 0; s < 1 + engine() % 2; ++s) {
        std::vector<token_id> stop(2 + engine() % 2);
        for (token_id& token : stop) token = static_cast<token_id>(engine() % 6);
        options.stop_sequences.push_back(stop);
      }
    }
    if (trial % 3 != 1) {
      for (std::size_t s = 0; s < 1 + engine() % 3; ++s) {
        std::string stop;
        for (std::size_t n = 1 + engine() % 7; n > 0; --n) stop += "abc"[engine() % 3];
        options.stop_texts.push_back(stop);
      }
    }
    for (const std::size_t gamma : {0U, 1U, 3U, 8U}) {
      auto drafter = nearly_right(gamma, 5);
      specdec::session text(6, options);
      text.begin(begin);
      std::vector<token_id> tokens;
      std::string bytes;
      speculative_generate(text, target, drafter, [&](const outcome& out) {
        const auto more = ids(out.tokens);
        tokens.insert(tokens.end(), more.begin(), more.end());
        bytes += out.text;
        const auto now = expected(plain, text.generated().size(), !text.running(), options);
        EXPECT_EQ(out.status, now.status);
        EXPECT_EQ(text.generated().size(), now.committed);
        EXPECT_EQ(tokens.size(), now.delivered);
        EXPECT_EQ(text.delivered(), now.delivered);
        EXPECT_EQ(bytes, now.text);
        waited += now.committed - now.delivered;
      });
      const auto last = expected(plain, length, true, options);
      ASSERT_EQ(text.status(), last.status);
      EXPECT_EQ(bytes, last.text);
      EXPECT_EQ(text.generated().size(), last.committed);
      EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), plain.begin()));
      stopped_by_sequence += last.status == session_status::stop_sequence ? 1 : 0;
      stopped_by_text += last.status == session_status::stop_text ? 1 : 0;
      if (last.status != session_status::max_tokens) {
        EXPECT_EQ(text.stop_index(), last.index);
      }
    }
  }
  EXPECT_GT(stopped_by_sequence, 400U);
  EXPECT_GT(stopped_by_text, 400U);
  EXPECT_GT(waited, 400U);
}

TEST(stop_watch, goes_on_behind_a_stop) {
  specdec::stop_watch watch({}, {"aa", "xy"});
  const auto first = watch.push(0, "aax");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->index, 0U);
  EXPECT_EQ(first->bytes, 3U);
  const auto second = watch.push(1, "y");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->index, 1U);
  EXPECT_EQ(second->bytes, 2U);

  specdec::stop_watch broken({}, {"aa"});
  EXPECT_TRUE(broken.push(0, "aax"));
  EXPECT_FALSE(broken.push(1, "a"));
}

TEST(stops, leave_target_and_session_ready_for_the_next_turn) {
  law_model target(6, target_law());
  const auto plain = ids(specdec::autoregressive_generate(target, prompt, {.max_tokens = 30}).tokens);
  // Tokens 8 and 9 as a stop sequence: in the middle of a draft.
  generate_options options{.max_tokens = 30, .stop_sequences = {{plain[8], plain[9]}}};
  auto drafter = nearly_right(6, 1000);
  specdec::session text(6, options);
  text.begin(prompt);
  ASSERT_EQ(speculative_generate(text, target, drafter), session_status::stop_sequence);
  const std::size_t stop_at = text.delivered();
  ASSERT_LE(stop_at, 8U);
  EXPECT_EQ(text.generated().size(), stop_at + 2);

  // The next turn, behind the text without the stop.
  text.rewind(text.prompt_size() + text.delivered());
  const std::vector<token_id> turn{5, 5};
  text.append(turn);
  EXPECT_EQ(text.tokens().size(), prompt.size() + stop_at + turn.size());
  specdec::draft nothing;
  nothing.begin(text.request());
  const auto plan = text.plan(nothing, target.size());
  EXPECT_EQ(plan.held, prompt.size() + stop_at);
  EXPECT_EQ(plan.tokens.size(), turn.size());

  // Its text is that of a session which never saw the first turn.
  std::vector<token_id> whole(text.tokens().begin(), text.tokens().end());
  speculative_generate(text, target, drafter);
  law_model fresh(6, target_law());
  const auto alone = specdec::autoregressive_generate(fresh, whole, options);
  EXPECT_EQ(ids(alone.tokens),
            std::vector<token_id>(text.generated().begin(),
                                  text.generated().begin() + static_cast<std::ptrdiff_t>(text.delivered())));
}

TEST(stops, that_end_a_round_early_count_what_they_cut) {
  law_model target(6, target_law());
  const auto plain = ids(specdec::autoregressive_generate(target, prompt, {.max_tokens = 30}).tokens);
  auto drafter = nearly_right(20, 1000);
  const auto result = specdec::speculative_generate(target, drafter, prompt,
                                                    {.max_tokens = 30, .stop_sequences = {{plain[4], plain[5]}}});
  EXPECT_EQ(result.status, session_status::stop_sequence);
  EXPECT_EQ(result.stats.rounds, 1U);
  EXPECT_GT(result.stats.cut, 0U);
  EXPECT_EQ(result.stats.delivered + result.stats.cut, result.stats.emitted);
  EXPECT_EQ(result.stats.accepted, result.stats.delivered);
}

// A grammar that is complete where the text stops allows nothing more; and what a model says there may be no law at
// all.
TEST(stops, make_no_difference_between_plain_and_speculative_where_nothing_can_follow) {
  struct word {
    std::size_t length = 0;
    bool allows(token_id token) const { return length < 3 && token == static_cast<token_id>(length + 2); }
    void fill(std::span<std::uint32_t> words) const {
      if (length < 3) words[0] = 4U << length;
    }
    void advance(token_id) { ++length; }
    void rollback(std::size_t n) { length -= n; }
  };
  law_model target(6, laws::hashed(6, 21, 0.8));
  law_model draft(6, laws::hashed(6, 22, 0.8));
  for (const auto& options :
       {generate_options{.gamma = 9, .mask = word{}, .stop_sequences = {{4}}},
        generate_options{.gamma = 9, .end_tokens = {4}, .mask = word{}},
        generate_options{
            .gamma = 9, .mask = word{}, .stop_texts = {"aba"}, .detokenize = [](token_id token, std::string&text) {
              text += std::string(token == 4 ? "ba" : token == 3 ? "a" : "");
            }}}) {
    const auto plain = specdec::autoregressive_generate(target, prompt, options);
    EXPECT_NE(plain.status, session_status::max_tokens);
    specdec::forced_tokens forced;
    for (const auto& result : {specdec::speculative_generate(target, draft, prompt, options),
                               specdec::speculative_generate(target, forced, prompt, options)}) {
      EXPECT_EQ(result.status, plain.status);
      EXPECT_EQ(ids(result.tokens), ids(plain.tokens));
      EXPECT_EQ(result.text, plain.text);
    }
  }
}

TEST(stops, make_no_difference_between_plain_and_speculative_where_the_target_is_lost) {
  constexpr token_id end = 3;
  const auto lost = [law = laws::hashed(6, 21, 0.8)](text_view text) {
    auto p = law(text);
    if (text.back() == end) p[1] = std::numeric_limits<double>::quiet_NaN();
    return p;
  };
  law_model target(6, lost);
  law_model draft(6, laws::hashed(6, 21, 0.8));
  std::size_t inside_a_draft = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    generate_options options{.gamma = 6, .max_tokens = 300, .end_tokens = {end}, .seed = seed};
    for (const bool by_sequence : {false, true}) {
      if (by_sequence) {
        options.end_tokens.clear();
        options.stop_sequences = {{end}};
      }
      const auto result = specdec::speculative_generate(target, draft, prompt, options);
      EXPECT_EQ(result.status, by_sequence ? session_status::stop_sequence : session_status::end_token);
      inside_a_draft += result.stats.cut;
    }
  }
  EXPECT_GT(inside_a_draft, 10U);
}

TEST(stops, of_both_kinds_leave_nothing_of_each_other) {
  // "xa" "bcd": the text "ab" ends inside the second token, which is a stop sequence too.
  const auto choose = [](text_view text) {
    laws::probabilities p(6, 0.0);
    p[text.size() % 2 == 1 ? 0 : 1] = 1;
    return p;
  };
  law_model target(6, choose);
  const auto spell = [](token_id token, std::string& text) { text += token == 0 ? "xa" : "bcd"; };
  const auto result = specdec::autoregressive_generate(
      target, prompt, {.stop_sequences = {{1}}, .stop_texts = {"ab"}, .detokenize = spell});
  EXPECT_EQ(result.status, session_status::stop_text);
  EXPECT_EQ(result.text, "x");
}

TEST(stops, are_not_looked_for_in_the_prompt) {
  law_model target(6, target_law());
  const auto plain = ids(specdec::autoregressive_generate(target, prompt, {.max_tokens = 20}).tokens);
  // Half in the prompt, half generated: no stop.
  const auto result = specdec::autoregressive_generate(
      target, prompt, {.max_tokens = 20, .stop_sequences = {{prompt.back(), plain[0]}}});
  const bool also_later = std::search(plain.begin(), plain.end(), prompt.begin() + 2, prompt.end()) != plain.end();
  if (!also_later) {
    EXPECT_EQ(result.status, session_status::max_tokens);
  }
  EXPECT_GT(result.tokens.size(), 1U);
}

TEST(stops, refuse_what_cannot_be_meant) {
  const auto refused = [](const generate_options& options) {
    try {
      specdec::session text(6, options);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refused({.stop_sequences = {{}}}), "specdec: a stop sequence must have at least one token");
  EXPECT_EQ(refused({.stop_sequences = {{6}}}), "specdec: expected tokens 0 to 5; a stop sequence has token 6");
  EXPECT_EQ(refused({.stop_texts = {""}, .detokenize = append_piece}),
            "specdec: a stop text must have at least one byte");
  EXPECT_EQ(refused({.stop_texts = {"x"}}), "specdec: stop texts need options.detokenize, which tells a token's bytes");
  EXPECT_EQ(refused({.top_log_probabilities = 7}),
            "specdec: expected at most 6 top log-probabilities, the vocabulary's size; got 7");
  EXPECT_EQ(refused({.log_probabilities = specdec::log_probability_of::nothing, .top_log_probabilities = 1}),
            "specdec: top log-probabilities need a law; options.log_probabilities is nothing");
}

TEST(stops, a_text_comes_with_its_bytes) {
  law_model target(6, target_law());
  auto drafter = nearly_right(3, 4);
  std::string streamed;
  const auto result =
      specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 25, .detokenize = append_piece},
                                    [&](const outcome& out) { streamed += out.text; });
  std::string all;
  for (const auto& token : result.tokens) append_piece(token.id, all);
  EXPECT_EQ(result.text, all);
  EXPECT_EQ(streamed, all);
}

TEST(stops, a_hook_that_assigns_a_tokens_bytes_does_as_well_as_one_that_appends_them) {
  const auto generated = [](const auto& detokenize) {
    law_model target(6, target_law());
    auto drafter = nearly_right(3, 4);
    return specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 25, .detokenize = detokenize}).text;
  };
  const std::string appended = generated(append_piece);
  EXPECT_GT(appended.size(), 10U);
  EXPECT_EQ(generated([](token_id token, std::string& text) { text = pieces[static_cast<std::size_t>(token)]; }),
            appended);
}

TEST(stops, what_waits_when_a_limit_ends_the_text_between_two_rounds_is_the_sessions) {
  law_model target(2, laws::fixed({1.0, 0.0}));
  generate_options options{.max_tokens = 9, .stop_sequences = {{0, 0, 0, 1}}};
  const auto interrupted = [&] {
    specdec::session text(2, options);
    text.begin(prompt_of_ones);
    specdec::no_draft nothing;
    specdec::speculative_generate(text, target, nothing, [](const outcome& out) { return out.tokens.empty(); });
    return text;
  };
  const auto expect_ended = [&](specdec::session<>& text, session_status status) {
    EXPECT_EQ(text.status(), status);
    EXPECT_EQ(text.generated().size(), 4U);
    EXPECT_EQ(text.delivered(), 1U);
    EXPECT_EQ(ids(text.waiting()), (std::vector<token_id>{0, 0, 0}));
    specdec::no_draft nothing;
    const auto sink = [](const outcome&) { ADD_FAILURE() << "there is no round to tell of"; };
    EXPECT_EQ(specdec::speculative_generate(text, target, nothing, sink), status);
  };

  specdec::session<> limited = interrupted();
  limited.resume();
  limited.limit(5);
  expect_ended(limited, session_status::context_full);

  specdec::session<> resumed = interrupted();
  resumed.limit(5);
  resumed.resume();
  expect_ended(resumed, session_status::context_full);

  specdec::session<> original = interrupted();
  original.resume();
  options.max_tokens = 4;
  specdec::session restored(2, options);
  restored.restore(original.snapshot());
  expect_ended(restored, session_status::max_tokens);
}

/// Made of a pointer, as a std::function may be, and yet never empty.
struct pieces_behind {
  const std::string* first;
  void operator()(token_id token, std::string& text) const { text += first[token]; }
};
class pieces_of {
 public:
  explicit pieces_of(const std::vector<std::string>* all) : all_(all) {}
  void operator()(token_id token, std::string& text) const { text += (*all_)[static_cast<std::size_t>(token)]; }

 private:
  const std::vector<std::string>* all_;
};

TEST(stops, take_any_function_for_the_bytes) {
  const auto bytes = [](const specdec::any_detokenizer& detokenize) {
    std::string text;
    if (detokenize) detokenize(5, text);
    return text;
  };
  EXPECT_EQ(bytes(append_piece), "cab");
  EXPECT_EQ(bytes(&append_piece), "cab");
  EXPECT_EQ(bytes([](token_id token, std::string& text) { append_piece(token, text); }), "cab");
  EXPECT_EQ(bytes(std::function<void(token_id, std::string&)>(append_piece)), "cab");
  EXPECT_EQ(bytes(pieces_behind{pieces.data()}), "cab");
  EXPECT_EQ(bytes(pieces_of(&pieces)), "cab");
  EXPECT_FALSE(specdec::any_detokenizer(nullptr));
  EXPECT_FALSE(specdec::any_detokenizer(std::function<void(token_id, std::string&)>()));
  EXPECT_FALSE(specdec::any_detokenizer(static_cast<void (*)(token_id, std::string&)>(nullptr)));
}

TEST(stops, what_waits_when_a_sink_stops_the_text_is_the_sessions) {
  law_model target(2, laws::fixed({1.0, 0.0}));
  const generate_options options{.max_tokens = 9, .stop_sequences = {{0, 0, 0, 1}}};
  std::size_t handed_on = 0;
  const auto first_alone = [&](const outcome& out) {
    handed_on += out.tokens.size();
    return handed_on == 0;
  };
  const auto result = specdec::autoregressive_generate(target, prompt_of_ones, options, first_alone);
  EXPECT_EQ(result.status, session_status::stopped);
  EXPECT_EQ(result.tokens.size(), 1U);

  specdec::session text(2, options);
  text.begin(prompt_of_ones);
  specdec::no_draft nothing;
  handed_on = 0;
  specdec::speculative_generate(text, target, nothing, first_alone);
  EXPECT_EQ(text.waiting().size(), 3U);
  text.resume();
  specdec::speculative_generate(text, target, nothing, [&](const outcome& out) { handed_on += out.tokens.size(); });
  EXPECT_EQ(handed_on, 9U);
}

struct asked_to_stop {
  bool stop = true;
  bool stop_requested() const { return stop; }
};

TEST(generate, stops_when_asked_from_outside_and_goes_on_when_resumed) {
  law_model target(6, target_law());
  auto drafter = nearly_right(3, 4);
  const auto result = specdec::speculative_generate(target, drafter, prompt, {}, specdec::no_sink{}, asked_to_stop{});
  EXPECT_EQ(result.status, session_status::stopped);
  EXPECT_TRUE(result.tokens.empty());
  specdec::session text(6, {.max_tokens = 20});
  text.begin(prompt);
  EXPECT_EQ(speculative_generate(text, target, drafter, specdec::no_sink{}, asked_to_stop{}), session_status::stopped);
  text.resume();
  EXPECT_EQ(speculative_generate(text, target, drafter, specdec::no_sink{}, asked_to_stop{false}),
            session_status::max_tokens);
  text.resume();
  EXPECT_EQ(text.status(), session_status::max_tokens);
}

TEST(generate, needs_a_session_that_has_a_text) {
  law_model target(6, target_law());
  specdec::no_draft nothing;
  specdec::session text(6, {});
  EXPECT_THROW(speculative_generate(text, target, nothing), std::logic_error);
  EXPECT_THROW(text.append(prompt), std::logic_error);
}

// Log-probabilities are checked against the law written down.
TEST(log_probabilities, are_of_the_law_or_of_the_model_with_their_runners_up) {
  const auto p = laws::hashed(6, 21, 0.8);
  const specdec::sampling_params sampling{.temperature = 0.7, .top_k = 3};
  for (const auto which : {specdec::log_probability_of::law, specdec::log_probability_of::model}) {
    law_model target(6, p);
    law_model draft(6, laws::hashed(6, 22, 0.8));
    const auto result = specdec::speculative_generate(
        target, draft, prompt,
        {.max_tokens = 60, .sampling = sampling, .seed = 8, .log_probabilities = which, .top_log_probabilities = 4});
    std::vector<token_id> text = prompt;
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
      auto law = p(text);
      if (which == specdec::log_probability_of::law) {
        for (double& x : law) x = std::pow(x, 1 / 0.7);
        auto sorted = law;
        std::sort(sorted.rbegin(), sorted.rend());
        for (double& x : law) x = x < sorted[2] ? 0 : x;
        law = laws::normalized(law);
      }
      const auto& token = result.tokens[i];
      EXPECT_NEAR(token.log_probability, std::log(law[static_cast<std::size_t>(token.id)]), 1e-12);
      const auto top = result.top(i);
      ASSERT_EQ(top.size(), which == specdec::log_probability_of::law ? 3U : 4U);
      auto sorted = law;
      std::sort(sorted.rbegin(), sorted.rend());
      for (std::size_t k = 0; k < top.size(); ++k) {
        EXPECT_NEAR(top[k].log_probability, std::log(sorted[k]), 1e-12);
        EXPECT_NEAR(top[k].log_probability, std::log(law[static_cast<std::size_t>(top[k].id)]), 1e-12);
      }
      text.push_back(token.id);
    }
  }
}

TEST(session, judges_a_verdict_from_elsewhere) {
  law_model target(6, target_law());
  auto drafter = nearly_right(3, 1000);
  specdec::session text(6, {.max_tokens = 20});
  text.begin(prompt);
  specdec::draft drafted;
  drafted.begin(text.request());
  drafter.propose(text.request(), text.chance(), drafted);
  (void)text.plan(drafted, std::size_t{0});
  const auto refused = [&](const specdec::verdict& v) { return message_of([&] { (void)text.adopt(v); }); };
  const std::string other_draft = "specdec: expected a verdict on a draft of 3 tokens; it names node ";
  EXPECT_EQ(refused({.kept = 4, .next = 1}), other_draft + "4");
  EXPECT_EQ(refused({.fault = specdec::row_fault::nan, .faulty_row = 9}), other_draft + "9");
  EXPECT_EQ(refused({.kept = 1, .next = 6, .rejected = true}),
            "specdec: expected tokens 0 to 5; the verdict has token 6");
  EXPECT_EQ(refused({.kept = 3, .next = 1, .rejected = true}),
            "specdec: expected a verdict that rejects only where the draft goes on; behind node 3 it has no more");
  EXPECT_EQ(refused({.kept = 3, .next = 1, .fell_back = true}),
            "specdec: expected a verdict that falls back only where it rejects");
  EXPECT_EQ(refused({.fault = static_cast<specdec::row_fault>(200)}),
            "specdec: expected a verdict with a fault that is known; it has number 200");
  const outcome out = text.commit(text.adopt({.kept = 2, .next = 4, .rejected = true}));
  EXPECT_EQ(out.accepted, 2U);
  EXPECT_EQ(out.committed, 3U);
  EXPECT_EQ(out.end, specdec::round_end::rejected);
  EXPECT_EQ(out.next, 4);
  EXPECT_EQ(ids(out.tokens), (std::vector<token_id>{drafted.token(1), drafted.token(2), 4}));
  EXPECT_TRUE(std::isnan(out.tokens[0].log_probability));
}

/// Keeps all of a chain, and says that it refused what is behind.
struct contradicting_rule {
  static constexpr bool lossless = false;
  template <specdec::LogitsRows Rows, specdec::Chance C>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows&, specdec::law&, C&) const {
    return {.kept = static_cast<specdec::node_id>(drafted.size()), .next = 1, .rejected = true};
  }
};

TEST(session, refuses_the_verdict_of_a_rule_that_contradicts_itself) {
  law_model target(6, target_law());
  auto drafter = nearly_right(3, 1000);
  specdec::session text(6, {.max_tokens = 20}, contradicting_rule{});
  text.begin(prompt);
  EXPECT_THROW(specdec::speculative_generate(text, target, drafter), std::invalid_argument);
  EXPECT_TRUE(text.generated().empty());
  EXPECT_TRUE(text.running());
}

TEST(outcome, tells_what_each_round_drafted_and_why_it_ended) {
  law_model target(6, target_law());
  auto drafter = nearly_right(4, 5);
  // Lengths of text before each token: wrong behind every multiple of 5; see session_test.cpp.
  std::vector<std::string> trace;
  specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 12}, [&](const outcome& out) {
    trace.push_back(std::to_string(out.round) + ": drafted " + std::to_string(out.drafted.size()) + ", accepted " +
                    std::to_string(out.accepted) + ", " + to_string(out.end) + ", " + to_string(out.status));
  });
  EXPECT_EQ(trace, (std::vector<std::string>{"0: drafted 4, accepted 2, rejected, running",
                                             "1: drafted 4, accepted 4, all_accepted, running",
                                             "2: drafted 3, accepted 3, all_accepted, max_tokens"}));
}

}  // namespace
