#ifndef SPECDEC_DRAFT_TREE_MODEL_HPP
#define SPECDEC_DRAFT_TREE_MODEL_HPP

/// @file
/// A model that tree drafters ask for laws, level by level.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../vectors.hpp"
#include "draft_law.hpp"
#include "model.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A draft model that `DecodesTrees`, brought up to the committed text at every round, and its law.
///
/// Nodes of a draft are read in levels; those behind which nothing is drafted need not be read at all. References the
/// model; unless it knows its tokens, nobody else may feed it.
template <DecodesTrees Model>
class tree_model {
 public:
  tree_model(Model& model, const std::optional<sampling_params>& own)
      : model_(address_of(model)), law_(model.vocab_size(), own) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_->vocab_size(); }
  [[nodiscard]] Model& model() noexcept { return *model_; }

  /// How many tokens behind the context of `request` the model has room for; 0 if it cannot even read the context.
  [[nodiscard]] std::size_t room(const draft_request& request) const {
    if constexpr (HasCapacity<Model>) {
      const std::size_t capacity = model_->capacity();
      return capacity - std::min(capacity, request.context.size());
    } else {
      return std::numeric_limits<std::size_t>::max();
    }
  }

  /// Takes up a round: makes the draft's law from the target's unless it has parameters of its own, and reads the text.
  /// Returns one row, the logits behind it. Throws std::invalid_argument if the model returns another number of rows;
  /// what the model throws passes through.
  [[nodiscard]] decltype(auto) read_text(const draft_request& request) {
    law_.follow(*request.target_law);
    held_.reserve(request.context.size() + std::min(request.max_depth, reserve_at_most));
    // The last committed token is always fed again: its row is the law of the tokens below the root.
    const std::size_t held = std::min(held_prefix(*model_, held_, request.context), request.context.size() - 1);
    held_.truncate(held);
    if (model_->size() > held) model_->truncate(held);
    const auto missing = request.context.subspan(held);
    nodes_ = 0;
    decltype(auto) rows = model_->decode_tree(missing, {}, 1);
    require_rows(rows.size(), 1);
    held_.append(missing);
    return rows;
  }

  /// Reads nodes; parents are the numbers that earlier calls gave, 0 for the root. Returns a row for each. The nodes
  /// are numbered on, so the first of them is `read()` + 1. Throws as above.
  [[nodiscard]] decltype(auto) read_nodes(std::span<const token_id> tokens, std::span<const node_id> parents) {
    decltype(auto) rows = model_->decode_tree(tokens, parents, tokens.size());
    require_rows(rows.size(), tokens.size());
    nodes_ += tokens.size();
    return rows;
  }

  /// How many nodes of this round have been read.
  [[nodiscard]] std::size_t read() const noexcept { return nodes_; }

  /// The law of the token behind a row, as `draft_law::of` has it. `path` leads there from the text.
  template <class Row>
  [[nodiscard]] auto law_of(const Row& row, const draft_request& request, std::span<const token_id> path) {
    return law_.of(row, {request.context, path, request.prompt_size}, request.mask);
  }

  /// Whether nothing is to be drafted behind this token.
  [[nodiscard]] bool ends(token_id token) const noexcept { return law_.ends(token); }

  [[nodiscard]] const sampling_params& params() const noexcept { return law_.params(); }

 private:
  static void require_rows(std::size_t came, std::size_t expected) {
    if (came == expected) return;
    raise<std::invalid_argument>("specdec: expected " + std::to_string(expected) +
                                 " rows of logits from the draft model; got " + std::to_string(came));
  }

  Model* model_;
  draft_law law_;
  [[no_unique_address]] held_tokens_of<Model> held_;
  std::size_t nodes_ = 0;
};

/// The tokens on the path to a node of a draft. Keeps its memory.
class token_path {
 public:
  /// Valid until the next call.
  [[nodiscard]] std::span<const token_id> to(const draft& drafted, node_id node) {
    tokens_.resize(drafted.depth(node));
    for (; node != root; node = drafted.parent(node)) tokens_[drafted.depth(node) - 1] = drafted.token(node);
    return view_of(tokens_);
  }

 private:
  std::vector<token_id> tokens_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_TREE_MODEL_HPP
