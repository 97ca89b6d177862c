#ifndef SPECDEC_DRAFT_BATCH_HPP
#define SPECDEC_DRAFT_BATCH_HPP

/// @file
/// Drafting for several texts at once.

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../batches.hpp"
#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../length/constant.hpp"
#include "../model/recorded_sequences.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../requirements.hpp"
#include "../vectors.hpp"
#include "chain.hpp"

namespace specdec::inline SPECDEC_ABI {

/// One of the texts that a batch drafts for.
template <Chance C>
struct text_to_draft {
  std::size_t sequence = 0;    ///< which of the batch's sequences
  draft_request request = {};  ///< what to draft behind; see `Drafter`
  C* chance = nullptr;
  draft* answer = nullptr;          ///< null where the prompt is still being read and nothing is to be drafted
  std::size_t read = 0;             ///< so many tokens of request.context the target will have read in this round
  std::exception_ptr failure = {};  ///< what went wrong for this text alone: to be set by the drafter
};

/// What drafts for a `session_batch`.
///
/// Requirements
///  1. `drafter.propose(texts)` answers every request that has an answer, as a `Drafter` would, and gives each text
///     what it would get alone. It may read ahead for the others.
///  2. What concerns one text alone, of the things that go wrong, becomes its `failure`. What is thrown concerns all;
///     the next call then begins anew.
///  3. `drafter.restart(sequence)`: another text begins there. What was learnt of the one before is forgotten, unless
///     drafts depend on measured time anyway.
///
/// Optional: `drafter.observe(sequence, out)`, behind every committed round of a text, with its `outcome`; must not
/// throw. `drafter.vocab_size()`, `drafter.sequence_count()`, if there is but one answer.
template <class D, class C = philox>
concept BatchDrafter = requires(D& drafter, std::span<text_to_draft<C>> texts, std::size_t sequence) {
  drafter.propose(texts);
  drafter.restart(sequence);
};

/// Drafts for no text: batches without speculation.
struct no_batch_draft {
  template <Chance C>
  void propose(std::span<text_to_draft<C>>) const noexcept {}
  void restart(std::size_t) const noexcept {}
};

/// Drafts for every text with a drafter of its own, one after another: prompt lookup, or whatever knows no batches.
///
/// `Make` is called with a sequence's number whenever a text begins there, and returns its drafter:
/// @code
/// specdec::separate_drafters drafters(target.sequence_count(), [](std::size_t) { return specdec::prompt_lookup{}; });
/// @endcode
template <std::invocable<std::size_t> Make>
class separate_drafters {
 public:
  using each = std::invoke_result_t<Make&, std::size_t>;
  static constexpr bool drafts_trees = DraftsTrees<each>;

  /// For so many sequences, at least one.
  explicit separate_drafters(std::size_t sequences, Make make) : make_(std::move(make)), drafters_(sequences) {
    for (std::size_t sequence = 0; sequence < sequences; ++sequence) restart(sequence);
  }

  [[nodiscard]] std::size_t sequence_count() const noexcept { return drafters_.size(); }
  [[nodiscard]] auto vocab_size() const requires requires(const each& one) { one.vocab_size(); }
  { return drafters_.front()->vocab_size(); }
  /// The drafter of one text.
  [[nodiscard]] each& drafter(std::size_t sequence) noexcept { return *drafters_[sequence]; }

  /// See `BatchDrafter`.
  template <Chance C>
  requires Drafter<each, C>
  void propose(std::span<text_to_draft<C>> texts) {
    for (text_to_draft<C>& text : texts) {
      if (text.answer == nullptr) continue;
      text.failure = thrown_by([&] { drafter(text.sequence).propose(text.request, *text.chance, *text.answer); });
    }
  }
  void restart(std::size_t sequence) { drafters_[sequence].emplace(make_(sequence)); }
  void observe(std::size_t sequence, const outcome& out) { tell(drafter(sequence), out); }

 private:
  Make make_;
  std::vector<std::optional<each>> drafters_;
};

/// Lifts a model of several sequences into a drafter for as many texts: chains, as a `model_drafter` drafts them, in
/// lockstep. One call of the model drafts a token for every text that wants one; the first call also reads what the
/// model has missed. Refers to the model, which nobody else may feed.
///
/// Each text has its own copy of the policy, so that it gets the drafts that it would get alone. A policy that reads
/// the clock promises no such thing: what the copy of a sequence has learnt is kept for the next text there, which runs
/// on the same machine.
///
/// Cost per round: as many calls of the model as the longest draft has tokens. Throws std::invalid_argument if the
/// model returns another number of rows than asked for; what it throws passes through. Unusable logits of one text are
/// that text's `failure`. Does not allocate once warm.
template <DecodesBatches Model, LengthPolicy Policy = constant>
class batch_model_drafter {
  static_assert(std::copy_constructible<Policy>,
                "specdec: the length policy of a batch must be copyable: every text has a copy of its own");

