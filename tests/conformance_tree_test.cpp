// The kit on models that score trees: those that are right, and those with known mistakes, each called by its name.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/faulty.hpp>
#include <specdec/testing/law_model.hpp>
#include <specdec/testing/tree_scoring.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "laws.hpp"
#include "message_of.hpp"
#include "trees.hpp"

namespace {

using specdec::node_id;
using specdec::token_id;
using specdec::testing::check_target_model;
using specdec::testing::conformance_options;
using specdec::testing::defect;
using specdec::testing::law_model;
using specdec::testing::requirement;
using specdec::testing::tree_scoring;
using tokens = std::vector<token_id>;
using nodes = std::vector<node_id>;

constexpr std::size_t vocab = 6;

/// A model that is right, in parts that a mutant replaces.
struct tree_model {
  tokens context;
  tokens node_tokens;
  nodes parents;
  std::vector<double> logits;

  tree_model() = default;
  tree_model(const tree_model&) = default;
  virtual ~tree_model() = default;

  [[nodiscard]] std::size_t vocab_size() const { return vocab; }
  [[nodiscard]] virtual std::size_t size() const { return context.size(); }
  virtual void forget() {
    node_tokens.clear();
    parents.clear();
  }
  void truncate(std::size_t n) {
    forget();
    context.resize(n);
  }
  specdec::logits_view<double> decode(std::span<const token_id> fed, std::size_t rows) {
    if (!fed.empty()) forget();
    return decode_tree(fed, {}, rows);
  }
  specdec::logits_view<double> decode_tree(std::span<const token_id> fed, std::span<const node_id> above,
                                           std::size_t rows) {
    const std::size_t text = fed.size() - above.size();
    if (text > 0 && !above.empty()) forget();
    logits.clear();
    begin_call(above.size());
    for (std::size_t i = 0; i < fed.size(); ++i) {
      const bool is_node = i >= text;
      if (is_node) {
        node_tokens.push_back(fed[i]);
        parents.push_back(above[i - text]);
      } else {
        context.push_back(fed[i]);
      }
      if (i + rows < fed.size()) continue;
      static const auto law = laws::hashed(vocab, 31);
      for (const double p : law(is_node ? seen_by(static_cast<node_id>(parents.size())) : context))
        logits.push_back(std::log(p));
    }
    return {logits.data(), rows, vocab};
  }
  virtual void keep(std::span<const node_id> path) {
    for (const node_id node : path) context.push_back(node_tokens[node - 1]);
    forget();
  }

  virtual void begin_call(std::size_t) {}
  /// The text whose row a node gets.
  [[nodiscard]] virtual tokens seen_by(node_id node) const { return text_to(node); }
  [[nodiscard]] tokens text_to(node_id node) const {
    tokens path;
    for (; node != specdec::root; node = parents[node - 1]) path.push_back(node_tokens[node - 1]);
    tokens text = context;
    text.insert(text.end(), path.rbegin(), path.rend());
    return text;
  }
};

template <class Model>
void expect_conforming(Model&& model, const conformance_options& options = {}) {
  const auto report = check_target_model(model, options);
  EXPECT_TRUE(report.conforming()) << report.text();
  EXPECT_TRUE(report.complete);
}

template <class Model>
void expect_found(const Model& mutant, requirement broken, defect kind) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Model model = mutant;
    const auto report = check_target_model(model, {.seed = seed});
    ASSERT_FALSE(report.conforming());
    EXPECT_EQ(report.findings.front().broken, broken) << report.text();
    EXPECT_EQ(report.findings.front().kind, kind) << report.text();
    EXPECT_GE(report.findings.front().calls.size(), 2U);
  }
}

TEST(tree_conformance, finds_nothing_in_models_that_conform) {
  expect_conforming(tree_model{});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    law_model chain(7, laws::hashed(7, seed));
    expect_conforming(chain, {.tokens = {2, 5}, .length = 12 + seed, .seed = seed});
    expect_conforming(tree_scoring<law_model<decltype(laws::hashed(7, seed))>&>(chain), {.seed = seed});
    expect_conforming(specdec::recorded<decltype(chain)&>(chain), {.seed = seed});
    expect_conforming(specdec::padded<decltype(chain)&>(chain, 5), {.tokens = {0, 1, 2}, .seed = seed});
  }
  // Rows that depend on little tell little, but nothing wrong.
  expect_conforming(law_model(5, laws::fixed(laws::normalized({1, 2, 3, 4, 5}))));
  expect_conforming(law_model(5, [](laws::text_view text) { return laws::hashed(5, 3)(text.last(1)); }));
}

