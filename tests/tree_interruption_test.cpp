// Rounds of trees whose models fail at any call: the text is the one it would have been.

#include <gtest/gtest.h>

#include <cstddef>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>
#include <specdec/testing/law_model.hpp>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace {

using specdec::token_id;
using specdec::testing::fault;
using specdec::testing::fault_kind;
using specdec::testing::faulty_model;
using tokens = std::vector<token_id>;

constexpr std::size_t vocab = 7;

auto target_model() { return specdec::testing::law_model(vocab, laws::hashed(vocab, 1, 0.7)); }
auto draft_model() { return specdec::testing::law_model(vocab, laws::hashed(vocab, 1, 0.4)); }

struct run {
  tokens text;
  std::size_t accepted = 0;
  std::size_t interruptions = 0;
};

/// Generates with trees, going on behind every exception. `Wrap` makes of the faulty target the one that is used.
template <class Wrap>
run generate(const fault& in_target, const fault& in_draft, const Wrap& wrap) {
  faulty_model target(target_model(), in_target);
  faulty_model draft(draft_model(), in_draft);
  auto used = wrap(target);
  specdec::tree_drafter drafter(draft, specdec::tree_shape::uniform(std::vector<std::size_t>{3, 2, 1}));
  specdec::session session(vocab, {.max_tokens = 40, .seed = 3}, specdec::recursive_rejection{});
  session.begin(tokens{1, 2, 3});
  run result;
  while (session.running()) {
    try {
      specdec::speculative_generate(session, used, drafter);
    } catch (const specdec::testing::injected_fault&) {
      ++result.interruptions;
    }
  }
  result.text.assign(session.tokens().begin(), session.tokens().end());
  result.accepted = session.stats().accepted;
  return result;
}

template <class Wrap>
void expect_same_text(const Wrap& wrap) {
  const run expected = generate({}, {}, wrap);
  EXPECT_GT(expected.accepted, 10U);
  std::size_t interruptions = 0;
  for (const fault_kind kind : {fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after}) {
    for (std::size_t call = 1; call <= 50; ++call) {
      for (const bool target_fails : {true, false}) {
        const fault planned{kind, call};
        const run interrupted = generate(target_fails ? planned : fault{}, target_fails ? fault{} : planned, wrap);
        ASSERT_EQ(interrupted.text, expected.text) << to_string(kind) << " in call " << call << ", " << target_fails;
        ASSERT_EQ(interrupted.accepted, expected.accepted);
        interruptions += interrupted.interruptions;
      }
    }
  }
  EXPECT_GT(interruptions, 150U);
}

TEST(tree_interruption, at_any_call_leaves_the_text_as_it_would_be) {
  expect_same_text([](auto& target) { return specdec::padded<decltype(target)>(target, vocab); });
}

TEST(tree_interruption, leaves_records_of_the_target_right) {
  expect_same_text([](auto& target) { return specdec::recorded<decltype(target)>(target); });
}

}  // namespace
