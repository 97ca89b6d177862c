// Beam search against its definition: all texts, scored one by one.

#include "beam_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <vector>

#include "gguf.hpp"
#include "layered_model.hpp"
#include "model.hpp"
#include "tokenizer.hpp"

namespace {

using laws::layered_model;
using methods::beam_search;
using methods::beam_search_options;
using methods::hypothesis;
using methods::stopping;
using specdec::token_id;
using tokens = std::vector<token_id>;

const std::vector<stopping> rules{stopping::when_full, stopping::when_unlikely, stopping::when_impossible};

bool better(const hypothesis& a, const hypothesis& b) { return a.score > b.score; }

/// Every text that ends with an end token, or has max_tokens, best first.
void add_texts(const beam_search_options& options, const tokens& prompt, const hypothesis& text,
               std::vector<hypothesis>& all) {
  if (text.ended || text.tokens.size() == options.max_tokens) {
    all.push_back(text);
    const auto length = static_cast<double>(text.tokens.size());
    all.back().score = text.log_probability / std::pow(length, options.length_penalty);
    return;
  }
  tokens whole = prompt;
  whole.insert(whole.end(), text.tokens.begin(), text.tokens.end());
  const auto p = layered_model(3).whole_law()(whole);
  for (std::size_t t = 0; t < p.size(); ++t) {
    hypothesis longer = text;
    longer.tokens.push_back(static_cast<token_id>(t));
    longer.log_probability += std::log(p[t]);
    longer.ended = std::ranges::count(options.end_tokens, static_cast<token_id>(t)) > 0;
    add_texts(options, prompt, longer, all);
  }
}

TEST(beam_search, as_wide_as_there_are_texts_finds_them_all) {
  const tokens prompt{0, 2};
  for (const double length_penalty : {-1.0, 0.0, 0.6, 1.0, 2.0}) {
    for (const stopping rule : rules) {
      for (const tokens& end_tokens : {tokens{}, tokens{1}, tokens{0, 2}}) {
        const beam_search_options options{.width = 81,
                                          .max_tokens = 4,
                                          .length_penalty = length_penalty,
                                          .early_stopping = rule,
                                          .end_tokens = end_tokens};
        std::vector<hypothesis> all;
        add_texts(options, prompt, {}, all);
        std::ranges::sort(all, better);
        const auto found = beam_search(layered_model(3), prompt, options);
        ASSERT_EQ(found.size(), all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
          EXPECT_EQ(found[i].tokens, all[i].tokens) << i;
          EXPECT_NEAR(found[i].score, all[i].score, 1e-12);
          EXPECT_NEAR(found[i].log_probability, all[i].log_probability, 1e-12);
          EXPECT_EQ(found[i].ended, all[i].ended);
        }
      }
    }
  }
}

TEST(beam_search, of_width_one_is_greedy_decoding) {
  for (const stopping rule : {stopping::when_full, stopping::when_unlikely}) {
    for (token_id end = 0; end < 7; ++end) {
      for (token_id start = 0; start < 7; ++start) {
        const tokens prompt{start};
        layered_model target(7);
        specdec::generate_options plain{.max_tokens = 30, .sampling = {0.0}};
        plain.end_tokens = {end};
        const auto greedy = specdec::autoregressive_generate(target, prompt, plain);
        const auto found = beam_search(
            layered_model(7), prompt,
            {.width = 1, .max_tokens = 30, .length_penalty = 0.3, .early_stopping = rule, .end_tokens = {end}});
        ASSERT_EQ(found.size(), 1U);
        tokens expected;
        for (const auto& token : greedy.tokens) expected.push_back(token.id);
        EXPECT_EQ(found[0].tokens, expected);
        EXPECT_EQ(found[0].ended, greedy.status == specdec::session_status::end_token);
      }
    }
  }
}

TEST(beam_search, that_stops_later_finds_no_worse) {
  std::size_t improved = 0;
  for (token_id start = 0; start < 7; ++start) {
    std::vector<hypothesis> before;
    for (const stopping rule : rules) {
      const auto found = beam_search(
          layered_model(7), tokens{start},
          {.width = 3, .max_tokens = 20, .length_penalty = 1.5, .early_stopping = rule, .end_tokens = {3, 4}});
      ASSERT_EQ(found.size(), 3U);
      EXPECT_TRUE(std::ranges::is_sorted(found, better));
      for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_GE(found[i].score, before[i].score);
        improved += found[i].score > before[i].score ? 1 : 0;
      }
      before = found;
    }
  }
  EXPECT_GT(improved, 5U);
}

