#ifndef SPECDEC_DECODE_SESSION_HPP
#define SPECDEC_DECODE_SESSION_HPP

/// @file
/// One text being generated: a state machine that never calls a model.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../requirements.hpp"
#include "../sampling/law.hpp"
#include "../verify/rejection.hpp"
#include "../verify/verdict.hpp"
#include "held_tokens.hpp"
#include "options.hpp"
#include "statistics.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Whether, and why, a session has stopped.
enum class session_status : std::uint8_t {
  idle,          ///< no prompt yet
  running,       ///< further rounds will produce tokens
  max_tokens,    ///< as many tokens as asked for were generated
  end_token,     ///< an end token was generated
  context_full,  ///< the target has no room to score the last token
  stopped,       ///< the user stopped it
  failed,        ///< the target returned unusable logits; `fault()` says which
};

[[nodiscard]] constexpr const char* to_string(session_status status) noexcept {
  switch (status) {
    case session_status::idle:
      return "idle";
    case session_status::running:
      return "running";
    case session_status::max_tokens:
      return "max_tokens";
    case session_status::end_token:
      return "end_token";
    case session_status::context_full:
      return "context_full";
    case session_status::stopped:
      return "stopped";
    case session_status::failed:
      return "failed";
  }
  return "unknown";
}

/// Where a token came from.
enum class provenance : std::uint8_t {
  drafted,  ///< proposed by the draft and accepted
  target,   ///< the target's own: a replacement, or the token behind an accepted draft
};

/// A generated token.
struct emitted_token {
  token_id id = -1;
  provenance origin = provenance::target;
  /// ln p(id) under the target's law, after temperature; NaN if the verdict did not come from `session::verify`.
  double log_probability = std::numeric_limits<double>::quiet_NaN();
};

/// What the target must do in a round. The spans are valid until the session is asked for another plan.
struct decode_plan {
  std::size_t held = 0;              ///< truncate the target to this many tokens
  std::span<const token_id> tokens;  ///< then feed these: the text it lacks, and the draft
  std::span<const node_id> parents;  ///< for each of the last rows-1 tokens, the draft's nodes: its parent node
  std::size_t rows = 0;              ///< and return the logits of the last so many: behind the root and every node
};

/// What a round committed. The span is valid until the session changes.
struct outcome {
  std::span<const emitted_token> tokens;  ///< in order; empty if the round failed
  std::size_t drafted = 0;                ///< tokens in the draft
  std::size_t accepted = 0;               ///< how many of `tokens` the draft proposed
  session_status status = session_status::running;
};

/// The state of one generation. A round is
/// @code
/// request = session.request()
/// draft.begin(request)
/// drafter.propose(request, session.chance(), draft)
/// plan = session.plan(draft, target.size())
/// target.truncate(plan.held)
/// rows = target.decode(plan.tokens, plan.rows)
/// outcome = session.commit(session.verify(rows))
/// @endcode
/// and whoever runs it (a loop, a server's scheduler, a batch) calls the models. `speculative_generate` is that loop.
///
/// The last committed token is always pending: it is not yet in the target's context, and every round feeds it.
/// Committed text is final. Until `commit`, a round may be abandoned and begun again at any point, for instance after
/// a model threw; it then sees the same randomness.
///
/// Once rounds have reached their full size, none of these functions allocates.
template <class Rule = rejection, Chance Randomness = philox>
class session {
 public:
  /// Throws std::invalid_argument for bad options.
  session(std::size_t vocab_size, const generate_options& options, Rule rule = {})
      : session(vocab_size, options, std::move(rule), philox(options.seed, options.stream)) {}

  /// With another source of randomness; options.seed and options.stream are then not used.
  session(std::size_t vocab_size, const generate_options& options, Rule rule, Randomness randomness)
      : options_(options), rule_(std::move(rule)), chance_(std::move(randomness)), law_(vocab_size, options.sampling) {
    for (const token_id token : options_.end_tokens) require_token(token, "the list of end tokens");
  }

