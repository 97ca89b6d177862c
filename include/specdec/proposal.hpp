#ifndef SPECDEC_PROPOSAL_HPP
#define SPECDEC_PROPOSAL_HPP

/// @file
/// What a draft proposes: tokens, each born from the law it was drawn from.
///
/// Rejection sampling is exact only if q is the law the draft token was really sampled from. Here that cannot go
/// wrong by accident: a token enters a `draft` only by being drawn from a `proposal`, and the draft keeps that very
/// proposal for the verifier.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "config.hpp"
#include "detail/kernels.hpp"
#include "failure.hpp"
#include "message.hpp"
#include "random.hpp"
#include "types.hpp"
#include "vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A draft law q over the vocabulary, as a view: a point mass, a few weighted tokens, or a weight for every token.
///
/// Weights need not sum to 1; q(x) = weight(x) / total, with the total taken in double when the view is made. So a
/// law stored in float is still an exact law: whatever was rounded on the way into it was rounded before the draw.
/// Models `DiscreteLaw`. Owns nothing.
class proposal {
 public:
  enum class form : std::uint8_t { point_mass, sparse, dense };

  /// The law that always proposes `token`: lookups, n-grams, greedy drafts. O(1).
  /// Throws std::invalid_argument if the token is outside the vocabulary.
  static proposal point_mass(std::size_t vocab_size, token_id token) {
    proposal q(form::point_mass, vocab_size);
    q.require_token(token);
    q.token_ = token;
    q.total_ = 1;
    return q;
  }

  /// The law over `ids` (strictly ascending) with the given non-negative weights, one per id. O(k).
  /// Throws std::invalid_argument if sizes differ, ids are out of order or outside the vocabulary, a weight is
  /// negative, or their sum is not from 1e-30 to 1e30.
  static proposal sparse(std::size_t vocab_size, std::span<const token_id> ids, std::span<const float> weights) {
    proposal q(form::sparse, vocab_size);
    if (ids.size() != weights.size()) {
      raise<std::invalid_argument>("specdec: a sparse proposal needs one weight per id; got " +
                                   std::to_string(ids.size()) + " ids and " + std::to_string(weights.size()) +
                                   " weights");
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      q.require_token(ids[i]);
      if (i > 0 && ids[i] <= ids[i - 1]) {
        raise<std::invalid_argument>("specdec: a sparse proposal needs strictly ascending ids; id " +
                                     std::to_string(ids[i]) + " follows " + std::to_string(ids[i - 1]));
      }
      if (!(weights[i] >= 0)) {
        raise<std::invalid_argument>("specdec: a proposal's weights must not be negative or NaN; token " +
                                     std::to_string(ids[i]) + " has " + number_text(static_cast<double>(weights[i])));
      }
      q.total_ += static_cast<double>(weights[i]);
    }
    q.ids_ = ids;
    q.weights_ = weights;
    q.require_total();
    return q;
  }

  /// The law with one non-negative weight for every token of the vocabulary. O(V).
  /// Throws std::invalid_argument if a weight is negative, or their sum is not from 1e-30 to 1e30.
  static proposal dense(std::span<const float> weights) {
    proposal q(form::dense, weights.size());
    q.weights_ = weights;
    const detail::weight_total total = detail::total_weight_of(weights);
    if (!total.legal) {
      const double least = static_cast<double>(*std::min_element(weights.begin(), weights.end()));
      raise<std::invalid_argument>("specdec: a proposal's weights must not be negative or NaN; one is " +
                                   number_text(least));
    }
    q.total_ = total.sum;
    q.require_total();
    return q;
  }

  [[nodiscard]] form shape() const noexcept { return form_; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }

  /// The proposed token. Precondition: a point mass.
  [[nodiscard]] token_id token() const noexcept { return token_; }
  /// The ids of a sparse law, ascending; empty for the other forms.
  [[nodiscard]] std::span<const token_id> ids() const noexcept { return ids_; }
  /// One weight per id of a sparse law, per token of a dense one; empty for a point mass.
  [[nodiscard]] std::span<const float> weights() const noexcept { return weights_; }
  /// The sum of the weights.
  [[nodiscard]] double total() const noexcept { return total_; }

