// Drafting trees with a model: shapes, the dynamic programme behind them, growth by confidence.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "laws.hpp"
#include "message_of.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::generate_options;
using specdec::node_id;
using specdec::sibling_acceptance;
using specdec::token_id;
using specdec::tree_shape;

constexpr double tolerance = 1e-12;

tree_shape uniform(const std::vector<std::size_t>& branching) { return tree_shape::uniform(branching); }

TEST(tree_shape, numbers_nodes_level_by_level) {
  const tree_shape shape = uniform({2, 3});
  EXPECT_EQ(shape.size(), 8U);
  EXPECT_EQ(shape.depth(), 2U);
  const std::vector<node_id> parents{0, 0, 1, 1, 1, 2, 2, 2};
  EXPECT_TRUE(std::equal(parents.begin(), parents.end(), shape.parents().begin(), shape.parents().end()));
  EXPECT_EQ(shape.child_count(0), 2U);
  EXPECT_EQ(shape.child_count(1), 3U);
  EXPECT_EQ(shape.child_count(2), 3U);
  EXPECT_EQ(shape.child_count(3), 0U);
  EXPECT_EQ(shape.first_child(2), 6U);
  EXPECT_EQ(shape.rank_of(7), 1U);
  EXPECT_EQ(shape.depth_of(0), 0U);
  EXPECT_EQ(shape.size_within(0), 0U);
  EXPECT_EQ(shape.size_within(1), 2U);
  EXPECT_EQ(shape.size_within(2), 8U);
  EXPECT_EQ(shape.size_within(9), 8U);
  EXPECT_FALSE(shape.is_chain());
  EXPECT_TRUE(tree_shape::chain(5).is_chain());
  EXPECT_EQ(tree_shape::chain(5), uniform({1, 1, 1, 1, 1}));
  EXPECT_TRUE(tree_shape().is_chain());
  EXPECT_EQ(tree_shape().child_count(0), 0U);
  EXPECT_EQ(uniform({0, 3}).size(), 0U);
  // One with gaps: node 2 has no child.
  const tree_shape gaps = tree_shape::from_parents(std::vector<node_id>{0, 0, 0, 1, 3, 3});
  EXPECT_EQ(gaps.child_count(1), 1U);
  EXPECT_EQ(gaps.child_count(2), 0U);
  EXPECT_EQ(gaps.child_count(3), 2U);
  EXPECT_EQ(gaps.first_child(3), 5U);
  EXPECT_THROW((void)tree_shape::from_parents(std::vector<node_id>{1}), std::invalid_argument);
  EXPECT_THROW((void)tree_shape::from_parents(std::vector<node_id>{0, 1, 0}), std::invalid_argument);
}

// Published values (Sequoia, and Leviathan's table 1 for a single child): numbers of nodes with the root.
TEST(best_trees, yield_what_is_published) {
  const std::vector<double> by_rank{0.6, 0.2, 0.1};
  const specdec::best_trees trees(sibling_acceptance(by_rank), 7, 7);
  const double expected[] = {1, 1.6, 1.96, 2.176, 2.376, 2.5056, 2.6256, 2.7456};
  for (std::size_t nodes = 0; nodes <= 7; ++nodes) {
    EXPECT_NEAR(trees.expected_tokens(nodes, 7), expected[nodes], tolerance);
    const tree_shape shape = trees.shape(nodes, 7);
    EXPECT_EQ(shape.size(), nodes);
    EXPECT_NEAR(specdec::theory::expected_tokens(shape, sibling_acceptance(by_rank)), expected[nodes], tolerance);
  }
  const std::vector<double> single{0.8};
  const specdec::best_trees chains(sibling_acceptance(single), 5, 5);
  EXPECT_NEAR(chains.expected_tokens(5, 5), 3.68928, tolerance);
  EXPECT_TRUE(chains.shape(5, 5).is_chain());
}

/// The most tokens that any tree of so many nodes can yield, by trying all of them.
double best_by_force(const sibling_acceptance& acceptance, std::size_t nodes, std::size_t depth) {
  double best = 0;
  std::vector<node_id> parents;
  const auto extend = [&](const auto& self) -> void {
    const tree_shape shape = tree_shape::from_parents(parents);
    if (shape.depth() <= depth) best = std::max(best, specdec::theory::expected_tokens(shape, acceptance));
    if (parents.size() == nodes || shape.depth() > depth) return;
    for (node_id parent = parents.empty() ? 0 : parents.back(); parent <= parents.size(); ++parent) {
      parents.push_back(parent);
      self(self);
      parents.pop_back();
    }
  };
  extend(extend);
  return best;
}