  /// Starts a text, or another one: what the target already holds of it (a prompt shared with the last text, say) is
  /// not fed again. The noise starts anew too: the same prompt gives the same text, unless a session with another
  /// `stream` asks. Throws std::invalid_argument if the prompt is empty or has a token outside the vocabulary, and
  /// std::length_error if it is longer than the capacity given to `limit`; then nothing has changed.
  void begin(std::span<const token_id> prompt) {
    if (prompt.empty()) {
      throw std::invalid_argument("specdec: the prompt must have at least one token (a model's begin token will do)");
    }
    for (const token_id token : prompt) require_token(token, "the prompt");
    require_room(prompt.size(), "the prompt");
    start({prompt.begin(), prompt.end()});
    round_ = 0;
    statistics_ = {};
  }

  /// Goes on with tokens of the user's behind the text: the next turn of a conversation, or none, to generate more. The
  /// text so far becomes the prompt, max_tokens counts anew, the target is fed only what it lacks, and no noise is used
  /// twice. Throws as `begin`; then nothing has changed. Precondition: `begin` was called.
  void append(std::span<const token_id> further) {
    SPECDEC_ASSERT(status_ != session_status::idle);
    for (const token_id token : further) require_token(token, "the appended text");
    require_room(committed_.size() + further.size(), "the text");
    std::vector<token_id> text = committed_;
    text.insert(text.end(), further.begin(), further.end());
    start(std::move(text));
  }

  /// Says that somebody else has used the target: all of the text will be fed again. A session trusts its own record of
  /// what the target holds, so this must be called when another session, or anybody, has fed it in between.
  void forget_target() noexcept { target_holds_.truncate(0); }

  /// Tells the session how many tokens the target can hold. Without it the context counts as endless.
  void limit(std::size_t capacity) {
    capacity_ = capacity;
    update_status();
  }

  [[nodiscard]] bool running() const noexcept { return status_ == session_status::running; }
  [[nodiscard]] session_status status() const noexcept { return status_; }

  /// Ends the text here; what is committed stays.
  void stop() noexcept {
    if (running()) status_ = session_status::stopped;
  }

  /// What to draft now; valid until `plan`. Precondition: running().
  [[nodiscard]] draft_request request() const noexcept {
    SPECDEC_ASSERT(running());
    // A round commits one token more than it accepts, and the target must hold the committed text and the draft.
    const std::size_t wanted = options_.max_tokens - generated().size() - 1;
    const std::size_t room = capacity_ - committed_.size();
    const std::size_t depth = std::min(wanted, room);
    return {committed_, depth, room, &law_, prompt_size_, round_, 0};
  }

  [[nodiscard]] Randomness& chance() noexcept { return chance_; }