  /// q(token). O(1); O(log k) for a sparse law.
  [[nodiscard]] double probability(token_id token) const noexcept {
    switch (form_) {
      case form::point_mass:
        return token == token_ ? 1.0 : 0.0;
      case form::sparse: {
        const auto at = std::lower_bound(ids_.begin(), ids_.end(), token);
        if (at == ids_.end() || *at != token) return 0.0;
        return static_cast<double>(weights_[static_cast<std::size_t>(at - ids_.begin())]) / total_;
      }
      case form::dense:
        return static_cast<double>(weights_[static_cast<std::size_t>(token)]) / total_;
    }
    return 0.0;
  }

  /// The token at which the running sum of q exceeds u, 0 <= u < 1. O(k), O(V) for a dense law.
  [[nodiscard]] token_id draw(double u) const noexcept {
    switch (form_) {
      case form::point_mass:
        return token_;
      case form::sparse: {
        double running = 0;
        token_id chosen = -1;
        for (std::size_t i = 0; i < ids_.size(); ++i) {
          if (!(weights_[i] > 0)) continue;
          chosen = ids_[i];
          running += static_cast<double>(weights_[i]);
          if (u * total_ < running) break;
        }
        return chosen;
      }
      case form::dense:
        return detail::draw_from_weights(weights_, u * total_);
    }
    return -1;
  }

  /// The token with the least noise over probability; see `RacingChance`. O(k), O(V) for a dense law.
  [[nodiscard]] token_id race(const race_noise& noise) const {
    if (form_ == form::point_mass) return token_;
    detail::race_leader leader;
    if (form_ == form::sparse) {
      for (std::size_t i = 0; i < ids_.size(); ++i) {
        if (weights_[i] > 0) detail::run(leader, noise, ids_[i], static_cast<double>(weights_[i]));
      }
      return leader.token;
    }
    detail::block<float> weights;
    for (std::size_t begin = 0; begin < weights_.size(); begin += detail::block_size) {
      weights.size = std::min(detail::block_size, weights_.size() - begin);
      std::copy_n(weights_.data() + begin, weights.size, weights.values);
      detail::run_block(leader, noise, begin, weights);
    }
    return leader.token;
  }

  /// The law over the same tokens with other weights, one for each of weights(); none if their sum is below what is
  /// allowed. Preconditions: not a point mass; no weight is negative or NaN. O(size).
  [[nodiscard]] std::optional<proposal> with_weights(std::span<const float> weights) const {
    proposal q = *this;
    q.weights_ = weights;
    q.total_ = detail::total_weight_of(weights).sum;
    if (!(q.total_ >= least_total)) return std::nullopt;
    return q;
  }

  /// The same law over other storage that holds the same ids and weights.
  [[nodiscard]] proposal rebound(std::span<const token_id> ids, std::span<const float> weights) const noexcept {
    proposal q = *this;
    q.ids_ = ids;
    q.weights_ = weights;
    return q;
  }

 private:
  proposal(form f, std::size_t vocab_size) noexcept : form_(f), vocab_size_(vocab_size) {}

  void require_token(token_id token) const {
    if (token < 0 || static_cast<std::size_t>(token) >= vocab_size_) {
      raise<std::invalid_argument>("specdec: a proposal names token " + std::to_string(token) +
                                   ", outside a vocabulary of " + std::to_string(vocab_size_));
    }
  }

  void require_total() const {
    if (!(total_ >= least_total && total_ <= most_total)) {
      raise<std::invalid_argument>("specdec: a proposal's weights must have a sum from 1e-30 to 1e30; theirs is " +
                                   number_text(total_));
    }
  }

  // Beyond these, a float cannot hold the factor that makes the weights a law.
  static constexpr double least_total = 1e-30;
  static constexpr double most_total = 1e30;

  form form_;
  std::size_t vocab_size_;
  token_id token_ = -1;
  std::span<const token_id> ids_;
  std::span<const float> weights_;
  double total_ = 0;
};

static_assert(DiscreteLaw<proposal>);

/// A place in a draft: `root`, or a drafted token, numbered from 1 in the order of drafting.
/// Row `node` of the target's answer is its law behind that node.
using node_id = std::uint32_t;

/// The place behind the last committed token, where every draft begins.
inline constexpr node_id root = 0;
/// No such place.
inline constexpr node_id no_node = ~node_id{0};

