// Two vocabularies by the text they share.

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <random>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "laws.hpp"
#include "pieces.hpp"

namespace {

namespace testing = specdec::testing;
using pieces::tokenizer;
using specdec::generate_options;
using specdec::token_id;
using specdec::universal_options;
using ids = std::vector<token_id>;

/// In the vocabularies below, text that is encoded to these tokens again.
const ids prompt{1, 0};

// It would keep the address of a tokenizer that is gone, with a policy and without.
using any_law_model = testing::law_model<decltype(laws::hashed(4, 0))>;
using universal = specdec::universal_drafter<any_law_model, tokenizer, tokenizer>;
template <class Target, class Draft, class... Rest>
constexpr bool takes = std::constructible_from<universal, any_law_model&, Target, Draft, Rest...>;
static_assert(takes<tokenizer&, tokenizer&> && takes<const tokenizer&, const tokenizer&, specdec::constant>);
static_assert(!takes<tokenizer, tokenizer&> && !takes<tokenizer&, tokenizer> && !takes<tokenizer, tokenizer>);
static_assert(!takes<tokenizer, tokenizer&, specdec::constant> && !takes<tokenizer&, tokenizer, specdec::constant> &&
              !takes<tokenizer, tokenizer, specdec::constant>);

/// Vocabularies that have the letters alone in common.
const tokenizer target_pieces({"a", "b", "bb", "bba"});
const tokenizer draft_pieces({"b", "a", "aa", "ba"});

ids read_at_once(const tokenizer& target, const tokenizer& draft, const ids& text,
                 const specdec::control_tokens& control = {}, std::size_t lookbehind = 10) {
  specdec::retokenized_text reading(target, draft, lookbehind, control);
  reading.read(text);
  return {reading.tokens().begin(), reading.tokens().end()};
}

ids any_text(std::size_t size, std::size_t vocab_size, unsigned seed) {
  std::mt19937 random(seed);
  ids text(size);
  for (token_id& token : text) token = static_cast<token_id>(random() % vocab_size);
  return text;
}

TEST(retokenized_text, says_the_same_in_other_tokens) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const ids text = any_text(5 * seed + 1, 4, seed);
    for (const std::size_t lookbehind : {0U, 1U, 3U, 10U}) {
      EXPECT_EQ(draft_pieces.decoded(read_at_once(target_pieces, draft_pieces, text, {}, lookbehind)),
                target_pieces.decoded(text));
    }
  }
}

TEST(retokenized_text, encodes_as_if_the_text_had_come_whole) {
  // Words begin with a space, as in most vocabularies: with a lookbehind they come out whole.
  const tokenizer letters({" ", "c", "a", "t", "s"});
  const tokenizer words({" ", "c", "a", "t", "s", " cat", " cats", " at", "ts", " sat"});
  std::string written;
  for (int i = 0; i < 30; ++i) written += i % 3 == 0 ? " cats" : i % 3 == 1 ? " sat" : " at";
  EXPECT_EQ(read_at_once(letters, words, letters.encoded(written)), words.encoded(written));
  // Without, blocks cut words.
  EXPECT_NE(read_at_once(letters, words, letters.encoded(written), {}, 0), words.encoded(written));
}

