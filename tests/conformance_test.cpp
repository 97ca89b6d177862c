// The kit that users test their models with, tested on models that conform, and on models with known mistakes in what
// they say and refuse: each must be found and called by its name.

#include "conformance_models.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace conformance_models;
using specdec::testing::law_model;

TEST(conformance, finds_nothing_in_models_that_conform) {
  expect_conforming(right_model{});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    expect_conforming(law_model(2, laws::hashed(2, seed)), {.seed = seed});
    expect_conforming(law_model(7, laws::hashed(7, seed)), {.tokens = {2, 5}, .length = 12 + seed, .seed = seed});
  }
  const auto last = [](std::size_t count) {
    return [=](text_view text) { return laws::hashed(5, 3)(text.last(std::min(text.size(), count))); };
  };
  expect_conforming(law_model(5, laws::fixed(laws::normalized({1, 2, 3, 4, 5}))));
  for (const std::size_t count : {1U, 2U, 3U}) expect_conforming(law_model(5, last(count)));
  expect_conforming(law_model(5, laws::without_parity(laws::hashed(5, 3), 1)));
  for (const std::size_t capacity : {14U, 15U, 20U, 33U, 34U, 35U, 100U}) {
    expect_conforming(bounded_model{{}, capacity, capacity});
    expect_conforming(refusing_model{{{}, capacity, capacity}}, {.provoke_refusals = true});
    expect_conforming(refusing_model{{{}, capacity, capacity}, true}, {.provoke_refusals = true});
  }
  right_model used;
  used.context = {1, 2, 3};
  expect_conforming(used);
}

TEST(conformance, needs_nothing_but_the_contract) {
  struct archetype {
    std::unique_ptr<right_model> model = std::make_unique<right_model>();
    [[nodiscard]] std::size_t vocab_size() const { return vocab; }
    [[nodiscard]] std::size_t size() const { return model->size(); }
    void truncate(std::size_t n) { model->truncate(n); }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) { return model->decode(tokens, rows); }
    void operator&() const = delete;  // NOLINT: nobody may rely on it
  };
  archetype model;
  EXPECT_TRUE(check_target_model(model).conforming());
}

TEST(conformance, refuses_options_that_cannot_be_followed) {
  const auto refused = [](const conformance_options& options) {
    right_model model;
    EXPECT_THROW((void)check_target_model(model, options), std::invalid_argument);
  };
  refused({.tokens = {6}});
  refused({.tokens = {-1, 1}});
  refused({.tokens = {3, 3}});
  refused({.tolerance = -1});
  refused({.tolerance = std::nan("")});
  refused({.length = 11});
  bounded_model small{{}, 13, 13};
  EXPECT_THROW((void)check_target_model(small), std::invalid_argument);
}

TEST(conformance, a_finding_tells_what_was_expected_and_shows_the_calls) {
  struct mutant : right_model {
    void truncate(std::size_t n) { context.resize(std::min(n + 1, size())); }
  } model;
  const auto report = check_target_model(model, {.length = 12});
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.text(),
            "truncate_keeps_too_many: expected size() 11 behind truncate(11), which was 13; got 12\n"
            "  breaks CausalModel 4: truncate(n) keeps the first n tokens and forgets the rest\n"
            "    behind 13 earlier calls, on a context of 13 tokens:\n"
            "    truncate(11)\n"
            "Further checks were left out: they build on what is broken.\n");
}

TEST(mutant_model, with_a_wrong_vocabulary) {
  struct empty : right_model {
    [[nodiscard]] std::size_t vocab_size() const { return 0; }
  } model;
  EXPECT_EQ(check_target_model(model).findings.at(0).kind, defect::vocabulary_empty);

  struct growing : right_model {
    std::size_t now = vocab;
    [[nodiscard]] std::size_t vocab_size() const { return now; }
    void truncate(std::size_t n) {
      right_model::truncate(n);
      now = vocab + 1;
    }
  };
  expect_found(growing{}, requirement::causal_model_1, defect::vocabulary_changed);
}

