// The wrappers that make another model of a model.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/faulty.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace {

using laws::text_view;
using specdec::padded;
using specdec::recorded;
using specdec::token_id;
using specdec::testing::check_target_model;
using specdec::testing::fault_kind;
using specdec::testing::faulty_model;
using specdec::testing::injected_fault;
using specdec::testing::law_model;

constexpr std::size_t vocab = 6;
const std::vector<token_id> prompt{1, 2, 0};
using tokens = std::vector<token_id>;

auto model_of(std::uint64_t seed) { return law_model(vocab, laws::hashed(vocab, seed, 0.8)); }

struct bounded : law_model<decltype(laws::hashed(vocab, 1))> {
  bounded() : law_model(vocab, laws::hashed(vocab, 1)) {}
  [[nodiscard]] std::size_t capacity() const { return 50; }
};

template <class Model>
tokens known(const Model& model) {
  const std::span<const token_id> all = model.tokens();
  return {all.begin(), all.end()};
}

tokens ids(const specdec::generation& result) {
  tokens all;
  for (const specdec::emitted_token& token : result.tokens) all.push_back(token.id);
  return all;
}

TEST(recorded, is_the_model_and_knows_its_tokens) {
  recorded model{model_of(31)};
  static_assert(specdec::TargetModel<decltype(model)> && specdec::KnowsTokens<decltype(model)>);
  static_assert(!specdec::HasCapacity<decltype(model)> && specdec::HasCapacity<recorded<bounded>>);
  static_assert(specdec::KnowsTokens<faulty_model<decltype(model)>> && !specdec::KnowsTokens<faulty_model<bounded>>);
  EXPECT_TRUE(check_target_model(model).conforming());
  recorded full{bounded()};
  EXPECT_TRUE(check_target_model(full).conforming());
  model.truncate(0);
  (void)model.decode(prompt, 1);
  EXPECT_EQ(known(model), prompt);
  const auto copy = model;
  model.truncate(1);
  EXPECT_EQ(known(model), tokens{1});
  EXPECT_EQ(known(copy), prompt);
}

TEST(recorded, may_refer_to_a_model_that_is_not_empty) {
  auto inner = model_of(31);
  (void)inner.decode(prompt, 0);
  recorded<decltype(inner)&> model(inner);
  EXPECT_EQ(known(model), (tokens{-1, -1, -1})) << "which equals no text";
  (void)model.decode(tokens{4}, 1);
  EXPECT_EQ(inner.size(), 4U);
  EXPECT_EQ(known(model), (tokens{-1, -1, -1, 4}));
}

TEST(recorded, agrees_with_the_model_whatever_was_thrown) {
  const tokens more{3, 4, 5, 3};
  for (const auto kind : {fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after}) {
    recorded model{faulty_model(recorded(model_of(31)), specdec::testing::fault{kind, 2})};
    (void)model.decode(prompt, 1);
    EXPECT_THROW((void)model.decode(more, 2), injected_fault);
    EXPECT_EQ(known(model), known(model.model())) << to_string(kind);
    EXPECT_EQ(model.tokens().size(), model.size());
    recorded truncated{faulty_model(recorded(model_of(31)), specdec::testing::fault{kind, 2})};
    (void)truncated.decode(more, 1);
    EXPECT_THROW(truncated.truncate(0), injected_fault);
    EXPECT_EQ(known(truncated), known(truncated.model())) << to_string(kind);
    EXPECT_EQ(truncated.tokens().size(), truncated.size());
  }
}

// A drafter whose model somebody else uses between the rounds drafts what it would have drafted.
TEST(recorded, lets_a_drafter_share_its_model) {
  auto target = model_of(21);
  recorded shared{model_of(22)};
  auto alone = model_of(22);
  const specdec::generate_options options{.max_tokens = 40, .seed = 3};
  const auto expected = specdec::speculative_generate(target, alone, prompt, options);
  const auto disturbing = [&](const specdec::outcome& out) {
    // As long a text as there was, so that the size alone tells nothing.
    const std::size_t size = shared.size();
    shared.truncate(0);
    (void)shared.decode(tokens(size, out.tokens.front().id), 0);
  };
  const auto found = specdec::speculative_generate(target, shared, prompt, options, disturbing);
  EXPECT_EQ(ids(found), ids(expected));
  EXPECT_EQ(found.stats.accepted, expected.stats.accepted);
}

/// The law behind a text of the vocabulary's tokens, with likely tokens behind them that nobody can read.
auto widened(std::uint64_t seed, std::size_t padding) {
  return [law = laws::hashed(vocab, seed, 0.8), padding](text_view text) {
    laws::probabilities p = law(text);
    p.resize(vocab + padding, 7.5);
    return p;
  };
}