TEST(retokenized_text, does_not_depend_on_the_steps_it_came_in) {
  const ids text = any_text(120, 4, 5);
  std::mt19937 random(1);
  specdec::retokenized_text stepwise(target_pieces, draft_pieces, 10, {});
  for (std::size_t size = 1; size <= text.size(); size += random() % 7 + (size % 2)) {
    const ids so_far(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    stepwise.read(so_far);
    EXPECT_EQ(ids(stepwise.tokens().begin(), stepwise.tokens().end()),
              read_at_once(target_pieces, draft_pieces, so_far));
    if (size % 5 == 0) stepwise.read(any_text(1 + random() % 90, 4, 6));  // another text, and back
  }
}

TEST(retokenized_text, shows_control_tokens_that_have_a_partner) {
  const tokenizer target({"<", "", "", "", "a", "b"});
  const tokenizer draft({"ab", "a", "b", "", ""});
  const specdec::control_tokens control{{{1, 3}, {2, 4}}, {}};
  EXPECT_EQ(read_at_once(target, draft, {1, 4, 5, 2, 1, 4}, control), ids({3, 0, 4, 3, 1}));
  // Nothing is joined across one, shown or not; a token the tokenizer does not know is one too.
  EXPECT_EQ(read_at_once(target, draft, {4, 3, 5}, control), ids({1, 2}));
  EXPECT_EQ(read_at_once(target, draft, {4, 6, 5}, control), ids({1, 2}));
  EXPECT_EQ(read_at_once(target, draft, {3, 3}, control), ids());
  // What the draft's texts must begin with.
  const specdec::control_tokens beginning{{{1, 3}}, 3};
  EXPECT_EQ(read_at_once(target, draft, {4, 5}, beginning), ids({3, 0}));
  EXPECT_EQ(read_at_once(target, draft, {1, 4, 5}, beginning), ids({3, 0}));
  EXPECT_EQ(read_at_once(target, draft, {2, 4, 5}, beginning), ids({3, 0}));
}

/// Fails every so many calls.
struct failing : tokenizer {
  using tokenizer::tokenizer;
  mutable int calls = 0;
  void encode(std::string_view text, ids& tokens) const {
    tokenizer::encode(text, tokens);
    if (++calls % 3 == 0) throw std::runtime_error("no encoder");
  }
};

TEST(retokenized_text, is_as_good_behind_an_encoder_that_failed) {
  const ids text = any_text(100, 4, 7);
  const failing draft({"b", "a", "aa", "ba"});
  specdec::retokenized_text reading(target_pieces, draft, 10, {});
  int failures = 0;
  for (std::size_t size = 1; size <= text.size(); size += 3) {
    const ids so_far(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    try {
      reading.read(so_far);
    } catch (const std::runtime_error&) {
      ++failures;
      continue;
    }
    EXPECT_EQ(ids(reading.tokens().begin(), reading.tokens().end()), read_at_once(target_pieces, draft_pieces, so_far));
  }
  EXPECT_GT(failures, 5);
}

/// Drafts what `text` says, in the draft's tokens, whatever came before; then its first token again and again.
auto saying(const tokenizer& draft, const std::string& text) {
  return [size = draft.vocab_size(), tokens = draft.encoded(text)](laws::text_view context) {
    laws::probabilities p(size, 0.0);
    const std::size_t place = context.size() - 1;
    p[static_cast<std::size_t>(place < tokens.size() ? tokens[place] : tokens[0])] = 1;
    return p;
  };
}

/// What is proposed behind `context` if the draft model says `said` behind the first token it is shown.
ids proposed(const tokenizer& target, const tokenizer& draft, const ids& context, const std::string& said,
             universal_options options = {}, std::size_t max_depth = 50) {
  pieces::universal_drafter drafter(target, draft, saying(draft, said), specdec::constant{options.num_assistant_tokens},
                                    options);
  specdec::law law(target.vocab_size(), {});
  const specdec::draft_request request{context, max_depth, max_depth, &law};
  specdec::philox chance(1);
  specdec::draft answer;
  answer.begin(request);
  drafter.propose(request, chance, answer);
  for (specdec::node_id node = 1; node <= answer.size(); ++node) {
    EXPECT_EQ(answer.law_of(node).shape(), specdec::proposal::form::point_mass);
  }
  return {answer.tokens().begin(), answer.tokens().end()};
}

TEST(universal, proposes_the_drafted_text_in_the_targets_tokens) {
  const tokenizer target({"", "the", " cat", " ", "s", "a", "t", " sat"});
  const tokenizer letters({"", "t", "h", "e", " ", "c", "a", "s"});
  const specdec::control_tokens control{{{0, 0}}, {}};
  // The model is shown the begin token and "the": it has said three letters when it begins to draft.
  EXPECT_EQ(proposed(target, letters, {0, 1}, "the cats sat", {.num_assistant_tokens = 9, .control = control}),
            ids({2, 4, 7}));
  EXPECT_EQ(proposed(target, letters, {0, 1}, "the cats sat", {.num_assistant_tokens = 7, .control = control}),
            ids({2, 4, 3, 4}));
  EXPECT_EQ(proposed(target, letters, {0, 1}, "the cats sat", {.control = control}, 2), ids({2, 4}));
  EXPECT_EQ(proposed(target, letters, {0, 1}, "the cats sat", {.control = control}, 0), ids());
  EXPECT_EQ(proposed(target, letters, {0, 1}, "the cats sat", {.num_assistant_tokens = 0, .control = control}), ids());
  // Behind a control token there is no text to go on from.
  EXPECT_EQ(proposed(target, letters, {0}, "the cat", {.num_assistant_tokens = 7, .control = control}), ids({1, 2}));
}

TEST(universal, proposes_nothing_that_would_go_on_inside_the_last_token) {
  const tokenizer target({"", "the", "there", "re", " ", "r", "e"});
  const tokenizer letters({"", "t", "h", "e", " ", "r"});
  const specdec::control_tokens control{{{0, 0}}, {}};
  // "the" and "re" would be "there", which is another token than the last one.
  EXPECT_EQ(proposed(target, letters, {0, 1}, "there", {.num_assistant_tokens = 2, .control = control}), ids());
  // Without a lookbehind nobody sees that.
  EXPECT_EQ(proposed(target, letters, {0, 1}, "there",
                     {.num_assistant_tokens = 2, .assistant_lookbehind = 0, .control = control}),
            ids({3}));
  // The same bytes in other tokens are no reproduction either: the target would not have written "th" "e".
  const tokenizer split({"", "th", "e", "the", " "});
  EXPECT_EQ(proposed(split, letters, {0, 1, 2}, "the e", {.num_assistant_tokens = 2, .control = control}), ids());
  EXPECT_EQ(proposed(split, letters, {0, 3}, "the e", {.num_assistant_tokens = 2, .control = control}), ids({4, 2}));
}

TEST(universal, proposes_nothing_where_the_last_token_comes_out_at_another_place) {
  const tokenizer target({"", "a", "aa", "b"});
  const tokenizer letters({"", "a", "b"});
  // "a" "aa" and then "ab" are "aa" "aa" "b": the last token comes out again, but not where it stands.
  EXPECT_EQ(proposed(target, letters, {0, 1, 2}, "aaaab", {.num_assistant_tokens = 2, .control = {{{0, 0}}, {}}}),
            ids());
}

TEST(universal, is_not_misled_by_text_that_repeats) {
  const tokenizer target({"", "ab", "a", "b"});
  const tokenizer letters({"", "a", "b"});
  const specdec::control_tokens control{{{0, 0}}, {}};
  ids context{0};
  for (int i = 0; i < 40; ++i) {
    context.push_back(1);
    EXPECT_EQ(proposed(target, letters, context, std::string(static_cast<std::size_t>(2 * i + 2), 'b') + "ababaab",
                       {.num_assistant_tokens = 7, .control = control}),
              ids({1, 1, 2, 1}))
        << i;
  }
}

TEST(universal, proposes_an_end_token_and_nothing_behind_it) {
  const tokenizer target({"", "", "a", "aa"});
  const tokenizer letters({"", "", "a", ""});
  // Says two letters, then the token `end`, then letters for ever.
  const auto ending = [](token_id end) {
    return [=](laws::text_view context) {
      laws::probabilities p(4, 0.0);
      p[context.size() == 4 ? static_cast<std::size_t>(end) : 2] = 1;
      return p;
    };
  };
  const auto drafted_by = [&](token_id end, std::vector<specdec::token_pair> pairs) {
    pieces::universal_drafter drafter(target, letters, ending(end), specdec::constant{9},
                                      {.control = {std::move(pairs), {}}});
    specdec::law law(4, {});
    const ids context{0, 2};
    const specdec::draft_request request{context, 9, 9, &law};
    specdec::philox chance(1);
    specdec::draft answer;
    answer.begin(request);
    drafter.propose(request, chance, answer);
    return ids(answer.tokens().begin(), answer.tokens().end());
  };
  EXPECT_EQ(drafted_by(1, {{0, 0}, {1, 1}}), ids());  // "a" and "aa" would be "aa" and "a"
  EXPECT_EQ(drafted_by(3, {{0, 0}, {1, 1}}), ids());
  const tokenizer plain({"", "", "a"});
  const auto plainly = [&](token_id end) {
    pieces::universal_drafter drafter(plain, letters, ending(end), specdec::constant{9},
                                      {.control = {{{0, 0}, {1, 1}}, {}}});
    specdec::law law(3, {});
    const ids context{0, 2};
    const specdec::draft_request request{context, 9, 9, &law};
    specdec::philox chance(1);
    specdec::draft answer;
    answer.begin(request);
    drafter.propose(request, chance, answer);
    return ids(answer.tokens().begin(), answer.tokens().end());
  };
  EXPECT_EQ(plainly(1), ids({2, 2, 1}));
  EXPECT_EQ(plainly(0), ids({2, 2, 0}));
  // A control token without a partner ends the text, but is not proposed.
  EXPECT_EQ(plainly(3), ids({2, 2}));
}

template <class P, class Q>
testing::exactness enumerate_universal(const tokenizer& target, const tokenizer& draft, P p, Q q, std::size_t gamma,
                                       double temperature, double draft_temperature, std::size_t rounds = 1) {
  const universal_options options{.num_assistant_tokens = gamma, .sampling = {draft_temperature}};
  return testing::enumerate(
      target.vocab_size(), prompt, p, laws::at_temperature(p, temperature),
      [&] { return pieces::universal_drafter(target, draft, q, specdec::constant{gamma}, options); },
      specdec::rejection{}, generate_options{.sampling = {temperature}}, {rounds, gamma + 1});
}

TEST(universal, is_lossless) {
  double accepted = 0;
  for (const std::size_t gamma : {1U, 2U, 3U}) {
    for (const double temperature : {0.0, 0.6, 1.0}) {
      for (const double draft_temperature : {0.0, 1.0}) {
        for (const std::uint64_t seed : {30U, 31U, 32U}) {
          const auto found = enumerate_universal(target_pieces, draft_pieces, laws::hashed(4, 21, 0.5),
                                                 laws::hashed(4, seed), gamma, temperature, draft_temperature);
          EXPECT_LT(found.total_variation(), 1e-12) << gamma << " " << temperature << " " << draft_temperature;
          accepted += found.expected_accepted;
        }
      }
    }
  }
  EXPECT_GT(accepted, 1);
}

TEST(universal, is_lossless_over_rounds_that_share_no_noise) {
  const tokenizer target({"a", "b", "ab"});
  const tokenizer draft({"b", "a", "ba"});
  const auto found = enumerate_universal(target, draft, laws::hashed(3, 23), laws::hashed(3, 24), 2, 1, 1, 3);
  EXPECT_LT(found.total_variation(), 1e-12);
  EXPECT_GT(found.expected_accepted, 0);
}

TEST(universal, is_lossless_without_a_token_in_common) {
  const tokenizer target({"ab", "ba", "aab"});
  const tokenizer draft({"a", "b"});
  const auto found = enumerate_universal(target, draft, laws::hashed(3, 25), laws::hashed(2, 26), 4, 1, 0);
  EXPECT_LT(found.total_variation(), 1e-12);
  EXPECT_GT(found.expected_accepted, 0);
}

TEST(universal, the_expected_acceptance_is_the_probability_of_the_drafted_text) {
  // The draft says "a" for certain, so what is accepted is p(a) + p(a)^2.
  const tokenizer letters({"b", "a"});
  const auto p = laws::fixed({0.6, 0.4});
  const auto found = enumerate_universal(tokenizer({"a", "b"}), letters, p, laws::fixed({0.3, 0.7}), 2, 1, 0);
  EXPECT_NEAR(found.expected_accepted, 0.6 + 0.36, 1e-12);
}

/// Proposes what the draft is likeliest to say, and passes it off as drawn from the draft's law.
struct overconfident {
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    if (request.max_depth > 0) answer.extend(specdec::root, specdec::proposal::point_mass(2, 0), chance);
  }
};
struct with_the_drafts_probability {
  [[maybe_unused]] static constexpr bool lossless = false;
  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    using specdec::purpose;
    const double q = 0.7;
    const double p = target.at(rows, specdec::root).probability(0);
    if (chance.accept(drafted.key_of(1, purpose::accept), p, q)) {
      return {.kept = 1, .next = chance.draw(drafted.key_of(2, purpose::bonus), target.at(rows, 1))};
    }
    return {.kept = specdec::root, .next = 1, .rejected = true};
  }
};

