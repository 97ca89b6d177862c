#ifndef SPECDEC_DRAFT_CASCADE_HPP
#define SPECDEC_DRAFT_CASCADE_HPP

/// @file
/// A draft model whose own drafting is sped up by a cheaper drafter.
///
/// Source: Chen et al. 2024, "Cascade speculative drafting for even faster LLM inference" (arXiv:2312.11462), the
/// vertical cascade, without lenience.

#include <algorithm>
#include <cstddef>
#include <cstdint>
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
#include "../sampling/law.hpp"
#include "../vectors.hpp"
#include "../verify/inner_rejection.hpp"
#include "chain.hpp"
#include "draft_law.hpp"
#include "model.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What a cascade's model and its guesses came to.
struct cascade_counts {
  std::size_t calls = 0;    ///< of the model
  std::size_t guessed = 0;  ///< tokens that the inner drafter proposed
  std::size_t kept = 0;     ///< how many of those went into a draft

  /// Drafted tokens per call of the model; 1 without guesses.
  [[nodiscard]] double tokens_per_call() const noexcept {
    return calls == 0 ? 0.0 : 1 + static_cast<double>(kept) / static_cast<double>(calls);
  }
};

/// Drafts what `model_drafter` would, from the same laws, but lets a cheaper drafter guess ahead: the model scores the
/// guesses in one call and keeps those that pass `inner_rejection`. So a round costs fewer calls of the model, each of
/// more tokens, where guesses are often right.
///
/// @code
/// specdec::cascade_drafter drafter(draft, specdec::suffix_drafter(), specdec::constant{8});
/// @endcode
///
/// Any drafter may guess, another cascade too; of a tree only the first path counts. It is owned if it is moved in;
/// std::ref(guesser), of `<functional>`, makes the cascade refer. It drafts for the model's law, a level deeper, and is
/// not told what became of its guesses: a round that is begun again would tell it twice.
///
/// Model, policy and options are those of a `model_drafter`, but for policies that are asked about tokens. The model is
/// brought up to the text at every request and every call, so the guesser may use it, too, if it knows its tokens.
///
/// Lossless: each token is drawn from the model's law at its place, which is captured before the next call, and no
/// inner round shares a random number with another, or with the outer one. For that a draft has at most 256 tokens; and
/// a session that goes back in its text has fresh numbers for 16 million rounds, 65,000 with a cascade in the cascade.
///
/// Throws std::runtime_error if the model's logits are unusable, std::invalid_argument if it returns another number of
/// rows than asked for, or if guesses do not fit; what model and guesser throw passes through. Either way the next
/// request starts from what the model then holds.
template <class Model, class Guesser, class Policy = constant>
class cascade_drafter {
 public:
  /// How many tokens a draft has at most.
  static constexpr std::size_t most_drafted = 256;

  /// Throws std::invalid_argument if the guesser tells a vocabulary and it is not the model's.
  cascade_drafter(Model& model, Guesser guesser, Policy policy = {}, const model_drafter_options& options = {})
      : model_(address_of(model)),
        guesser_(std::move(guesser)),
        policy_(std::move(policy)),
        law_(model.vocab_size(), options.sampling),
        kept_(model.vocab_size(), options.top) {
    require_causal_model<Model>();
    require_length_policy<Policy>();
    static_assert(!EndsBeforeToken<Policy> && !EndsBeforeEntropy<Policy> && !EndsBehindToken<Policy>,
                  "specdec: the length policy of a cascade must not ask about tokens: several are settled at once");
    if constexpr (requires { unwrap(guesser_).vocab_size(); }) {
      const std::optional<std::size_t> size = unwrap(guesser_).vocab_size();
      if (size && *size != model.vocab_size()) {
        raise<std::invalid_argument>("specdec: expected guesses over the model's vocabulary of " +
                                     std::to_string(model.vocab_size()) + " tokens; the guesser has " +
                                     std::to_string(*size));
      }
    }
  }

  [[nodiscard]] std::size_t vocab_size() const { return model_->vocab_size(); }
  [[nodiscard]] Model& model() noexcept { return *model_; }
  [[nodiscard]] unwrapped<Guesser>& guesser() noexcept { return unwrap(guesser_); }
  [[nodiscard]] Policy& policy() noexcept { return policy_; }
  /// Since the drafter was made. Rounds that were begun again count every time.
  [[nodiscard]] const cascade_counts& counts() const noexcept { return counts_; }

