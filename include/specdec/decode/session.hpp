#ifndef SPECDEC_DECODE_SESSION_HPP
#define SPECDEC_DECODE_SESSION_HPP

/// @file
/// One text being generated: a state machine that never calls a model.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../requirements.hpp"
#include "../sampling/law.hpp"
#include "../vectors.hpp"
#include "../verify/rejection.hpp"
#include "../verify/verdict.hpp"
#include "delivery.hpp"
#include "draft_ends.hpp"
#include "emission.hpp"
#include "held_tokens.hpp"
#include "options.hpp"
#include "outcome.hpp"
#include "snapshot.hpp"
#include "statistics.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The state of one generation. A round is
/// @code
/// request = session.request()
/// draft.begin(request)
/// drafter.propose(request, session.chance(), draft)
/// plan = session.plan(draft, target.size())
/// target.truncate(plan.held)
/// rows = target.decode(plan.tokens, plan.rows)
/// outcome = session.commit(session.verify(rows))
/// tell(drafter, outcome)
/// @endcode
/// and whoever runs it (a loop, a server's scheduler, a batch) calls the models. `speculative_generate` is that loop.
/// Where a draft branches (plan.tree), its middle is
/// @code
/// rows = target.decode_tree(plan.tokens, plan.parents, plan.rows)
/// verdict = session.verify(rows)
/// target.keep(session.kept_path())
/// outcome = session.commit(verdict)
/// @endcode
///
/// The last committed token is always pending: it is not yet in the target's context, and every round feeds it.
/// Committed text is final. Until `commit`, a round may be abandoned and begun again at any point, for instance after
/// a model threw; it then sees the same randomness.
///
/// A session is a value: a copy goes on from where the original was (a round under way is begun again). What it knows
/// of its target is copied too, so two of them may share one target only if that tells its tokens (`KnowsTokens`), or
/// through `forget_target`.
///
/// Once rounds have reached their full size, none of the functions of a round allocates. Those that begin a text or
/// take one up (`begin`, `append`, `rewind`, `restore`) do, and so do snapshots and copies.
template <class Rule = rejection, Chance Randomness = philox>
class session {
 public:
  /// Throws std::invalid_argument for bad options.
  session(std::size_t vocab_size, const generate_options& options, Rule rule = {})
      : session(vocab_size, options, std::move(rule), philox(options.seed, options.stream)) {}

  /// With another source of randomness; options.seed and options.stream are then not used (of a philox, options() tells
  /// its own).
  session(std::size_t vocab_size, const generate_options& options, Rule rule, Randomness randomness)
      : options_(checked(options, vocab_size)),
        rule_(std::move(rule)),
        chance_(std::move(randomness)),
        law_(vocab_size, options.sampling, {options.end_tokens, options.min_tokens}, options.mask),
        delivery_({options.stop_sequences, options.stop_texts}, options.top_log_probabilities),
        emission_(options.top_log_probabilities),
        ends_(delivery_.watch()) {
    if constexpr (std::same_as<Randomness, philox>) {
      options_.seed = chance_.seed();
      options_.stream = chance_.stream();
    }
  }

  /// Starts a text, or another one: what the target already holds of it (a prompt shared with the last text, say) is
  /// not fed again. The noise starts anew too: the same prompt gives the same text, unless a session with another
  /// `stream` asks. So a prompt that holds what was generated with this seed and stream is no new prompt: `append`, or
  /// another stream, or noise is met twice. Throws std::invalid_argument if the prompt is empty or has a token outside
  /// the vocabulary, and std::length_error if it is longer than the capacity given to `limit`; then nothing has
  /// changed.
  void begin(std::span<const token_id> prompt) {
    if (prompt.empty()) {
      raise<std::invalid_argument>("specdec: the prompt must have at least one token (a model's begin token will do)");
    }
    for (const token_id token : prompt) require_token(token, law_.vocab_size(), "the prompt");
    require_room(prompt.size(), "the prompt");
    start({prompt.begin(), prompt.end()});
    round_ = 0;
    statistics_ = {};
  }

