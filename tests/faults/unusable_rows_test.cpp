// Rules that weigh a draft as a whole decide nothing by a row that the model has spoiled; a mask spoils no row.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <vector>

#include "../laws.hpp"

namespace {

using specdec::row_fault;
using specdec::token_id;

/// Drafts two tokens, 1 and 0.
struct one_then_zero {
  void propose(const specdec::draft_request&, auto& chance, specdec::draft& answer) const {
    const auto one = answer.extend(specdec::root, specdec::proposal::point_mass(2, 1), chance);
    answer.extend(one, specdec::proposal::point_mass(2, 0), chance);
  }
};

struct nothing_behind_a_one {
  bool behind = false;
  [[nodiscard]] bool allows(token_id) const { return !behind; }
  void fill(std::span<std::uint32_t> words) const { words[0] = behind ? 0 : 3; }
  void advance(token_id token) { behind = token == 1; }
  void rollback(std::size_t) { behind = false; }
};

/// What a round comes to, over a target whose law behind token 1 is spoiled so, or under a mask that allows none there.
template <class Rule>
specdec::outcome round_of(const Rule& rule, double behind_a_one, bool masked, std::uint64_t seed) {
  specdec::testing::law_model target(
      2, [&](laws::text_view text) { return laws::probabilities(2, text.back() == 1 ? behind_a_one : 0.5); });
  specdec::generate_options options{.seed = seed};
  if (masked) options.mask = nothing_behind_a_one();
  specdec::session text(2, options, rule);
  text.begin(std::vector<token_id>{0});
  specdec::draft drafted;
  drafted.begin(text.request());
  one_then_zero{}.propose(text.request(), text.chance(), drafted);
  const auto plan = text.plan(drafted, target.size());
  const auto out = text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
  EXPECT_EQ(text.fault() != row_fault::none, out.status == specdec::session_status::failed);
  return out;
}

template <class Rule>
class rules_for_whole_drafts : public ::testing::Test {};
using whole_drafts = ::testing::Types<specdec::block_verification, specdec::traversal, specdec::typical_acceptance>;
TYPED_TEST_SUITE(rules_for_whole_drafts, whole_drafts);

TYPED_TEST(rules_for_whole_drafts, fail_where_a_row_that_they_weigh_is_spoiled) {
  for (const double spoiled :
       {std::numeric_limits<double>::quiet_NaN(), 0.0, std::numeric_limits<double>::infinity()}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto out = round_of(TypeParam{}, spoiled, false, seed);
      EXPECT_EQ(out.status, specdec::session_status::failed) << spoiled << " " << seed;
      EXPECT_EQ(out.committed, 0U);
    }
  }
}

TYPED_TEST(rules_for_whole_drafts, end_the_draft_where_a_mask_allows_nothing) {
  std::size_t failed = 0, went_on = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto out = round_of(TypeParam{}, 0.5, true, seed);
    ++(out.status == specdec::session_status::failed ? failed : went_on);
  }
  // The target comes that way every other time; a rule that keeps what is typical always does.
  EXPECT_GT(failed, 8U);
  EXPECT_EQ(went_on > 8, TypeParam::lossless);
}

}  // namespace