TEST(best_trees, are_the_best_of_all) {
  const std::vector<double> tables[] = {{0.5, 0.3, 0.1},
                                        {0.1, 0.6, 0.05},
                                        {0.0, 0.7, 0.2},
                                        {0.9, 0.02, 0.01},
                                        {0.7, 0.1, 0.1, 0.5, 0.3, 0.1, 0.2, 0.6, 0.1}};
  for (const auto& table : tables) {
    const sibling_acceptance acceptance(table, 3);
    for (std::size_t depth = 1; depth <= 4; ++depth) {
      const specdec::best_trees trees(acceptance, 7, depth);
      for (std::size_t nodes = 0; nodes <= 7; ++nodes) {
        const double expected = best_by_force(acceptance, nodes, depth);
        EXPECT_NEAR(trees.expected_tokens(nodes, depth), expected, tolerance);
        const tree_shape shape = trees.shape(nodes, depth);
        EXPECT_NEAR(specdec::theory::expected_tokens(shape, acceptance), expected, tolerance);
        EXPECT_LE(shape.size(), nodes);
        EXPECT_LE(shape.depth(), depth);
      }
    }
  }
}

TEST(best_trees, are_chains_where_trees_do_not_pay) {
  const std::vector<double> by_rank{0.7, 0.12, 0.05};
  const specdec::best_trees trees(sibling_acceptance(by_rank), 32, 12);
  std::vector<double> flat(33, 100.0);
  std::vector<double> steep;
  for (std::size_t n = 1; n <= 33; ++n) steep.push_back(100 + 12 * static_cast<double>(n));
  std::vector<double> linear;
  for (std::size_t n = 1; n <= 33; ++n) linear.push_back(100 * static_cast<double>(n));
  const tree_shape wide = trees.fastest({.draft_level = 2, .target = flat, .overhead = 1});
  EXPECT_EQ(wide.size(), 32U);
  EXPECT_FALSE(wide.is_chain());
  const tree_shape narrow = trees.fastest({.draft_level = 2, .target = steep, .overhead = 1});
  EXPECT_TRUE(narrow.is_chain());
  EXPECT_GT(narrow.size(), 0U);
  EXPECT_EQ(trees.fastest({.draft_level = 2, .target = linear, .overhead = 1}).size(), 0U);
  EXPECT_EQ(trees.fastest({}).size(), 0U);
}

TEST(best_trees, refuse_what_is_no_probability) {
  EXPECT_THROW(sibling_acceptance(std::vector<double>{0.5, 1.5}), std::invalid_argument);
  EXPECT_THROW(sibling_acceptance(std::vector<double>{0.5, 0.1, 0.2}, 2), std::invalid_argument);
  EXPECT_THROW(sibling_acceptance(std::vector<double>{}), std::invalid_argument);
  const std::vector<double> half{0.5};
  EXPECT_THROW(specdec::best_trees(sibling_acceptance(half), 513, 2), std::invalid_argument);
}

/// A drafter of the library's with a model of its own inside.
template <template <class> class Kind, class Law, class Shape>
class drafting_with {
 public:
  static constexpr bool drafts_trees = true;
  using model_type = testing::law_model<Law>;

  template <class... Options>
  drafting_with(std::size_t vocab_size, Law law, const Shape& shape, const Options&... options)
      : model_(std::make_unique<model_type>(vocab_size, law)), drafter_(*model_, shape, options...) {}

  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) { specdec::tell(drafter_, out); }
  Kind<model_type>& drafter() { return drafter_; }
  model_type& model() { return *model_; }

 private:
  std::unique_ptr<model_type> model_;
  Kind<model_type> drafter_;
};

template <class Law, class... Options>
auto static_tree(std::size_t vocab_size, Law law, const tree_shape& shape, const Options&... options) {
  return drafting_with<specdec::tree_drafter, Law, tree_shape>(vocab_size, law, shape, options...);
}
template <class Law>
auto dynamic_tree(std::size_t vocab_size, Law law, const specdec::dynamic_tree_options& options) {
  return drafting_with<specdec::dynamic_tree_drafter, Law, specdec::dynamic_tree_options>(vocab_size, law, options);
}

/// What a request allows.
struct limits {
  std::size_t depth = 9;
  std::size_t nodes = 90;
  specdec::end_rule ends = {};
};