std::vector<double> rows_of(const specdec::LogitsRows auto& rows) {
  std::vector<double> all;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t t = 0; t < vocab; ++t) all.push_back(rows.row(i)[t]);
  return all;
}

TEST(tree_conformance, models_that_are_lifted_agree) {
  std::minstd_rand random(1);
  law_model direct(vocab, laws::hashed(vocab, 5));
  tree_scoring lifted(law_model(vocab, laws::hashed(vocab, 5)));
  for (int round = 0; round < 30; ++round) {
    const trees::tree tree = trees::random_tree(1 + random() % 12, vocab, random() % 3, random);
    tokens fed{1, 2};
    fed.insert(fed.end(), tree.tokens.begin(), tree.tokens.end());
    const std::size_t rows = random() % (fed.size() + 1);
    ASSERT_EQ(rows_of(direct.decode_tree(fed, tree.parents, rows)),
              rows_of(lifted.decode_tree(fed, tree.parents, rows)));
    const auto path = tree.path_to(static_cast<node_id>(random() % (tree.size() + 1)));
    direct.keep(path);
    lifted.keep(path);
    ASSERT_EQ(direct.size(), lifted.size());
  }
  EXPECT_THROW((void)direct.decode_tree(tokens{1}, nodes{3}, 1), std::invalid_argument);
  EXPECT_THROW((void)lifted.decode_tree(tokens{1}, nodes{3}, 1), std::invalid_argument);
  EXPECT_THROW(direct.keep(nodes{1}), std::invalid_argument);
  EXPECT_THROW(lifted.keep(nodes{1}), std::invalid_argument);
}

TEST(tree_conformance, a_lifted_model_takes_no_node_for_text_behind_an_exception) {
  using specdec::testing::fault_kind;
  const auto law = laws::hashed(vocab, 5);
  // Token 4 of the text; nodes 1 and 2 below the root, node 3 below node 2.
  const tokens fed{4, 5, 2, 1};
  const nodes parents{0, 0, 2};
  for (const bool persistent : {false, true}) {
    for (const auto kind : {fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after}) {
      // The call of the text, and for each node one and a truncation.
      for (std::size_t call = 1; call <= 7; ++call) {
        specdec::testing::faulty_model faulty(law_model(vocab, law));
        tree_scoring<decltype(faulty)&> lifted(faulty);
        (void)lifted.decode(tokens{1, 2, 3}, 0);
        faulty.arm({.kind = kind, .call = call, .persistent = persistent});
        EXPECT_THROW((void)lifted.decode_tree(fed, parents, 4), specdec::testing::injected_fault);
        const bool has_text = call > 1 || kind == fault_kind::throw_after;
        EXPECT_EQ(lifted.size(), has_text ? 4U : 3U) << to_string(kind) << " in call " << call;
        faulty.arm();
        tokens text{1, 2, 3, 4};
        text.resize(lifted.size());
        text.push_back(0);
        law_model direct(vocab, law);
        EXPECT_EQ(rows_of(lifted.decode(tokens{0}, 1)), rows_of(direct.decode(text, 1)))
            << to_string(kind) << " in call " << call;
        EXPECT_EQ(lifted.size(), text.size());
      }
    }
  }
}

TEST(tree_conformance, a_lifted_model_counts_the_rows_that_came) {
  using specdec::testing::fault_kind;
  const auto message = [](fault_kind kind, std::size_t call) {
    tree_scoring lifted(specdec::testing::faulty_model(law_model(vocab, laws::hashed(vocab, 5)), {kind, call}));
    std::string said = message_of([&] { (void)lifted.decode_tree(tokens{1, 2, 3}, nodes{0}, 3); });
    EXPECT_EQ(lifted.size(), 2U);
    return said;
  };
  const std::string expected = "specdec: expected ";
  const std::string of_the_model = " rows of logits from the wrapped model; got ";
  EXPECT_EQ(message(fault_kind::too_few_rows, 1), expected + "2" + of_the_model + "1");
  EXPECT_EQ(message(fault_kind::too_many_rows, 1), expected + "2" + of_the_model + "3");
  EXPECT_EQ(message(fault_kind::too_few_rows, 2), expected + "1" + of_the_model + "0");
  EXPECT_EQ(message(fault_kind::too_many_rows, 2), expected + "1" + of_the_model + "2");
  const std::string of_rows = "specdec: expected rows of 6 logits from the wrapped model; got one of ";
  for (const std::size_t call : {1U, 2U}) {
    EXPECT_EQ(message(fault_kind::narrow_rows, call), of_rows + "5");
    EXPECT_EQ(message(fault_kind::wide_rows, call), of_rows + "7");
  }
}

