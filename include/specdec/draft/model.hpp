#ifndef SPECDEC_DRAFT_MODEL_HPP
#define SPECDEC_DRAFT_MODEL_HPP

/// @file
/// Drafting with a causal model.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../length/constant.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"
#include "../vectors.hpp"
#include "chain.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Says what a model or a policy lacks that cannot be lifted; the one below lifts.
template <class Model, class Policy = constant>
class model_drafter {
 public:
  explicit model_drafter(Model&, Policy = {}, const model_drafter_options& = {}) {
    require_causal_model<Model>();
    require_length_policy<Policy>();
  }

  void propose(const draft_request&, auto&, draft&) {}
};

/// Lifts a causal model into a drafter: a chain of tokens, each sampled from the model's law behind the one before.
/// Where a mask leaves one token only, that is drafted without asking the model. Nothing is drafted behind an end
/// token.
///
/// The model is brought up to the committed text at every request, so it may be truncated or left behind between
/// rounds; unless it knows its tokens, nobody else may feed it. It is referenced, not owned.
///
/// Cost per round: one decode per drafted token, the first of them taking also what the model has missed.
/// Throws std::runtime_error if the model's logits are unusable, std::invalid_argument if it returns another number of
/// rows than asked for; what the model throws passes through. Either way the next request starts from what the model
/// then holds.
template <CausalModel Model, LengthPolicy Policy>
class model_drafter<Model, Policy> {
 public:
  explicit model_drafter(Model& model, Policy policy = {}, const model_drafter_options& options = {})
      : model_(address_of(model)), drafting_(model.vocab_size(), std::move(policy), options) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_->vocab_size(); }
  [[nodiscard]] Model& model() noexcept { return *model_; }
  [[nodiscard]] Policy& policy() noexcept { return drafting_.policy(); }

  /// Hands what became of a round to the policy. See `Observes`.
  void observe(const outcome& out) requires Observes<Policy> { policy().observe(out); }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    if (!drafting_.begin(request, answer, room_to_draft(*model_, request),
                         held_prefix(*model_, held_, request.context)))
      return;
    // What may still be drafted bounds what is left of the text: one reservation lasts.
    held_.reserve(request.context.size() + std::min(request.max_depth, reserve_at_most));
    const auto fits = [&] { return can_read(request.context, answer.tokens()); };
    while (const std::optional<draft_call> call = drafting_.next(chance, fits)) {
      held_.truncate(call->held);
      if (model_->size() > call->held) model_->truncate(call->held);
      const auto& rows = model_->decode(call->tokens, call->rows);
      if (call->rows > 0 && rows.size() != 1) {
        raise<std::invalid_argument>("specdec: expected 1 row of logits from the draft model; got " +
                                     std::to_string(rows.size()));
      }
      held_.append(call->tokens);
      if (call->rows > 0) drafting_.take(rows.row(0), chance);
    }
  }

 private:
  /// Whether the model can read what was drafted, forced tokens among it: its rows leave no such token possible, so one
  /// may take more of the context than room_to_draft() thought.
  [[nodiscard]] bool can_read(std::span<const token_id> context, std::span<const token_id> drafted) {
    if constexpr (HasTextCapacity<Model>) {
      forced_text_.clear();
      append_to(forced_text_, context);
      append_to(forced_text_, drafted);
      return model_->capacity(view_of(forced_text_)) >= forced_text_.size();
    } else {
      return true;
    }
  }

  Model* model_;
  chain_drafting<Policy> drafting_;
  [[no_unique_address]] held_tokens_of<Model> held_;
  std::vector<token_id> forced_text_;  ///< stays empty unless a text's length depends on its tokens
};

/// The drafter that never proposes anything: speculation switched off.
struct no_draft {
  template <Chance C>
  void propose(const draft_request&, C&, draft&) const noexcept {}
};

static_assert(Drafter<no_draft>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_MODEL_HPP
