#ifndef SPECDEC_DECODE_BATCH_HPP
#define SPECDEC_DECODE_BATCH_HPP

/// @file
/// Many texts at once over one target: the loop of `speculative_generate` for a batch.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../batches.hpp"
#include "../concepts.hpp"
#include "../draft/batch.hpp"
#include "../failure.hpp"
#include "../model/recorded_sequences.hpp"
#include "../requirements.hpp"
#include "../vectors.hpp"
#include "../verify/rejection.hpp"
#include "clock.hpp"
#include "held_tokens.hpp"
#include "outcome.hpp"
#include "session.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How a batch divides its calls.
struct batch_options {
  /// Prompts, and whatever else the target lacks of a text but its last token, are read in chunks: at most so many
  /// tokens in one call, for all texts together, so that no prompt keeps the texts that are being generated waiting.
  /// Who joined first reads first.
  std::size_t prefill_tokens = 512;
};

/// Runs many sessions over one target, each on a sequence of its own: a round drafts for all that are being generated,
/// scores all drafts and the next chunk of the prompts with one call of the target, and commits each.
///
/// @code
/// specdec::session_batch batch(target, drafter);    // see BatchDrafter; without one, no speculation
/// batch.join(first);                                // sessions that have begun, or begin later
/// batch.join(second);
/// while (batch.running()) batch.round([&](auto& text, const specdec::outcome& out) { ... });
/// @endcode
///
/// Sessions are referenced and must stay where they are until they leave. They may join and leave between rounds, at
/// any phase; a finished one may `append` and go on. A session that leaves leaves its text in the target: who joins
/// gets the free sequence that holds most of what it needs.
///
/// Every text is what `speculative_generate` makes of it alone with the same options, if the target's bits do not
/// depend on the size of a call and the policy neither reads the clock nor asks how many texts there are
/// (draft_request::sequences, as `cost_model` does), nor learns and loses it when the text leaves: its randomness is
/// its own, and a round that is shared, cut short or begun again sees the same. Its law is the target's in any case,
/// but for a text that leaves behind a round that failed and goes on under a policy that has not learnt the same; see
/// `Drafter`. Give each a seed or a stream of its own: with the same, two texts meet the same noise, and how much a
/// policy drafts for one may come from what was drawn for the other.
///
/// Errors of one text leave the others alone: where the target's logits are unusable its session's status becomes
/// `failed` (and the sink sees it); what its mask, its `detokenize`, its sink or its draft throws is thrown by `round`
/// once all other texts have had theirs. Everything can be gone on with by another `round`.
///
/// Once warm a round does not allocate, besides what the models do.
template <class Target, class Drafting = no_batch_draft, class Rule = rejection, Chance Randomness = philox>
class session_batch {
  static_assert(DecodesBatches<Target>,
                "specdec: a batch's target needs vocab_size(), sequence_count(), size(sequence), decode(feeds) and "
                "truncate(sequence, n); see DecodesBatches in batches.hpp. specdec::separate_sequences makes one of "
                "causal models");
  static_assert(BatchDrafter<Drafting, Randomness>,
                "specdec: a batch's drafter needs propose(texts) and restart(sequence); see BatchDrafter in "
                "draft/batch.hpp. specdec::batch_model_drafter makes one of a model, separate_drafters of drafters");
  static_assert(!DraftsTrees<Drafting>,
                "specdec: this drafter drafts trees, and a batch scores chains; batch_model_drafter drafts such");

 public:
  using session_type = session<Rule, Randomness>;

  /// Without speculation. Throws as below.
  explicit session_batch(Target& target,
                         const batch_options& options = {}) requires std::same_as<Drafting, no_batch_draft>
      : session_batch(target, nothing(), options) {}

  /// Target and drafter must outlive the batch; nobody else may use them, but for reading. Throws std::invalid_argument
  /// if they disagree on the vocabulary or have another number of sequences, or for options.prefill_tokens of 0.
  session_batch(Target& target, Drafting& drafting, const batch_options& options = {})
      : model_(address_of(target)),
        target_(target),
        drafting_(address_of(drafting)),
        options_(options),
        places_(target.sequence_count()) {
    require_rule<Rule, feed_rows_of<Target>, Randomness>();
    if (options.prefill_tokens == 0) raise<std::invalid_argument>("specdec: expected to read 1 token a round or more");
    if constexpr (requires { drafting.vocab_size(); }) require_vocabulary(drafting.vocab_size(), "the draft");
    if constexpr (requires { drafting.sequence_count(); }) {
      if (drafting.sequence_count() != places_.size()) {
        raise<std::invalid_argument>("specdec: expected a draft of " + std::to_string(places_.size()) +
                                     " sequences, as the target has; it has " +
                                     std::to_string(drafting.sequence_count()));
      }
    }
    order_.reserve(places_.size());
    texts_.reserve(places_.size());
    feeds_.reserve(places_.size());
  }

  session_batch(const session_batch&) = delete;
  session_batch& operator=(const session_batch&) = delete;

