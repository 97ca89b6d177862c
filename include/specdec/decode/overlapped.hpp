#ifndef SPECDEC_DECODE_OVERLAPPED_HPP
#define SPECDEC_DECODE_OVERLAPPED_HPP

/// @file
/// The loop whose drafter works while the target does.

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <type_traits>

#include "../concepts.hpp"
#include "../draft/ahead.hpp"
#include "../failure.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"
#include "../sampling/guess.hpp"
#include "../verify/verdict.hpp"
#include "clock.hpp"
#include "generate.hpp"
#include "outcome.hpp"
#include "session.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A side of a round that does nothing; see `Executor`.
struct idle_side {
  void operator()(RoundLink auto&) const noexcept {}
};

/// What runs the two sides of a round.
///
/// Requirements
///  1. `executor.run(drafting, scoring)` calls each once with a `RoundLink` between them, at the same time or in any
///     order in which no `await` comes before its `announce`, and returns when both have ended.
///  2. `scoring` runs in the caller's thread.
///  3. If one of them throws, `run` lets the exception pass when the other has ended, or has not begun; if both do,
///     that of `scoring`. If `scoring` throws, the other is cancelled.
///
/// `background_thread`, of adapters/background_thread.hpp, runs them at the same time.
template <class E>
concept Executor = requires(E& executor, idle_side side) {
  executor.run(side, side);
};

/// The executor that has no second thread: the round is drafted for first, and then scored. For tests, and for
/// comparison: the text is the same.
struct one_after_the_other {
  struct link {
    void announce() const noexcept {}
    void await() const noexcept {}
    void cancel() const noexcept {}
    [[nodiscard]] bool cancelled() const noexcept { return false; }
  };

  template <class Drafting, class Scoring>
  void run(Drafting&& drafting, Scoring&& scoring) const {
    link between;
    drafting(between);
    scoring(between);
  }
};

/// Runs a session that has begun until it stops, as `speculative_generate` does, but drafts ahead: while the target
/// scores a round's draft, the next is made (see `draft_ahead`). A round then takes as long as the slower of its sides,
/// not as both, if the draft was accepted whole and the guess behind it was right.
/// @code
/// specdec::model_drafter drafter(draft, specdec::constant{4});
/// specdec::draft_ahead ahead(drafter);
/// specdec::background_thread second;  // specdec/adapters/background_thread.hpp
/// specdec::overlapped_generate(session, target, ahead, second);
/// @endcode
///
/// The text has the target's law, and does not depend on how long anything takes, so one seed gives one text; at
/// temperature 0, or with the rule `coupled`, it is that of plain decoding. The drafter is called in either thread, but
/// in one at a time; so is chance, of which `draw` is called in both at once (a philox has no state). Sink and requests
/// to stop are the caller's thread's.
///
/// What session and drafter share must bear that. A mask is used by one side at a time, but goes ahead as far as the
/// drafter does, so up to the depth of two drafts of it are rolled back, this round's and the next. The session's
/// `detokenize` is called while the drafter drafts: if both use one tokenizer, as `universal_drafter` and `detokenize`
/// may, it must allow calls from two threads at once.
///
/// Only chains are drafted ahead: throws std::invalid_argument for a draft that branches. Resumable as
/// `speculative_generate`, with the same `ahead`: whatever target or drafter throw reaches the caller when both sides
/// have ended, nothing of the round is committed, and calling again goes on to the text that it would have been, if
/// what is drafted from has not grown. With ahead_options::first at its default that holds with a new `draft_ahead`,
/// too.
template <class Rule, class Randomness, class Target, class Draft, Executor Threads, class Consumer = no_sink,
          class Request = never_stop>
session_status overlapped_generate(session<Rule, Randomness>& session, Target& target, draft_ahead<Draft>& ahead,
                                   Threads& executor, Consumer&& sink = {}, const Request& request_to_stop = {}) {
  using consumer = std::remove_reference_t<Consumer>;
  require_rounds<Rule, Randomness, Target, consumer, Request>();
  require_drafter<Draft, Randomness>();
  if constexpr (RunsRounds<Rule, Randomness, Target, consumer, Request> && Drafter<Draft, Randomness>) {
    prepare_rounds(session, target, ahead.drafter());
    while (session.running()) {
      if (request_to_stop.stop_requested()) {
        session.stop();
        break;
      }
      const double start = seconds_now();
      const draft& drafted = ahead.begin(session.request(), session.chance());
      const double proposed = seconds_now();
      if (request_to_stop.stop_requested()) session.stop();
      if (!session.running()) break;

      const decode_plan plan = plan_for(session, drafted, target);
      if (plan.tree) {
        raise<std::invalid_argument>("specdec: expected a draft without branches, since only chains are drafted ahead");
      }
      const double planned = seconds_now();

      verdict judged;
      double decoded = 0, guessed = 0, verified = 0;
      executor.run([&](auto& link) { ahead.go_on(session.chance(), link); },
                   [&](auto& link) {
                     if (target.size() > plan.held) target.truncate(plan.held);
                     const auto& rows = target.decode(plan.tokens, plan.rows);
                     decoded = seconds_now();
                     link.await();
                     guessed = seconds_now();
                     guessing_chance chance(session.chance(), ahead.guess());
                     judged = session.verify(rows, chance);
                     if (!ahead.confirms(judged)) link.cancel();
                     verified = seconds_now();
                   });
      const double joined = seconds_now();

      outcome out = session.commit(judged);
      ahead.settle(judged);
      const double end = seconds_now();
      // Of drafting, what the target had to wait for.
      out.times = {(proposed - start) + (guessed - decoded) + (joined - verified), decoded - planned,
                   (planned - proposed) + (verified - guessed) + (end - joined), plan.tokens.size()};
      session.add_seconds(out.times.draft, out.times.target, out.times.verify);
      deliver_round(session, out, ahead.drafter(), sink);
    }
  }
  return session.status();
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_OVERLAPPED_HPP