TEST(mutant_model, that_refuses_legal_calls) {
  struct needs_rows : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (rows == 0) throw std::invalid_argument("no rows?");
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(needs_rows{}, requirement::causal_model_3, defect::rows_0_refused);
  struct one_by_one : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (tokens.size() > 1) throw 1;
      return right_model::decode(tokens, rows);
    }
  };
  // The first call of several tokens that is made asks for no rows.
  expect_found(one_by_one{}, requirement::causal_model_3, defect::rows_0_refused);
  struct needs_all_rows_at_most_three : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (rows > 3) throw std::length_error("room for 3 rows");
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(needs_all_rows_at_most_three{}, requirement::causal_model_3, defect::call_refused);
  struct forward_only : right_model {
    void truncate(std::size_t n) {
      if (n > 0) throw std::logic_error("only to 0");
      right_model::truncate(n);
    }
  };
  expect_found(forward_only{}, requirement::causal_model_4, defect::call_refused);
}

TEST(mutant_model, whose_refused_calls_leave_something_behind) {
  struct forgets_to_undo : refusing_model {
    std::size_t claimed = 0;
    bool claims_all = false;
    [[nodiscard]] std::size_t size() const { return claimed; }
    void truncate(std::size_t n) {
      context.resize(n);
      claimed = n;
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (claims_all) claimed += tokens.size();
      const auto answer = refusing_model::decode(tokens, rows);
      if (!claims_all) claimed += tokens.size();
      return answer;
    }
  };
  forgets_to_undo model;
  model.limit = model.stated = 1000;
  model.reads_on = true;
  expect_found(model, requirement::causal_model_5, defect::refused_call_miscounted, {.provoke_refusals = true});
  model.claims_all = true;
  expect_found(model, requirement::causal_model_5, defect::refused_call_miscounted, {.provoke_refusals = true});
}

TEST(mutant_model, that_misremembers_its_tokens) {
  struct knowing : right_model {
    [[nodiscard]] const std::vector<token_id>& tokens() const { return context; }
  };
  knowing right;
  right.context = {1, 2, 3};
  expect_conforming(right);
  struct remembers_all : right_model {
    std::vector<token_id> fed{};
    [[nodiscard]] std::span<const token_id> tokens() const { return fed; }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      fed.insert(fed.end(), tokens.begin(), tokens.end());
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(remembers_all{}, requirement::knows_tokens, defect::tokens_miscounted);
  struct remembers_the_first : remembers_all {
    [[nodiscard]] std::span<const token_id> tokens() const { return std::span(fed).first(size()); }
  };
  expect_found(remembers_the_first{}, requirement::knows_tokens, defect::tokens_misremembered);
  struct remembers_the_last : remembers_all {
    [[nodiscard]] std::span<const token_id> tokens() const { return std::span(fed).last(size()); }
  };
  expect_found(remembers_the_last{}, requirement::knows_tokens, defect::tokens_misremembered);
  struct forgets_to_undo : refusing_model {
    std::vector<token_id> fed{};
    [[nodiscard]] std::span<const token_id> tokens() const { return fed; }
    void truncate(std::size_t n) {
      refusing_model::truncate(n);
      fed.resize(n);
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      fed.insert(fed.end(), tokens.begin(), tokens.end());
      return refusing_model::decode(tokens, rows);
    }
  };
  forgets_to_undo model;
  model.limit = model.stated = 1000;
  expect_conforming(model);
  expect_found(model, requirement::knows_tokens, defect::tokens_miscounted, {.provoke_refusals = true});
}

TEST(mutant_model, whose_capacity_is_less_than_it_says) {
  expect_found(bounded_model{{}, 20, 100}, requirement::has_capacity, defect::capacity_too_large);
  expect_found(bounded_model{{}, 99, 100}, requirement::has_capacity, defect::capacity_too_large);
  struct ring : bounded_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (size() + tokens.size() > 60) context[(size() + tokens.size()) % 60 % 3] = -5;
      return bounded_model::decode(tokens, rows);
    }
  };
  expect_found(ring{{{}, 100, 100}}, requirement::has_capacity, defect::capacity_too_large);
  expect_conforming(ring{{{}, 100, 100}}, {.fill_limit = 99});
}

}  // namespace
