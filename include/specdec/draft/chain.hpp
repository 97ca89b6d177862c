#ifndef SPECDEC_DRAFT_CHAIN_HPP
#define SPECDEC_DRAFT_CHAIN_HPP

/// @file
/// How a causal model drafts a chain, but for the calls of the model.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "draft_law.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How many tokens a model, of one sequence or of several, can draft behind the request's context before its own is
/// full.
template <class Model>
[[nodiscard]] std::size_t room_to_draft(const Model& model, const draft_request& request) {
  // The last drafted token is never fed, so a context with room for the text leaves room for one.
  const auto behind = [&](std::size_t capacity) {
    return capacity < request.context.size() ? 0 : capacity - request.context.size() + 1;
  };
  if constexpr (HasTextCapacity<Model>) {
    return behind(model.capacity(request.context));
  } else if constexpr (HasCapacity<Model>) {
    return behind(model.capacity());
  } else {
    return request.max_depth;
  }
}

/// A call that a draft's model must make: keep the first `held` tokens, append `tokens`, return the logits behind the
/// last `rows` of them.
struct draft_call {
  std::size_t held = 0;
  std::span<const token_id> tokens;
  std::size_t rows = 0;
};

/// The drafting of one chain as a state machine that never calls a model:
/// @code
/// if (!drafting.begin(request, answer, room, held)) return;
/// while (const std::optional<draft_call> call = drafting.next(chance, fits)) {
///   rows = (the model's answer to call)
///   if (call->rows > 0) drafting.take(rows.row(0), chance);
/// }
/// @endcode
/// Whoever runs it (`model_drafter` for one text, `batch_model_drafter` for many) calls the model. A draft may be left
/// at any point; `begin` begins another.
///
/// Every token is sampled from the model's law behind the one before. Where a mask leaves one token only, that is
/// drafted without asking the model. Nothing is drafted behind an end token.
template <LengthPolicy Policy>
class chain_drafting {
 public:
  chain_drafting(std::size_t vocab_size, Policy policy, const model_drafter_options& options)
      : vocab_size_(vocab_size),
        policy_(std::move(policy)),
        law_(vocab_size, options.sampling),
        kept_(vocab_size, options.top) {}

  [[nodiscard]] Policy& policy() noexcept { return policy_; }

  /// Begins to answer a request, or begins again; false if nothing is to be drafted. The model can read `room` tokens
  /// behind the context, but for the last of them, and holds the first `held` tokens of the context.
  bool begin(const draft_request& request, draft& answer, std::size_t room, std::size_t held) {
    request_ = request;
    answer_ = &answer;
    goal_ = std::min({policy_.depth(request), request.max_depth, request.max_nodes, room});
    done_ = goal_ == 0;
    if (done_) return false;
    follow(*request.target_law);
    const std::size_t expected = std::min(goal_, laws_reserved_at_most);
    answer.reserve(expected, expected * kept_.size());
    // The last committed token is always fed again: its row is the law of the first drafted token.
    held_ = std::min(held, request.context.size() - 1);
    tip_ = root;
    wants_row_ = false;
    has_forced_ = false;
    return true;
  }

  /// The next call of the model, or none if the draft is complete. `fits()` says whether the model can read what was
  /// drafted, forced tokens among it. Spans are valid until the next call of this.
  template <Chance C, class Fits>
  [[nodiscard]] std::optional<draft_call> next(C& chance, const Fits& fits) {
    while (!done_ && !wants_row_) {
      // Behind a forced token, that is: `room` has counted what rows leave possible.
      if (has_forced_ && !fits()) {
        done_ = true;
        break;
      }
      const token_id forced = request_.mask == nullptr ? -1 : request_.mask->forced(text(), vocab_size_);
      if (forced < 0) {
        wants_row_ = true;
      } else {
        tip_ = answer_->extend(tip_, proposal::point_mass(vocab_size_, forced), chance);
        has_forced_ = true;
        done_ = complete();
      }
    }
    if (done_) return std::nullopt;
    return call_for_row();
  }

  /// Takes the row that the last call asked for, and drafts a token from it. Throws std::runtime_error if its logits
  /// are unusable.
  template <LogitsRow Row, Chance C>
  void take(const Row& row, C& chance) {
    wants_row_ = false;
    done_ = true;
    const auto q = law_.of(row, text(), request_.mask);
    if (!q.valid()) return;
    const auto confidence = confidence_of(row, q);
    if constexpr (EndsBeforeToken<Policy>) {
      if (!policy_.draws(confidence.probability(confidence.mode()))) return;
    }
    if constexpr (EndsBeforeEntropy<Policy>) {
      if (!policy_.draws_at_entropy(confidence.entropy())) return;
    }
    tip_ = answer_->extend(tip_, kept_.keep(q), chance);
    if constexpr (EndsBehindToken<Policy>) {
      if (!policy_.goes_on(confidence.probability(answer_->token(tip_)))) return;
    }
    done_ = complete();
  }

 private:
  /// Whether the policy looks at laws.
  static constexpr bool judges = EndsBeforeToken<Policy> || EndsBeforeEntropy<Policy> || EndsBehindToken<Policy>;

  [[nodiscard]] text_so_far text() const noexcept {
    return {request_.context, answer_->tokens(), request_.prompt_size};
  }

  [[nodiscard]] bool complete() const { return answer_->depth(tip_) >= goal_ || law_.ends(answer_->token(tip_)); }

  /// What the model lacks of the context and of what was drafted.
  [[nodiscard]] draft_call call_for_row() noexcept {
    const std::span<const token_id> context = request_.context;
    const std::span<const token_id> drafted = answer_->tokens();
    draft_call call{held_, {}, 1};
    if (held_ < context.size()) {
      // Forced tokens are drafted without a row, so both may be missing; they do not lie side by side.
      call.tokens = context.subspan(held_);
      call.rows = drafted.empty() ? 1 : 0;
    } else {
      call.tokens = drafted.subspan(held_ - context.size());
    }
    held_ += call.tokens.size();
    return call;
  }

  /// The law that the policy judges by, if it judges at all: q, or what q is a greedy choice of.
  template <class Row, class Law>
  [[nodiscard]] Law confidence_of(const Row& row, const Law& q) {
    if constexpr (judges) {
      if (ungreedy_) return ungreedy_->of(row, text(), request_.mask);
    }
    return q;
  }

  /// Follows the target's law, and makes what a greedy law chooses from, if the policy wants probabilities.
  void follow(const law& target) {
    if (law_.follow(target)) knows_ungreedy_ = false;
    if (knows_ungreedy_) return;
    ungreedy_.reset();
    if constexpr (judges) {
      if (sampling_params own = law_.params(); own.temperature == 0) {
        own.temperature = 1;
        own.top_k = 0;
        own.top_p = 1;
        own.min_p = 0;
        ungreedy_.emplace(vocab_size_, own, target.ends());
      }
    }
    knows_ungreedy_ = true;
  }

  std::size_t vocab_size_;
  Policy policy_;
  draft_law law_;
  kept_law kept_;
  std::optional<law> ungreedy_;  ///< what law_ chooses from, if that is greedy and the policy wants probabilities
  bool knows_ungreedy_ = false;  ///< whether that is so for law_ as it is now

  draft_request request_;
  draft* answer_ = nullptr;
  std::size_t goal_ = 0;
  std::size_t held_ = 0;  ///< tokens that the model holds of the context and what was drafted
  node_id tip_ = root;
  bool wants_row_ = false;
  bool has_forced_ = false;  ///< whether a token was drafted that the mask left no choice of
  bool done_ = true;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_CHAIN_HPP
