#ifndef SPECDEC_TESTING_CONFORMANCE_TREES_HPP
#define SPECDEC_TESTING_CONFORMANCE_TREES_HPP

/// @file
/// Is a tree nothing but several texts that share their beginning?

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../model/tree_nodes.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"
#include "conformance_subject.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// Hangs trees below the first tokens of T and compares their rows with those of the same paths, fed as text.
template <DecodesTrees Model>
class tree_checks {
 public:
  explicit tree_checks(conformance_subject<Model>& subject) : subject_(subject) {
    // Two branches of three tokens in turns, the first T's own, and leaves beside them, before and behind.
    const auto other = [&](std::size_t place) { return subject.another_token(subject.text()[place]); };
    tokens_ = {other(6), text()[6], subject.any_token(), text()[7], other(7), text()[8], subject.any_token(), other(6)};
    parents_ = {0, 0, 1, 2, 2, 4, 3, 0};
    nodes_.append(tokens_, parents_);
  }

  /// The tree in one call, with some of its text and without; then node by node.
  void check_rows() {
    expect_rows();
    for (const std::size_t known : {base, base - 1, std::size_t{0}}) {
      probe().truncate(0);
      if (known > 0) probe().decode(subject_.part(0, known), 0);
      probe().begin();
      const std::span<const token_id> missing = subject_.part(known, base - known);
      std::vector<token_id> fed(missing.begin(), missing.end());
      fed.insert(fed.end(), tokens_.begin(), tokens_.end());
      const std::size_t root_row = known < base ? 1 : 0;
      const std::vector<logits> rows = probe().decode_tree(fed, parents_, root_row + tokens_.size());
      if (root_row > 0 && !subject_.is_row(rows[0], base - 1)) {
        probe().fail(requirement::decodes_trees_1, defect::node_row_wrong,
                     "the row of the text's last token is not that of the same text without a tree: " +
                         probe().difference(subject_.row(base - 1), rows[0]));
      }
      for (node_id node = 1; node <= nodes_.size(); ++node) {
        const logits& row = rows[root_row + node - 1];
        if (!probe().same(expected_[node - 1], row)) explain_row(node, row);
      }
    }
    begin_at_base();
    for (node_id node = 1; node <= nodes_.size(); ++node) {
      const logits row = probe().decode_tree(token_of(node), parent_of(node), 1).front();
      if (probe().same(expected_[node - 1], row)) continue;
      probe().fail(requirement::decodes_trees_1, defect::tree_calls_interact,
                   "the row of node " + std::to_string(node) +
                       " is right when the tree comes in one call, and wrong in several: " +
                       probe().difference(expected_[node - 1], row));
    }
  }

  /// Every path, kept; the tokens that follow must see it, and a new tree must hang below it.
  void check_keep() {
    for (node_id node = 0; node <= nodes_.size(); ++node) {
      begin_at_base();
      probe().decode_tree(tokens_, parents_, 0);
      const std::vector<token_id> kept = tokens_to(node);
      probe().keep(path_to(node), kept);
      const logits row = probe().step(text()[9]);
      const std::vector<std::string> calls = probe().calls();
      probe().truncate(base);
      probe().steps(kept);
      const logits expected = probe().step(text()[9]);
      if (!probe().same(expected, row)) {
        probe().fail(requirement::decodes_trees_2, defect::kept_path_wrong,
                     "the token behind keep does not see the path to node " + std::to_string(node) + ": " +
                         probe().difference(expected, row),
                     calls);
      }
    }
    begin_at_base();
    probe().decode_tree(tokens_, parents_, 0);
    probe().keep(path_to(6), tokens_to(6));
    expect_new_tree(9, "keep");
  }

  /// Behind decode, truncate and keep({}) the numbers begin anew, and T goes on as if there had been no tree.
  void check_forgetting() {
    begin_at_base();
    probe().decode_tree(tokens_, parents_, 1);
    probe().decode(subject_.part(base, 1), 0);
    expect_new_tree(base + 1, "decode");
    begin_at_base();
    probe().decode_tree(tokens_, parents_, 1);
    probe().truncate(base - 1);
    expect_new_tree(base - 1, "truncate");
    begin_at_base();
    probe().decode_tree(tokens_, parents_, 1);
    probe().keep({}, {});
    expect_new_tree(base, "keep of nothing");
    begin_at_base();
    probe().decode_tree(tokens_, parents_, 1);
    const std::vector<node_id> root_only{0};
    probe().decode_tree(subject_.part(base, 2), root_only, 1);
    const std::vector<node_id> below_it{1};
    const logits row = probe().decode_tree(subject_.part(base + 2, 1), below_it, 1).front();
    if (!subject_.is_row(row, base + 2)) {
      probe().fail(requirement::decodes_trees, defect::nodes_not_forgotten,
                   "node 1 is not the first node behind the text of the last decode_tree that had some: " +
                       probe().difference(subject_.row(base + 2), row));
    }
  }

