#ifndef SPECDEC_DRAFT_TREE_HPP
#define SPECDEC_DRAFT_TREE_HPP

/// @file
/// Drafting trees of a given shape with a model.

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../decode/outcome.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../vectors.hpp"
#include "draft_law.hpp"
#include "model.hpp"
#include "tree_model.hpp"
#include "tree_shape.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How siblings are drawn from one law.
enum class sibling_draw {
  distinct,     ///< without replacement: the best use of a rejection rule
  independent,  ///< with replacement, as `k_seq` takes them
};

/// Counts how often siblings are kept, by depth and rank.
class sibling_counts {
 public:
  /// Takes up a draft whose outcome is to be counted: the structure of it, from which the verdict's path will tell.
  void begin(const draft& drafted) {
    nodes_.clear();
    nodes_.resize(drafted.size() + 1);
    for (node_id node = 1; node <= drafted.size(); ++node) {
      place& own = nodes_[node];
      own.depth = drafted.depth(node);
      own.rank = nodes_[drafted.parent(node)].children++;
      make_room(own.depth, own.rank + 1);
    }
  }

  /// Counts what became of it. Precondition: the outcome of that draft.
  void count(const outcome& out) {
    // The place behind which a text ended was not asked for children of its own.
    const std::size_t asked = out.accepted + (out.end == round_end::text_ended ? 0 : 1);
    for (std::size_t i = 0; i < asked; ++i) {
      const place& parent = nodes_[i == 0 ? root : out.path[i - 1]];
      for (std::size_t rank = 0; rank < parent.children; ++rank) ++tried_[parent.depth * ranks_ + rank];
      if (i < out.accepted) ++kept_[parent.depth * ranks_ + nodes_[out.path[i]].rank];
    }
  }

  /// What was counted, as acceptance: where a place was tried fewer than `least` times, that of the depth before, or 0.
  [[nodiscard]] sibling_acceptance acceptance(std::size_t least = 1) const {
    if (ranks_ == 0) return sibling_acceptance(std::span<const double>(&nothing, 1));
    std::vector<double> values(tried_.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool known = tried_[i] >= std::max<std::size_t>(least, 1);
      const double before = i < ranks_ ? 0.0 : values[i - ranks_];
      values[i] = known ? static_cast<double>(kept_[i]) / static_cast<double>(tried_[i]) : before;
    }
    return sibling_acceptance(view_of(values), ranks_);
  }

  /// What was counted on top of what was believed: as if every place had been tried `weight` times before, with the
  /// prior's success. Ranks and depths that were never tried are as the prior has them. Precondition: weight > 0.
  [[nodiscard]] sibling_acceptance acceptance(const sibling_acceptance& prior, double weight) const {
    const std::size_t ranks = std::max(ranks_, prior.ranks());
    const std::size_t counted = ranks_ == 0 ? 0 : tried_.size() / ranks_;
    const std::size_t depths = std::max(counted, prior.depths());
    std::vector<double> values(depths * ranks);
    for (std::size_t depth = 0; depth < depths; ++depth) {
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        const bool known = depth < counted && rank < ranks_;
        const std::size_t at = depth * ranks_ + rank;
        const double tried = known ? static_cast<double>(tried_[at]) : 0.0;
        const double kept = known ? static_cast<double>(kept_[at]) : 0.0;
        values[depth * ranks + rank] = (kept + weight * prior(depth, rank)) / (tried + weight);
      }
    }
    return sibling_acceptance(view_of(values), ranks);
  }

 private:
  static constexpr double nothing = 0;

  struct place {
    std::size_t depth = 0;
    std::size_t rank = 0;
    std::size_t children = 0;
  };

  void make_room(std::size_t depths, std::size_t ranks) {
    const std::size_t before = ranks_;
    if (ranks > before) {
      const std::size_t rows = before == 0 ? 0 : tried_.size() / before;
      widen(tried_, rows, before, ranks);
      widen(kept_, rows, before, ranks);
      ranks_ = ranks;
    }
    tried_.resize(std::max(tried_.size(), depths * ranks_));
    kept_.resize(tried_.size());
  }

  static void widen(std::vector<std::size_t>& table, std::size_t rows, std::size_t before, std::size_t ranks) {
    std::vector<std::size_t> wider(rows * ranks);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t rank = 0; rank < before; ++rank) wider[i * ranks + rank] = table[i * before + rank];
    }
    table = std::move(wider);
  }

  std::vector<place> nodes_;
  std::size_t ranks_ = 0;
  std::vector<std::size_t> tried_;
  std::vector<std::size_t> kept_;
};

