#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_TREE_CONTEXT_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_TREE_CONTEXT_HPP

/// @file
/// A llama.cpp context that scores trees of tokens.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <llama.h>

#include "../../model/tree_nodes.hpp"
#include "../../proposal.hpp"
#include "../../types.hpp"
#include "../../vectors.hpp"
#include "decoder.hpp"
#include "error.hpp"
#include "model.hpp"
#include "sequence.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// The parameters of a context for trees with so many leaves, and otherwise as given.
[[nodiscard]] inline llama_context_params for_trees(llama_context_params params, std::size_t leaves) {
  params.kv_unified = true;
  params.n_seq_max = static_cast<std::uint32_t>(leaves + 1);
  return params;
}

/// A `context` that scores trees, too: models `TargetModel`, `KnowsTokens`, `HasCapacity` and `DecodesTrees`.
///
/// The text is sequence 0, the path to each leaf a sequence of its own, which shares the memory's cells with the others
/// as far as their paths are the same. So the memory must be unified, and a tree can have no more leaves than the
/// context has sequences besides the first; the model's memory must be one that can be truncated.
class tree_context {
 public:
  /// A new context; `for_trees` makes its parameters. Throws `error` as `context` does, and if it cannot score trees.
  explicit tree_context(const model& of, llama_context_params params = for_trees(llama_context_default_params(), 63))
      : reader_(of, params), text_(require_trees(reader_), 0, {}) {}
  /// Refers to a context, which must outlive this; all its sequences are cleared, and from then on must be left alone.
  explicit tree_context(llama_context* existing) : reader_(existing), text_(require_trees(reader_), 0, {}) {
    llama_memory_clear(memory(), false);
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return reader_.vocab_size(); }
  /// llama_n_ctx. The nodes of a tree take room in it, each as much as a token.
  [[nodiscard]] std::size_t capacity() const noexcept { return reader_.capacity(); }
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
  /// Valid until the next call.
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return text_.tokens(); }
  /// The most leaves that a tree can have.
  [[nodiscard]] std::size_t most_leaves() const noexcept { return llama_n_seq_max(handle()) - 1; }

  /// See `context::decode`.
  logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    reader_.require_call(tokens, rows, capacity() - size());
    forget_tree();
    return read(reader_, text_, tokens, rows);
  }

  /// See `DecodesTrees`. Throws like `decode`, and std::invalid_argument for nodes without a parent, `error` for more
  /// leaves than there may be; nothing has changed then. A call that fails otherwise forgets the tree.
  logits_view<float> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents, std::size_t rows) {
    nodes_.require_call(tokens, parents, rows, size());
    const std::span<const token_id> text = tokens.first(tokens.size() - parents.size());
    const std::size_t open = text.empty() ? nodes_.size() : 0;
    reader_.require_call(tokens, rows, capacity() - size() - open);
    if (parents.empty()) return decode(tokens, rows);
    plan_branches(parents, open);
    if (const std::size_t leaves = (open == 0 ? 0 : branches_) + fresh_.size(); leaves > most_leaves()) {
      throw error("specdec::llama_cpp: expected a tree of at most " + std::to_string(most_leaves()) +
                  " leaves, one less than n_seq_max; got " + std::to_string(leaves));
    }
    if (!text.empty()) forget_tree();
    // What the branches share is read before they begin, unless it fits in the same call.
    const std::size_t together = text_.missing().size() + tokens.size();
    const bool text_first = together > llama_n_batch(handle()) && rows <= parents.size();
    if (text_first) read_together(reader_, text_, text, 0);
    return read_nodes(text_first ? std::span<const token_id>() : text, tokens.last(parents.size()), parents, rows);
  }

  /// See `DecodesTrees`. Throws std::invalid_argument unless it is a path; nothing has changed then.
  void keep(std::span<const node_id> path) {
    nodes_.require_path(path);
    kept_.clear();
    for (const node_id node : path) kept_.push_back(nodes_.token(node));
    text_.prepare(path.size());
    if (!path.empty()) {
      llama_memory_seq_cp(memory(), through_[path.back() - 1], text_.id(), position(size()),
                          position(size() + path.size()));
      text_.append(reader_, view_of(kept_));
    }
    forget_tree();
  }

  /// See `context::truncate`.
  void truncate(std::size_t n) {
    text_.truncate(n);
    forget_tree();
    for (std::size_t i = 0; i < shared_.size(); ++i) forget_behind(i, n);
  }

  /// For what llama.h offers besides; not to change its memory.
  [[nodiscard]] llama_context* handle() const noexcept { return reader_.handle(); }

 private:
  /// A new leaf and the sequence of the path to it.
  struct leaf_path {
    node_id leaf;
    llama_seq_id sequence;
  };

  [[nodiscard]] llama_memory_t memory() const noexcept { return llama_get_memory(handle()); }
  static llama_pos position(std::size_t place) noexcept { return static_cast<llama_pos>(place); }

  static const decoder& require_trees(const decoder& reader) {
    const model& of = reader.of();
    if (of.recurrent() || of.hybrid()) {
      throw error(
          "specdec::llama_cpp: for trees expected a memory of keys and values, in which branches lie side by "
          "side; " +
          of.description() + " has a state");
    }
    if (llama_n_seq_max(reader.handle()) < 2) {
      throw error(
          "specdec::llama_cpp: for trees expected a context of n_seq_max > 1, a sequence for each leaf besides "
          "the text's; got 1");
    }
    if (llama_n_ctx_seq(reader.handle()) != llama_n_ctx(reader.handle())) {
      throw error(
          "specdec::llama_cpp: for trees expected a unified memory, which sequences can share; got a context "
          "with kv_unified = false");
    }
    return reader;
  }

  /// Chooses the sequences of new nodes, of which `open` were there before, and the branches that must be made for
  /// them. A leaf goes on with its parent's sequence, if that ends there; all other leaves need one of their own.
  void plan_branches(std::span<const node_id> parents, std::size_t open) {
    const std::size_t all = open + parents.size();
    ends_.assign(all + 1, true);
    for (std::size_t node = 1; node <= open; ++node) ends_[nodes_.parent(static_cast<node_id>(node))] = false;
    extends_.assign(ends_.begin(), ends_.begin() + static_cast<std::ptrdiff_t>(open + 1));
    extends_[root] = false;
    for (const node_id parent : parents) ends_[parent] = false;

    const std::size_t used = open == 0 ? 0 : branches_;
    fresh_.clear();
    paths_.clear();
    for (std::size_t leaf = open + 1; leaf <= all; ++leaf) {
      if (!ends_[leaf]) continue;
      node_id above = static_cast<node_id>(leaf);
      while (above > open) above = parents[above - open - 1];
      llama_seq_id sequence = static_cast<llama_seq_id>(used + fresh_.size() + 1);
      if (above != root && extends_[above]) {
        extends_[above] = false;
        sequence = through_[above - 1];
      } else {
        fresh_.push_back(above);
      }
      paths_.push_back({static_cast<node_id>(leaf), sequence});
    }
  }

  logits_view<float> read_nodes(std::span<const token_id> text, std::span<const token_id> tokens,
                                std::span<const node_id> parents, std::size_t rows) {
    const std::size_t open = nodes_.size();
    text_.prepare(text.size());
    try {
      nodes_.append(tokens, parents);
      through_.resize(nodes_.size());
      begin_branches();
      const std::size_t all = text.size() + tokens.size();
      reader_.begin(text_.missing().size() + all);
      add_text(text, all - rows);
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto node = static_cast<node_id>(open + i + 1);
        list_sequences(node);
        through_[node - 1] = sequences_.front();
        reader_.add(tokens[i], size() + text.size() + nodes_.depth(node) - 1, view_of(sequences_),
                    text.size() + i + rows >= all);
      }
      const logits_view<float> answer = reader_.finish();
      text_.append(reader_, text);
      return answer;
    } catch (...) {
      // What a branch has of a call that failed is not known.
      std::fill(shared_.begin(), shared_.end(), 0);
      branches_ = shared_.size();
      forget_tree();
      text_.recover(text);
      throw;
    }
  }

  /// Copies for each new branch what the memory has of it, besides what it has from an earlier tree. O(branches *
  /// cells), without moving any numbers.
  void begin_branches() {
    for (const node_id above : fresh_) {
      if (branches_ == shared_.size()) shared_.push_back(0);
      if (!has_its_part(branches_)) forget_all(branches_);
      forget_behind(branches_, text_.held());
      std::size_t& shared = shared_[branches_++];
      const auto to = static_cast<llama_seq_id>(branches_);
      const llama_seq_id from = above == root ? text_.id() : through_[above - 1];
      const std::size_t end = text_.held() + nodes_.depth(above);
      if (shared < end) llama_memory_seq_cp(memory(), from, to, position(shared), position(end));
      shared = text_.held();
    }
  }

  /// Text that is read together with nodes belongs to all branches: to the text first, for that is whose tokens it
  /// sees.
  void add_text(std::span<const token_id> text, std::size_t first_row) {
    sequences_.assign(1, text_.id());
    for (const leaf_path& each : paths_) sequences_.push_back(each.sequence);
    std::size_t place = text_.held();
    for (const token_id token : text_.missing()) reader_.add(token, place++, view_of(sequences_), false);
    for (std::size_t i = 0; i < text.size(); ++i) {
      reader_.add(text[i], size() + i, view_of(sequences_), i >= first_row);
    }
  }

  /// The sequences of the new leaves below a new node. O(leaves * depth).
  void list_sequences(node_id node) {
    sequences_.clear();
    for (const leaf_path& each : paths_) {
      node_id above = each.leaf;
      while (above > node) above = nodes_.parent(above);
      if (above == node) sequences_.push_back(each.sequence);
    }
  }

  /// Branches keep their part in the text: to copy it anew for every tree would take longer the longer it is. Not where
  /// a window slides, since llama.cpp gives up only such cells as one sequence alone has.
  void forget_tree() noexcept {
    const bool slides = llama_model_n_swa(reader_.of().handle()) > 0;
    for (std::size_t i = 0; i < branches_; ++i) {
      if (slides) shared_[i] = 0;
      llama_memory_seq_rm(memory(), sequence_of(i), position(shared_[i]), -1);
    }
    branches_ = 0;
    nodes_.clear();
    through_.clear();
  }

  /// Whether a branch that is not in use still has its part of the text, since somebody else who used the memory of
  /// the text (`sequence::prepare`) may have used the branches', too.
  [[nodiscard]] bool has_its_part(std::size_t branch) const noexcept {
    return llama_memory_seq_pos_max(memory(), sequence_of(branch)) + 1 == position(shared_[branch]);
  }

  void forget_all(std::size_t branch) noexcept {
    llama_memory_seq_rm(memory(), sequence_of(branch), -1, -1);
    shared_[branch] = 0;
  }

  /// Takes tokens that are no longer text from a branch that is not in use.
  void forget_behind(std::size_t branch, std::size_t n) noexcept {
    if (shared_[branch] <= n) return;
    llama_memory_seq_rm(memory(), sequence_of(branch), position(n), -1);
    shared_[branch] = n;
  }

  static llama_seq_id sequence_of(std::size_t branch) noexcept { return static_cast<llama_seq_id>(branch + 1); }

  decoder reader_;
  sequence text_;
  tree_nodes nodes_;
  std::size_t branches_ = 0;           ///< sequences 1 to this are in use
  std::vector<std::size_t> shared_;    ///< for each that ever was, how much of the text it has
  std::vector<llama_seq_id> through_;  ///< for each node, a sequence that has the path to it
  // Of the call under way.
  std::vector<leaf_path> paths_;
  std::vector<node_id> fresh_;  ///< where each new branch leaves what was there
  std::vector<bool> ends_, extends_;
  std::vector<llama_seq_id> sequences_;
  std::vector<token_id> kept_;
};

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_TREE_CONTEXT_HPP
