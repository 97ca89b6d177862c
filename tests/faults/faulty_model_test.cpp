// Models that fail on purpose.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/faulty.hpp>
#include <specdec/testing/faulty_sequences.hpp>
#include <specdec/testing/law_model.hpp>
#include <type_traits>
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
using specdec::testing::faulty_sequences;
using specdec::testing::injected_fault;

using specdec::testing::law_model;

constexpr std::size_t vocab = 6;
const std::vector<token_id> prompt{1, 2, 0};

auto right_model() { return law_model(vocab, laws::hashed(vocab, 31)); }

struct bounded : law_model<decltype(laws::hashed(vocab, 31))> {
  [[nodiscard]] std::size_t capacity() const { return 9; }
};

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
  const auto exchanged = found(fault_kind::wrong_rows, 0);
  auto right = right_model();
  (void)right.decode(prompt, 0);
  const auto rows = right.decode(tokens, 3);
  EXPECT_EQ(exchanged[0][4], rows.row(2)[4]);
  EXPECT_EQ(exchanged[1][4], rows.row(1)[4]);
  EXPECT_EQ(exchanged[2][4], rows.row(0)[4]);
  EXPECT_TRUE(std::isnan(found(fault_kind::nan, 1)[1][3]));
  EXPECT_TRUE(std::isnan(found(fault_kind::nan, 9)[2][3]));
  EXPECT_EQ(found(fault_kind::nan, 1)[0][3], rows.row(0)[3]);
  EXPECT_EQ(found(fault_kind::positive_infinity, 2)[2][0], std::numeric_limits<double>::infinity());
  EXPECT_EQ(found(fault_kind::all_negative_infinity, 0)[0][5], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(found(fault_kind::too_few_rows, 0).size(), 2U);
  const auto many = found(fault_kind::too_many_rows, 0);
  ASSERT_EQ(many.size(), 4U);
  EXPECT_EQ(many[1][4], rows.row(1)[4]);
  EXPECT_EQ(many[2][4], rows.row(2)[4]);
  EXPECT_EQ(many[3], many[2]);
  for (const std::size_t i : {0U, 1U, 2U}) {
    const auto narrow = found(fault_kind::narrow_rows, 0)[i];
    const auto wide = found(fault_kind::wide_rows, 0)[i];
    ASSERT_EQ(narrow.size(), vocab - 1);
    ASSERT_EQ(wide.size(), vocab + 1);
    for (std::size_t t = 0; t + 1 < vocab; ++t) EXPECT_EQ(narrow[t], rows.row(i)[t]);
    for (std::size_t t = 0; t < vocab; ++t) EXPECT_EQ(wide[t], rows.row(i)[t]);
    EXPECT_EQ(wide[vocab], rows.row(i)[vocab - 1]);
  }
}

TEST(faulty_model, returns_the_row_before_where_it_is_asked_for_one) {
  const std::vector<token_id> tokens{1, 2, 3, 4, 5};
  const auto row_of = [](auto& model, std::span<const token_id> fed, std::size_t rows = 1) {
    const auto came = model.decode(fed, rows);
    return came.row(came.size() - 1)[4];
  };
  auto right = right_model();
  const double first = row_of(right, prompt);
  const double second = row_of(right, tokens, 2);
  const double third = row_of(right, tokens);
  ASSERT_NE(first, second);
  ASSERT_NE(second, third);

  faulty_model once(right_model(), fault{fault_kind::wrong_rows, 2});
  EXPECT_EQ(row_of(once, prompt), first);
  (void)once.decode(tokens, 0);
  once.truncate(prompt.size());
  EXPECT_EQ(once.faults(), 0U) << "no call has come that returns a row";
  EXPECT_EQ(row_of(once, tokens), first);
  EXPECT_EQ(once.first_fault(), 4U);
  EXPECT_EQ(row_of(once, tokens), third);

  faulty_model always(right_model(), fault{fault_kind::wrong_rows, 1, true});
  EXPECT_EQ(row_of(always, prompt), first) << "none came before";
  EXPECT_EQ(row_of(always, tokens), first);
  EXPECT_EQ(row_of(always, tokens), second) << "the row that should have come before, not the one that did";
  EXPECT_EQ(always.first_fault(), 2U);
  EXPECT_EQ(always.faults(), 2U);
}

TEST(faulty_model, waits_to_return_wrong_rows_until_they_are_others) {
  faulty_model model(specdec::testing::law_model(vocab, [](auto&&) { return std::vector<double>(vocab, 1.0 / 6); }),
                     fault{fault_kind::wrong_rows, 1});
  (void)model.decode(prompt, 3);
  (void)model.decode(prompt, 1);
  EXPECT_EQ(model.faults(), 0U);
}

TEST(faulty_model, is_found_out_by_the_conformance_check) {
  const auto first = [](fault_kind kind, std::size_t call = 40) {
    faulty_model model(right_model(), fault{kind, call, true});
    return check_target_model(model).findings.at(0).kind;
  };
  EXPECT_EQ(first(fault_kind::throw_before), defect::call_refused);
  EXPECT_EQ(first(fault_kind::nan), defect::row_unusable);
  EXPECT_EQ(first(fault_kind::positive_infinity), defect::row_unusable);
  EXPECT_EQ(first(fault_kind::all_negative_infinity), defect::row_unusable);
  EXPECT_EQ(first(fault_kind::narrow_rows), defect::row_width_wrong);
  EXPECT_EQ(first(fault_kind::wide_rows), defect::row_width_wrong);
  EXPECT_EQ(first(fault_kind::too_few_rows), defect::row_count_wrong);
  EXPECT_EQ(first(fault_kind::too_many_rows), defect::row_count_wrong);
  EXPECT_EQ(first(fault_kind::wrong_rows, 1), defect::rows_stale);
}