 private:
  using logits = typename conformance_subject<Model>::logits;

  static constexpr std::size_t base = 6;  ///< tokens of T that the trees hang below

  [[nodiscard]] conformance_probe<Model>& probe() const noexcept { return subject_.probe(); }
  [[nodiscard]] const std::vector<token_id>& text() const noexcept { return subject_.text(); }

  [[nodiscard]] std::span<const token_id> token_of(node_id node) const noexcept { return {&tokens_[node - 1], 1}; }
  [[nodiscard]] std::span<const node_id> parent_of(node_id node) const noexcept { return {&parents_[node - 1], 1}; }
  [[nodiscard]] std::vector<node_id> path_to(node_id node) const {
    std::vector<node_id> path;
    nodes_.append_path(node, path);
    return path;
  }
  [[nodiscard]] std::vector<token_id> tokens_to(node_id node) const {
    std::vector<token_id> tokens;
    for (const node_id step : path_to(node)) tokens.push_back(nodes_.token(step));
    return tokens;
  }

  /// The first tokens of T, and a new list of calls.
  void begin_at_base() {
    probe().truncate(0);
    probe().decode(subject_.part(0, base), 0);
    probe().begin();
  }

  /// The rows of all nodes, from their paths fed as text.
  void expect_rows() {
    probe().truncate(0);
    probe().steps(subject_.part(0, base));
    for (node_id node = 1; node <= nodes_.size(); ++node) {
      probe().truncate(base);
      expected_.push_back(probe().steps(tokens_to(node)).back());
    }
  }

  /// A tree of T's next tokens below its first `size`, which the context should hold: as the numbers say if nothing is
  /// left of the tree before.
  void expect_new_tree(std::size_t size, const std::string& behind) {
    const std::vector<node_id> chain{0, 1};
    const std::vector<logits> rows = probe().decode_tree(subject_.part(size, 2), chain, 2);
    if (subject_.are_rows(rows, size)) return;
    probe().fail(requirement::decodes_trees, defect::nodes_not_forgotten,
                 "a tree behind " + behind +
                     " does not begin below the text: " + probe().difference(subject_.row(size + 1), rows[1]));
  }

  /// Finds out what a node's row depends on, by changing what is not on its path.
  [[noreturn]] void explain_row(node_id node, const logits& got) {
    const std::vector<std::string> calls = probe().calls();
    const std::vector<node_id> path = path_to(node);
    const auto on_path = [&](node_id n) { return nodes_.shared_depth(n, node) == nodes_.depth(n); };
    const std::string seen = "the row of node " + std::to_string(node) +
                             " of a tree is not that of the same path fed " +
                             "as text: " + probe().difference(expected_[node - 1], got);
    const auto row_among = [&](const std::vector<token_id>& tokens) {
      begin_at_base();
      return probe().decode_tree(tokens, parents_, tokens.size())[node - 1];
    };
    std::vector<token_id> changed = tokens_;
    for (node_id n = 1; n <= nodes_.size(); ++n) {
      if (!on_path(n)) changed[n - 1] = subject_.another_token(tokens_[n - 1]);
    }
    if (!probe().same(row_among(tokens_), row_among(changed))) {
      probe().fail(requirement::decodes_trees_1, defect::other_branches_show,
                   seen + "; it depends on tokens that are not on its path: does the mask hide them?", calls);
    }
    std::vector<node_id> chain(path.size());
    for (std::size_t i = 0; i < chain.size(); ++i) chain[i] = static_cast<node_id>(i);
    begin_at_base();
    const logits alone = probe().decode_tree(tokens_to(node), chain, 1).front();
    if (probe().same(alone, expected_[node - 1])) {
      probe().fail(requirement::decodes_trees_1, defect::tree_shape_shows,
                   seen + "; it is right when its path is all there is: are positions counted by depth?", calls);
    }
    probe().fail(requirement::decodes_trees_1, defect::node_row_wrong, seen, calls);
  }

  conformance_subject<Model>& subject_;
  std::vector<token_id> tokens_;
  std::vector<node_id> parents_;
  tree_nodes nodes_;
  std::vector<logits> expected_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_TREES_HPP