/// What is drafted behind a text of one token.
template <class Drafter>
specdec::draft drafted(Drafter&& drafter, std::size_t vocab_size, const limits& asked = {}) {
  const specdec::law target(vocab_size, {}, asked.ends);
  const std::vector<token_id> context{0};
  const specdec::draft_request request{
      .context = context, .max_depth = asked.depth, .max_nodes = asked.nodes, .target_law = &target};
  specdec::philox chance(1);
  specdec::draft answer;
  answer.begin(request);
  drafter.propose(request, chance, answer);
  EXPECT_NO_THROW(answer.require_fit(request, vocab_size));
  return answer;
}

template <class Rule>
class drafted_trees : public ::testing::Test {};
using every_rule = ::testing::Types<specdec::naive_sampling, specdec::recursive_rejection, specdec::k_seq,
                                    specdec::traversal, specdec::block_verification>;
TYPED_TEST_SUITE(drafted_trees, every_rule);

TYPED_TEST(drafted_trees, of_a_static_shape_are_lossless) {
  const auto p = laws::hashed(3, 1);
  const auto q = laws::hashed(3, 2);
  for (const auto& branching : {std::vector<std::size_t>{2, 2}, std::vector<std::size_t>{1, 2, 1}}) {
    for (const auto draw : {specdec::sibling_draw::distinct, specdec::sibling_draw::independent}) {
      for (const std::size_t top : {0U, 2U}) {
        const auto make = [&] {
          return static_tree(3, q, uniform(branching), specdec::model_drafter_options{.top = top}, draw);
        };
        const auto found =
            testing::enumerate(3, {0}, p, p, make, TypeParam{}, generate_options{}, {1, branching.size() + 1});
        EXPECT_LT(found.total_variation(), tolerance);
        EXPECT_GT(found.expected_accepted, 0.05);
      }
    }
  }
  const auto make = [&] { return static_tree(2, laws::hashed(2, 3), uniform({2, 1})); };
  const auto p2 = laws::hashed(2, 4);
  EXPECT_LT(testing::enumerate(2, {0}, p2, p2, make, TypeParam{}, generate_options{}, {3, 4}).total_variation(),
            tolerance);
}

TYPED_TEST(drafted_trees, of_dynamic_shape_are_lossless) {
  const auto p = laws::hashed(4, 5);
  for (const double temperature : {0.0, 0.8}) {
    for (const std::size_t nodes : {1U, 3U, 8U}) {
      const auto make = [&] { return dynamic_tree(4, laws::hashed(4, 6), {.nodes = nodes, .depth = 3, .width = 2}); };
      const auto found = testing::enumerate(4, {0}, p, laws::at_temperature(p, temperature), make, TypeParam{},
                                            generate_options{.sampling = {temperature}}, {1, 4});
      EXPECT_LT(found.total_variation(), tolerance);
    }
  }
}

TEST(tree_drafter, drafts_the_same_chain_as_a_model_drafter) {
  const auto text_of = [](auto&& drafter) {
    testing::law_model target(5, laws::hashed(5, 7));
    specdec::session text(5, generate_options{.max_tokens = 120, .seed = 4}, specdec::recursive_rejection{});
    text.begin(std::vector<token_id>{0});
    specdec::speculative_generate(text, target, drafter);
    return std::pair(std::vector<token_id>(text.tokens().begin(), text.tokens().end()), text.stats().accepted);
  };
  EXPECT_EQ(text_of(static_tree(5, laws::hashed(5, 8), tree_shape::chain(4))),
            text_of(laws::drafter_over(5, laws::hashed(5, 8), 4, {})));
}

TEST(tree_drafter, keeps_to_what_was_asked) {
  auto drafter = static_tree(6, laws::hashed(6, 9), uniform({3, 2, 2}));
  for (const auto& [depth, nodes] : {std::pair<std::size_t, std::size_t>{0, 9}, {1, 9}, {2, 5}, {3, 0}, {9, 100}}) {
    EXPECT_EQ(drafted(drafter, 6, {depth, nodes}).size(), std::min<std::size_t>({nodes, depth == 0   ? 0U
                                                                                        : depth == 1 ? 3U
                                                                                        : depth == 2 ? 9U
                                                                                                     : 21U}));
  }
}

TEST(tree_drafter, drafts_nothing_behind_an_end_token) {
  const specdec::draft answer =
      drafted(static_tree(2, laws::fixed({0.5, 0.5}), uniform({2, 2})), 2, {.ends = {{1}, 0}});
  ASSERT_EQ(answer.size(), 4U);
  for (node_id node = 1; node <= 4; ++node) {
    EXPECT_TRUE(answer.token(node) != 1 || answer.first_child(node) == specdec::no_node);
  }
}

