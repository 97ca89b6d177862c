// Wrong rules for blocks and trees, written out; most are mistakes that somebody made. The oracle must catch every one.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <vector>

#include "laws.hpp"
#include "tree_drafters.hpp"

namespace {

namespace testing = specdec::testing;
using laws::probabilities;
using laws::table;
using specdec::generate_options;
using specdec::node_id;
using specdec::purpose;
using specdec::token_id;
using tree_drafters::drawing;
using tree_drafters::tree_sampler;

constexpr double tolerance = 1e-12;

template <class Law>
probabilities values_of(const Law& law) {
  probabilities values(law.vocab_size());
  for (std::size_t t = 0; t < values.size(); ++t) values[t] = law.probability(static_cast<token_id>(t));
  return values;
}

double mass_of(const probabilities& p) { return std::accumulate(p.begin(), p.end(), 0.0); }

/// (share p - q)+.
probabilities left_of(probabilities p, const probabilities& q, double share = 1) {
  for (std::size_t t = 0; t < p.size(); ++t) p[t] = std::max(0.0, share * p[t] - q[t]);
  return p;
}

probabilities normalized_or(const probabilities& weights, const probabilities& otherwise) {
  return mass_of(weights) > 0 ? laws::normalized(weights) : otherwise;
}

/// Block verification whose parts can be exchanged; as it stands, it is right, and shares no arithmetic with the
/// library.
struct block_rule {
  [[maybe_unused]] static constexpr bool lossless = false;

  bool stops_at_first_refusal = false;
  bool treats_the_last_as_others = false;
  bool scales_the_residual = true;
  bool replaces_from_p = false;
  bool accepts_token_by_token = false;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    std::vector<probabilities> p{values_of(target.at(rows, 0))};
    std::vector<probabilities> q;
    std::vector<double> share{1};
    for (node_id node = 1; node <= drafted.size(); ++node) {
      q.push_back(values_of(drafted.law_of(node)));
      const auto x = static_cast<std::size_t>(drafted.token(node));
      share.push_back(std::min(1.0, share.back() * p.back()[x] / q.back()[x]));
      p.push_back(values_of(target.at(rows, node)));
    }
    // What would follow the last token, had one been drafted with the law before.
    q.push_back(q.back());
    node_id kept = 0;
    for (node_id node = 1; node <= drafted.size(); ++node) {
      const bool last = node == drafted.size();
      const double left = mass_of(left_of(p[node], q[node], share[node]));
      double h = share[node] == 1 ? 1.0 : left / (left + 1 - share[node]);
      if (last && !treats_the_last_as_others) h = share[node];
      if (accepts_token_by_token) {
        const auto x = static_cast<std::size_t>(drafted.token(node));
        h = std::min(1.0, p[node - 1][x] / q[node - 1][x]);
      }
      if (chance.accept(drafted.key_of(node, purpose::accept), h, 1.0)) {
        kept = node;
      } else if (stops_at_first_refusal) {
        break;
      }
    }
    if (kept == drafted.size()) {
      return {.kept = kept, .next = chance.draw(drafted.key_of(kept + 1, purpose::bonus), table{p[kept]})};
    }
    const auto left = left_of(p[kept], q[kept], scales_the_residual ? share[kept] : 1.0);
    const table replacement{replaces_from_p ? p[kept] : normalized_or(left, p[kept])};
    return {
        .kept = kept, .next = chance.draw(drafted.key_of(kept + 1, purpose::residual), replacement), .rejected = true};
  }
};

/// Drafts two tokens, each from the law that the text before it has.
testing::exactness emitted_by(const block_rule& rule, const std::function<probabilities(laws::text_view)>& p,
                              const std::function<probabilities(laws::text_view)>& q, std::size_t vocab_size) {
  return testing::enumerate(vocab_size, {0}, p, p,
                            [&] {
                              return tree_sampler{q, {1, 1}};
                            },
                            rule, generate_options{}, {1, 3});
}

testing::exactness on_toy_pair(const block_rule& rule) {
  return emitted_by(rule, laws::fixed({1.0 / 3, 2.0 / 3}), laws::fixed({2, 1}), 2);
}

