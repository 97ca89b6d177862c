// Drafting from counts of what followed one or two tokens.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "drafted.hpp"
#include "laws.hpp"
#include "message_of.hpp"

namespace {

namespace testing = specdec::testing;
using drafting::drafted;
using drafting::tokens;
using specdec::generate_options;
using specdec::token_id;

constexpr double tolerance = 1e-12;

// 1 2 1 2 1 3: of six tokens three are 1, two 2, one 3; behind 1 come 2 2 3, behind 2 comes 1, behind 3 nothing.
const tokens corpus{1, 2, 1, 2, 1, 3};

std::vector<double> law_of(const specdec::proposal& q) {
  std::vector<double> all(q.vocab_size());
  for (std::size_t t = 0; t < all.size(); ++t) all[t] = q.probability(static_cast<token_id>(t));
  return all;
}

TEST(ngram_table, counts_what_follows_and_falls_back_to_single_tokens) {
  const specdec::ngram_table table(4, corpus);
  EXPECT_EQ(law_of(table.law_behind(1)), (std::vector<double>{0, 0, 2.0 / 3, 1.0 / 3}));
  EXPECT_EQ(law_of(table.law_behind(2)), (std::vector<double>{0, 1, 0, 0}));
  for (const token_id unseen : {0, 3}) {
    EXPECT_EQ(law_of(table.law_behind(unseen)), (std::vector<double>{0, 3.0 / 6, 2.0 / 6, 1.0 / 6}));
    EXPECT_EQ(table.likeliest_behind(unseen), 1);
  }
  EXPECT_EQ(table.likeliest_behind(1), 2);
}

TEST(ngram_table, of_order_one_is_a_unigram_model) {
  const specdec::ngram_table table(4, corpus, {.order = 1});
  for (token_id t = 0; t < 4; ++t) {
    EXPECT_EQ(law_of(table.law_behind(t)), (std::vector<double>{0, 3.0 / 6, 2.0 / 6, 1.0 / 6}));
  }
}

TEST(ngram_table, does_not_join_texts) {
  const std::vector<std::span<const token_id>> texts{std::span(corpus).first(2), std::span(corpus).subspan(2), {}};
  const specdec::ngram_table table(4, texts);
  EXPECT_EQ(law_of(table.law_behind(1)), (std::vector<double>{0, 0, 2.0 / 3, 1.0 / 3}));
  EXPECT_EQ(law_of(table.law_behind(2)), (std::vector<double>{0, 1, 0, 0}));
  const std::vector<std::span<const token_id>> apart{std::span(corpus).first(2), std::span(corpus).subspan(4)};
  EXPECT_EQ(law_of(specdec::ngram_table(4, apart).law_behind(2)), (std::vector<double>{0, 0.5, 0.25, 0.25}));
}

// Of equal counts the lower token stays.
TEST(ngram_table, keeps_the_most_frequent_tokens) {
  const tokens text{0, 5, 0, 3, 0, 5, 0, 2, 0, 4, 0, 3};
  const specdec::ngram_table table(6, text, {.top = 3});
  EXPECT_EQ(law_of(table.law_behind(0)), (std::vector<double>{0, 0, 0.2, 0.4, 0, 0.4}));
  EXPECT_EQ(table.likeliest_behind(0), 3);
  EXPECT_EQ(table.width(), 3U);
  EXPECT_EQ(law_of(specdec::ngram_table(6, text, {.top = 0}).law_behind(0)),
            (std::vector<double>{0, 0, 1.0 / 6, 2.0 / 6, 1.0 / 6, 2.0 / 6}));
}

TEST(ngram_table, agrees_with_a_count_by_hand) {
  constexpr std::size_t vocab_size = 23;
  tokens text;
  std::uint32_t state = 9;
  for (int i = 0; i < 3000; ++i) {
    state = state * 1664525U + 1013904223U;
    text.push_back(static_cast<token_id>((state >> 16) * (state >> 16) % vocab_size));
  }
  const specdec::ngram_table table(vocab_size, text, {.top = 0});
  for (token_id a = 0; a < static_cast<token_id>(vocab_size); ++a) {
    laws::probabilities counts(vocab_size, 0.0);
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i - 1] == a) ++counts[static_cast<std::size_t>(text[i])];
    }
    if (std::count(counts.begin(), counts.end(), 0.0) == static_cast<std::ptrdiff_t>(vocab_size)) continue;
    EXPECT_EQ(law_of(table.law_behind(a)), laws::normalized(counts));
    EXPECT_EQ(table.likeliest_behind(a), std::max_element(counts.begin(), counts.end()) - counts.begin());
  }
}

TEST(ngram_table, refuses_what_it_cannot_count) {
  EXPECT_THROW(specdec::ngram_table(4, tokens{}), std::invalid_argument);
  EXPECT_THROW(specdec::ngram_table(3, corpus), std::invalid_argument);
  EXPECT_THROW(specdec::ngram_table(4, tokens{-1}), std::invalid_argument);
  EXPECT_THROW(specdec::ngram_table(4, corpus, {.order = 3}), std::invalid_argument);
  EXPECT_THROW(specdec::ngram_table(4, corpus, {.order = 0}), std::invalid_argument);
}

TEST(ngram_drafter, drafts_the_most_frequent_tokens_where_the_target_is_greedy) {
  const specdec::ngram_table table(10, corpus);
  EXPECT_EQ(drafted(specdec::ngram_drafter(table), {1}, {.temperature = 0}), (tokens{2, 1, 2, 1}));
  EXPECT_EQ(drafted(specdec::ngram_drafter(table, specdec::constant{2}), {3}, {.temperature = 0}), (tokens{1, 2}));
  EXPECT_EQ(drafted(specdec::ngram_drafter(table), {1}, {.max_depth = 1, .temperature = 0}), (tokens{2}));
  EXPECT_EQ(drafted(specdec::ngram_drafter(table), {1}, {.max_depth = 0, .temperature = 0}), tokens{});
  EXPECT_EQ(drafted(specdec::ngram_drafter(table), {1}, {.ends = {{1}}, .temperature = 0}), (tokens{2, 1}));
}