TEST(statistics, of_trees_count_by_depth) {
  testing::law_model target(3, laws::hashed(3, 10));
  auto drafter = static_tree(3, laws::hashed(3, 11), uniform({3, 2, 2}));
  specdec::session text(3, generate_options{.max_tokens = 60, .seed = 2}, specdec::recursive_rejection{});
  text.begin(std::vector<token_id>{0});
  specdec::speculative_generate(text, target, drafter);
  const specdec::statistics& stats = text.stats();
  ASSERT_EQ(stats.evaluated_at.size(), 3U);
  ASSERT_EQ(stats.accepted_at.size(), 3U);
  EXPECT_EQ(stats.evaluated_at[0] + stats.evaluated_at[1] + stats.evaluated_at[2], stats.evaluated);
  EXPECT_EQ(stats.accepted_at[0] + stats.accepted_at[1] + stats.accepted_at[2], stats.accepted);
  EXPECT_GT(stats.accepted_at[2], 0U);
}

TEST(tree_drafter, counts_what_is_kept) {
  // The target takes token 2 always; the draft's siblings are all three tokens in some order.
  testing::law_model target(3, laws::fixed({0, 0, 1}));
  auto drafting = static_tree(3, laws::fixed({0.2, 0.3, 0.5}), uniform({3, 3}));
  specdec::session text(3, generate_options{.max_tokens = 3000, .seed = 8}, specdec::recursive_rejection{});
  text.begin(std::vector<token_id>{0});
  specdec::speculative_generate(text, target, drafting);
  const auto acceptance = drafting.drafter().counts().acceptance();
  ASSERT_EQ(acceptance.ranks(), 3U);
  for (const std::size_t depth : {0U, 1U}) {
    double sum = 0;
    for (std::size_t rank = 0; rank < 3; ++rank) sum += acceptance(depth, rank);
    EXPECT_NEAR(sum, 1, tolerance);
    // Token 2 comes first with probability 1/2; five standard deviations of 1000 tries.
    EXPECT_NEAR(acceptance(depth, 0), 0.5, 0.08);
  }
  EXPECT_EQ(text.stats().accepted + text.stats().rounds, 3000U);

  // On top of a prior: near what was counted where much was, as believed where nothing was.
  const std::vector<double> believed{0.9, 0.05, 0.03, 0.01};
  const auto both = drafting.drafter().counts().acceptance(sibling_acceptance(believed), 4);
  ASSERT_EQ(both.ranks(), 4U);
  EXPECT_NEAR(both(0, 0), acceptance(0, 0), 0.01);
  EXPECT_EQ(both(0, 3), 0.01);
  const specdec::sibling_counts nothing;
  const auto prior = nothing.acceptance(sibling_acceptance(believed), 4);
  for (std::size_t rank = 0; rank < 4; ++rank) EXPECT_DOUBLE_EQ(prior(2, rank), believed[rank]);
}

TEST(tree_shape, refuses_more_than_a_draft_can_hold_side_by_side) {
  EXPECT_EQ(uniform({65536}).size(), 65536U);
  EXPECT_EQ(uniform({256, 256, 1}).size(), 256U + 2 * 65536U);
  EXPECT_THROW((void)uniform({257, 257}), std::invalid_argument);
  // Refused before there is memory for them.
  constexpr std::size_t endless = std::numeric_limits<std::size_t>::max();
  const auto refusal = [](const std::vector<std::size_t>& branching) {
    return message_of([&] { (void)uniform(branching); });
  };
  const std::string expected = "specdec: expected a tree of at most 65536 nodes of one depth; got more at depth ";
  EXPECT_EQ(refusal({endless}), expected + "1");
  EXPECT_EQ(refusal({1000000, 1000000}), expected + "1");
  EXPECT_EQ(refusal({3, endless / 2}), expected + "2");
  EXPECT_EQ(refusal({2, endless / 2 + 1}), expected + "2");
  EXPECT_EQ(refusal({256, 256, 2}), expected + "3");
  // Behind a level without nodes there are none.
  EXPECT_EQ(uniform({2, 0, endless}).size(), 2U);
}

