// Models that fail on purpose, and what sessions make of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
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

using specdec::token_id;
using specdec::testing::check_target_model;
using specdec::testing::defect;
using specdec::testing::fault;
using specdec::testing::fault_kind;
using specdec::testing::faulty_model;
using specdec::testing::injected_fault;

using specdec::testing::law_model;

constexpr std::size_t vocab = 6;
const std::vector<token_id> prompt{1, 2, 0};

auto right_model() { return law_model(vocab, laws::hashed(vocab, 31)); }

struct bounded : law_model<decltype(laws::hashed(vocab, 31))> {
  [[nodiscard]] std::size_t capacity() const { return 9; }
};

std::vector<token_id> committed(const specdec::session<>& text) { return {text.tokens().begin(), text.tokens().end()}; }

TEST(faulty_model, without_a_fault_is_the_model) {
  faulty_model model{right_model()};
  static_assert(specdec::TargetModel<decltype(model)> && !specdec::HasCapacity<decltype(model)>);
  static_assert(specdec::HasCapacity<faulty_model<bounded>>);
  static_assert(std::is_same_v<faulty_model<decltype(right_model())>::value_type, double>);
  EXPECT_TRUE(check_target_model(model).conforming());
  EXPECT_GT(model.calls(), 100U);
  EXPECT_EQ(model.faults(), 0U);
  auto referred = right_model();
  faulty_model<decltype(referred)&> reference(referred);
  (void)reference.decode(prompt, 0);
  EXPECT_EQ(referred.size(), 3U);
  auto moved = std::move(reference);
  EXPECT_EQ(moved.size(), 3U);
}

TEST(faulty_model, throws_at_its_call_and_leaves_what_it_says) {
  const std::vector<token_id> tokens{1, 2, 3, 4, 5};
  const std::vector<std::pair<fault_kind, std::size_t>> taken{
      {fault_kind::throw_before, 0}, {fault_kind::throw_midway, 2}, {fault_kind::throw_after, 5}};
  for (const auto& [kind, size] : taken) {
    faulty_model model(right_model(), fault{kind, 2});
    (void)model.decode(prompt, 1);
    EXPECT_THROW((void)model.decode(tokens, 1), injected_fault);
    EXPECT_EQ(model.size(), 3 + size);
    EXPECT_NO_THROW((void)model.decode(tokens, 1));
    faulty_model truncated(right_model(), fault{kind, 2, true});
    (void)truncated.decode(tokens, 1);
    EXPECT_THROW(truncated.truncate(1), injected_fault);
    EXPECT_EQ(truncated.size(), kind == fault_kind::throw_before ? 5U : kind == fault_kind::throw_midway ? 3U : 1U);
    EXPECT_THROW((void)truncated.decode(tokens, 1), injected_fault);
    EXPECT_EQ(truncated.faults(), 2U);
    EXPECT_EQ(truncated.calls(), 3U);
  }
  faulty_model model(right_model(), fault{fault_kind::throw_midway, 1});
  try {
    (void)model.decode(tokens, 1);
    FAIL();
  } catch (const injected_fault& error) {
    EXPECT_STREQ(error.what(), "specdec: injected fault in call 1, decode: throw midway");
  }
}

TEST(faulty_model, spoils_the_rows_it_was_told_to) {
  const std::vector<token_id> tokens{1, 2, 3, 4, 5};
  const auto found = [&](fault_kind kind, std::size_t row) {
    faulty_model model(right_model(), fault{kind, 1, false, row});
    (void)model.decode(prompt, 0);
    EXPECT_EQ(model.faults(), 0U) << "a call without rows has none to spoil";
    const auto rows = model.decode(tokens, 3);
    EXPECT_EQ(model.faults(), 1U);
    std::vector<std::vector<double>> copies(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t t = 0; t < rows.row(i).size(); ++t) copies[i].push_back(rows.row(i)[t]);
    }
    faulty_model again(right_model(), fault{kind, 1, true, row});
    (void)again.decode(tokens, 2);
    (void)again.decode(tokens, 2);
    EXPECT_EQ(again.faults(), 2U);
    return copies;
  };
  const auto expected = found(fault_kind::swapped_rows, 0);
  auto right = right_model();
  (void)right.decode(prompt, 0);
  const auto rows = right.decode(tokens, 3);
  EXPECT_EQ(expected[0][4], rows.row(2)[4]);
  EXPECT_EQ(expected[1][4], rows.row(1)[4]);
  EXPECT_EQ(expected[2][4], rows.row(0)[4]);
  EXPECT_TRUE(std::isnan(found(fault_kind::nan, 1)[1][3]));
  EXPECT_TRUE(std::isnan(found(fault_kind::nan, 9)[2][3]));
  EXPECT_EQ(found(fault_kind::nan, 1)[0][3], rows.row(0)[3]);
  EXPECT_EQ(found(fault_kind::positive_infinity, 2)[2][0], std::numeric_limits<double>::infinity());
  EXPECT_EQ(found(fault_kind::all_negative_infinity, 0)[0][5], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(found(fault_kind::wrong_row_count, 0).size(), 2U);
  EXPECT_EQ(found(fault_kind::wrong_width, 0)[1].size(), vocab - 1);
  EXPECT_EQ(found(fault_kind::wrong_width, 0)[1][0], rows.row(1)[0]);
}