TEST(universal_mutants, a_proposal_that_is_no_point_mass_is_caught) {
  // min(1, .6 / .7) of the texts begin with token 0, where .6 should.
  const auto p = laws::fixed({0.6, 0.4});
  const auto found = testing::enumerate(2, prompt, p, p, [] { return overconfident{}; }, with_the_drafts_probability{},
                                        generate_options{}, {1, 1});
  EXPECT_NEAR(found.total_variation(), 6.0 / 7 - 0.6, 1e-12);
}

TEST(universal, keeps_the_contract_of_a_drafter) {
  pieces::universal_drafter drafter(target_pieces, draft_pieces, laws::hashed(4, 27), specdec::constant{5}, {});
  const auto report = testing::check_drafter(drafter, 4);
  EXPECT_TRUE(report.conforming() && report.complete) << report.text();
}

TEST(universal, texts_are_the_targets_own_whatever_fails) {
  testing::law_model target(4, laws::hashed(4, 28));
  const generate_options options{.max_tokens = 70, .sampling = {0}};
  const auto alone = specdec::autoregressive_generate(target, prompt, options);
  std::size_t failures = 0;
  for (std::size_t call = 1; call < 60; call += 4) {
    testing::faulty_model model(testing::law_model(4, laws::hashed(4, 28)), {testing::fault_kind::throw_midway, call});
    specdec::universal_drafter drafter(model, target_pieces, draft_pieces, {.num_assistant_tokens = 6});
    specdec::session text(4, options);
    text.begin(prompt);
    while (text.running()) {
      try {
        specdec::speculative_generate(text, target, drafter);
      } catch (const std::runtime_error&) {
        ++failures;
      }
    }
    ASSERT_EQ(text.generated().size(), alone.tokens.size());
    for (std::size_t i = 0; i < alone.tokens.size(); ++i) ASSERT_EQ(text.generated()[i], alone.tokens[i].id);
  }
  EXPECT_GT(failures, 8U);
}