/// Drafts a tree of one shape: every node has as many children as the shape says, drawn from the model's law behind it.
/// Nothing is drafted behind an end token; where a law has fewer possible tokens than the shape has children, there are
/// fewer.
///
/// The model must be one that `DecodesTrees`; it is brought up to the committed text at every request. It is
/// referenced, not owned. Counts what becomes of its siblings, so that `best_trees` can make a better shape of it.
///
/// Cost per round: one call of the model for the text, and one for each further level. Throws std::runtime_error if the
/// model's logits are unusable, std::invalid_argument if it returns another number of rows than asked for; what the
/// model throws passes through. Source: Chen et al. 2024 (Sequoia, arXiv:2402.12374); Miao et al. 2023 (SpecInfer,
/// arXiv:2305.09781).
template <DecodesTrees Model>
class tree_drafter {
 public:
  static constexpr bool drafts_trees = true;

  explicit tree_drafter(Model& model, tree_shape shape, const model_drafter_options& options = {},
                        sibling_draw draw = sibling_draw::distinct)
      : model_(model, options.sampling),
        shape_(std::move(shape)),
        draw_(draw),
        kept_(model.vocab_size(), options.top) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] const tree_shape& shape() const noexcept { return shape_; }
  /// Drafts trees of another shape from the next round on.
  void reshape(tree_shape shape) { shape_ = std::move(shape); }
  /// What became of the siblings so far.
  [[nodiscard]] const sibling_counts& counts() const noexcept { return counts_; }

  /// See `Observes`.
  void observe(const outcome& out) { counts_.count(out); }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    counts_.begin(answer);
    const std::size_t depth = std::min(shape_.depth(), request.max_depth);
    const std::size_t room = std::min(request.max_nodes, model_.room(request));
    if (depth == 0 || room == 0) return;
    const std::size_t most = shape_.size_within(depth);
    const std::size_t expected = std::min({most, room, laws_reserved_at_most});
    answer.reserve(expected, expected * kept_.size());
    drafted_.assign(most + 1, no_node);
    read_.assign(most + 1, 0);
    drafted_[root] = root;
    {
      const auto& rows = model_.read_text(request);
      add_children(rows.row(0), root, request, room, chance, answer);
    }
    node_id next = 1;
    for (std::size_t level = 1; level < depth; ++level) {
      const node_id begin = next;
      take_level(answer, level, next);
      if (tokens_.empty()) break;
      const std::size_t before = model_.read();
      const auto& rows = model_.read_nodes(view_of(tokens_), view_of(parents_));
      std::size_t row = 0;
      for (node_id node = begin; node < next; ++node) {
        if (read_[node] <= before) continue;
        add_children(rows.row(row++), node, request, room, chance, answer);
      }
    }
    counts_.begin(answer);
  }

 private:
  /// Collects the nodes of a level that are to have children, from `node` on, and numbers them as the model will.
  void take_level(const draft& answer, std::size_t level, node_id& node) {
    tokens_.clear();
    parents_.clear();
    for (; node <= shape_.size() && shape_.depth_of(node) == level; ++node) {
      if (drafted_[node] == no_node || shape_.child_count(node) == 0) continue;
      const token_id token = answer.token(drafted_[node]);
      if (model_.ends(token)) continue;
      tokens_.push_back(token);
      parents_.push_back(static_cast<node_id>(read_[shape_.parents()[node - 1]]));
      read_[node] = model_.read() + tokens_.size();
    }
  }

  template <class Row, Chance C>
  void add_children(const Row& row, node_id node, const draft_request& request, std::size_t room, C& chance,
                    draft& answer) {
    const std::size_t count = std::min(shape_.child_count(node), room - std::min(room, answer.size()));
    if (count == 0) return;
    const node_id parent = drafted_[node];
    const auto q = model_.law_of(row, request, path_.to(answer, parent));
    if (!q.valid()) return;
    const proposal law = kept_.keep(q);
    if (draw_ == sibling_draw::independent) {
      answer.extend_independently(parent, count, law, chance);
    } else {
      answer.extend_distinctly(parent, count, law, chance);
    }
    node_id child = answer.first_child(parent);
    for (node_id place = shape_.first_child(node); child != no_node; ++place, child = answer.next_sibling(child)) {
      drafted_[place] = child;
    }
  }

  tree_model<Model> model_;
  tree_shape shape_;
  sibling_draw draw_;
  sibling_counts counts_;
  std::vector<node_id> drafted_;   ///< for each node of the shape, that of the draft
  std::vector<std::size_t> read_;  ///< and its number in the model's tree; 0 if it was not read
  std::vector<token_id> tokens_;
  std::vector<node_id> parents_;
  token_path path_;
  kept_law kept_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_TREE_HPP