TEST(faulty_model, may_be_planned_another_fault_or_mended) {
  const std::vector<token_id> tokens{1, 2, 3, 4, 5};
  faulty_model model(right_model(), fault{fault_kind::throw_before, 2, true});
  (void)model.decode(prompt, 1);
  EXPECT_THROW((void)model.decode(tokens, 1), injected_fault);
  EXPECT_THROW((void)model.decode(tokens, 1), injected_fault);
  EXPECT_EQ(model.first_fault(), 2U);
  model.arm();
  EXPECT_EQ(model.calls() + model.faults() + model.first_fault(), 0U);
  EXPECT_FALSE(std::isnan(model.decode(tokens, 1).row(0)[0]));
  model.arm({fault_kind::nan, 2});
  EXPECT_FALSE(std::isnan(model.decode(tokens, 1).row(0)[0]));
  EXPECT_TRUE(std::isnan(model.decode(tokens, 1).row(0)[0]));
  EXPECT_EQ(model.first_fault(), 2U);
}

/// Logits of 16 bits, of which none is NaN by itself.
struct halves {
  std::vector<token_id> text;
  std::vector<specdec::float16> logits = {{0x3C00}, {0x4000}, {0x4200}};
  [[nodiscard]] std::size_t vocab_size() const { return logits.size(); }
  [[nodiscard]] std::size_t size() const { return text.size(); }
  void truncate(std::size_t n) { text.resize(n); }
  specdec::logits_view<specdec::float16> decode(std::span<const token_id> tokens, std::size_t rows) {
    text.insert(text.end(), tokens.begin(), tokens.end());
    return {logits.data(), rows, logits.size(), 0};
  }
};

TEST(faulty_model, spoils_logits_of_16_bits) {
  const auto first_of = [](fault_kind kind) {
    faulty_model model(halves{}, fault{kind, 1});
    return model.decode(prompt, 2).row(0)[0];
  };
  EXPECT_EQ(first_of(fault_kind::none), 1.0F);
  EXPECT_TRUE(std::isnan(first_of(fault_kind::nan)));
  EXPECT_EQ(first_of(fault_kind::positive_infinity), std::numeric_limits<float>::infinity());
  EXPECT_EQ(first_of(fault_kind::all_negative_infinity), -std::numeric_limits<float>::infinity());
}

// --- of several sequences --------------------------------------------------------------------------------------------

auto right_sequences() { return specdec::separate_sequences(std::vector<decltype(right_model())>(3, right_model())); }

const std::vector<specdec::sequence_feed> feeds{{2, prompt, 1}, {0, prompt, 2}, {1, prompt, 0}};

TEST(faulty_sequences, without_a_fault_are_the_model) {
  faulty_sequences model{right_sequences()};
  static_assert(specdec::DecodesBatches<decltype(model)> && !specdec::HasCapacity<decltype(model)>);
  for (std::size_t sequence = 0; sequence < 3; ++sequence) {
    specdec::one_sequence one(model, sequence);
    EXPECT_TRUE(check_target_model(one).conforming());
  }
  EXPECT_EQ(model.faults(), 0U);
}

TEST(faulty_sequences, throw_at_their_call_and_leave_what_they_say) {
  using sizes = std::vector<std::size_t>;
  const std::vector<std::pair<fault_kind, sizes>> taken{{fault_kind::throw_before, {0, 0, 0}},
                                                        {fault_kind::throw_midway, {1, 0, 3}},
                                                        {fault_kind::throw_after, {3, 3, 3}}};
  for (const auto& [kind, expected] : taken) {
    faulty_sequences model(right_sequences(), fault{kind, 1});
    EXPECT_THROW((void)model.decode(feeds), injected_fault);
    EXPECT_EQ((sizes{model.size(0), model.size(1), model.size(2)}), expected) << to_string(kind);
    for (std::size_t sequence = 0; sequence < 3; ++sequence) model.truncate(sequence, 0);
    EXPECT_EQ(model.decode(feeds).size(), 3U);
  }
}

TEST(faulty_sequences, spoil_rows_across_texts) {
  faulty_sequences right{right_sequences()};
  const auto rows = right.decode(feeds);
  faulty_sequences wrong(right_sequences(), fault{fault_kind::wrong_rows, 1, true});
  const auto exchanged = wrong.decode(feeds);
  EXPECT_EQ(exchanged.row(0)[4], rows.row(2)[4]);
  EXPECT_EQ(exchanged.row(1)[4], rows.row(1)[4]);
  EXPECT_EQ(exchanged.row(2)[4], rows.row(0)[4]);
  const double last = rows.row(2)[4];
  const std::vector<specdec::sequence_feed> next{{1, prompt, 1}};
  EXPECT_NE(right.decode(next).row(0)[4], last);
  EXPECT_EQ(wrong.decode(next).row(0)[4], last) << "the last row of another text";
  faulty_sequences spoiled(right_sequences(), fault{fault_kind::nan, 1, false, 2});
  const auto with_nan = spoiled.decode(feeds);
  EXPECT_TRUE(std::isnan(with_nan.row(2)[0]));
  EXPECT_FALSE(std::isnan(with_nan.row(0)[0]));
}

}  // namespace
