#ifndef SPECDEC_DRAFT_DYNAMIC_TREE_HPP
#define SPECDEC_DRAFT_DYNAMIC_TREE_HPP

/// @file
/// Drafting trees that grow where the draft model is sure.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../vectors.hpp"
#include "model.hpp"
#include "tree_model.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How a dynamic tree grows. The defaults are those of EAGLE-2.
struct dynamic_tree_options {
  std::size_t nodes = 59;  ///< how many nodes are kept of all, of which no more than 65536 are drafted
  std::size_t depth = 6;   ///< levels
  std::size_t width = 10;  ///< how many nodes of a level get children, and how many children each
  double least_gain = 0;  ///< ends growth when another level adds no more than this to the sum of all kept nodes' worth
  /// The draft's own parameters; by default the target's. Its law says how sure it is; at temperature 0 that of
  /// temperature 1 does.
  std::optional<sampling_params> sampling = std::nullopt;
};

/// Grows a tree by the draft's confidence. A node is worth the product of the draft's probabilities on the path to it,
/// its guess of how likely the target is to come that way. Level by level the worthiest nodes are read and get their
/// most probable tokens as children; of all that was found, the worthiest nodes are drafted (a parent is worth no less
/// than its child, and among equals the shallower is kept, so they are a tree).
///
/// Nothing is sampled: every node is a point mass, the best that a draft without noise can be, and any node may be left
/// out for what it is. `naive_sampling` and `recursive_rejection` keep such trees equally well.
///
/// The model must be one that `DecodesTrees`. It is referenced, not owned. Cost per round: one call of it for the text,
/// one for each further level. Throws as `tree_drafter`. Source: Li et al. 2024 (EAGLE-2, arXiv:2406.16858),
/// sections 4.1 and 4.2; ending by gain: Wang et al. 2024 (OPT-Tree, arXiv:2406.17276).
template <DecodesTrees Model>
class dynamic_tree_drafter {
 public:
  static constexpr bool drafts_trees = true;