TEST(dynamic_tree_drafter, drafts_the_worthiest_nodes) {
  // .6/.3/.1 everywhere: worth .6, .36, .3, .216, .18, .18, .1 and so on; among equals the shallower.
  const specdec::draft answer =
      drafted(dynamic_tree(3, laws::fixed({0.6, 0.3, 0.1}), {.nodes = 7, .depth = 3, .width = 3}), 3);
  ASSERT_EQ(answer.size(), 7U);
  std::vector<std::vector<token_id>> paths;
  for (node_id node = 1; node <= answer.size(); ++node) {
    std::vector<token_id> path;
    for (node_id at = node; at != specdec::root; at = answer.parent(at)) path.insert(path.begin(), answer.token(at));
    paths.push_back(path);
  }
  const std::vector<std::vector<token_id>> expected{{0}, {0, 0}, {1}, {0, 0, 0}, {0, 1}, {1, 0}, {0, 0, 1}};
  EXPECT_EQ(paths, expected);
}

TEST(dynamic_tree_drafter, is_kept_as_often_as_its_nodes_are_likely) {
  const auto p = laws::hashed(4, 11);
  const auto make = [&] { return dynamic_tree(4, p, {.nodes = 6, .depth = 3, .width = 3}); };
  const auto kept = [&](const auto& rule) {
    return testing::enumerate(4, {0}, p, p, make, rule, generate_options{}, {1, 4}).expected_accepted;
  };
  // Drafted with the target's own law: the sum of the worths of the six best nodes.
  std::vector<double> worths;
  const auto visit = [&](const auto& self, const std::vector<token_id>& text, double worth) -> void {
    for (token_id t = 0; t < 4; ++t) {
      std::vector<token_id> longer = text;
      longer.push_back(t);
      const double own = worth * p(text)[static_cast<std::size_t>(t)];
      worths.push_back(own);
      if (longer.size() < 4) self(self, longer, own);
    }
  };
  visit(visit, {0}, 1);
  std::sort(worths.rbegin(), worths.rend());
  const double expected = std::accumulate(worths.begin(), worths.begin() + 6, 0.0);
  EXPECT_NEAR(kept(specdec::naive_sampling{}), expected, 1e-9);
  EXPECT_NEAR(kept(specdec::recursive_rejection{}), expected, 1e-9);
}

TEST(dynamic_tree_drafter, ends_where_another_level_gains_too_little) {
  const auto depth_of = [](double least_gain) {
    const specdec::dynamic_tree_options options{.nodes = 60, .depth = 8, .width = 3, .least_gain = least_gain};
    return drafted(dynamic_tree(3, laws::fixed({0.6, 0.3, 0.1}), options), 3).max_depth();
  };
  EXPECT_EQ(depth_of(0), 8U);
  EXPECT_LT(depth_of(0.5), 8U);
  EXPECT_EQ(depth_of(5), 2U);
}

TEST(dynamic_tree_drafter, has_no_limits_but_the_requests_where_its_own_are_endless) {
  constexpr std::size_t endless = std::numeric_limits<std::size_t>::max();
  const auto law = laws::hashed(3, 12);
  const auto of = [&](const specdec::dynamic_tree_options& options) {
    const specdec::draft answer = drafted(dynamic_tree(3, law, options), 3);
    return std::vector<token_id>(answer.tokens().begin(), answer.tokens().end());
  };
  const auto expected = of({.nodes = 20, .depth = 8, .width = 81});
  EXPECT_EQ(of({.nodes = 20, .depth = 8, .width = endless}), expected);
  EXPECT_EQ(of({.nodes = 20, .depth = endless, .width = 81}), expected);
  EXPECT_EQ(of({.nodes = 20, .depth = endless, .width = endless}), expected);
  EXPECT_EQ(of({.nodes = endless, .depth = 3, .width = endless}).size(), 3U + 9U + 27U);
}

TEST(trees, need_a_target_that_scores_them) {
  // Chosen at run time, a tree that a chain target cannot score is refused with a sentence.
  struct chain_target {
    testing::law_model<decltype(laws::hashed(3, 1))> model{3, laws::hashed(3, 1)};
    std::size_t vocab_size() const { return 3; }
    std::size_t size() const { return model.size(); }
    auto decode(std::span<const token_id> tokens, std::size_t rows) { return model.decode(tokens, rows); }
    void truncate(std::size_t n) { model.truncate(n); }
  };
  chain_target target;
  auto drafting = static_tree(3, laws::hashed(3, 2), uniform({2}));
  specdec::any_drafter any(std::move(drafting));
  specdec::session text(3, generate_options{.max_tokens = 5});
  text.begin(std::vector<token_id>{0});
  try {
    specdec::speculative_generate(text, target, any);
    FAIL() << "expected a refusal";
  } catch (const std::invalid_argument& refused) {
    EXPECT_NE(std::string(refused.what()).find("without branches"), std::string::npos);
  }
  EXPECT_EQ(text.generated().size(), 0U);
}

}  // namespace