class law;
class mask_follower;
class inner_rejection;

/// What a session asks of a drafter: tokens that may follow `context`.
struct draft_request {
  std::span<const token_id> context;  ///< all committed tokens, prompt included; never empty; valid until the plan
  std::size_t max_depth = 0;          ///< a path may hold at most this many tokens; 0 when none can be used
  std::size_t max_nodes = 0;          ///< the whole draft may hold at most this many
  const law* target_law = nullptr;    ///< how the target's tokens are chosen; never null
  std::size_t prompt_size = 0;        ///< how many tokens of the context are the prompt
  std::uint32_t round = 0;            ///< tells rounds apart, whose noise differs; one that is begun again is the same
  std::uint8_t level = 0;             ///< nesting level, for the keys of random decisions
  mask_follower* mask = nullptr;      ///< which tokens may come; null if all may
  bool coupled = false;               ///< tokens are drawn with the noise that the verifier draws with; see `coupled`
  std::size_t sequences = 1;          ///< texts that share the target's call with this one, itself included; of a round
                                      ///< that is begun again, those of the first time
};

/// The answer: a tree of tokens below the last committed one, each with its parent and the law it was drawn from.
/// A chain is a tree in which every node has at most one child. Children of one node are siblings, in the order in
/// which they were drawn; verifiers try them in that order.
///
/// Storage is kept across rounds, so that a draft allocates only until it has once been as large as it gets.
class draft {
 public:
  /// How many nodes of one depth a draft can have.
  static constexpr std::size_t most_beside = std::size_t{1} << 16;

  /// Empties the draft and takes the keys of its random decisions from the request.
  void begin(const draft_request& request) noexcept {
    tokens_.clear();
    nodes_.clear();
    ids_.clear();
    weights_.clear();
    width_.clear();
    root_ = {};
    branches_ = false;
    first_position_ = static_cast<std::uint32_t>(request.context.size());
    round_ = request.round;
    level_ = request.level;
    coupled_ = request.coupled;
  }

  /// Makes room for `nodes` tokens and `weights` stored weights in all, as many for each token.
  void reserve(std::size_t nodes, std::size_t weights) {
    tokens_.reserve(nodes);
    nodes_.reserve(nodes);
    ids_.reserve(weights);
    weights_.reserve(weights);
    width_.reserve(nodes);
    if (nodes > 0) left_.reserve(weights / nodes);
  }

  /// Draws a token from q and appends it as the last child of `parent`; returns its node. Copies q. O(size of q).
  ///
  /// Whether the token then stays must not depend on which token it is: dropping unlikely draws changes the law that
  /// is emitted. Decide before drawing. What was drafted before may decide anything, q too.
  ///
  /// Preconditions: `parent` is in the draft; q is no view of this draft's own storage; no more than `most_beside`
  /// nodes have one depth.
  template <Chance C>
  node_id extend(node_id parent, const proposal& q, C& chance) {
    return add_child(parent, store(q), chance, false);
  }

  /// Draws `count` tokens from q, independently, and appends them as children of `parent`. Some may be equal. Copies q
  /// once. If `parent` has other children too, verifiers try them all one after the other, as if each were drawn by
  /// itself. Preconditions: as for `extend`.
  template <Chance C>
  void extend_independently(node_id parent, std::size_t count, const proposal& q, C& chance) {
    const bool alone = first_child(parent) == no_node;
    const stored_law law = store(q);
    for (std::size_t i = 0; i < count; ++i) add_child(parent, law, chance, alone);
  }

  /// Draws `count` different tokens from q, without replacement, and appends them as children of `parent`: each is
  /// drawn from what the ones before leave of q, renormalised. Returns how many there are, fewer if nothing is left of
  /// q, or too little to be a law. O(count * size of q), time and memory. Preconditions: as for `extend`; `parent` has
  /// no child yet.
  template <Chance C>
  std::size_t extend_distinctly(node_id parent, std::size_t count, const proposal& q, C& chance) {
    SPECDEC_ASSERT(first_child(parent) == no_node);
    if (count == 0) return 0;
    node_id drawn = extend(parent, q, chance);
    if (q.shape() == proposal::form::point_mass) return 1;
    left_.clear();
    append_to(left_, q.weights());
    for (std::size_t i = 1; i < count; ++i) {
      left_[place_in(q, token(drawn))] = 0;
      const std::optional<proposal> rest = q.with_weights(view_of(left_));
      if (!rest) return i;
      drawn = extend(parent, *rest, chance);
    }
    return count;
  }