TEST(faulty_model, is_found_out_by_the_conformance_check) {
  const auto first = [](fault_kind kind) {
    faulty_model model(right_model(), fault{kind, 40, true});
    return check_target_model(model).findings.at(0).kind;
  };
  EXPECT_EQ(first(fault_kind::throw_before), defect::call_refused);
  EXPECT_EQ(first(fault_kind::nan), defect::row_unusable);
  EXPECT_EQ(first(fault_kind::positive_infinity), defect::row_unusable);
  EXPECT_EQ(first(fault_kind::all_negative_infinity), defect::row_unusable);
  EXPECT_EQ(first(fault_kind::wrong_width), defect::row_width_wrong);
  EXPECT_EQ(first(fault_kind::wrong_row_count), defect::row_count_wrong);
  EXPECT_EQ(first(fault_kind::swapped_rows), defect::rows_out_of_order);
}

/// A text of 40 tokens with model drafts, over a target and a draft that may fail.
struct run {
  std::vector<token_id> text;
  specdec::statistics stats;
  specdec::session_status status;
  specdec::row_fault row_fault;
  std::size_t calls = 0;
  std::size_t faults = 0;
  std::string error;  // the last that came
};

run run_over(const fault& in_target, const fault& in_draft, bool go_on) {
  faulty_model target(law_model(vocab, laws::hashed(vocab, 21, 0.8)), in_target);
  faulty_model draft(law_model(vocab, laws::hashed(vocab, 22, 0.8)), in_draft);
  specdec::session text(vocab, {.max_tokens = 40, .seed = 8});
  text.begin(prompt);
  specdec::model_drafter drafter(draft, specdec::constant{3});
  std::string error;
  while (text.running()) {
    try {
      speculative_generate(text, target, drafter);
    } catch (const injected_fault&) {
      error = "injected_fault";
    } catch (const specdec::logits_error&) {
      error = "logits_error";
    } catch (const std::invalid_argument&) {
      error = "invalid_argument";
    } catch (const std::runtime_error&) {
      error = "runtime_error";
    }
    if (!go_on) break;
  }
  return {committed(text),
          text.stats(),
          text.status(),
          text.fault(),
          std::max(target.calls(), draft.calls()),
          target.faults() + draft.faults(),
          error};
}

TEST(session_over_a_faulty_model, ends_with_the_same_text_whatever_call_throws_and_however) {
  const run expected = run_over({}, {}, true);
  ASSERT_EQ(expected.text.size(), 43U);
  ASSERT_GT(expected.calls, 30U);
  for (const fault_kind kind : {fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after}) {
    for (std::size_t call = 1; call <= expected.calls; ++call) {
      for (const run& tried : {run_over({kind, call}, {}, true), run_over({}, {kind, call}, true)}) {
        EXPECT_EQ(tried.text, expected.text) << to_string(kind) << " in call " << call;
        EXPECT_EQ(tried.stats.accepted, expected.stats.accepted) << "a retried round counts once";
        EXPECT_EQ(tried.stats.rounds, expected.stats.rounds);
        EXPECT_EQ(tried.error, tried.faults == 1 ? "injected_fault" : "");
      }
    }
  }
}

TEST(session_over_a_faulty_model, fails_for_good_at_unusable_logits_and_keeps_the_text_before) {
  const run expected = run_over({}, {}, true);
  const std::vector<std::pair<fault_kind, specdec::row_fault>> kinds{
      {fault_kind::nan, specdec::row_fault::nan},
      {fault_kind::positive_infinity, specdec::row_fault::positive_infinity},
      {fault_kind::all_negative_infinity, specdec::row_fault::all_negative_infinity},
      {fault_kind::wrong_width, specdec::row_fault::wrong_width}};
  for (const auto& [kind, reason] : kinds) {
    for (std::size_t call = 1; call <= 20; ++call) {
      const run failed = run_over({kind, call}, {}, true);
      EXPECT_EQ(failed.error, "logits_error") << to_string(kind) << " in call " << call;
      EXPECT_EQ(failed.status, specdec::session_status::failed);
      EXPECT_EQ(failed.row_fault, reason);
      ASSERT_LT(failed.text.size(), expected.text.size());
      EXPECT_TRUE(std::equal(failed.text.begin(), failed.text.end(), expected.text.begin()));

      const run drafted = run_over({}, {kind, call}, true);
      EXPECT_EQ(drafted.error, "runtime_error") << "of the draft, which the session outlives";
      EXPECT_EQ(drafted.text, expected.text);
    }
  }
}

TEST(session_over_a_faulty_model, refuses_a_wrong_number_of_rows_and_can_go_on) {
  const run expected = run_over({}, {}, true);
  for (std::size_t call = 1; call <= 20; ++call) {
    const run stopped = run_over({fault_kind::wrong_row_count, call}, {}, false);
    EXPECT_EQ(stopped.error, "invalid_argument");
    EXPECT_EQ(stopped.status, specdec::session_status::running);
    EXPECT_TRUE(std::equal(stopped.text.begin(), stopped.text.end(), expected.text.begin()));
    EXPECT_EQ(run_over({fault_kind::wrong_row_count, call}, {}, true).text, expected.text);
  }
}

}  // namespace