  /// Takes a session in. Its own record of what its target holds is not used. Throws std::length_error if all sequences
  /// are taken, std::invalid_argument if the session has another vocabulary, std::logic_error if it is in already;
  /// nothing has changed then.
  void join(session_type& text) {
    if (find(text) != none) raise<std::logic_error>("specdec: expected a session to join a batch once");
    require_vocabulary(text.target_law().vocab_size(), "the session");
    std::size_t best = none;
    std::size_t most = 0;
    for (std::size_t sequence = 0; sequence < places_.size(); ++sequence) {
      if (places_[sequence].text != nullptr) continue;
      const std::size_t held = shared_prefix(text.tokens(), target_.tokens(sequence));
      if (best != none && held <= most) continue;
      best = sequence;
      most = held;
    }
    if (best == none) {
      raise<std::length_error>("specdec: expected at most " + std::to_string(places_.size()) +
                               " sessions in a batch, the target's sequences; all are taken");
    }
    drafting_->restart(best);
    places_[best].undecided = false;
    if constexpr (HasCapacity<Target>) text.limit(model_->capacity());
    text.meet_target(this);
    places_[best].text = address_of(text);
    order_.push_back(best);
  }

  /// Lets a session go; it can go on elsewhere, or join again. Does nothing if it is not in.
  void leave(session_type& text) noexcept {
    const std::size_t sequence = find(text);
    if (sequence == none) return;
    places_[sequence].text = nullptr;
    places_[sequence].undelivered = false;
    order_.erase(std::find(order_.begin(), order_.end(), sequence));
    text.forget_target();
  }

