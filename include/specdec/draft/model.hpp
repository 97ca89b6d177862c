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
#include "../length/constant.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"
#include "../sampling/law.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How a model's logits become its draft law.
struct model_drafter_options {
  /// The draft's own parameters; by default the target's. Any choice is exact, one close to the target's is fast.
  std::optional<sampling_params> sampling = std::nullopt;
  /// Draft from the `top` most probable tokens, renormalised; 0 drafts from the whole law. A short law keeps a
  /// vocabulary-sized copy of q out of every drafted token, and out of every residual.
  std::size_t top = 64;
};

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
      : model_(address_of(model)),
        policy_(std::move(policy)),
        whole_law_(options.top == 0),
        follows_target_(!options.sampling) {
    if (options.sampling) law_.emplace(model.vocab_size(), *options.sampling);
    const std::size_t weights = whole_law_ ? model.vocab_size() : std::min(options.top, model.vocab_size());
    if (!whole_law_) ids_.resize(weights);
    weights_.resize(weights);
  }

  [[nodiscard]] std::size_t vocab_size() const { return model_->vocab_size(); }
  [[nodiscard]] Model& model() noexcept { return *model_; }
  [[nodiscard]] Policy& policy() noexcept { return policy_; }

  /// Hands what became of a round to the policy. See `Observes`.
  void observe(const outcome& out) requires Observes<Policy> { policy_.observe(out); }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    const std::size_t goal = std::min({policy_.depth(request), request.max_depth, request.max_nodes, room(request)});
    if (goal == 0) return;
    adopt(*request.target_law);
    answer.reserve(goal, goal * weights_.size());
    // What may still be drafted bounds what is left of the text: one reservation lasts.
    held_.reserve(request.context.size() + std::min(request.max_depth, reserve_at_most));

    // The last committed token is always fed again: its row is the law of the first drafted token.
    std::size_t held = std::min(held_prefix(*model_, held_, request.context), request.context.size() - 1);
    held_.truncate(held);
    node_id tip = root;
    do {
      const text_so_far text{request.context, answer.tokens(), request.prompt_size};
      const token_id forced = request.mask == nullptr ? -1 : request.mask->forced(text, law_->vocab_size());
      if (forced >= 0) {
        tip = answer.extend(tip, proposal::point_mass(law_->vocab_size(), forced), chance);
        if (!fits(request.context, answer.tokens())) return;
      } else {
        const auto rows = rows_behind(request.context, answer.tokens(), held);
        const auto q = law_->of(rows.row(0), text, request.mask);
        if (q.fault() == row_fault::nothing_allowed) return;
        if (!q.valid()) {
          throw std::runtime_error(std::string("specdec: expected usable logits from the draft model, but a row has ") +
                                   to_string(q.fault()));
        }
        const auto confidence = confidence_of(rows.row(0), q, text, request.mask);
        if constexpr (EndsBeforeToken<Policy>) {
          if (!policy_.draws(confidence.probability(confidence.mode()))) return;
        }
        tip = answer.extend(tip, whole_law_ ? q.propose_all(weights_) : q.propose_top(ids_, weights_), chance);
        if constexpr (EndsBehindToken<Policy>) {
          if (!policy_.goes_on(confidence.probability(answer.token(tip)))) return;
        }
      }
    } while (answer.depth(tip) < goal && !law_->ends().ends(answer.token(tip)));
  }

 private:
  /// How many tokens can be drafted before the model's own context is full.
  [[nodiscard]] std::size_t room(const draft_request& request) const {
    // The last drafted token is never fed, so a context with room for the text leaves room for one.
    const auto behind = [&](std::size_t capacity) {
      return capacity < request.context.size() ? 0 : capacity - request.context.size() + 1;
    };
    if constexpr (HasTextCapacity<Model>) {
      return behind(model_->capacity(request.context));
    } else if constexpr (HasCapacity<Model>) {
      return behind(model_->capacity());
    } else {
      return request.max_depth;
    }
  }

  /// The law that the policy judges by, if it judges at all: q, or what q is a greedy choice of.
  template <class Row, class Law>
  [[nodiscard]] Law confidence_of(const Row& row, const Law& q, const text_so_far& text, mask_follower* mask) {
    if constexpr (EndsBeforeToken<Policy> || EndsBehindToken<Policy>) {
      if (ungreedy_) return ungreedy_->of(row, text, mask);
    }
    return q;
  }

  /// Whether the model can read what was drafted, a forced token the last: its rows leave no such token possible, so it
  /// may take more of the context than room() thought.
  [[nodiscard]] bool fits(std::span<const token_id> context, std::span<const token_id> drafted) {
    if constexpr (HasTextCapacity<Model>) {
      forced_text_.clear();
      append_to(forced_text_, context);
      append_to(forced_text_, drafted);
      return model_->capacity(view_of(forced_text_)) >= forced_text_.size();
    } else {
      return true;
    }
  }

  /// Makes the draft's law from the target's, or from parameters of its own; the end of the text is the target's.
  void adopt(const law& target) {
    const sampling_params& params = follows_target_ ? target.params() : law_->params();
    if (law_ && law_->params() == params && law_->ends() == target.ends()) return;
    sampling_params own = params;
    law_ = law(model_->vocab_size(), own, target.ends());
    ungreedy_.reset();
    if constexpr (EndsBeforeToken<Policy> || EndsBehindToken<Policy>) {
      if (own.temperature > 0) return;
      own.temperature = 1;
      own.top_k = 0;
      own.top_p = 1;
      own.min_p = 0;
      ungreedy_.emplace(model_->vocab_size(), own, target.ends());
    }
  }

  /// The model's one row behind the context and what was drafted. The model has the first `held` of these tokens; it is
  /// fed the others.
  [[nodiscard]] auto rows_behind(std::span<const token_id> context, std::span<const token_id> drafted,
                                 std::size_t& held) {
    if (model_->size() > held) model_->truncate(held);
    if (held < context.size()) {
      const auto missing = context.subspan(held);
      // Forced tokens are drafted without a row, so both may be missing; they do not lie side by side.
      if (drafted.empty()) return decode(missing, held);
      (void)model_->decode(missing, 0);
      held_.append(missing);
      held = context.size();
    }
    return decode(drafted.subspan(held - context.size()), held);
  }

  [[nodiscard]] auto decode(std::span<const token_id> tokens, std::size_t& held) {
    auto rows = model_->decode(tokens, 1);
    if (rows.size() != 1) {
      throw std::invalid_argument("specdec: expected 1 row of logits from the draft model; got " +
                                  std::to_string(rows.size()));
    }
    held_.append(tokens);
    held += tokens.size();
    return rows;
  }

  Model* model_;
  Policy policy_;
  bool whole_law_;
  bool follows_target_;
  std::optional<law> law_;
  std::optional<law> ungreedy_;  ///< what law_ chooses from, if that is greedy and the policy wants probabilities
  [[no_unique_address]] held_tokens_of<Model> held_;
  std::vector<token_id> forced_text_;  ///< stays empty unless a text's length depends on its tokens
  std::vector<token_id> ids_;
  std::vector<float> weights_;
};

/// The drafter that never proposes anything: speculation switched off.
struct no_draft {
  template <Chance C>
  void propose(const draft_request&, C&, draft&) const noexcept {}
};

static_assert(Drafter<no_draft>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_MODEL_HPP