  /// Goes on with tokens of the user's behind the text: the next turn of a conversation, or none, to generate more. The
  /// text so far becomes the prompt, max_tokens and min_tokens count anew, mask and stops begin anew, the target is fed
  /// only what it lacks, and no noise is used twice (of a text that was gone back in, `rewind` says more). Throws as
  /// `begin`, and std::logic_error if there is no text yet; then nothing has changed.
  void append(std::span<const token_id> further) {
    if (status_ == session_status::idle) {
      raise<std::logic_error>("specdec: expected a session with a text; call begin(prompt) first");
    }
    for (const token_id token : further) require_token(token, law_.vocab_size(), "the appended text");
    require_room(committed_.size() + further.size(), "the text");
    std::vector<token_id> text = committed_;
    append_to(text, further);
    start_again(std::move(text));
  }

  /// Goes back to the first `size` tokens of the text, to generate something else behind them, or without a stop
  /// sequence to `append` something: `rewind(prompt_size() + delivered())`. They become the prompt, as with `append`.
  /// Something else it is where the noise depends on the round; under `coupled` it depends on the place alone, and
  /// another text takes another stream (`fork`). Throws std::invalid_argument if there are not so many tokens, or for
  /// 0; then nothing has changed.
  void rewind(std::size_t size) {
    if (committed_.empty()) {
      raise<std::invalid_argument>(
          "specdec: expected to go back to a place in the text; there is no text yet: call begin(prompt) first");
    }
    if (size == 0 || size > committed_.size()) {
      raise<std::invalid_argument>("specdec: expected to go back to 1 to " + std::to_string(committed_.size()) +
                                   " tokens; got " + std::to_string(size));
    }
    start_again({committed_.begin(), committed_.begin() + static_cast<std::ptrdiff_t>(size)});
  }

  /// Goes on with the same generation after `stop`, or after unusable logits: as if it had not been interrupted. Does
  /// nothing if the session ended by itself. A `limit` that was set meanwhile may end the text at once; see there.
  void resume() noexcept {
    if (status_ != session_status::stopped && status_ != session_status::failed) return;
    fault_ = row_fault::none;
    status_ = session_status::running;
    update_status();
  }

  /// A session that goes on from here with the noise of another stream: another sample behind the same text. Its status
  /// is that of this one: what was forked from a stopped session, or from one that failed, waits for `resume`, too.
  [[nodiscard]] session fork(std::uint32_t stream) const requires std::same_as<Randomness, philox> {
    session other = *this;
    other.options_.stream = stream;
    other.chance_ = philox(options_.seed, stream);
    return other;
  }

  /// The session as bytes: what was generated and where it stands, not its options or rule. See `restore`. O(n).
  [[nodiscard]] std::vector<std::byte> snapshot() const {
    session_state state = {committed_,       prompt_size_, round_,      status_, fault_,
                           faulty_position_, stop_index_,  statistics_, {},      {}};
    append_to(state.waiting, delivery_.waiting());
    append_to(state.waiting_top, delivery_.waiting_top().entries());
    return to_bytes(state, law_.vocab_size(), options_);
  }

  /// Takes up the text of a snapshot, of a session with the same vocabulary, seed, stream and sampling, in this process
  /// or another, and goes on as that session would have. A text that had ended at a limit goes on if the limit is
  /// higher now, and one that has reached a limit which is lower now ends as by `limit`. All of the text is fed to the
  /// target again. Rule, mask and stops are not in the snapshot: with others the text goes on as theirs. Throws
  /// std::invalid_argument for bytes that do not fit, or are no snapshot; then nothing has changed.
  void restore(std::span<const std::byte> bytes) {
    session_state state = from_bytes(bytes, law_.vocab_size(), options_);
    delivery taken({options_.stop_sequences, options_.stop_texts}, options_.top_log_probabilities);
    taken.take_up(view_of(state.committed).subspan(state.prompt_size), view_of(state.waiting),
                  {view_of(state.waiting_top), options_.top_log_probabilities}, options_.detokenize);
    require_stop(state, taken.match());
    start(std::move(state.committed));
    prompt_size_ = state.prompt_size;
    delivery_ = std::move(taken);
    round_ = state.round;
    fault_ = state.fault;
    faulty_position_ = state.faulty_position;
    stop_index_ = state.stop_index;
    statistics_ = std::move(state.stats);
    forget_target();
    const bool limited = state.status == session_status::max_tokens || state.status == session_status::context_full;
    status_ = limited ? session_status::running : state.status;
    update_status();
  }