  /// Hands what became of a round to the policy. See `Observes`.
  void observe(const outcome& out) requires Observes<Policy> { policy_.observe(out); }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    require_drafter<unwrapped<Guesser>, C>();
    const std::size_t goal = std::min(
        {policy_.depth(request), request.max_depth, request.max_nodes, room_to_draft(*model_, request), most_drafted});
    if (goal == 0) return;
    law_.follow(*request.target_law);
    answer.reserve(goal, goal * kept_.size());
    // What may still be drafted bounds what is left of the text: one reservation lasts.
    const std::size_t longest = request.context.size() + std::min(request.max_depth, reserve_at_most);
    held_.reserve(longest);
    reserve_at_least(text_, longest);
    text_.clear();
    append_to(text_, request.context);
    while (answer.size() < goal) {
      guess(request, answer.size(), goal, chance);
      if (!judge(request, goal, chance, answer)) return;
    }
  }

 private:
  /// Has the guesser guess behind the first `drafted` tokens of the draft.
  template <Chance C>
  void guess(const draft_request& request, std::size_t drafted, std::size_t goal, C& chance) {
    // The model adds a token of its own; at most 256 inner rounds are within one, so no two have a number in common.
    const std::size_t most = goal - drafted - 1;
    const draft_request inner{
        .context = view_of(text_),
        .max_depth = most,
        .max_nodes = most,
        .target_law = &law_.get(),
        .prompt_size = request.prompt_size,
        .round = request.round * static_cast<std::uint32_t>(most_drafted) + static_cast<std::uint32_t>(drafted),
        .level = static_cast<std::uint8_t>(request.level + 1),
        .mask = request.mask,
        .coupled = request.coupled};
    guesses_.begin(inner);
    fed_ = 0;
    if (most == 0) return;
    unwrap(guesser_).propose(inner, chance, guesses_);
    guesses_.require_fit(inner, model_->vocab_size());
    for (node_id node = guesses_.first_child(root); node != no_node; node = guesses_.first_child(node)) {
      text_.push_back(guesses_.token(node));
      ++fed_;
    }
    counts_.guessed += fed_;
    // A model that counts in units of its own may have no room for guesses that its rows would not have left possible.
    // They are not fed, but the first of them is judged: to drop a guess for what it is would favour the others.
    if constexpr (HasTextCapacity<Model>) {
      while (fed_ > 0 && model_->capacity(view_of(text_)) < text_.size()) {
        text_.pop_back();
        --fed_;
      }
    }
  }

  /// Feeds the guesses that fit to the model and draws from its rows as far as guesses are right, and one token more.
  /// False if the draft ends there.
  template <Chance C>
  bool judge(const draft_request& request, std::size_t goal, C& chance, draft& answer) {
    const auto& rows = score();
    text_.resize(text_.size() - fed_);
    ++counts_.calls;
    node_id guess = guesses_.first_child(root);
    for (std::size_t row = 0;; ++row) {
      const text_so_far text{request.context, answer.tokens(), request.prompt_size};
      const auto p = law_.of(rows.row(row), text, request.mask);
      if (!p.valid()) return false;
      const bool kept =
          inner_rejection::extend(answer, static_cast<node_id>(answer.size()), kept_.keep(p), guesses_, guess, chance);
      const token_id taken = answer.tokens().back();
      text_.push_back(taken);
      if (kept) ++counts_.kept;
      if (answer.size() == goal || law_.ends(taken)) return false;
      if (!kept || row == fed_) return true;
      guess = guesses_.first_child(guess);
    }
  }

  /// The model's rows behind the text without its guesses, and behind each of those that are fed.
  [[nodiscard]] decltype(auto) score() {
    const std::span<const token_id> text = view_of(text_);
    const std::size_t settled = text.size() - fed_;
    // The last settled token is always fed again: its row is the law of what comes next.
    const std::size_t held = std::min(held_prefix(*model_, held_, text), settled - 1);
    held_.truncate(held);
    if (model_->size() > held) model_->truncate(held);
    const std::span<const token_id> missing = text.subspan(held);
    decltype(auto) rows = model_->decode(missing, fed_ + 1);
    if (rows.size() != fed_ + 1) {
      raise<std::invalid_argument>("specdec: expected " + std::to_string(fed_ + 1) +
                                   " rows of logits from the draft model; got " + std::to_string(rows.size()));
    }
    held_.append(missing);
    return rows;
  }

  Model* model_;
  Guesser guesser_;
  Policy policy_;
  draft_law law_;
  kept_law kept_;
  [[no_unique_address]] held_tokens_of<Model> held_;
  draft guesses_;
  std::size_t fed_ = 0;         ///< how many guesses of the first path are at the end of text_
  std::vector<token_id> text_;  ///< the committed tokens, the drafted ones, and the guesses that are fed
  cascade_counts counts_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_CASCADE_HPP
