#ifndef SPECDEC_TESTS_TREE_DRAFTERS_HPP
#define SPECDEC_TESTS_TREE_DRAFTERS_HPP

/// @file
/// Drafters of trees whose laws are written down, for the exactness oracle.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <specdec/proposal.hpp>
#include <specdec/random.hpp>
#include <vector>

#include "laws.hpp"

namespace tree_drafters {

using laws::probabilities;
using laws::text_view;
using specdec::node_id;
using specdec::token_id;

/// How siblings come about. Of the last two, to those that are drawn independently comes one of another law.
enum class drawing { independently, distinctly, by_turns, fixed, and_extended, and_independently_again };

/// Drafts trees: branching[d] children below every node of depth d, drawn from the law that `q` gives of the text.
struct tree_sampler {
  static constexpr bool drafts_trees = true;

  std::function<probabilities(text_view)> q;
  std::vector<std::size_t> branching;
  drawing mode = drawing::distinctly;
  bool dense = true;

  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) const {
    std::vector<token_id> text(request.context.begin(), request.context.end());
    grow(chance, answer, specdec::root, text, std::min(branching.size(), request.max_depth));
  }

 private:
  template <class Chance>
  void grow(Chance& chance, specdec::draft& answer, node_id node, std::vector<token_id>& text,
            std::size_t deepest) const {
    const std::size_t depth = answer.depth(node);
    if (depth == deepest) return;
    const probabilities law = q(text);
    std::vector<float> weights(law.begin(), law.end());
    std::vector<token_id> ids;
    std::vector<float> possible;
    for (std::size_t t = 0; t < weights.size(); ++t) {
      if (weights[t] == 0) continue;
      ids.push_back(static_cast<token_id>(t));
      possible.push_back(weights[t]);
    }
    const auto drawn_from =
        dense ? specdec::proposal::dense(weights) : specdec::proposal::sparse(weights.size(), ids, possible);
    switch (mode) {
      case drawing::independently:
        answer.extend_independently(node, branching[depth], drawn_from, chance);
        break;
      case drawing::distinctly:
        answer.extend_distinctly(node, branching[depth], drawn_from, chance);
        break;
      case drawing::by_turns:
        // The second sibling's law depends on the first's token.
        for (std::size_t i = 0; i < branching[depth]; ++i) {
          node_id last = answer.first_child(node);
          while (last != specdec::no_node && answer.next_sibling(last) != specdec::no_node) {
            last = answer.next_sibling(last);
          }
          const std::size_t shift = last == specdec::no_node ? 0 : static_cast<std::size_t>(answer.token(last)) + 1;
          answer.extend(node, specdec::proposal::dense(turned(weights, shift)), chance);
        }
        break;
      case drawing::fixed:
        for (std::size_t i = 0; i < std::min(branching[depth], ids.size()); ++i) {
          answer.extend(node, specdec::proposal::point_mass(weights.size(), ids[i]), chance);
        }
        break;
      case drawing::and_extended:
        answer.extend_independently(node, branching[depth], drawn_from, chance);
        answer.extend(node, specdec::proposal::dense(turned(weights, 1)), chance);
        break;
      case drawing::and_independently_again:
        answer.extend_independently(node, branching[depth], drawn_from, chance);
        answer.extend_independently(node, 1, specdec::proposal::dense(turned(weights, 1)), chance);
        break;
    }
    for (node_id child = answer.first_child(node); child != specdec::no_node; child = answer.next_sibling(child)) {
      text.push_back(answer.token(child));
      grow(chance, answer, child, text, deepest);
      text.pop_back();
    }
  }

  static std::vector<float> turned(const std::vector<float>& weights, std::size_t shift) {
    std::vector<float> others(weights.size());
    for (std::size_t t = 0; t < weights.size(); ++t) others[t] = weights[(t + shift) % weights.size()];
    return others;
  }
};

/// Draws `count` independent paths from one law over two tokens and merges their common beginnings: siblings are what
/// is left of q once the ones before them are taken out.
struct merged_paths {
  static constexpr bool drafts_trees = true;

  std::vector<float> q;
  std::size_t depth;
  std::size_t count;

  template <class Chance>
  void propose(const specdec::draft_request&, Chance& chance, specdec::draft& answer) const {
    grow(chance, answer, specdec::root, count);
  }

 private:
  template <class Chance>
  void grow(Chance& chance, specdec::draft& answer, node_id node, std::size_t paths) const {
    if (answer.depth(node) == depth) return;
    const node_id first = answer.extend(node, specdec::proposal::dense(q), chance);
    const auto x = static_cast<std::size_t>(answer.token(first));
    std::size_t like_first = 1;
    for (std::size_t i = 1; i < paths; ++i) {
      const specdec::key own{1000 + node, 0, static_cast<std::uint16_t>(i), 0, specdec::purpose::draft};
      if (chance.accept(own, q[x], q[0] + q[1])) ++like_first;
    }
    grow(chance, answer, first, like_first);
    if (like_first == paths) return;
    const auto other = static_cast<token_id>(1 - x);
    grow(chance, answer, answer.extend(node, specdec::proposal::point_mass(2, other), chance), paths - like_first);
  }
};

}  // namespace tree_drafters

#endif  // SPECDEC_TESTS_TREE_DRAFTERS_HPP