/// The pair on which a residual that is not scaled shows: with two tokens it never does.
testing::exactness on_three_tokens(const block_rule& rule) {
  const auto p = [](laws::text_view text) {
    return text.size() == 1 ? probabilities{0.25, 0.25, 0.5} : probabilities{0.5, 0.3, 0.2};
  };
  const auto q = [](laws::text_view text) {
    return text.size() == 1 ? probabilities{2, 1, 1} : probabilities{1, 1, 18};
  };
  return emitted_by(rule, p, q, 3);
}

// The total variations are known as fractions.
TEST(block_mutants, the_unchanged_rule_survives) {
  EXPECT_LT(on_toy_pair({}).total_variation(), tolerance);
  EXPECT_NEAR(on_toy_pair({}).expected_accepted, 11.0 / 9, tolerance);
  EXPECT_LT(on_three_tokens({}).total_variation(), tolerance);
  EXPECT_NEAR(on_three_tokens({}).expected_accepted, 1, tolerance);
}

TEST(block_mutants, the_library_agrees_with_the_rule_written_out) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto p = laws::hashed(3, seed);
    const tree_sampler sampler{laws::hashed(3, seed + 20), {1, 1, 1}};
    const auto kept = [&](const auto& rule) {
      return testing::enumerate(3, {0}, p, p, [&] { return sampler; }, rule, generate_options{}, {1, 4})
          .expected_accepted;
    };
    EXPECT_NEAR(kept(specdec::block_verification{}), kept(block_rule{}), tolerance);
  }
}

TEST(block_mutants, stopping_at_the_first_refusal) {
  EXPECT_NEAR(on_toy_pair({.stops_at_first_refusal = true}).total_variation(), 1.0 / 3, tolerance);
  EXPECT_NEAR(on_three_tokens({.stops_at_first_refusal = true}).total_variation(), 1.0 / 16, tolerance);
}

TEST(block_mutants, the_last_token_treated_as_the_others) {
  EXPECT_NEAR(on_toy_pair({.treats_the_last_as_others = true}).total_variation(), 5.0 / 27, tolerance);
  EXPECT_NEAR(on_three_tokens({.treats_the_last_as_others = true}).total_variation(), 127.0 / 1265, tolerance);
}

TEST(block_mutants, a_residual_that_is_not_scaled) {
  EXPECT_LT(on_toy_pair({.scales_the_residual = false}).total_variation(), tolerance) << "invisible with two tokens";
  EXPECT_NEAR(on_three_tokens({.scales_the_residual = false}).total_variation(), 1.0 / 280, tolerance);
}

TEST(block_mutants, replacement_from_p) {
  EXPECT_NEAR(on_three_tokens({.replaces_from_p = true}).total_variation(), 27.0 / 200, tolerance);
}

TEST(block_mutants, the_criterion_of_single_tokens) {
  EXPECT_GT(on_toy_pair({.accepts_token_by_token = true}).total_variation(), 0.01);
}

/// Recursive rejection, K-SEQ and traversal over the siblings of one place, with parts that can be exchanged.
struct sibling_rule {
  [[maybe_unused]] static constexpr bool lossless = false;

  /// What later siblings are held against; by default the law that each was drawn from.
  bool believes_in_replacement = false;  ///< takes the first sibling's law for all
  bool keeps_p = false;                  ///< tries every sibling against the whole of p
  bool draws_from_p = false;             ///< when all are refused
  bool one_noise_for_all = false;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    const probabilities whole = values_of(target.at(rows, specdec::root));
    probabilities p = whole;
    node_id child = drafted.first_child(specdec::root);
    const probabilities first_q = values_of(drafted.law_of(child));
    bool refused_before = false;
    for (; child != specdec::no_node; child = drafted.next_sibling(child)) {
      const probabilities q = believes_in_replacement ? first_q : values_of(drafted.law_of(child));
      const auto x = static_cast<std::size_t>(drafted.token(child));
      // With one number for all, whoever was refused has shown that it is high.
      const bool asks = !one_noise_for_all || !refused_before;
      const bool kept = asks && chance.accept(drafted.key_at(child, purpose::accept), p[x], q[x]);
      if (kept) {
        const probabilities behind = values_of(target.at(rows, child));
        return {.kept = child, .next = chance.draw(drafted.key_behind(child, purpose::bonus), table{behind})};
      }
      refused_before = true;
      if (!keeps_p) p = normalized_or(left_of(p, q), p);
    }
    const table replacement{draws_from_p ? whole : p};
    return {.next = chance.draw(drafted.key_behind(specdec::root, purpose::residual), replacement), .rejected = true};
  }
};

