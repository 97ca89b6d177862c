// Typical acceptance: its threshold, which path it keeps, and that it is no lossless rule.

#include <gtest/gtest.h>

#include <cmath>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <vector>

#include "laws.hpp"
#include "tree_drafters.hpp"

namespace {

namespace testing = specdec::testing;
using laws::probabilities;
using specdec::generate_options;
using specdec::token_id;

/// Drafts two paths of point masses.
struct two_paths {
  [[maybe_unused]] static constexpr bool drafts_trees = true;

  std::vector<token_id> first, second;

  template <class Chance>
  void propose(const specdec::draft_request&, Chance& chance, specdec::draft& answer) const {
    for (const auto& path : {first, second}) {
      specdec::node_id tip = specdec::root;
      for (const token_id token : path) tip = answer.extend(tip, specdec::proposal::point_mass(4, token), chance);
    }
  }
};

/// The drafted tokens that are kept.
template <class Law>
std::vector<token_id> kept(const Law& law, const two_paths& paths, const specdec::typical_acceptance& rule,
                           double temperature = 1) {
  testing::law_model target(4, law);
  specdec::session text(4, generate_options{.sampling = {temperature}}, rule);
  text.begin(std::vector<token_id>{0});
  specdec::draft drafted;
  const auto request = text.request();
  drafted.begin(request);
  paths.propose(request, text.chance(), drafted);
  const auto plan = text.plan(drafted, target.size());
  const auto judged = text.verify(specdec::score(target, plan));
  (void)text.commit(judged);
  const auto all = text.generated();
  return {all.begin(), all.end() - 1};
}

TEST(typical, has_the_published_defaults) {
  const specdec::typical_acceptance rule;
  EXPECT_EQ(rule.epsilon(), 0.09);
  EXPECT_EQ(rule.delta(), 0.3);
  EXPECT_FALSE(specdec::typical_acceptance::lossless);
}

TEST(typical, threshold_is_that_of_the_paper) {
  // H = 1.21 nats: delta e^-H = .0898, just below epsilon = .09.
  const probabilities p{0.5, 0.25, 0.16, 0.09};
  double entropy = 0;
  for (const double x : p) entropy -= x * std::log(x);
  const auto keeps = [&](token_id token, double epsilon, double delta) {
    return !kept(laws::fixed(p), {{token}, {}}, specdec::typical_acceptance(epsilon, delta)).empty();
  };
  for (token_id token = 0; token < 4; ++token) {
    const double probability = p[static_cast<std::size_t>(token)];
    for (const double delta : {0.2, 0.3, 0.5, 0.9, 2.0}) {
      for (const double epsilon : {0.01, 0.1, 0.2, 0.4}) {
        const double least = std::min(epsilon, delta * std::exp(-entropy));
        EXPECT_EQ(keeps(token, epsilon, delta), probability > least) << token << ' ' << epsilon << ' ' << delta;
      }
    }
  }
}

TEST(typical, longest_path_wins_and_of_equals_the_more_probable) {
  const auto law = laws::fixed({0.4, 0.3, 0.2, 0.1});
  const specdec::typical_acceptance rule(0.15, 10);
  EXPECT_EQ(kept(law, {{0}, {2, 2}}, rule), (std::vector<token_id>{2, 2}));
  EXPECT_EQ(kept(law, {{1, 1}, {0, 2}}, rule), (std::vector<token_id>{1, 1}));
  EXPECT_EQ(kept(law, {{2, 1}, {0, 2}}, rule), (std::vector<token_id>{0, 2}));
  // Token 3 is too improbable, whatever follows it.
  EXPECT_EQ(kept(law, {{3, 0, 0}, {0}}, rule), (std::vector<token_id>{0}));
  EXPECT_EQ(kept(law, {{3, 0, 0}, {}}, rule), (std::vector<token_id>{}));
}

TEST(typical, is_exact_when_the_target_is_greedy) {
  const auto p = laws::hashed(3, 4);
  const tree_drafters::tree_sampler sampler{laws::hashed(3, 5), {2, 2}};
  const auto found = testing::enumerate(3, {0}, p, laws::at_temperature(p, 0), [&] { return sampler; },
                                        specdec::typical_acceptance{}, generate_options{.sampling = {0}}, {1, 3});
  EXPECT_LT(found.total_variation(), 1e-12);
}

TEST(typical, is_lossy_otherwise) {
  const auto p = laws::hashed(3, 4);
  const tree_drafters::tree_sampler sampler{laws::hashed(3, 5), {2, 2}};
  const auto found = testing::enumerate(3, {0}, p, p, [&] { return sampler; }, specdec::typical_acceptance{},
                                        generate_options{}, {1, 3});
  EXPECT_GT(found.total_variation(), 0.05);
}

TEST(typical, refuses_bad_thresholds) {
  EXPECT_THROW(specdec::typical_acceptance(-0.1, 0.3), std::invalid_argument);
  EXPECT_THROW(specdec::typical_acceptance(1.0, 0.3), std::invalid_argument);
  EXPECT_THROW(specdec::typical_acceptance(0.1, -1), std::invalid_argument);
}

}  // namespace