  /// Says that somebody else has used the target: all of the text will be fed again. A session trusts its own record of
  /// what the target holds, so this must be called when another session, or anybody, has fed it in between, unless the
  /// target knows its tokens; and where you run rounds yourself, when they go on with another target. In the middle of
  /// a round, too.
  void forget_target() noexcept {
    target_holds_.truncate(0);
    open_.target_follows = false;
  }

  /// Says on which target the next rounds run, by its address: another one than so far holds nothing that is known. For
  /// whoever runs rounds, of one session on several targets in turn. One that takes the place of another in memory is
  /// not told from it: then `forget_target`.
  void meet_target(const void* target) noexcept {
    if (target != target_) forget_target();
    target_ = target;
  }

  /// Tells the session how many tokens the target can hold. Without it the context counts as endless. A running text
  /// that is longer ends here, between two rounds: no outcome tells of it, so what waited for a stop is not handed on.
  /// It stays in `waiting()`, the last of the text. What one target had room for goes on to hold with another that does
  /// not say: then lift it, with the greatest std::size_t.
  void limit(std::size_t capacity) {
    capacity_ = capacity;
    update_status();
  }

  [[nodiscard]] bool running() const noexcept { return status_ == session_status::running; }
  [[nodiscard]] session_status status() const noexcept { return status_; }

  /// Ends the text here; what is committed stays, and `resume` goes on.
  void stop() noexcept {
    if (running()) status_ = session_status::stopped;
  }

  /// What to draft now; valid until `plan`. Precondition: running().
  [[nodiscard]] draft_request request() noexcept {
    SPECDEC_ASSERT(running());
    // A round commits one token more than it accepts, and the target must hold the committed text and the draft.
    const std::size_t wanted = options_.max_tokens - generated().size() - 1;
    const std::size_t room = capacity_ - committed_.size();
    const std::size_t depth = std::min(wanted, room);
    return {.context = tokens(),
            .max_depth = depth,
            .max_nodes = room,
            .target_law = &law_,
            .prompt_size = prompt_size_,
            .round = round_,
            .mask = law_.mask().restricts() ? &law_.mask() : nullptr,
            .coupled = shares_noise(rule_)};
  }

  [[nodiscard]] Randomness& chance() noexcept { return chance_; }

  /// Turns a draft into a call of the target, which now holds `target_size` tokens: as many of them as the session
  /// itself had fed are known. The draft must stay as it is until `commit`. Throws std::invalid_argument if the draft
  /// is deeper or larger than was requested, holds a token outside the vocabulary or has a law over another one.
  /// Precondition: running().
  [[nodiscard]] decode_plan plan(const draft& drafted, std::size_t target_size) {
    return plan_behind(drafted, target_holds_.shared_prefix(tokens(), target_size));
  }

  /// The same for a target which knows what it holds, whoever fed it.
  [[nodiscard]] decode_plan plan(const draft& drafted, std::span<const token_id> target_tokens) {
    return plan_behind(drafted, shared_prefix(target_tokens, tokens()));
  }

  /// Decides the round from the target's answer: rows.row(node) is the law behind that node. Changes nothing that a
  /// second call with the same rows would see; before one with other rows, plan again. Throws std::invalid_argument for
  /// a wrong number of rows, or for a verdict of a rule of the user's that `require_verdict` refuses; what the mask and
  /// the detokenize hook throw passes through. Precondition: called behind plan().
  template <LogitsRows Rows>
  [[nodiscard]] verdict verify(const Rows& rows) {
    return verify(rows, chance_);
  }