double variation(const sibling_rule& rule, drawing mode) {
  const auto p = laws::fixed({0.45, 0.35, 0.1, 0.1});
  const tree_sampler sampler{laws::fixed({1, 2, 3, 4}), {2}, mode};
  return testing::enumerate(4, {0}, p, p, [&] { return sampler; }, rule, generate_options{}, {1, 2}).total_variation();
}

TEST(sibling_mutants, the_unchanged_rule_survives) {
  for (const drawing mode : {drawing::independently, drawing::distinctly, drawing::by_turns, drawing::fixed}) {
    EXPECT_LT(variation({}, mode), tolerance);
  }
}

TEST(sibling_mutants, siblings_without_replacement_held_against_the_whole_law) {
  EXPECT_LT(variation({.believes_in_replacement = true}, drawing::independently), tolerance);
  EXPECT_GT(variation({.believes_in_replacement = true}, drawing::distinctly), 0.01);
}

TEST(sibling_mutants, independent_tries_against_p) {
  EXPECT_GT(variation({.keeps_p = true}, drawing::independently), 0.01);
}

TEST(sibling_mutants, replacement_from_p) {
  EXPECT_GT(variation({.draws_from_p = true}, drawing::independently), 0.01);
}

TEST(sibling_mutants, one_uniform_for_all_siblings) {
  EXPECT_GT(variation({.one_noise_for_all = true}, drawing::fixed), 0.01);
}

// Two certain drafts of the same token, p = 1/2: tried independently it comes with probability 1 - 2^-2, not 1/2.
TEST(sibling_mutants, independent_tries_of_one_token) {
  const auto p = laws::fixed({0.5, 0.5});
  const tree_sampler sampler{laws::fixed({1, 0}), {2}, drawing::independently};
  const auto emitted = [&](const sibling_rule& rule) {
    return testing::enumerate(2, {0}, p, p, [&] { return sampler; }, rule, generate_options{}, {1, 1}).emitted[0];
  };
  EXPECT_NEAR(emitted({}), 0.5, tolerance);
  // Refused twice, the text still goes on from p: 3/4 + 1/4 * 1/2.
  EXPECT_NEAR(emitted({.keeps_p = true}), 0.875, tolerance);
}

/// K-SEQ with its numbers exchanged.
struct k_seq_rule {
  [[maybe_unused]] static constexpr bool lossless = false;

  double rho_factor = 1;       ///< what the least rho is multiplied by
  bool simple_factor = false;  ///< takes the factor of a single draft

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    const probabilities p = values_of(target.at(rows, specdec::root));
    const node_id first = drafted.first_child(specdec::root);
    const probabilities q = values_of(drafted.law_of(first));
    std::size_t count = 0;
    for (node_id child = first; child != specdec::no_node; child = drafted.next_sibling(child)) ++count;
    const double rho = rho_factor * specdec::plan_k_seq(table{p}, drafted.law_of(first), count).rho;
    double beta = 0;
    for (std::size_t t = 0; t < p.size(); ++t) beta += std::min(q[t], p[t] / rho);
    double refused = 1;
    for (std::size_t i = 0; i < count; ++i) refused *= 1 - beta;
    for (node_id child = first; child != specdec::no_node; child = drafted.next_sibling(child)) {
      const auto x = static_cast<std::size_t>(drafted.token(child));
      if (chance.accept(drafted.key_at(child, purpose::accept), p[x], rho * q[x])) {
        const probabilities behind = values_of(target.at(rows, child));
        return {.kept = child, .next = chance.draw(drafted.key_behind(child, purpose::bonus), table{behind})};
      }
    }
    probabilities left = p;
    const double factor = simple_factor ? 1.0 : (1 - refused) / beta;
    for (std::size_t t = 0; t < p.size(); ++t) left[t] = std::max(0.0, p[t] - factor * std::min(q[t], p[t] / rho));
    const table replacement{laws::normalized(left)};
    return {.next = chance.draw(drafted.key_behind(specdec::root, purpose::residual), replacement), .rejected = true};
  }
};