  /// Turns a draft into a call of the target, which now holds `target_size` tokens. The draft must stay as it is until
  /// `commit`. Throws std::invalid_argument if the draft is deeper or larger than was requested, holds a token outside
  /// the vocabulary or has a law over another one. Precondition: running().
  [[nodiscard]] decode_plan plan(const draft& drafted, std::size_t target_size) {
    SPECDEC_ASSERT(running());
    const draft_request asked = request();
    if (drafted.size() > asked.max_nodes) {
      throw std::invalid_argument("specdec: expected a draft of at most " + std::to_string(asked.max_nodes) +
                                  " tokens; got " + std::to_string(drafted.size()));
    }
    parents_.clear();
    for (node_id node = 1; node <= drafted.size(); ++node) {
      require_token(drafted.token(node), "the draft");
      if (const std::size_t size = drafted.law_of(node).vocab_size(); size != law_.vocab_size()) {
        throw std::invalid_argument("specdec: expected proposals over " + std::to_string(law_.vocab_size()) +
                                    " tokens; the draft has one over " + std::to_string(size));
      }
      if (drafted.depth(node) > asked.max_depth) {
        throw std::invalid_argument("specdec: expected a draft of depth " + std::to_string(asked.max_depth) +
                                    " at most; got depth " + std::to_string(drafted.depth(node)));
      }
      parents_.push_back(drafted.parent(node));
    }
    draft_ = &drafted;
    verified_ = false;
    const std::size_t rows = drafted.size() + 1;
    const std::size_t held = std::min(target_holds_.shared_prefix(committed_, target_size), committed_.size() - 1);
    target_holds_.truncate(held);
    feed_.assign(committed_.begin() + static_cast<std::ptrdiff_t>(held), committed_.end());
    feed_.insert(feed_.end(), drafted.tokens().begin(), drafted.tokens().end());

    // Everything that commit() will need, so that it cannot fail.
    target_holds_.reserve(held + feed_.size());
    reserve_at_least(committed_, committed_.size() + rows);
    emitted_.reserve(rows);
    log_probabilities_.reserve(rows);
    statistics_.evaluated_at.resize(std::max(statistics_.evaluated_at.size(), drafted.size()));
    statistics_.accepted_at.resize(statistics_.evaluated_at.size());
    law_.begin_round(committed_, prompt_size_, drafted);
    return {held, feed_, parents_, rows};
  }

  /// Decides the round from the target's answer: rows.row(node) is the law behind that node. Changes nothing that a
  /// second call would see. Precondition: called behind plan().
  template <LogitsRows Rows>
  [[nodiscard]] verdict verify(const Rows& rows) {
    SPECDEC_ASSERT(draft_ != nullptr);
    log_probabilities_.clear();
    verified_ = false;
    if (rows.size() != draft_->size() + 1) {
      throw std::invalid_argument("specdec: expected " + std::to_string(draft_->size() + 1) +
                                  " rows of logits from the target; got " + std::to_string(rows.size()));
    }
    const verdict v = judged(rows);
    if (v.fault == row_fault::none) {
      for (node_id node = v.kept; node != root; node = draft_->parent(node)) {
        log_probabilities_.push_back(law_.at(rows, draft_->parent(node)).log_probability(draft_->token(node)));
      }
      std::reverse(log_probabilities_.begin(), log_probabilities_.end());
      log_probabilities_.push_back(law_.at(rows, v.kept).log_probability(v.next));
      verified_ = true;
    }
    return v;
  }

  /// Makes the verdict part of the text. Cannot fail. Precondition: called behind plan(), with a verdict on its draft.
  outcome commit(const verdict& v) noexcept {
    SPECDEC_ASSERT(draft_ != nullptr);
    const draft& drafted = *draft_;
    draft_ = nullptr;
    emitted_.clear();
    if (v.fault != row_fault::none) {
      fault_ = v.fault;
      faulty_position_ = committed_.size() + drafted.depth(v.faulty_row);
      status_ = session_status::failed;
      return {{}, drafted.size(), 0, status_};
    }
    target_holds_.append(feed_);

    const std::size_t kept = drafted.depth(v.kept);
    emitted_.resize(kept + 1);
    for (node_id node = v.kept; node != root; node = drafted.parent(node)) {
      emitted_[drafted.depth(node) - 1] = {drafted.token(node), provenance::drafted};
    }
    emitted_[kept] = {v.next, provenance::target};
    if (verified_) {
      for (std::size_t i = 0; i <= kept; ++i) emitted_[i].log_probability = log_probabilities_[i];
    }

    const auto is_end = [this](const emitted_token& token) {
      return std::find(options_.end_tokens.begin(), options_.end_tokens.end(), token.id) != options_.end_tokens.end();
    };
    const auto end = std::find_if(emitted_.begin(), emitted_.end(), is_end);
    const bool ended = end != emitted_.end();
    if (ended) emitted_.erase(end + 1, emitted_.end());

    count(drafted, v, kept);
    for (const emitted_token& token : emitted_) committed_.push_back(token.id);
    ++round_;
    if (ended) status_ = session_status::end_token;
    update_status();
    return {emitted_, drafted.size(), std::min(kept, emitted_.size()), status_};
  }