  /// The same with another source of randomness for this round, made out of `chance()`.
  template <LogitsRows Rows, Chance Other>
  [[nodiscard]] verdict verify(const Rows& rows, Other& chance) {
    SPECDEC_ASSERT(open_.drafted != nullptr);
    open_.judged = false;
    if (rows.size() != open_.drafted->size() + 1) {
      raise<std::invalid_argument>("specdec: expected " + std::to_string(open_.drafted->size() + 1) +
                                   " rows of logits from the target; got " + std::to_string(rows.size()));
    }
    const verdict v = judged(rows, chance);
    require_verdict(v, *open_.drafted, law_.vocab_size());
    emission_.clear();
    if (v.fault != row_fault::none) {
      make_ready();
      return v;
    }
    emission_.collect(*open_.drafted, v, options_.detokenize);
    emission_.score(rows, law_, options_.log_probabilities);
    make_ready();
    return v;
  }

  /// Takes a verdict that was reached elsewhere, by a remote target, say. Its tokens will have no log-probabilities.
  /// Throws std::invalid_argument for a verdict that no rule can reach: that names a node which is not in the draft,
  /// has a token outside the vocabulary, or rejects where the draft does not go on; see `require_verdict`.
  /// Precondition: called behind plan().
  [[nodiscard]] verdict adopt(const verdict& v) {
    SPECDEC_ASSERT(open_.drafted != nullptr);
    open_.judged = false;
    require_verdict(v, *open_.drafted, law_.vocab_size());
    emission_.clear();
    if (v.fault == row_fault::none) emission_.collect(*open_.drafted, v, options_.detokenize);
    make_ready();
    return v;
  }

  /// The drafted nodes that the verdict keeps, from below the root down: what a target that scored a tree must keep.
  /// Empty if the verdict has a fault. Valid until the next verdict. Precondition: called behind verify() or adopt().
  [[nodiscard]] std::span<const node_id> kept_path() const noexcept { return emission_.path(); }

  /// Makes the verdict part of the text. Cannot fail. Precondition: it is what `verify` or `adopt` returned last.
  outcome commit(const verdict& v) noexcept {
    SPECDEC_ASSERT(open_.drafted != nullptr && open_.judged);
    const open_round round = std::exchange(open_, {});
    const draft& drafted = *round.drafted;
    delivery_.begin_round();
    outcome out;
    out.round = static_cast<std::uint32_t>(statistics_.rounds);
    out.drafted = drafted.tokens();
    if (v.fault != row_fault::none) {
      fault_ = v.fault;
      faulty_position_ = committed_.size() + drafted.depth(v.faulty_row);
      status_ = session_status::failed;
      out.end = round_end::failed;
      out.status = status_;
      return out;
    }
    if (!round.target_follows) {
      // Somebody fed it behind the call; see `forget_target`.
    } else if (drafted.is_chain()) {
      target_holds_.append(view_of(feed_));
    } else {
      target_holds_.append(view_of(feed_).first(feed_.size() - drafted.size()));
      for (const node_id node : emission_.path()) target_holds_.append(std::span(&drafted.tokens()[node - 1], 1));
    }
    const std::size_t kept = emission_.size() - 1;
    for (bool ended = false; out.committed < emission_.size() && !ended;) ended = take(out.committed++);
    statistics_.add_round(drafted.size(), kept, v.rejected, v.fell_back, out.committed);
    ++round_;
    // Stopped in the middle of the round, the text may still have come to its end: then nothing need wait for `resume`.
    const bool asked_to_stop = status_ == session_status::stopped;
    if (asked_to_stop) status_ = session_status::running;
    update_status();
    if (asked_to_stop && running()) status_ = session_status::stopped;
    delivery_.release(status_ != session_status::running && status_ != session_status::stopped);
    out.tokens = delivery_.tokens();
    out.text = delivery_.text();
    out.top = delivery_.top();
    out.accepted = std::min(kept, out.committed);
    out.path = emission_.path().first(out.accepted);
    out.next = v.next;
    out.end = out.committed <= kept ? round_end::text_ended
              : v.rejected          ? round_end::rejected
                                    : round_end::all_accepted;
    out.status = status_;
    return out;
  }