  /// The number of drafted tokens.
  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
  [[nodiscard]] bool empty() const noexcept { return tokens_.empty(); }

  /// The drafted tokens in order of drafting: node n is tokens()[n - 1].
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return view_of(tokens_); }

  [[nodiscard]] token_id token(node_id node) const noexcept { return tokens_[node - 1]; }
  [[nodiscard]] node_id parent(node_id node) const noexcept { return nodes_[node - 1].parent; }
  /// Tokens on the path from the root down to and including `node`; 0 for the root.
  [[nodiscard]] std::size_t depth(node_id node) const noexcept { return node == root ? 0 : nodes_[node - 1].depth; }
  /// The greatest depth of a node; 0 if there is none.
  [[nodiscard]] std::size_t max_depth() const noexcept {
    std::size_t depth = 0;
    while (depth < width_.size() && width_[depth] > 0) ++depth;
    return depth;
  }
  /// How many tokens' weights are stored in all, a point mass counting as one.
  [[nodiscard]] std::size_t stored_tokens() const noexcept { return size() + weights_.size(); }
  /// Whether a token was drawn from a law with a weight for every token of the vocabulary.
  [[nodiscard]] bool has_dense_laws() const noexcept { return weights_.size() > ids_.size(); }
  /// The child of `node` that was drafted first, or `no_node`.
  [[nodiscard]] node_id first_child(node_id node) const noexcept { return children_of(node).first; }
  /// The child of the same parent that was drafted next, or `no_node`.
  [[nodiscard]] node_id next_sibling(node_id node) const noexcept { return nodes_[node - 1].next_sibling; }
  /// Whether no node has more than one child, so that node n is the n-th token of the only path.
  [[nodiscard]] bool is_chain() const noexcept { return !branches_; }
  /// Whether `node` has children, and all of them were drawn by one `extend_independently`.
  [[nodiscard]] bool has_independent_children(node_id node) const noexcept { return children_of(node).independent; }

  /// The law that the token of `node` was drawn from. The view is valid until the draft changes.
  [[nodiscard]] proposal law_of(node_id node) const noexcept {
    const stored_law& law = nodes_[node - 1].law;
    return law.q.rebound({ids_.data() + law.ids_begin, law.q.ids().size()},
                         {weights_.data() + law.weights_begin, law.q.weights().size()});
  }

  /// Throws std::invalid_argument, saying what was expected and what came, if the draft is larger or deeper than was
  /// requested, holds a token outside the vocabulary or has a law over another one.
  void require_fit(const draft_request& asked, std::size_t vocab_size) const {
    if (size() > asked.max_nodes) {
      raise<std::invalid_argument>("specdec: expected a draft of at most " + std::to_string(asked.max_nodes) +
                                   " tokens; got " + std::to_string(size()));
    }
    for (node_id node = 1; node <= size(); ++node) {
      require_token(token(node), vocab_size, "the draft");
      if (const std::size_t width = law_of(node).vocab_size(); width != vocab_size) {
        raise<std::invalid_argument>("specdec: expected proposals over " + std::to_string(vocab_size) +
                                     " tokens; the draft has one over " + std::to_string(width));
      }
      if (depth(node) > asked.max_depth) {
        raise<std::invalid_argument>("specdec: expected a draft of depth " + std::to_string(asked.max_depth) +
                                     " at most; got depth " + std::to_string(depth(node)));
      }
    }
  }

  /// The key of a decision about a token of a chain at `depth` (1 = the first behind the committed text).
  [[nodiscard]] key key_of(std::size_t depth, purpose use) const noexcept {
    return {round_, position_of(depth), 0, level_, use};
  }
  /// The key of a decision about the token of `node`, which is not the root. On a chain, that of its depth.
  [[nodiscard]] key key_at(node_id node, purpose use) const noexcept {
    return {round_, position_of(depth(node)), nodes_[node - 1].lane, level_, use};
  }
  /// The key of a decision about the token that follows `node`. On a chain, that of its depth.
  [[nodiscard]] key key_behind(node_id node, purpose use) const noexcept {
    const std::uint16_t lane = node == root ? std::uint16_t{0} : nodes_[node - 1].lane;
    return {round_, position_of(depth(node) + 1), lane, level_, use};
  }
  /// The index in the text, prompt included, of a token at `depth`.
  [[nodiscard]] std::uint32_t position_of(std::size_t depth) const noexcept {
    return first_position_ + static_cast<std::uint32_t>(depth) - 1;
  }

 private:
  // It draws tokens from the laws that it stores, as `extend` does, but by way of guesses.
  friend class inner_rejection;

  /// A law whose contents lie in ids_ and weights_; q's own spans give sizes only.
  struct stored_law {
    std::size_t ids_begin;
    std::size_t weights_begin;
    proposal q;
  };

  struct children {
    node_id first = no_node;
    node_id last = no_node;
    bool independent = false;  ///< whether there are some, drawn by one extend_independently
  };

  struct record {
    node_id parent;
    node_id next_sibling = no_node;
    children below = {};
    std::uint32_t depth;
    std::uint16_t lane;  ///< how many nodes of this depth were drafted before
    stored_law law;
  };

  [[nodiscard]] stored_law store(const proposal& q) {
    const stored_law law{ids_.size(), weights_.size(), q};
    append_to(ids_, q.ids());
    append_to(weights_, q.weights());
    return law;
  }

  [[nodiscard]] const children& children_of(node_id node) const noexcept {
    return node == root ? root_ : nodes_[node - 1].below;
  }

  template <Chance C>
  node_id add_child(node_id parent, const stored_law& law, C& chance, bool independent) {
    const node_id child = add_node(parent, law, independent);
    tokens_.push_back(draw(child, chance));
    return child;
  }

  /// A node whose token is still to come. @param independent whether its siblings so far, and it, are draws of one law
  node_id add_node(node_id parent, const stored_law& law, bool independent) {
    SPECDEC_ASSERT(parent <= size());
    const std::size_t child_depth = depth(parent) + 1;
    if (width_.size() < child_depth) width_.push_back(0);
    SPECDEC_ASSERT(width_[child_depth - 1] < most_beside);
    const auto lane = static_cast<std::uint16_t>(width_[child_depth - 1]++);
    nodes_.push_back({.parent = parent, .depth = static_cast<std::uint32_t>(child_depth), .lane = lane, .law = law});
    const auto child = static_cast<node_id>(nodes_.size());
    children& siblings = parent == root ? root_ : nodes_[parent - 1].below;
    siblings.independent = independent && (siblings.first == no_node || siblings.independent);
    if (siblings.first == no_node) {
      siblings.first = child;
    } else {
      nodes_[siblings.last - 1].next_sibling = child;
      branches_ = true;
    }
    siblings.last = child;
    return child;
  }

  template <Chance C>
  [[nodiscard]] token_id draw(node_id node, C& chance) const {
    if constexpr (RacingChance<C>) {
      if (coupled_) {
        const proposal q = law_of(node);
        return q.shape() == proposal::form::point_mass ? q.token() : chance.race(position_of(depth(node)), q);
      }
    }
    return chance.draw(key_at(node, purpose::draft), law_of(node));
  }

  /// Where in its weights a law has that of `token`.
  [[nodiscard]] static std::size_t place_in(const proposal& q, token_id token) noexcept {
    if (q.shape() == proposal::form::dense) return static_cast<std::size_t>(token);
    return static_cast<std::size_t>(std::lower_bound(q.ids().begin(), q.ids().end(), token) - q.ids().begin());
  }

  std::vector<token_id> tokens_;
  std::vector<record> nodes_;
  std::vector<token_id> ids_;
  std::vector<float> weights_;
  std::vector<float> left_;           ///< weights that a draw without replacement has left
  std::vector<std::uint32_t> width_;  ///< how many nodes each depth has
  children root_;
  bool branches_ = false;
  bool coupled_ = false;
  std::uint32_t first_position_ = 0;
  std::uint32_t round_ = 0;
  std::uint8_t level_ = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_PROPOSAL_HPP