  /// All committed tokens, prompt first.
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return committed_; }
  /// The committed tokens behind the prompt.
  [[nodiscard]] std::span<const token_id> generated() const noexcept { return tokens().subspan(prompt_size_); }

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
  template <class Rows>
  [[nodiscard]] verdict judged(const Rows& rows) {
    if constexpr (Verifier<Rule, Rows, Randomness>) {
      return rule_(*draft_, rows, law_, chance_);
    } else {
      require_rule<Rule, Rows, Randomness>();
      return {};
    }
  }

  void require_token(token_id token, const char* where) const {
    if (token < 0 || static_cast<std::size_t>(token) >= law_.vocab_size()) {
      throw std::invalid_argument("specdec: expected tokens 0 to " + std::to_string(law_.vocab_size() - 1) + "; " +
                                  where + " has token " + std::to_string(token));
    }
  }

  void require_room(std::size_t size, const char* what) const {
    if (size > capacity_) {
      throw std::length_error(std::string("specdec: ") + what + " has " + std::to_string(size) +
                              " tokens, but the target's context holds " + std::to_string(capacity_));
    }
  }

  /// Starts to generate behind `text`. Taken by value, since a user may pass a part of the session's own.
  void start(std::vector<token_id> text) {
    const std::size_t expected = text.size() + std::min(options_.max_tokens, reserve_at_most);
    text.reserve(expected);
    target_holds_.reserve(expected);
    feed_.reserve(expected);
    committed_ = std::move(text);
    prompt_size_ = committed_.size();
    fault_ = row_fault::none;
    status_ = session_status::running;
    update_status();
  }

  void update_status() noexcept {
    if (status_ != session_status::running) return;
    if (generated().size() >= options_.max_tokens) {
      status_ = session_status::max_tokens;
    } else if (committed_.size() > capacity_) {
      status_ = session_status::context_full;
    }
  }

  /// Tokens behind an end token count only as cut: they were never part of the text, and a rule's luck with them says
  /// nothing about the draft.
  void count(const draft& drafted, const verdict& v, std::size_t kept) noexcept {
    const std::size_t delivered = emitted_.size();
    const std::size_t accepted = std::min(kept, delivered);
    const std::size_t evaluated = std::min(kept + (v.rejected ? 1 : 0), delivered);
    statistics& s = statistics_;
    ++s.rounds;
    s.proposed += delivered <= kept ? delivered : drafted.size();
    s.evaluated += evaluated;
    s.accepted += accepted;
    s.emitted += kept + 1;
    s.delivered += delivered;
    s.cut += kept + 1 - delivered;
    s.residual_fallbacks += v.fell_back ? 1 : 0;
    for (std::size_t i = 0; i < evaluated; ++i) ++s.evaluated_at[i];
    for (std::size_t i = 0; i < accepted; ++i) ++s.accepted_at[i];
  }

  generate_options options_;
  [[no_unique_address]] Rule rule_;
  Randomness chance_;
  law law_;
  std::size_t capacity_ = std::numeric_limits<std::size_t>::max();

  std::vector<token_id> committed_;
  std::size_t prompt_size_ = 0;
  std::uint32_t round_ = 0;
  session_status status_ = session_status::idle;
  row_fault fault_ = row_fault::none;
  std::size_t faulty_position_ = 0;
  statistics statistics_;
  held_tokens target_holds_;

  const draft* draft_ = nullptr;
  bool verified_ = false;
  std::vector<token_id> feed_;
  std::vector<node_id> parents_;
  std::vector<emitted_token> emitted_;
  std::vector<double> log_probabilities_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_SESSION_HPP