TEST(k_seq_mutants, are_caught) {
  const auto p = laws::fixed({0.5, 0.3, 0.2});
  const tree_sampler sampler{laws::fixed({2, 3, 5}), {2}, drawing::independently};
  const auto found = [&](const auto& rule) {
    return testing::enumerate(3, {0}, p, p, [&] { return sampler; }, rule, generate_options{}, {1, 2});
  };
  EXPECT_LT(found(k_seq_rule{}).total_variation(), tolerance);
  EXPECT_NEAR(found(k_seq_rule{}).expected_accepted, found(specdec::k_seq{}).expected_accepted, tolerance);
  // A greater rho keeps less and is still right; one that was rounded down is not.
  EXPECT_LT(found(k_seq_rule{.rho_factor = 1.1}).total_variation(), tolerance);
  EXPECT_LT(found(k_seq_rule{.rho_factor = 1.1}).expected_accepted, found(k_seq_rule{}).expected_accepted);
  EXPECT_GT(found(k_seq_rule{.rho_factor = 0.9}).total_variation(), 1e-3);
  EXPECT_GT(found(k_seq_rule{.simple_factor = true}).total_variation(), 1e-3);
}

/// Traversal verification of a tree of depth 2, written out, with parts that can be exchanged.
struct traversal_rule {
  [[maybe_unused]] static constexpr bool lossless = false;

  bool updates_shares = true;       ///< a parent's share once a child is deleted
  bool scales_the_residual = true;  ///< with the parent's share

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    std::optional<specdec::verdict> found = visit(drafted, rows, target, chance, specdec::root, 1);
    return *found;
  }

 private:
  template <class Rows, class Chance>
  std::optional<specdec::verdict> visit(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                                        Chance& chance, node_id node, double share) const {
    probabilities p = values_of(target.at(rows, node));
    const bool leaf = drafted.first_child(node) == specdec::no_node;
    for (node_id child = drafted.first_child(node); child != specdec::no_node; child = drafted.next_sibling(child)) {
      const probabilities q = values_of(drafted.law_of(child));
      const auto x = static_cast<std::size_t>(drafted.token(child));
      const double below = std::min(1.0, share * p[x] / q[x]);
      if (auto found = visit(drafted, rows, target, chance, child, below)) return found;
      const probabilities left = left_of(p, q, scales_the_residual ? share : 1.0);
      const double mass = mass_of(left_of(p, q, share));
      p = normalized_or(left, p);
      if (updates_shares && share < 1) share = mass / (mass + 1 - share);
    }
    const bool kept =
        node == specdec::root || (share > 0 && chance.accept(drafted.key_at(node, purpose::accept), share, 1.0));
    if (!kept) return std::nullopt;
    const auto use = leaf ? purpose::bonus : purpose::residual;
    return specdec::verdict{
        .kept = node, .next = chance.draw(drafted.key_behind(node, use), table{p}), .rejected = !leaf};
  }
};

TEST(traversal_mutants, are_caught) {
  const auto found = [&](const auto& rule, drawing mode) {
    const auto p = laws::hashed(3, 90);
    const tree_sampler sampler{laws::hashed(3, 91), {2, 2}, mode};
    return testing::enumerate(3, {0}, p, p, [&] { return sampler; }, rule, generate_options{}, {1, 3});
  };
  for (const drawing mode : {drawing::independently, drawing::distinctly}) {
    EXPECT_LT(found(traversal_rule{}, mode).total_variation(), tolerance);
    EXPECT_NEAR(found(traversal_rule{}, mode).expected_accepted, found(specdec::traversal{}, mode).expected_accepted,
                tolerance);
    EXPECT_GT(found(traversal_rule{.updates_shares = false}, mode).total_variation(), 1e-4);
    EXPECT_GT(found(traversal_rule{.scales_the_residual = false}, mode).total_variation(), 1e-4);
  }
}

}  // namespace