TEST(ngram_drafter, asks_its_policy) {
  const specdec::ngram_table table(10, corpus);
  // The most frequent behind 1 has 2/3, behind 2 it is certain, behind 3 it has 1/2.
  EXPECT_EQ(drafted(specdec::ngram_drafter(table, specdec::fallback{0.7, 4}), {1}, {.temperature = 0}), tokens{});
  EXPECT_EQ(drafted(specdec::ngram_drafter(table, specdec::fallback{0.7, 4}), {2}, {.temperature = 0}), (tokens{1}));
  const specdec::confidence unsure(specdec::constant{4}, {.assistant_confidence_threshold = 0.7});
  EXPECT_EQ(drafted(specdec::ngram_drafter(table, unsure), {2}, {.temperature = 0}), (tokens{1, 2}));
  constexpr std::size_t endless = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(drafted(specdec::ngram_drafter(table, specdec::fallback{0.7, endless}), {2}, {.max_depth = endless}),
            (tokens{1}));
}

TEST(ngram_drafter, refuses_a_target_of_another_vocabulary) {
  const specdec::ngram_table right(10, corpus);
  for (const std::size_t other : {4U, 12U}) {
    const specdec::ngram_table wrong(other, corpus);
    const std::string refusal = "specdec: expected one vocabulary of 10 tokens; the table of n-grams has " +
                                std::to_string(other) +
                                " (if the wider one is padding, wrap that model in specdec::padded)";
    EXPECT_EQ(message_of([&] { (void)drafted(specdec::ngram_drafter(wrong), {7}); }), refusal);

    // Of drafters for each text, a batch asks only the first for its vocabulary.
    specdec::separate_sequences target(std::vector(2, testing::law_model(10, laws::hashed(10, 1))));
    specdec::separate_drafters drafters(
        2, [&](std::size_t sequence) { return specdec::ngram_drafter(sequence == 0 ? right : wrong); });
    specdec::session_batch batch(target, drafters);
    specdec::session first(10, generate_options{}), second(10, generate_options{});
    for (auto* const text : {&first, &second}) {
      text->begin(tokens{1, 9});
      batch.join(*text);
    }
    EXPECT_EQ(message_of([&] { batch.round(); }), refusal);
    EXPECT_EQ(batch.faulty(), &second);
    EXPECT_FALSE(first.generated().empty());
  }
}

template <class Policy>
void expect_lossless(const Policy& policy, std::size_t order) {
  const specdec::ngram_table table(4, corpus, {.order = order});
  for (const double temperature : {0.0, 1.0}) {
    const auto p = laws::hashed(4, 8, 0.5);
    const auto found = testing::enumerate(4, {3, 1}, p, laws::at_temperature(p, temperature),
                                          [&] { return specdec::ngram_drafter(table, policy); }, specdec::rejection{},
                                          {.sampling = {temperature}}, {2, 3});
    EXPECT_LT(found.total_variation(), tolerance);
    if (temperature > 0) {
      EXPECT_GT(found.expected_accepted, 0.1);
    }
  }
}

TEST(ngram_drafter, is_lossless) {
  for (const std::size_t order : {1U, 2U}) {
    expect_lossless(specdec::constant{1}, order);
    expect_lossless(specdec::constant{2}, order);
    expect_lossless(specdec::heuristic{1}, order);
    expect_lossless(specdec::confidence(specdec::heuristic{2}), order);
  }
}

/// Rejection with the table's law as q, whatever the token was drawn from.
struct trusting_the_table {
  [[maybe_unused]] static constexpr bool lossless = false;
  const specdec::ngram_table* table;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    const auto p = target.at(rows, specdec::root);
    const auto q = table->law_behind(1);
    const token_id x = drafted.token(1);
    if (chance.accept(drafted.key_of(1, specdec::purpose::accept), p.probability(x), q.probability(x))) {
      return {.kept = 1, .next = chance.draw(drafted.key_of(2, specdec::purpose::bonus), target.at(rows, 1))};
    }
    return {.kept = specdec::root,
            .next = chance.draw(drafted.key_of(1, specdec::purpose::residual), specdec::residual(p, q)),
            .rejected = true};
  }
};

/// Drafts one token: the most frequent, or one of the law.
struct one_token {
  const specdec::ngram_table* table;
  bool likeliest;
  void propose(const specdec::draft_request&, auto& chance, specdec::draft& answer) {
    const auto certain = specdec::proposal::point_mass(4, table->likeliest_behind(1));
    answer.extend(specdec::root, likeliest ? certain : table->law_behind(1), chance);
  }
};

// The mistake that a q which is not the law drawn from makes: an argmax tested with its share of the counts.
TEST(ngram_drafter, would_not_be_lossless_if_q_were_not_the_law_drawn_from) {
  const specdec::ngram_table table(4, corpus);
  const auto p = laws::fixed({.25, .25, .25, .25});
  const auto found = [&](bool likeliest) {
    return testing::enumerate(4, {1}, p, p,
                              [&] {
                                return one_token{&table, likeliest};
                              },
                              trusting_the_table{&table}, {}, {1, 2})
        .total_variation();
  };
  EXPECT_LT(found(false), tolerance);
  EXPECT_GT(found(true), 0.1);
}

}  // namespace
