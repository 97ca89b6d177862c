#ifndef SPECDEC_MODEL_RECORDED_HPP
#define SPECDEC_MODEL_RECORDED_HPP

/// @file
/// A model that remembers what it was fed.

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../layer_skip.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "../vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Makes a causal model one that knows its tokens, so that several sessions, say the forks of one prompt, can share it
/// as their target: each feeds it what it lacks of their own text. Owns the model; `recorded<M&>` refers to it, and
/// then all calls must go through the wrapper.
///
/// Models `CausalModel` and `KnowsTokens`, and `HasCapacity`, `SkipsLayers` and `DecodesTrees` where the wrapped model
/// does. Movable and copyable where that is. Tokens that were in the model before are unknown and stand as -1, which is
/// no token: they are fed again.
///
/// If a call throws, tokens() has the first size() of the tokens that were there and those that came, as the model's
/// contract says. Does not allocate unless the context grows beyond twice its greatest size so far.
template <class Model>
requires CausalModel<std::remove_reference_t<Model>>
class recorded {
 public:
  using wrapped = std::remove_reference_t<Model>;

  explicit recorded(Model model) : model_(std::forward<Model>(model)) { agree_with_model(); }

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return model_.capacity(); }
  [[nodiscard]] std::size_t layer_count() const requires SkipsLayers<wrapped> { return model_.layer_count(); }
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return tokens_; }

  /// The wrapped model's decode. What it throws passes through.
  decltype(auto) decode(std::span<const token_id> tokens, std::size_t rows) {
    return written_down(tokens, {}, [&]() -> decltype(auto) { return model_.decode(tokens, rows); });
  }
  /// The same with layers left out.
  decltype(auto) decode(std::span<const token_id> tokens, std::size_t rows,
                        const layer_skip& skipped) requires SkipsLayers<wrapped> {
    return written_down(tokens, {}, [&]() -> decltype(auto) { return model_.decode(tokens, rows, skipped); });
  }

  /// The wrapped model's decode_tree. What it throws passes through.
  decltype(auto) decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                             std::size_t rows) requires DecodesTrees<wrapped> {
    // More parents than tokens are for the model to refuse.
    const std::size_t text = tokens.size() - std::min(parents.size(), tokens.size());
    return written_down(tokens.first(text), tokens.subspan(text),
                        [&]() -> decltype(auto) { return model_.decode_tree(tokens, parents, rows); });
  }
  /// The wrapped model's keep. What it throws passes through.
  void keep(std::span<const node_id> path) requires DecodesTrees<wrapped> {
    reserve_at_least(tokens_, tokens_.size() + path.size());
    for (const node_id node : path) {
      const bool known = node != root && node <= node_tokens_.size();
      tokens_.push_back(known ? node_tokens_[node - 1] : unknown);
    }
    agreeing([&] { model_.keep(path); });
    node_tokens_.clear();
  }

  /// The wrapped model's truncate. What it throws passes through.
  void truncate(std::size_t n) {
    node_tokens_.clear();
    agreeing([&] { model_.truncate(n); });
    agree_with_model();
  }

  [[nodiscard]] wrapped& model() noexcept { return model_; }

 private:
  static constexpr token_id unknown = -1;

  template <class Call>
  decltype(auto) written_down(std::span<const token_id> text, std::span<const token_id> nodes, const Call& call) {
    // Before the call, so that nothing can fail behind one that succeeded.
    reserve_at_least(tokens_, tokens_.size() + text.size());
    reserve_at_least(node_tokens_, node_tokens_.size() + nodes.size());
    append_to(tokens_, text);
    if (!text.empty()) node_tokens_.clear();
    const std::size_t open_nodes = node_tokens_.size();
    append_to(node_tokens_, nodes);
    return agreeing([&]() -> decltype(auto) { return cleaning_up(call, [&] { node_tokens_.resize(open_nodes); }); });
  }

  template <class Call>
  decltype(auto) agreeing(const Call& call) {
    return cleaning_up(call, [&] { agree_with_model(); });
  }

  void agree_with_model() { tokens_.resize(model_.size(), unknown); }

  Model model_;
  std::vector<token_id> tokens_;
  std::vector<token_id> node_tokens_;  ///< of the tree that is open in the model
};

template <class Model>
recorded(Model) -> recorded<Model>;

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_RECORDED_HPP