  /// Sessions that are in.
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }
  /// Whether a further round will do something.
  [[nodiscard]] bool running() const noexcept {
    return std::any_of(order_.begin(), order_.end(), [&](std::size_t s) { return places_[s].text->running(); });
  }
  /// The session whose own error `round` threw last, or null if that was an error of the models, or there was none. It
  /// may have left since; its own sink may have let it go.
  [[nodiscard]] session_type* faulty() const noexcept { return faulty_; }

  /// One call of the target for all running sessions. When all are committed, `sink(session, outcome)` is called for
  /// each; if it returns bool, false stops that session. It must not change the text of others. The session's seconds
  /// are its share of the calls; outcome.times are those of all.
  ///
  /// Throws what the models throw, and then no text has changed; and the first error of a text (see above) when all
  /// others are done.
  template <class Consumer>
  void round(Consumer&& sink) {
    require_sink<Consumer, session_type&>();
    if constexpr (std::invocable<Consumer&, session_type&, const outcome&>) run_round(sink);
  }
  void round() {
    round([](session_type&, const outcome&) {});
  }

 private:
  using asked = text_to_draft<Randomness>;

  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  struct place {
    session_type* text = nullptr;
    session_type* in_round = nullptr;  ///< whose round is being made: a sink may change who is here
    draft drafted;
    std::size_t held = 0;  ///< tokens of the text that the target holds
    std::size_t first_row = 0;
    std::size_t row_count = 0;
    outcome out;
    bool undelivered = false;
    bool undecided = false;  ///< whether the round that was begun last has not been committed
    std::uint32_t round = 0;
    std::size_t size = 0;       ///< of the text before it
    std::size_t sequences = 0;  ///< how many texts took part in it
  };

  static no_batch_draft& nothing() noexcept {
    static no_batch_draft drafter;
    return drafter;
  }

  void require_vocabulary(std::optional<std::size_t> size, const char* whose) const {
    const std::size_t expected = target_.vocab_size();
    if (!size || *size == expected) return;
    raise<std::invalid_argument>("specdec: expected one vocabulary of " + std::to_string(expected) + " tokens; " +
                                 whose + " has " + std::to_string(*size));
  }

  [[nodiscard]] std::size_t find(const session_type& text) const noexcept {
    for (const std::size_t sequence : order_) {
      if (places_[sequence].text == address_of(text)) return sequence;
    }
    return none;
  }

  /// See `round`.
  template <class Consumer>
  void run_round(Consumer& sink) {
    faulty_ = nullptr;
    const double start = seconds_now();
    choose();
    if (texts_.empty()) return;
    drafting_->propose(space_of(texts_));
    const double proposed = seconds_now();
    plan_all();
    const double planned = seconds_now();
    // In a round in which every text had an error of its own there is nothing to score.
    if (!feeds_.empty()) {
      const auto& rows = target_.decode(view_of(feeds_));
      const double decoded = seconds_now();
      for (asked& text : texts_) {
        place& at = places_[text.sequence];
        if (text.answer == nullptr) continue;
        guarded(text, [&] {
          at.out = at.text->commit(at.text->verify(rows_of_feed(rows, at.first_row, at.row_count)));
          at.undecided = at.out.status == session_status::failed;
          at.undelivered = true;
        });
      }
      const double verified = seconds_now();
      round_times times{proposed - start, decoded - planned, (planned - proposed) + (verified - decoded), 0};
      const double share = 1 / static_cast<double>(feeds_.size());
      for (const sequence_feed& feed : feeds_) {
        times.scored += feed.tokens.size();
        places_[feed.sequence].in_round->add_seconds(times.draft * share, times.target * share, times.verify * share);
      }
      for (asked& text : texts_) {
        // A sink may let a text go that has not had its round yet, and take in another in its place.
        if (!std::exchange(places_[text.sequence].undelivered, false)) continue;
        guarded(text, [&] { deliver(text.sequence, times, sink); });
      }
    }
    for (asked& text : texts_) {
      if (!text.failure) continue;
      faulty_ = places_[text.sequence].in_round;
      std::rethrow_exception(text.failure);
    }
  }

  /// Decides which texts take part, and which of them are still being read.
  void choose() {
    texts_.clear();
    std::size_t budget = options_.prefill_tokens;
    for (const std::size_t sequence : order_) {
      place& at = places_[sequence];
      if (!at.text->running()) continue;
      const std::span<const token_id> text = at.text->tokens();
      at.held = std::min(shared_prefix(text, target_.tokens(sequence)), text.size() - 1);
      const std::size_t missing = text.size() - 1 - at.held;
      if (missing > 0 && budget == 0) continue;
      at.in_round = at.text;
      asked& added = texts_.emplace_back();
      added.sequence = sequence;
      added.request = at.text->request();
      added.read = at.held + std::min(missing, budget);
      if (missing <= budget) {
        added.chance = address_of(at.text->chance());
        added.answer = address_of(at.drafted);
        at.drafted.begin(added.request);
      }
      budget -= std::min(missing, budget);
    }
    for (asked& text : texts_) {
      if (text.answer == nullptr) continue;
      place& at = places_[text.sequence];
      // A round that is begun again has shown some of its noise, and must not be drafted otherwise for who is here now.
      const std::size_t size = text.request.context.size();
      const bool again = at.undecided && at.round == text.request.round && at.size == size;
      if (!again) at.sequences = texts_.size();
      at.undecided = true;
      at.round = text.request.round;
      at.size = size;
      text.request.sequences = at.sequences;
    }
  }

  /// Turns drafts and chunks into one call of the target, whose sequences are truncated to what they share.
  void plan_all() {
    feeds_.clear();
    std::size_t rows = 0;
    for (asked& text : texts_) {
      place& at = places_[text.sequence];
      sequence_feed feed{text.sequence, {}, 0};
      if (text.answer == nullptr) {
        feed.tokens = at.text->tokens().subspan(at.held, text.read - at.held);
      } else if (!at.text->running()) {
        text.answer = nullptr;  // stopped by what drafted, or by the hook of another text
        continue;
      } else {
        guarded(text, [&] {
          const decode_plan plan = at.text->plan(at.drafted, target_.tokens(text.sequence));
          if (plan.tree) {
            raise<std::invalid_argument>("specdec: expected a draft without branches, since a batch scores no trees");
          }
          at.held = plan.held;
          feed.tokens = plan.tokens;
          feed.rows = plan.rows;
        });
        if (text.failure) continue;
      }
      target_.truncate_to(text.sequence, at.held);
      at.first_row = rows;
      at.row_count = feed.rows;
      rows += feed.rows;
      feeds_.push_back(feed);
    }
  }

  /// What goes wrong for one text must not keep the others from theirs.
  template <class Step>
  static void guarded(asked& text, const Step& step) {
    if (!text.failure) text.failure = thrown_by(step);
  }

  /// Hands a round on to the drafter that observes it, and to the sink. Of one that failed the drafter is not told:
  /// nothing was decided, and it is made again.
  template <class Consumer>
  void deliver(std::size_t sequence, const round_times& times, Consumer& sink) {
    session_type& text = *places_[sequence].text;
    outcome out = places_[sequence].out;
    out.times = times;
    if constexpr (requires { drafting_->observe(sequence, out); }) {
      if (out.status != session_status::failed) drafting_->observe(sequence, out);
    }
    if constexpr (std::same_as<std::invoke_result_t<Consumer&, session_type&, const outcome&>, bool>) {
      if (!sink(text, std::as_const(out))) text.stop();
    } else {
      sink(text, std::as_const(out));
    }
  }

  Target* model_;
  recorded_sequences<Target> target_;
  Drafting* drafting_;
  batch_options options_;
  std::vector<place> places_;       ///< one for each of the target's sequences
  std::vector<std::size_t> order_;  ///< sequences that are taken, who joined first first
  std::vector<asked> texts_;        ///< those of the round
  std::vector<sequence_feed> feeds_;
  session_type* faulty_ = nullptr;
};

template <class Target>
session_batch(Target&, batch_options = {}) -> session_batch<Target>;
template <class Target, class Drafting>
session_batch(Target&, Drafting&, batch_options = {}) -> session_batch<Target, Drafting>;

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_BATCH_HPP
