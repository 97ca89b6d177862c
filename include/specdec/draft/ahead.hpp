#ifndef SPECDEC_DRAFT_AHEAD_HPP
#define SPECDEC_DRAFT_AHEAD_HPP

/// @file
/// Drafting the next round while the target scores this one.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../decode/outcome.hpp"
#include "../failure.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../sampling/law.hpp"
#include "../sampling/mask.hpp"
#include "../sampling/text_so_far.hpp"
#include "../vectors.hpp"
#include "../verify/verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What the two sides of an overlapped round say to each other.
///
/// Requirements
///  1. `link.announce()`, said by the side that drafts: the guess is there.
///  2. `link.await()`, said by the side that scores: returns when the guess has been announced, or none will be.
///  3. `link.cancel()`, said by the side that scores: nothing more that is drafted will be used.
///  4. `link.cancelled()`, asked by the side that drafts.
template <class L>
concept RoundLink = requires(L& link) {
  link.announce();
  link.await();
  link.cancel();
  { link.cancelled() } -> std::convertible_to<bool>;
};

/// How `draft_ahead` drafts.
struct ahead_options {
  /// How many tokens to draft at most before a call of the target for which nothing was drafted ahead. The more, the
  /// longer the target waits; at 0 it begins at once, with the last committed token alone (PEARL's pre-verify).
  std::size_t first = std::numeric_limits<std::size_t>::max();
};

/// Drafts ahead: while the target scores a draft, a guess is drafted for the token behind it, and behind the guess the
/// draft for the next round. If the draft is accepted whole and the guess is right, that draft is used, and the target
/// need not wait for one. If not, the next round is drafted as ever. See `overlapped_generate`.
///
/// The guess is a token of this round, under this round's keys; `guessing_chance` makes the target's own token equal
/// it as often as can be. What is drafted behind it is the draft of the next round, under the next round's keys: the
/// very draft that the drafter would answer with if it was asked then. Whether it is used depends on the verdict alone,
/// so the law of the text is the target's. What is not used has been seen by nobody, so its noise is still fresh.
/// The drafter is told what was drafted as if it were committed; so nothing is drafted behind tokens that cannot be:
/// behind one that the mask forbids, or behind an end token.
/// Source: Liu et al. 2024 (arXiv:2408.11850), PEARL, whose pre-verify and post-verify are this with `first` = 0. There
/// the token behind a draft that was accepted whole is not drawn at all; here it is, coupled with the guess.
///
/// For one session, and a drafter that learns nothing from rounds, since it drafts before it is told; nor may it use
/// the target. The drafter is referenced, not owned. One whose `propose` takes the session's kind of chance and no
/// other cannot be cancelled: what it drafts in vain it drafts to the end. Once rounds have reached their full size,
/// nothing is allocated but the exception that ends a draft which is cancelled.
template <class D>
class draft_ahead {
 public:
  static_assert(!Observes<D>,
                "specdec: who drafts ahead drafts a round before the one before it is judged: a drafter that observes "
                "rounds would learn out of turn");
  static_assert(!DraftsTrees<D>, "specdec: only chains can be drafted ahead");

  explicit draft_ahead(D& drafter, const ahead_options& options = {}) noexcept
      : drafter_(address_of(drafter)), options_(options) {}

  [[nodiscard]] D& drafter() noexcept { return *drafter_; }

  /// The draft of a round: what was drafted ahead, if it was for this round, or else one that is drafted now. Asked
  /// again for a round, it answers as before. Valid until `settle`, or until another round is begun.
  template <Chance C>
  const draft& begin(const draft_request& request, C& chance) {
    if (!(is_known_ && is_for(request))) {
      is_known_ = false;
      current_.begin(request);
      draft_request first = request;
      first.max_depth = std::min(request.max_depth, options_.first);
      if (first.max_depth > 0) drafter_->propose(first, chance, current_);
      text_.clear();
      reserve_at_least(text_, request.context.size() + 2 * std::min(request.max_depth, reserve_at_most) + 2);
      append_to(text_, request.context);
      is_known_ = true;
    }
    asked_ = request;
    size_ = request.context.size();
    return current_;
  }