 public:
  explicit batch_model_drafter(Model& model, Policy policy = {}, const model_drafter_options& options = {})
      : model_(model), initial_(model.vocab_size(), std::move(policy), options), drafting_(model.sequence_count()) {
    for (std::optional<chain_drafting<Policy>>& each : drafting_) each.emplace(initial_);
    feeds_.reserve(drafting_.size());
    fed_.reserve(drafting_.size());
  }

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t sequence_count() const noexcept { return drafting_.size(); }
  /// The policy of one text.
  [[nodiscard]] Policy& policy(std::size_t sequence) noexcept { return drafting_[sequence]->policy(); }

  void restart(std::size_t sequence) {
    if constexpr (Policy::reads_clock) {
      return;
    } else if constexpr (std::is_copy_assignable_v<Policy>) {
      *drafting_[sequence] = initial_;
    } else {
      drafting_[sequence].emplace(initial_);
    }
  }
  /// Hands what became of a text's round to its policy. See `Observes`.
  void observe(std::size_t sequence, const outcome& out) requires Observes<Policy> { policy(sequence).observe(out); }

  /// See `BatchDrafter`.
  template <Chance C>
  void propose(std::span<text_to_draft<C>> texts) {
    feeds_.clear();
    fed_.clear();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (const std::optional<draft_call> call = first_call(texts[i])) {
        model_.truncate_to(texts[i].sequence, call->held);
        feeds_.push_back({texts[i].sequence, call->tokens, call->rows});
        fed_.push_back(i);
      }
    }
    while (!feeds_.empty()) {
      const auto& rows = model_.decode(view_of(feeds_));
      // In place: who goes on moves up into the place of who is done.
      std::size_t row = 0;
      std::size_t still = 0;
      for (std::size_t i = 0; i < feeds_.size(); ++i) {
        text_to_draft<C>& text = texts[fed_[i]];
        const std::size_t wanted = feeds_[i].rows;
        if (const std::optional<draft_call> call = next_call(text, rows, row, wanted)) {
          feeds_[still] = {text.sequence, call->tokens, call->rows};
          fed_[still++] = fed_[i];
        }
        row += wanted;
      }
      feeds_.resize(still);
      fed_.resize(still);
    }
  }

 private:
  /// What the model must read for a text before anything else, if anything.
  template <class C>
  [[nodiscard]] std::optional<draft_call> first_call(text_to_draft<C>& text) {
    const std::size_t held = shared_prefix(text.request.context, model_.tokens(text.sequence));
    if (text.answer == nullptr) {
      // Behind a text that leaves the model no room, nothing will be drafted.
      if (text.read <= held || room_to_draft(model_, text.request) == 0) return std::nullopt;
      return draft_call{held, text.request.context.subspan(held, text.read - held), 0};
    }
    return attempted(text, [&]() -> std::optional<draft_call> {
      chain_drafting<Policy>& drafting = *drafting_[text.sequence];
      if (!drafting.begin(text.request, *text.answer, room_to_draft(model_, text.request), held)) return std::nullopt;
      return drafting.next(*text.chance, fits);
    });
  }

  /// The same behind a call, which returned `wanted` rows for the text, the first being row `row` of all.
  template <class C, class Rows>
  [[nodiscard]] std::optional<draft_call> next_call(text_to_draft<C>& text, const Rows& rows, std::size_t row,
                                                    std::size_t wanted) {
    if (text.answer == nullptr) return std::nullopt;
    return attempted(text, [&] {
      chain_drafting<Policy>& drafting = *drafting_[text.sequence];
      if (wanted > 0) drafting.take(rows.row(row), *text.chance);
      return drafting.next(*text.chance, fits);
    });
  }

  /// What goes wrong for one text must not keep the others from theirs.
  template <class C, class Step>
  static std::optional<draft_call> attempted(text_to_draft<C>& text, const Step& step) {
    std::optional<draft_call> call;
    text.failure = thrown_by([&] { call = step(); });
    return call;
  }

  /// `room_to_draft` has counted all that there is.
  static constexpr auto fits = [] { return true; };

  recorded_sequences<Model> model_;
  chain_drafting<Policy> initial_;
  std::vector<std::optional<chain_drafting<Policy>>> drafting_;  ///< of each text, made anew if it cannot be assigned
  std::vector<sequence_feed> feeds_;
  std::vector<std::size_t> fed_;  ///< whose feeds these are, in the order of the texts asked for
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_BATCH_HPP