TEST(mutant_tree_model, whose_branches_see_each_other) {
  /// No mask: a node sees all that came before it.
  struct unmasked : tree_model {
    [[nodiscard]] tokens seen_by(node_id node) const override {
      tokens text = context;
      text.insert(text.end(), node_tokens.begin(), node_tokens.begin() + static_cast<std::ptrdiff_t>(node));
      return text;
    }
  };
  expect_found(unmasked{}, requirement::decodes_trees_1, defect::other_branches_show);
  /// A mask by depth alone: the siblings' branches come through.
  struct masked_by_depth : tree_model {
    [[nodiscard]] tokens seen_by(node_id node) const override {
      tokens text = text_to(node);
      if (node > 1 && parents[node - 1] == parents[node - 2]) text.insert(text.end() - 1, node_tokens[node - 2]);
      return text;
    }
  };
  expect_found(masked_by_depth{}, requirement::decodes_trees_1, defect::other_branches_show);
}

TEST(mutant_tree_model, that_counts_positions_by_number) {
  struct numbered : tree_model {
    [[nodiscard]] tokens seen_by(node_id node) const override {
      tokens text = text_to(node);
      const std::size_t depth = text.size() - context.size();
      if (depth != node) text.push_back(static_cast<token_id>(node));
      return text;
    }
  };
  expect_found(numbered{}, requirement::decodes_trees_1, defect::tree_shape_shows);
}

TEST(mutant_tree_model, that_does_not_see_the_path) {
  struct rootless : tree_model {
    [[nodiscard]] tokens seen_by(node_id node) const override {
      tokens text = context;
      text.push_back(node_tokens[node - 1]);
      return text;
    }
  };
  expect_found(rootless{}, requirement::decodes_trees_1, defect::node_row_wrong);
}

TEST(mutant_tree_model, that_begins_a_tree_with_every_call) {
  struct restarting : tree_model {
    void begin_call(std::size_t count) override {
      if (count > 0) first = parents.size();
    }
    [[nodiscard]] tokens seen_by(node_id node) const override {
      tokens path;
      for (; node > first; node = parents[node - 1]) path.push_back(node_tokens[node - 1]);
      tokens text = context;
      text.insert(text.end(), path.rbegin(), path.rend());
      return text;
    }
    std::size_t first = 0;
  };
  expect_found(restarting{}, requirement::decodes_trees_1, defect::tree_calls_interact);
}

TEST(mutant_tree_model, that_counts_nodes) {
  struct counting : tree_model {
    [[nodiscard]] std::size_t size() const override { return context.size() + node_tokens.size(); }
  };
  expect_found(counting{}, requirement::decodes_trees, defect::nodes_counted);
}

TEST(mutant_tree_model, that_keeps_wrongly) {
  /// Cuts the cache behind as many nodes as are kept, and moves none.
  struct unmoved : tree_model {
    void keep(std::span<const node_id> path) override {
      context.insert(context.end(), node_tokens.begin(),
                     node_tokens.begin() + static_cast<std::ptrdiff_t>(path.size()));
      forget();
    }
  };
  expect_found(unmoved{}, requirement::decodes_trees_2, defect::kept_path_wrong);
  struct forgetful : tree_model {
    void keep(std::span<const node_id>) override { forget(); }
  };
  expect_found(forgetful{}, requirement::decodes_trees_2, defect::kept_path_miscounted);
  struct greedy : tree_model {
    void keep(std::span<const node_id>) override {
      context.insert(context.end(), node_tokens.begin(), node_tokens.end());
      forget();
    }
  };
  expect_found(greedy{}, requirement::decodes_trees_2, defect::kept_path_miscounted);
  struct refusing : tree_model {
    void keep(std::span<const node_id> path) override {
      if (path.empty()) throw std::invalid_argument("nothing to keep");
      tree_model::keep(path);
    }
  };
  expect_found(refusing{}, requirement::decodes_trees_2, defect::call_refused);
}

TEST(mutant_tree_model, that_does_not_forget) {
  struct remembering : tree_model {
    bool in_keep = false;
    void forget() override {
      if (in_keep) tree_model::forget();
    }
    void keep(std::span<const node_id> path) override {
      in_keep = true;
      tree_model::keep(path);
      in_keep = false;
    }
  };
  expect_found(remembering{}, requirement::decodes_trees, defect::nodes_not_forgotten);
  struct remembering_what_is_kept : tree_model {
    void keep(std::span<const node_id> path) override {
      for (const node_id node : path) context.push_back(node_tokens[node - 1]);
    }
  };
  expect_found(remembering_what_is_kept{}, requirement::decodes_trees, defect::nodes_not_forgotten);
}

}  // namespace