TEST(beam_search, ends_with_the_context) {
  const auto found = beam_search(layered_model(5, 8), tokens{1, 2, 3}, {.width = 3, .max_tokens = 100});
  ASSERT_EQ(found.size(), 3U);
  for (const auto& text : found) EXPECT_EQ(text.tokens.size(), 6U);
  EXPECT_EQ(beam_search(layered_model(5, 3), tokens{1, 2, 3}, {}).front().tokens.size(), 1U);
}

TEST(beam_search, refuses_what_has_no_answer) {
  EXPECT_THROW(beam_search(layered_model(3), tokens{}, {}), std::invalid_argument);
  EXPECT_THROW(beam_search(layered_model(3), tokens{0}, {.width = 0}), std::invalid_argument);
  EXPECT_THROW(beam_search(layered_model(3), tokens{0}, {.max_tokens = 0}), std::invalid_argument);
  EXPECT_THROW(beam_search(layered_model(3, 1), tokens{0, 1}, {}), std::invalid_argument);
}

/// Counts its copies, and how many of its kind there are at once.
struct counted : layered_model {
  static inline std::size_t copies = 0, alive = 0, most = 0;
  explicit counted(std::size_t vocab_size) : layered_model(vocab_size) { count(); }
  counted(const counted& other) : layered_model(other) {
    ++copies;
    count();
  }
  counted(counted&& other) noexcept : layered_model(std::move(other)) { count(); }
  counted& operator=(const counted& other) {
    ++copies;
    layered_model::operator=(other);
    return *this;
  }
  counted& operator=(counted&&) = default;
  ~counted() { --alive; }
  static void count() { most = std::max(most, ++alive); }
};

TEST(beam_search, copies_no_more_than_it_must) {
  constexpr std::size_t width = 4, length = 30;
  (void)beam_search(counted(7), tokens{0, 1}, {.width = width, .max_tokens = length});
  EXPECT_EQ(counted::alive, 0U);
  // One context a beam; at the start those that are handed over exist twice.
  EXPECT_LE(counted::most, width + 1);
  EXPECT_GE(counted::copies, width - 1);
  EXPECT_LE(counted::copies, (width - 1) * (length - 1));
}

TEST(beam_search, of_the_bundled_target_scores_as_the_target_does) {
  const toy::gguf_file file(SPECDEC_MODELS_DIR "/target.gguf");
  const toy::tokenizer tokenizer(file);
  const toy::model model(file);
  specdec::law law(tokenizer.vocab_size(), {});
  for (const char* text : {"Once upon a time", "Question: Maria earns $15 an hour and"}) {
    const tokens prompt = tokenizer.encode(text);
    const auto found = beam_search(toy::context(model), prompt, {.width = 5, .max_tokens = 20});
    ASSERT_EQ(found.size(), 5U);
    for (const hypothesis& one : found) {
      toy::context fresh(model);
      tokens whole = prompt;
      whole.insert(whole.end(), one.tokens.begin(), one.tokens.end());
      const auto rows = fresh.decode(whole, one.tokens.size() + 1);
      double sum = 0;
      for (std::size_t i = 0; i < one.tokens.size(); ++i) sum += law.of(rows.row(i)).log_probability(one.tokens[i]);
      // Copies of contexts have the same bits, so this is equality and not closeness.
      EXPECT_EQ(one.log_probability, sum);
      EXPECT_DOUBLE_EQ(one.score, sum / 20);
    }
    const auto greedy = beam_search(toy::context(model), prompt, {.width = 1, .max_tokens = 20});
    toy::context target(model);
    const auto expected =
        specdec::autoregressive_generate(target, prompt, {.max_tokens = 20, .sampling = {0.0}, .end_tokens = {}});
    for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(greedy.front().tokens[i], expected.tokens[i].id);
  }
}

}  // namespace