/// Rows that are made when they are asked for, of logits that lie three apart.
template <class Law>
struct lazy_model {
  struct lazy_rows {
    Law law;
    tokens text;
    std::size_t count;
    std::unique_ptr<std::vector<std::vector<double>>> made = std::make_unique<std::vector<std::vector<double>>>();
    [[nodiscard]] std::size_t size() const { return count; }
    [[nodiscard]] specdec::logits_row<double> row(std::size_t i) const {
      const laws::probabilities p = law(text_view(text).first(text.size() - count + i + 1));
      auto& logits = made->emplace_back(3 * p.size(), std::numeric_limits<double>::quiet_NaN());
      for (std::size_t t = 0; t < p.size(); ++t) logits[3 * t] = std::log(p[t]);
      return {logits.data(), p.size(), 3};
    }
  };
  Law law;
  std::size_t width;
  tokens text{};
  [[nodiscard]] std::size_t vocab_size() const { return width; }
  [[nodiscard]] std::size_t size() const { return text.size(); }
  void truncate(std::size_t n) { text.resize(n); }
  lazy_rows decode(text_view fed, std::size_t rows) {
    text.insert(text.end(), fed.begin(), fed.end());
    return {law, text, rows};
  }
};

TEST(padded, gives_the_text_of_the_pair_without_padding) {
  const auto expect_same = [](auto target, auto draft) {
    for (const double temperature : {0.0, 1.0}) {
      for (const std::size_t top_k : {0U, 3U}) {
        const specdec::generate_options options{.gamma = 3, .max_tokens = 60, .sampling = {temperature, top_k}};
        auto narrow_target = model_of(21);
        auto narrow_draft = model_of(22);
        const auto expected = specdec::speculative_generate(narrow_target, narrow_draft, prompt, options);
        const auto found = specdec::speculative_generate(target, draft, prompt, options);
        EXPECT_EQ(ids(found), ids(expected));
        EXPECT_EQ(found.stats.accepted, expected.stats.accepted);
        for (std::size_t i = 0; i < found.tokens.size(); ++i) {
          EXPECT_EQ(found.tokens[i].log_probability, expected.tokens[i].log_probability);
        }
      }
    }
  };
  expect_same(padded(law_model(vocab + 4, widened(21, 4)), vocab), model_of(22));
  expect_same(model_of(21), padded(law_model(vocab + 9, widened(22, 9)), vocab));
  expect_same(padded(law_model(vocab + 4, widened(21, 4)), vocab), padded(law_model(vocab + 1, widened(22, 1)), vocab));
  expect_same(padded(lazy_model<decltype(widened(21, 4))>{widened(21, 4), vocab + 4}, vocab), model_of(22));
  expect_same(padded(model_of(21), vocab), padded(recorded(model_of(22)), vocab));
}

TEST(padded, is_a_model_as_the_wrapped_one_is) {
  padded model(law_model(vocab + 4, widened(21, 4)), vocab);
  static_assert(!specdec::HasCapacity<decltype(model)> && !specdec::KnowsTokens<decltype(model)>);
  static_assert(specdec::HasCapacity<padded<bounded>> && specdec::KnowsTokens<padded<recorded<bounded>>>);
  EXPECT_TRUE(check_target_model(model).conforming());
  padded lazy(lazy_model<decltype(widened(21, 4))>{widened(21, 4), vocab + 4}, vocab);
  EXPECT_TRUE(check_target_model(lazy).conforming());
  padded full(recorded{bounded()}, 3);
  EXPECT_TRUE(check_target_model(full).conforming());
  EXPECT_EQ(full.capacity(), 50U);
  bounded inner;
  padded<bounded&> referring(inner, 3);
  (void)referring.decode(prompt, 0);
  EXPECT_EQ(inner.size(), 3U);
}

TEST(padded, leaves_a_row_that_is_too_narrow_to_be_found) {
  padded model(faulty_model(model_of(21), specdec::testing::fault{fault_kind::narrow_rows, 1}), vocab);
  EXPECT_EQ(model.decode(prompt, 1).row(0).size(), vocab - 1);
}

TEST(padded, refuses_a_width_that_the_model_has_not) {
  for (const std::size_t wrong : {std::size_t{0}, vocab + 1}) {
    try {
      padded model(model_of(21), wrong);
      FAIL();
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(),
                "specdec: expected 1 to 6 tokens in the vocabulary of a padded model; got " + std::to_string(wrong));
    }
  }
}

}  // namespace