  /// Throws std::invalid_argument if nodes, depth or width is 0.
  explicit dynamic_tree_drafter(Model& model, const dynamic_tree_options& options = {})
      : model_(model, options.sampling), options_(options) {
    if (options.nodes == 0 || options.depth == 0 || options.width == 0) {
      raise<std::invalid_argument>("specdec: expected a dynamic tree of at least 1 node, 1 level and width 1; got " +
                                   std::to_string(options.nodes) + ", " + std::to_string(options.depth) + " and " +
                                   std::to_string(options.width));
    }
    ids_.resize(std::min(options.width, model.vocab_size()));
  }

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  /// How many nodes are kept of all. May be set between rounds; 0 drafts nothing.
  [[nodiscard]] std::size_t& nodes() noexcept { return options_.nodes; }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    const std::size_t depth = std::min(options_.depth, request.max_depth);
    const std::size_t nodes = std::min({options_.nodes, request.max_nodes, draft::most_beside});
    const std::size_t room = model_.room(request);
    if (depth == 0 || nodes == 0 || room == 0) return;
    reserve(depth);
    found_.clear();
    found_.push_back({0, -1, 1.0, 0, 0});
    {
      const auto& rows = model_.read_text(request);
      add_children(rows.row(0), 0, request);
    }
    std::size_t level = 1;
    double worth = kept_worth(nodes);
    for (std::size_t d = 1; d < depth; ++d) {
      take_worthiest(level, room);
      level = found_.size();
      if (tokens_.empty()) break;
      const auto& rows = model_.read_nodes(view_of(tokens_), view_of(parents_));
      for (std::size_t i = 0; i < frontier_.size(); ++i) add_children(rows.row(i), frontier_[i], request);
      const double now = kept_worth(nodes);
      if (!(now - worth > options_.least_gain)) break;
      worth = now;
    }
    draft_worthiest(chance, answer);
  }

 private:
  /// A token that was found, whether it is drafted or not; entry 0 is the root.
  struct candidate_node {
    std::size_t parent;
    token_id token;
    double worth;
    std::size_t depth;
    node_id read;  ///< its number in the model's tree; 0 if it was not read
  };

  /// Of two found nodes, the one to be kept first. Parents are found before their children.
  [[nodiscard]] bool before(std::size_t a, std::size_t b) const noexcept {
    if (found_[a].worth != found_[b].worth) return found_[a].worth > found_[b].worth;
    return a < b;
  }

  /// Makes room for a round of so many levels, or for as many nodes as are found in any but enormous ones.
  void reserve(std::size_t depth) {
    const std::size_t levels = std::min(depth, reserve_at_most);
    const std::size_t width = std::min(options_.width, reserve_at_most);
    const std::size_t children = std::min(ids_.size(), reserve_at_most);
    const std::size_t most = std::min(1 + levels * width * children, reserve_at_most);
    reserve_at_least(found_, most);
    reserve_at_least(frontier_, most);
    reserve_at_least(order_, most);
    reserve_at_least(drafted_, most);
    reserve_at_least(path_, levels);
  }

  template <class Row>
  void add_children(const Row& row, std::size_t parent, const draft_request& request) {
    path_.resize(found_[parent].depth);
    for (std::size_t at = parent; at != 0; at = found_[at].parent) path_[found_[at].depth - 1] = found_[at].token;
    const auto q = confidence_of(row, request);
    if (!q.valid()) return;
    const std::size_t count = q.most_probable(ids_);
    for (std::size_t i = 0; i < count; ++i) {
      found_.push_back({parent, ids_[i], found_[parent].worth * q.probability(ids_[i]), found_[parent].depth + 1, 0});
    }
  }

  /// The law that says how sure the draft is: its own, or what that is a greedy choice of.
  template <class Row>
  [[nodiscard]] auto confidence_of(const Row& row, const draft_request& request) {
    const auto q = model_.law_of(row, request, view_of(path_));
    if (model_.params().temperature > 0) return q;
    sampling_params ungreedy = model_.params();
    ungreedy.temperature = 1;
    if (!ungreedy_ || !(ungreedy_->params() == ungreedy) || !(ungreedy_->ends() == request.target_law->ends())) {
      ungreedy_.emplace(model_.vocab_size(), ungreedy, request.target_law->ends());
    }
    return ungreedy_->of(row, {request.context, view_of(path_), request.prompt_size}, request.mask);
  }

  /// Chooses the nodes of the last level, which begins with `level`, that are to have children.
  void take_worthiest(std::size_t level, std::size_t room) {
    frontier_.clear();
    for (std::size_t at = level; at < found_.size(); ++at) {
      if (!model_.ends(found_[at].token)) frontier_.push_back(at);
    }
    const std::size_t width = std::min({frontier_.size(), options_.width, room - std::min(room, model_.read())});
    const auto first = [this](std::size_t a, std::size_t b) { return before(a, b); };
    std::partial_sort(frontier_.begin(), frontier_.begin() + static_cast<std::ptrdiff_t>(width), frontier_.end(),
                      first);
    frontier_.resize(width);
    tokens_.clear();
    parents_.clear();
    for (const std::size_t at : frontier_) {
      tokens_.push_back(found_[at].token);
      parents_.push_back(found_[found_[at].parent].read);
      found_[at].read = static_cast<node_id>(model_.read() + tokens_.size());
    }
  }

  /// Sorts the worthiest `nodes` of all that was found to the front of order_; returns what they are worth together.
  [[nodiscard]] double kept_worth(std::size_t nodes) {
    order_.clear();
    for (std::size_t at = 1; at < found_.size(); ++at) order_.push_back(at);
    kept_ = std::min(nodes, order_.size());
    const auto first = [this](std::size_t a, std::size_t b) { return before(a, b); };
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(kept_), order_.end(), first);
    double sum = 0;
    for (std::size_t i = 0; i < kept_; ++i) sum += found_[order_[i]].worth;
    return sum;
  }

  /// Drafts what `kept_worth` sorted to the front; nothing was found since.
  template <Chance C>
  void draft_worthiest(C& chance, draft& answer) {
    answer.reserve(kept_, 0);
    drafted_.assign(found_.size(), no_node);
    drafted_[0] = root;
    for (std::size_t i = 0; i < kept_; ++i) {
      const candidate_node& node = found_[order_[i]];
      drafted_[order_[i]] =
          answer.extend(drafted_[node.parent], proposal::point_mass(vocab_size(), node.token), chance);
    }
  }

  tree_model<Model> model_;
  dynamic_tree_options options_;
  std::optional<law> ungreedy_;
  std::vector<candidate_node> found_;
  std::vector<std::size_t> frontier_;
  std::vector<std::size_t> order_;
  std::size_t kept_ = 0;
  std::vector<node_id> drafted_;
  std::vector<token_id> tokens_;
  std::vector<node_id> parents_;
  std::vector<token_id> path_;
  std::vector<token_id> ids_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_DYNAMIC_TREE_HPP