  /// All committed tokens, prompt first.
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return view_of(committed_); }
  /// How many of them are the prompt.
  [[nodiscard]] std::size_t prompt_size() const noexcept { return prompt_size_; }
  /// The committed tokens behind the prompt.
  [[nodiscard]] std::span<const token_id> generated() const noexcept { return tokens().subspan(prompt_size_); }
  /// How many of those were handed on in outcomes. The rest is in `waiting()`.
  [[nodiscard]] std::size_t delivered() const noexcept { return delivery_.delivered(); }
  /// The generated tokens that were not handed on, with what is known of them. While the text goes on, or is stopped or
  /// failed, they may be the beginning of a stop. Of a text that ended at a stop sequence or stop text they are that,
  /// and what else its tokens hold. Of one that ended at a limit they belong to the text: `limit`, `resume` or
  /// `restore` ended it between two rounds, and no outcome will hand them on.
  [[nodiscard]] std::span<const emitted_token> waiting() const noexcept { return delivery_.waiting(); }
  /// The candidates in place of each of these.
  [[nodiscard]] candidate_table waiting_top() const noexcept { return delivery_.waiting_top(); }
  /// Which of the stop sequences, or stop texts, ended the text. Meaningful if status() is one of these.
  [[nodiscard]] std::size_t stop_index() const noexcept { return stop_index_; }

  [[nodiscard]] const generate_options& options() const noexcept { return options_; }
  [[nodiscard]] const law& target_law() const noexcept { return law_; }
  [[nodiscard]] const statistics& stats() const noexcept { return statistics_; }

  /// Adds measured time to the statistics; for whoever runs the rounds.
  void add_seconds(double drafting, double target, double verifying) noexcept {
    statistics_.draft_seconds += drafting;
    statistics_.target_seconds += target;
    statistics_.verify_seconds += verifying;
  }

  /// What was wrong with the target's logits. Meaningful if status() is failed.
  [[nodiscard]] row_fault fault() const noexcept { return fault_; }
  /// The index in the text of the token whose law was unusable.
  [[nodiscard]] std::size_t faulty_position() const noexcept { return faulty_position_; }

 private:
  /// The round between plan() and commit(). It refers to the session that planned it: a copy has none.
  struct open_round {
    const draft* drafted = nullptr;
    bool judged = false;
    bool target_follows = true;  ///< whether nobody else has used the target since

    open_round() noexcept = default;
    explicit open_round(const draft* planned) noexcept : drafted(planned) {}
    open_round(const open_round&) noexcept {}
    open_round(open_round&&) noexcept = default;
    open_round& operator=(const open_round& other) noexcept { return &other == this ? *this : *this = open_round(); }
    open_round& operator=(open_round&&) noexcept = default;
    ~open_round() = default;
  };

  template <class Rows, class Other>
  [[nodiscard]] verdict judged(const Rows& rows, Other& chance) {
    if constexpr (Verifier<Rule, Rows, Other>) {
      return rule_(*open_.drafted, rows, law_, chance);
    } else {
      require_rule<Rule, Rows, Other>();
      return {};
    }
  }

  static const generate_options& checked(const generate_options& options, std::size_t vocab_size) {
    options.validate(vocab_size);
    return options;
  }

  void require_room(std::size_t size, const char* what) const {
    if (size > capacity_) {
      raise<std::length_error>(std::string("specdec: ") + what + " has " + std::to_string(size) +
                               " tokens, but the target's context holds " + std::to_string(capacity_));
    }
  }

  [[nodiscard]] decode_plan plan_behind(const draft& drafted, std::size_t shared) {
    SPECDEC_ASSERT(running());
    drafted.require_fit(request(), law_.vocab_size());
    open_ = open_round(&drafted);
    ends_.find(drafted, law_.ends(), delivery_.watch(), options_.detokenize);
    // The hook may have used the target.
    if (!std::exchange(open_.target_follows, true)) shared = 0;
    const std::size_t rows = drafted.size() + 1;
    const std::size_t held = std::min(shared, committed_.size() - 1);
    target_holds_.truncate(held);
    feed_.clear();
    append_to(feed_, tokens().subspan(held));
    append_to(feed_, drafted.tokens());
    parents_.clear();
    for (node_id node = 1; node <= drafted.size(); ++node) parents_.push_back(drafted.parent(node));

    // Everything that commit() will need, so that it cannot fail.
    target_holds_.reserve(held + feed_.size());
    target_holds_.append(tokens().first(held).subspan(target_holds_.size()));  // what only the target knew
    reserve_at_least(committed_, committed_.size() + rows);
    emission_.reserve(rows);
    delivery_.reserve(rows, 0);
    statistics_.reserve(drafted.max_depth());
    law_.begin_round(tokens(), prompt_size_, drafted, ends_.nodes());
    return {held, view_of(feed_), view_of(parents_), rows, !drafted.is_chain()};
  }

  /// The round is judged: what is left to do cannot fail.
  void make_ready() {
    delivery_.reserve(emission_.size(), emission_.byte_count());
    open_.judged = true;
  }

  /// Commits the round's i-th token; true if the text ends with it.
  bool take(std::size_t i) noexcept {
    const emitted_token& token = emission_.token(i);
    committed_.push_back(token.id);
    const bool stops = delivery_.take(token, emission_.bytes(i), emission_.top(i));
    if (stops) {
      stop_index_ = delivery_.match()->index;
      status_ = delivery_.match()->is_text ? session_status::stop_text : session_status::stop_sequence;
    } else if (law_.ends().ends(token.id)) {
      status_ = session_status::end_token;
    } else {
      return false;
    }
    return true;
  }

  /// Starts to generate behind `text`. Taken by value, since a user may pass a part of the session's own.
  void start(std::vector<token_id> text) {
    const std::size_t further = std::min(options_.max_tokens, reserve_at_most);
    text.reserve(text.size() + further);
    target_holds_.reserve(text.size() + further);
    feed_.reserve(text.size() + further);
    law_.mask().restart(further);
    committed_ = std::move(text);
    prompt_size_ = committed_.size();
    delivery_.restart();
    open_ = {};
    fault_ = row_fault::none;
    status_ = session_status::running;
    update_status();
  }

  /// The same behind rounds. The last of them may have failed, or been abandoned, for what was drawn in it: not even
  /// its noise is used twice.
  void start_again(std::vector<token_id> text) {
    start(std::move(text));
    ++round_;
  }

  void update_status() noexcept {
    if (status_ != session_status::running) return;
    if (generated().size() >= options_.max_tokens) {
      status_ = session_status::max_tokens;
    } else if (committed_.size() > capacity_) {
      status_ = session_status::context_full;
    }
  }

  generate_options options_;
  [[no_unique_address]] Rule rule_;
  Randomness chance_;
  law law_;
  std::size_t capacity_ = std::numeric_limits<std::size_t>::max();

  std::vector<token_id> committed_;
  std::size_t prompt_size_ = 0;
  std::uint32_t round_ = 0;  ///< of the noise: counts rounds, and beginnings behind them
  session_status status_ = session_status::idle;
  row_fault fault_ = row_fault::none;
  std::size_t faulty_position_ = 0;
  std::size_t stop_index_ = 0;
  statistics statistics_;
  delivery delivery_;
  held_tokens target_holds_;
  const void* target_ = nullptr;  ///< whose that is, for `meet_target`

  open_round open_;
  std::vector<token_id> feed_;
  std::vector<node_id> parents_;
  emission emission_;
  draft_ends ends_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_SESSION_HPP
