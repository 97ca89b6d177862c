// Two vocabularies by their intersection.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
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
using laws::text_view;
using pieces::draft_pieces;
using pieces::partly_shared;
using pieces::target_pieces;
using pieces::tokenizer;
using specdec::generate_options;
using specdec::token_id;
using specdec::token_pair;
using specdec::vocabulary_map;

constexpr double impossible = -std::numeric_limits<double>::infinity();
const std::vector<token_id> prompt{0, 1};

template <class F>
std::string refusal(F&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::vector<token_id> parts(const vocabulary_map& map, token_id token) {
  return {map.to_draft(token).begin(), map.to_draft(token).end()};
}

using ids = std::vector<token_id>;

// It would keep the address of a map that is gone.
using any_law_model = testing::law_model<decltype(laws::hashed(6, 0))>;
static_assert(std::constructible_from<specdec::translated<any_law_model&>, any_law_model&, const vocabulary_map&>);
static_assert(!std::constructible_from<specdec::translated<any_law_model&>, any_law_model&, vocabulary_map>);

TEST(vocabulary_map, shares_what_has_the_same_bytes_and_encodes_the_rest) {
  const vocabulary_map& map = partly_shared();
  EXPECT_EQ(map.target_vocab_size(), 5U);
  EXPECT_EQ(map.draft_vocab_size(), 6U);
  EXPECT_EQ(parts(map, 0), ids({2}));
  EXPECT_EQ(parts(map, 1), ids({2, 4}));
  EXPECT_EQ(parts(map, 3), ids({0, 2, 4}));
  EXPECT_EQ(map.longest(), 3U);
  EXPECT_EQ(map.to_target(2), 0);
  EXPECT_EQ(map.to_target(1), std::nullopt);
  EXPECT_EQ(std::vector(map.shared().begin(), map.shared().end()), (std::vector<token_pair>{{4, 0}, {0, 2}, {2, 4}}));
}

TEST(vocabulary_map, of_equal_pieces_the_encoder_decides) {
  // As in byte fallback: token 0 is a byte, token 2 the character. The encoder of these pieces takes the last.
  const tokenizer target({"a", "b", "a", "a"});
  const tokenizer draft({"a", "b", "a"});
  const vocabulary_map map(target, draft);
  EXPECT_EQ(map.to_target(2), 3);
  EXPECT_EQ(map.to_target(0), std::nullopt);
  for (const token_id token : {0, 2, 3}) EXPECT_EQ(parts(map, token), ids{2}) << token;
}

/// Never uses its own pieces of one letter.
struct in_twos : tokenizer {
  using tokenizer::tokenizer;
  void encode(std::string_view, std::vector<token_id>& tokens) const { tokens.insert(tokens.end(), {0, 0}); }
};

TEST(vocabulary_map, of_equal_pieces_that_are_never_encoded_the_lowest_is_shared) {
  const vocabulary_map map(in_twos({"b", "a", "a"}), in_twos({"c", "a", "d", "a"}));
  EXPECT_EQ(map.to_target(1), 1);
  EXPECT_EQ(map.to_target(3), std::nullopt);
}

TEST(vocabulary_map, control_tokens_are_paired_or_unknown) {
  const tokenizer target({"", "", "", "a"});
  const tokenizer draft({"a", "", "", "u"});
  const vocabulary_map map(target, draft, {{1, 2}}, 3);
  EXPECT_EQ(parts(map, 1), ids{2});
  EXPECT_EQ(map.to_target(2), 1);
  EXPECT_EQ(parts(map, 0), ids{3});
  EXPECT_EQ(parts(map, 2), ids{3});
  EXPECT_EQ(map.to_target(3), std::nullopt);
  EXPECT_EQ(map.to_target(1), std::nullopt);
  // A text that the draft cannot write is unknown too.
  EXPECT_EQ(parts(vocabulary_map(tokenizer({"a", "x"}), draft, {}, 3), 1), ids{3});
  // A pair goes before equal bytes.
  EXPECT_EQ(vocabulary_map(target, draft, {{3, 2}}).to_target(0), std::nullopt);
}

TEST(vocabulary_map, refuses_in_words) {
  const tokenizer none({});
  const tokenizer other({"x", "y"});
  EXPECT_EQ(refusal([&] { vocabulary_map(none, other); }),
            "specdec: expected two vocabularies that are not empty; the target's has 0 tokens, the draft's 2");
  EXPECT_EQ(refusal([&] { vocabulary_map(target_pieces, other); }),
            "specdec: expected two vocabularies with tokens in common, so that the draft can propose some; of 5 and 2 "
            "tokens, none is in both");
  EXPECT_EQ(refusal([&] {
              vocabulary_map(target_pieces, other, {{5, 0}});
            }),
            "specdec: expected tokens 0 to 4; the list of special tokens, for the target, has token 5");
  EXPECT_EQ(refusal([&] {
              vocabulary_map(target_pieces, other, {{0, -1}});
            }),
            "specdec: expected tokens 0 to 1; the list of special tokens, for the draft, has token -1");
  EXPECT_EQ(refusal([&] {
              vocabulary_map(target_pieces, other, {{0, 1}, {1, 1}});
            }),
            "specdec: expected every special token in one pair; the pair of target token 1 and draft token 1 has one "
            "that is in another");
  EXPECT_EQ(refusal([&] { vocabulary_map(target_pieces, draft_pieces, {}, 6); }),
            "specdec: expected tokens 0 to 5; the stand-in for tokens without a text has token 6");
  struct beyond : tokenizer {
    using tokenizer::tokenizer;
    void encode(std::string_view, std::vector<token_id>& tokens) const { tokens.push_back(9); }
  };
  EXPECT_EQ(refusal([&] { vocabulary_map(target_pieces, beyond({"a"})); }),
            "specdec: expected tokens 0 to 0; what the draft's tokenizer encodes has token 9");
  // Of equal pieces the encoder decides, if it knows them.
  EXPECT_EQ(refusal([&] {
              vocabulary_map(tokenizer({"a"}), beyond({"a", "a"}));
            }),
            "specdec: expected tokens 0 to 1; what the draft's tokenizer encodes has token 9");
  EXPECT_EQ(refusal([&] {
              vocabulary_map(beyond({"a", "a"}), tokenizer({"a"}));
            }),
            "specdec: expected tokens 0 to 1; what the target's tokenizer encodes has token 9");
}

/// A draft model that knows what it was fed.
auto spied_draft(std::uint64_t seed) { return specdec::recorded(testing::law_model(6, laws::hashed(6, seed))); }

TEST(translated, reads_in_the_drafts_tokens_and_answers_in_the_targets) {
  const auto law = laws::hashed(6, 3);
  specdec::translated model(spied_draft(3), partly_shared());
  EXPECT_EQ(model.vocab_size(), 5U);
  const auto rows = model.decode(ids{0, 3, 1}, 2);
  EXPECT_EQ(model.size(), 3U);
  EXPECT_EQ(ids(model.tokens().begin(), model.tokens().end()), ids({0, 3, 1}));
  EXPECT_EQ(ids(model.model().tokens().begin(), model.model().tokens().end()), ids({2, 0, 2, 4, 2, 4}));
  ASSERT_EQ(rows.size(), 2U);
  for (const std::size_t row : {0U, 1U}) {
    const ids read{2, 0, 2, 4, 2, 4};
    const auto q = law(text_view(read).first(row == 0 ? 4 : 6));
    EXPECT_EQ(rows.row(row)[0], std::log(q[2]));
    EXPECT_EQ(rows.row(row)[1], impossible);
    EXPECT_EQ(rows.row(row)[2], std::log(q[4]));
    EXPECT_EQ(rows.row(row)[3], impossible);
    EXPECT_EQ(rows.row(row)[4], std::log(q[0]));
  }
  model.truncate(2);
  EXPECT_EQ(model.model().size(), 4U);
  EXPECT_EQ(model.size(), 2U);
  (void)model.decode(ids{2}, 0);
  EXPECT_EQ(ids(model.model().tokens().begin(), model.model().tokens().end()), ids({2, 0, 2, 4, 4}));
  model.truncate(0);
  EXPECT_EQ(model.model().size(), 0U);
}

TEST(translated, keeps_the_contract_of_a_model) {
  specdec::translated model(testing::law_model(6, laws::hashed(6, 4)), partly_shared());
  static_assert(specdec::KnowsTokens<decltype(model)> && !specdec::HasCapacity<decltype(model)>);
  const auto report = testing::check_target_model(model, {.provoke_refusals = true});
  EXPECT_TRUE(report.conforming() && report.complete) << report.text();
}

TEST(translated, has_the_capacity_of_its_model) {
  specdec::translated model(pieces::bounded_model(6, laws::hashed(6, 5), 64), partly_shared());
  static_assert(specdec::HasCapacity<decltype(model)> && specdec::HasTextCapacity<decltype(model)>);
  EXPECT_EQ(model.capacity(), 21U);
  EXPECT_EQ(model.capacity(ids{3, 3, 0}), 3 + 64 - 7U);
  EXPECT_EQ(model.capacity(ids(21, 3)), 22U);
  EXPECT_LT(model.capacity(ids(22, 3)), 22U);
  const auto report = testing::check_target_model(model, {.length = 12, .provoke_refusals = true});
  EXPECT_TRUE(report.conforming() && report.complete) << report.text();
}

TEST(translated, drafting_stops_where_the_drafts_context_ends) {
  const auto p = laws::hashed(5, 6);
  testing::law_model target(5, p);
  const auto alone = specdec::autoregressive_generate(target, prompt, {.max_tokens = 60, .sampling = {0}});
  for (std::size_t capacity = 0; capacity < 90; capacity += capacity < 12 ? 1 : 13) {
    specdec::translated draft(pieces::bounded_model(6, laws::hashed(6, 7), capacity), partly_shared());
    for (const std::size_t gamma : {1U, 3U, 16U}) {
      const auto both =
          specdec::speculative_generate(target, draft, prompt, {.gamma = gamma, .max_tokens = 60, .sampling = {0}});
      ASSERT_EQ(both.tokens.size(), alone.tokens.size());
      for (std::size_t i = 0; i < 60; ++i) ASSERT_EQ(both.tokens[i].id, alone.tokens[i].id);
      EXPECT_EQ(both.stats.proposed > 0, capacity > 2) << capacity;
    }
  }
}

TEST(translated, drafting_stops_where_forced_tokens_fill_the_drafts_context) {
  testing::law_model target(5, laws::hashed(5, 6));
  for (const specdec::any_mask& mask :
       {specdec::any_mask(pieces::leaves_cab{.often = true}), specdec::any_mask(pieces::leaves_cab{.often = false})}) {
    const generate_options options{.gamma = 16, .max_tokens = 40, .sampling = {0}, .mask = mask};
    const auto alone = specdec::autoregressive_generate(target, prompt, options);
    for (std::size_t capacity = 3; capacity < 60; ++capacity) {
      specdec::translated draft(pieces::bounded_model(6, laws::hashed(6, 7), capacity), partly_shared());
      const auto both = specdec::speculative_generate(target, draft, prompt, options);
      ASSERT_EQ(both.tokens.size(), alone.tokens.size());
      for (std::size_t i = 0; i < alone.tokens.size(); ++i) ASSERT_EQ(both.tokens[i].id, alone.tokens[i].id);
      EXPECT_GT(both.stats.proposed, 0U) << capacity;
    }
  }
}

TEST(translated, refuses_in_words) {
  EXPECT_EQ(refusal([] { specdec::translated(testing::law_model(7, laws::hashed(7, 1)), partly_shared()); }),
            "specdec: expected a model of the map's draft vocabulary, 6 tokens; it has 7");
  specdec::translated model(testing::law_model(6, laws::hashed(6, 1)), partly_shared());
  EXPECT_EQ(refusal([&] { (void)model.decode(ids{5}, 1); }), "specdec: expected tokens 0 to 4; the text has token 5");
  EXPECT_EQ(refusal([&] { (void)model.decode(ids{0}, 2); }),
            "specdec: expected at most as many rows as tokens, 1; got 2");
  EXPECT_EQ(refusal([&] { model.truncate(1); }), "specdec: expected to keep at most 0 tokens; got 1");
  specdec::translated lacking(
      testing::faulty_model(testing::law_model(6, laws::hashed(6, 1)), {testing::fault_kind::too_few_rows, 1}),
      partly_shared());
  EXPECT_EQ(refusal([&] { (void)lacking.decode(ids{3}, 1); }),
            "specdec: expected 1 rows of logits from the translated model; got 0");
  specdec::translated narrow(
      testing::faulty_model(testing::law_model(6, laws::hashed(6, 1)), {testing::fault_kind::narrow_rows, 1}),
      partly_shared());
  EXPECT_EQ(refusal([&] { (void)narrow.decode(ids{3}, 1); }),
            "specdec: expected rows of 6 logits from the translated model; got one of 5");
}

TEST(translated, goes_on_behind_calls_that_fail) {
  const ids text{3, 0, 1, 1, 2, 3, 4, 0};
  const auto law = laws::hashed(6, 8);
  specdec::translated reference(testing::law_model(6, law), partly_shared());
  const auto expected = reference.decode(text, 1);
  std::size_t failed = 0;
  for (const auto kind :
       {testing::fault_kind::throw_before, testing::fault_kind::throw_midway, testing::fault_kind::throw_after}) {
    for (std::size_t call = 2; call < 9; ++call) {
      specdec::translated model(testing::faulty_model(specdec::recorded(testing::law_model(6, law)), {kind, call}),
                                partly_shared());
      const auto attempt = [&](auto step) {
        try {
          step();
          return;
        } catch (const std::runtime_error&) {
          ++failed;
        }
        ASSERT_EQ(model.size(), model.tokens().size());
        ids read;
        for (const token_id token : model.tokens()) {
          for (const token_id part : partly_shared().to_draft(token)) read.push_back(part);
        }
        // The model may hold the beginning of a token too.
        const auto held = model.model().model().tokens();
        ASSERT_EQ(specdec::shared_prefix(read, held), read.size());
      };
      const auto feed = [&](std::size_t to) {
        attempt([&] { (void)model.decode(text_view(text).subspan(model.size(), to - model.size()), 1); });
      };
      feed(3);
      feed(6);
      attempt([&] { model.truncate(std::min<std::size_t>(model.size(), 2)); });
      for (std::size_t to = model.size() + 1; to < text.size(); ++to) feed(std::max(to, model.size() + 1));
      while (model.size() == text.size()) attempt([&] { model.truncate(text.size() - 1); });
      const auto rows = model.decode(text_view(text).subspan(model.size()), 1);
      for (std::size_t t = 0; t < 5; ++t) EXPECT_EQ(rows.row(0)[t], expected.row(0)[t]);
    }
  }
  EXPECT_GT(failed, 15U);
}

/// Gives tokens 1, 3 and 5 of the draft's, none of which is shared, all its mass.
auto elsewhere() { return laws::fixed({0, 0.25, 0, 0.25, 0, 0.5}); }

TEST(translated, a_row_without_shared_mass_is_even) {
  specdec::translated model(testing::law_model(6, elsewhere()), partly_shared());
  const auto row = model.decode(prompt, 1).row(0);
  for (const std::size_t t : {0U, 2U, 4U}) EXPECT_EQ(row[t], 0);
  for (const std::size_t t : {1U, 3U}) EXPECT_EQ(row[t], impossible);
  // A row without any mass is the model's fault, and stays one.
  specdec::translated broken(testing::law_model(6, laws::fixed(laws::probabilities(6, 0.0))), partly_shared());
  const auto nothing = broken.decode(prompt, 1).row(0);
  for (std::size_t t = 0; t < 5; ++t) EXPECT_EQ(nothing[t], impossible);
}

/// Rows of 16-bit numbers, two apart.
struct half_model {
  std::size_t held = 0;
  std::vector<specdec::float16> logits = std::vector<specdec::float16>(12, specdec::float16{0x3C00});
  [[nodiscard]] std::size_t vocab_size() const { return 6; }
  [[nodiscard]] std::size_t size() const { return held; }
  void truncate(std::size_t n) { held = n; }
  struct rows_type {
    const specdec::float16* data;
    std::size_t count;
    [[nodiscard]] std::size_t size() const { return count; }
    [[nodiscard]] specdec::logits_row<specdec::float16> row(std::size_t) const { return {data, 6, 2}; }
  };
  rows_type decode(std::span<const token_id> tokens, std::size_t rows) {
    held += tokens.size();
    logits[4] = specdec::float16{0xFC00};  // token 2: -inf
    logits[8] = specdec::float16{0x4200};  // token 4: 3
    return {logits.data(), rows};
  }
};

TEST(translated, widens_16_bit_rows_of_any_stride) {
  specdec::translated model(half_model{}, partly_shared());
  static_assert(std::same_as<decltype(model)::value_type, float>);
  const auto row = model.decode(ids{1}, 1).row(0);
  EXPECT_EQ(row[0], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(row[2], 3.0F);
  EXPECT_EQ(row[4], 1.0F);
}

// q = (.1, .1, .4, .1, .2, .1) over the draft's tokens has .7 on the shared ones c, a, b. By hand:
// q'(a) = 4/7, q'(b) = 2/7, q'(c) = 1/7; with p = (.5, 0, .3, 0, .2) the overlap is .5 + 2/7 + 1/7 = 13/14.
const laws::probabilities q_by_hand{0.1, 0.1, 0.4, 0.1, 0.2, 0.1};
const laws::probabilities p_by_hand{0.5, 0, 0.3, 0, 0.2};

TEST(intersection, the_law_of_a_draft_is_the_shared_part_of_q_renormalised) {
  pieces::translated_drafter drafter(partly_shared(), laws::fixed(q_by_hand), 1, {specdec::sampling_params{}, 0});
  specdec::law target(5, {});
  const specdec::draft_request request{prompt, 1, 1, &target};
  specdec::philox chance(1);
  specdec::draft drafted;
  drafted.begin(request);
  drafter.propose(request, chance, drafted);
  ASSERT_EQ(drafted.size(), 1U);
  const double by_hand[] = {4.0 / 7, 0, 2.0 / 7, 0, 1.0 / 7};
  for (token_id t = 0; t < 5; ++t) {
    EXPECT_NEAR(drafted.law_of(1).probability(t), by_hand[t], 1e-7) << t;
  }
}

TEST(intersection, the_expected_acceptance_is_the_overlap) {
  const auto p = laws::fixed(p_by_hand);
  const auto found = testing::enumerate(
      5, prompt, p, p,
      [] {
        return pieces::translated_drafter(partly_shared(), laws::fixed(q_by_hand), 1, {specdec::sampling_params{}, 0});
      },
      specdec::rejection{}, generate_options{}, {1, 2});
  EXPECT_NEAR(found.expected_accepted, 13.0 / 14, 1e-7);
  EXPECT_LT(found.total_variation(), 1e-12);
}

TEST(intersection, is_lossless) {
  const auto p = laws::hashed(5, 11);
  for (const std::size_t gamma : {1U, 2U, 3U}) {
    for (const std::size_t top : {0U, 1U, 2U, 64U}) {
      for (const double temperature : {0.0, 0.7, 1.0}) {
        for (const double draft_temperature : {0.0, 1.3}) {
          const auto found = testing::enumerate(
              5, prompt, p, laws::at_temperature(p, temperature),
              [&] {
                return pieces::translated_drafter(partly_shared(), laws::hashed(6, 12), gamma,
                                                  {specdec::sampling_params{draft_temperature}, top});
              },
              specdec::rejection{}, generate_options{.sampling = {temperature}}, {1, gamma + 1});
          EXPECT_LT(found.total_variation(), 1e-12) << gamma << " " << top << " " << temperature;
          EXPECT_GT(found.expected_accepted, temperature > 0 ? 0 : -1);
        }
      }
    }
  }
}

TEST(intersection, is_lossless_over_rounds_and_where_nothing_shared_is_likely) {
  const vocabulary_map map(tokenizer({"a", "b", "ab"}), tokenizer({"b", "a", "x"}));
  const auto p = laws::hashed(3, 13);
  const auto through = [&](auto q, std::size_t rounds) {
    return testing::enumerate(3, prompt, p, p,
                              [&] {
                                return pieces::translated_drafter(map, q, 2, {specdec::sampling_params{}, 0});
                              },
                              specdec::rejection{}, generate_options{}, {rounds, 3});
  };
  EXPECT_LT(through(laws::hashed(3, 14), 3).total_variation(), 1e-12);
  EXPECT_LT(through(laws::fixed({0, 0, 1}), 1).total_variation(), 1e-12);
  // The draft is always wrong where the target wants what it cannot say.
  const auto joined = laws::fixed({0, 0, 1});
  const auto wrong = testing::enumerate(
      3, prompt, joined, joined,
      [&] {
        return pieces::translated_drafter(map, laws::hashed(3, 15), 2, {specdec::sampling_params{}, 0});
      },
      specdec::rejection{}, generate_options{}, {1, 3});
  EXPECT_EQ(wrong.expected_accepted, 0);
  EXPECT_LT(wrong.total_variation(), 1e-12);
}

/// The rule for one drafted token, which believes in a q of its own.
struct believing {
  [[maybe_unused]] static constexpr bool lossless = false;
  laws::probabilities q;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    using specdec::purpose;
    const auto law_behind = [&](specdec::node_id node) {
      const auto p = target.at(rows, node);
      laws::probabilities values(q.size());
      for (std::size_t t = 0; t < q.size(); ++t) values[t] = p.probability(static_cast<token_id>(t));
      return values;
    };
    const auto p = law_behind(specdec::root);
    if (drafted.empty()) {
      return {.kept = specdec::root, .next = chance.draw(drafted.key_of(1, purpose::bonus), laws::table{p})};
    }
    const auto x = static_cast<std::size_t>(drafted.token(1));
    if (chance.accept(drafted.key_of(1, purpose::accept), p[x], q[x])) {
      return {.kept = 1, .next = chance.draw(drafted.key_of(2, purpose::bonus), laws::table{law_behind(1)})};
    }
    laws::probabilities left(q.size());
    for (std::size_t t = 0; t < q.size(); ++t) left[t] = std::max(0.0, p[t] - q[t]);
    const laws::table residual{laws::normalized(left)};
    return {
        .kept = specdec::root, .next = chance.draw(drafted.key_of(1, purpose::residual), residual), .rejected = true};
  }
};

/// q_by_hand in the target's vocabulary: restricted, but not renormalised.
const laws::probabilities not_renormalised{0.4, 0, 0.2, 0, 0.1};

template <class MakeDrafter>
double variation_of(const laws::probabilities& believed, MakeDrafter&& make_drafter) {
  const auto p = laws::fixed(p_by_hand);
  return testing::enumerate(5, prompt, p, p, make_drafter, believing{believed}, generate_options{}, {1, 1})
      .total_variation();
}

TEST(intersection_mutants, q_that_is_not_renormalised_is_caught) {
  const auto drafter = [] {
    return pieces::translated_drafter(partly_shared(), laws::fixed(q_by_hand), 1, {specdec::sampling_params{}, 0});
  };
  // Every draft is accepted, as p > q for all of them: the text has the law q', 4/7 - 1/2 = 1/14 from p.
  EXPECT_NEAR(variation_of(not_renormalised, drafter), 1.0 / 14, 1e-7);
  EXPECT_LT(variation_of({4.0 / 7, 0, 2.0 / 7, 0, 1.0 / 7}, drafter), 1e-7);
}

/// Draws from all of q and drops what is not shared.
struct dropping {
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    specdec::key own = answer.key_of(1, specdec::purpose::draft);
    own.lane = 1;
    const auto shared = partly_shared().to_target(chance.draw(own, laws::table{q_by_hand}));
    if (!shared || request.max_depth == 0) return;
    answer.extend(specdec::root, specdec::proposal::point_mass(5, *shared), chance);
  }
};

TEST(intersection_mutants, dropping_tokens_that_are_not_shared_is_caught) {
  // What is emitted is q(x) + .3 p(x) = (.55, 0, .29, 0, .16).
  EXPECT_NEAR(variation_of(not_renormalised, [] { return dropping{}; }), 0.05, 1e-12);
}

TEST(intersection, the_drafter_keeps_its_contract) {
  pieces::translated_drafter drafter(partly_shared(), laws::hashed(6, 16), 5, {});
  const auto report = testing::check_drafter(drafter, 5);
  EXPECT_TRUE(report.conforming() && report.complete) << report.text();
}

}  // namespace