/// Drafts one token more whenever it is asked about more text than before, and counts what it hears.
struct counting_policy {
  static constexpr bool reads_clock = false;
  std::size_t* observed;
  std::size_t depth(const specdec::draft_request&) const { return 3; }
  bool goes_on(double probability) const { return probability > 0.5; }
  void observe(const specdec::outcome&) { ++*observed; }
};

TEST(universal, a_policy_judges_the_drafts_tokens_and_hears_of_the_rounds) {
  testing::law_model target(2, laws::fixed({0.5, 0.5}));
  const tokenizer letters({"b", "a"});
  std::size_t observed = 0;
  for (const double sure : {0.4, 0.6}) {
    testing::law_model model(2, laws::fixed({1 - sure, sure}));
    specdec::universal_drafter drafter(model, letters, letters, counting_policy{&observed}, {});
    const auto result = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 40});
    EXPECT_EQ(observed, result.stats.rounds);
    EXPECT_GT(result.stats.proposed, result.stats.rounds * 2);
    observed = 0;
  }
  const universal_options sampled{.sampling = {1.0}};
  testing::law_model model(2, laws::fixed({0.5, 0.5}));
  specdec::universal_drafter drafter(model, letters, letters, counting_policy{&observed}, sampled);
  const auto result = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 40});
  EXPECT_LE(result.stats.proposed, result.stats.rounds);
}

template <class F>
std::string refusal(F&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(universal, refuses_in_words) {
  testing::law_model model(5, laws::hashed(5, 1));
  const auto made = [&](const tokenizer& draft, universal_options options) {
    return refusal([&] { specdec::universal_drafter(model, target_pieces, draft, options); });
  };
  EXPECT_EQ(made(draft_pieces, {}),
            "specdec: expected a draft model of its tokenizer's vocabulary, 4 tokens; it has 5");
  const tokenizer five({"a", "b", "c", "d", "e"});
  EXPECT_EQ(made(five, {.control = {{{4, 0}}, {}}}),
            "specdec: expected tokens 0 to 3; the list of control tokens, for the target, has token 4");
  EXPECT_EQ(made(five, {.control = {{{0, 5}}, {}}}),
            "specdec: expected tokens 0 to 4; the list of control tokens, for the draft, has token 5");
  EXPECT_EQ(made(five, {.control = {{}, 7}}),
            "specdec: expected tokens 0 to 4; the option for the begin token has token 7");
  EXPECT_EQ(made(five, {.sampling = {-1}}).substr(0, 8), "specdec:");
}

}  // namespace