  /// Drafts the guess, announces it, and drafts behind it until that is done or cancelled. Calls nothing but the
  /// drafter, the mask, chance and link, and changes nothing that they do not: it may run while the target scores.
  /// Throws std::invalid_argument if the guess is larger than was requested, or over another vocabulary; what drafter
  /// and mask throw passes through. Preconditions: called behind `begin`, whose request is still valid; the draft fits
  /// it (`draft::require_fit`).
  template <Chance C, RoundLink L>
  void go_on(C& chance, L& link) {
    is_ahead_ = false;
    text_.resize(size_);
    append_to(text_, current_.tokens());
    const std::size_t drafted = current_.size();
    draft_request next = asked_;
    next.context = view_of(text_);
    next.max_depth = next.max_nodes = 1;
    guess_.begin(next);
    if (drafted < asked_.max_depth && leads_on(current_.tokens())) {
      const auto propose = [&] {
        drafter_->propose(next, chance, guess_);
        guess_.require_fit(next, asked_.target_law->vocab_size());
      };
      // The other side may go on to its verdict, where it looks at the guess.
      cleaning_up(propose, [&] { guess_.begin(next); });
    }
    // Target and drafter are led along the text by one mask, so the target's verdict waits.
    const bool shares_mask = asked_.mask != nullptr;
    if (!shares_mask) link.announce();
    if (!guess_.empty() && leads_on(current_.tokens(), guess_.token(1)) && !link.cancelled()) {
      text_.push_back(guess_.token(1));
      next.context = view_of(text_);
      next.max_depth = asked_.max_depth - drafted - 1;
      next.max_nodes = asked_.max_nodes - drafted - 1;
      next.round = asked_.round + 1;
      ahead_.begin(next);
      cancellable<C, L> until_cancelled{&chance, &link};
      is_ahead_ = completed([&] {
        if (next.max_depth == 0) return;
        if constexpr (Drafter<D, cancellable<C, L>>) {
          drafter_->propose(next, until_cancelled, ahead_);
        } else {
          drafter_->propose(next, chance, ahead_);
        }
      });
    }
    if (shares_mask) link.announce();
  }

  /// The guess, a draft of one token or of none. Precondition: it was announced, or none will be.
  [[nodiscard]] const draft& guess() const noexcept { return guess_; }

  /// Whether what is drafted behind the guess can be used. Precondition: the guess was announced.
  [[nodiscard]] bool confirms(const verdict& judged) const noexcept {
    return judged.fault == row_fault::none && judged.kept == current_.size() && !guess_.empty() &&
           judged.next == guess_.token(1);
  }

  /// Takes up what was drafted ahead, or drops it. Precondition: `judged` was committed, and `go_on` has ended.
  void settle(const verdict& judged) noexcept {
    if (judged.fault != row_fault::none) return;
    is_known_ = is_ahead_ && confirms(judged);
    if (is_known_) {
      asked_.round += 1;
      asked_.max_depth -= current_.size() + 1;
      asked_.max_nodes -= current_.size() + 1;
      std::swap(current_, ahead_);
    }
    is_ahead_ = false;
  }

 private:
  struct cancelled {};

  /// Chance that ends the drafting once it is cancelled: at the next token, and by an exception, since a drafter may
  /// be abandoned in no other way.
  template <class C, class L>
  struct cancellable {
    static constexpr bool races = RacingChance<C>;

    C* chance;
    L* link;

    bool accept(const key& k, double p, double q) const { return chance->accept(k, p, q); }
    template <DiscreteLaw Q>
    token_id draw(const key& k, const Q& law) const {
      go_on();
      return chance->draw(k, law);
    }
    template <class Q>
    token_id race(std::uint32_t position, const Q& law) const requires RacingChance<C> {
      go_on();
      return chance->race(position, law);
    }

   private:
    void go_on() const {
#if defined(__cpp_exceptions)
      if (link->cancelled()) throw cancelled();
#endif
    }
  };

  /// Whether this came to its end. If it was cancelled its draft is of no use, and the drafter is as behind any other
  /// exception. Without exceptions nothing is cancelled.
  template <class Drafting>
  static bool completed(const Drafting& drafting) {
#if defined(__cpp_exceptions)
    try {
      drafting();
    } catch (const cancelled&) {
      return false;
    }
#else
    drafting();
#endif
    return true;
  }

  /// Whether the text may go on behind the token, which comes behind these drafted ones: the mask allows it, and it is
  /// no end token.
  [[nodiscard]] bool leads_on(std::span<const token_id> drafted, token_id token) const {
    if (asked_.target_law->ends().ends(token)) return false;
    return asked_.mask == nullptr || asked_.mask->allows({asked_.context, drafted, asked_.prompt_size}, token);
  }

  /// Whether it may go on behind all of these drafted tokens. A mask is not asked behind one where it may not.
  [[nodiscard]] bool leads_on(std::span<const token_id> drafted) const {
    for (std::size_t i = 0; i < drafted.size(); ++i) {
      if (!leads_on(drafted.first(i), drafted[i])) return false;
    }
    return true;
  }

  /// Whether the draft that is there belongs to this request: the same round, behind the same text, with as much room.
  /// Whether it would fit in less must not matter, for that depends on its tokens. Where the prompt ends decides what
  /// the mask has seen, and may decide what penalties count.
  [[nodiscard]] bool is_for(const draft_request& request) const noexcept {
    const std::size_t size = request.context.size();
    return request.round == asked_.round && request.prompt_size == asked_.prompt_size &&
           request.max_depth == asked_.max_depth && request.max_nodes == asked_.max_nodes &&
           current_.position_of(1) == size && text_.size() >= size &&
           shared_prefix(view_of(text_), request.context) == size;
  }

  D* drafter_;
  ahead_options options_;
  draft current_;         ///< the round's
  draft guess_;           ///< one token behind it
  draft ahead_;           ///< and the next round's behind that
  draft_request asked_;   ///< the round's, of the draft that is there
  std::size_t size_ = 0;  ///< of the text before the round
  bool is_known_ = false;
  bool is_ahead_ = false;
  std::vector<token_id> text_;  ///< the text, the draft and the guess
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_AHEAD_HPP
