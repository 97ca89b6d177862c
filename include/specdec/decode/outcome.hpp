#ifndef SPECDEC_DECODE_OUTCOME_HPP
#define SPECDEC_DECODE_OUTCOME_HPP

/// @file
/// What passes between a session and whoever runs it: the call to make, and what came of it.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>

#include "../proposal.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Whether, and why, a session has stopped.
enum class session_status : std::uint8_t {
  idle,           ///< no prompt yet
  running,        ///< further rounds will produce tokens
  max_tokens,     ///< as many tokens as asked for were generated
  end_token,      ///< an end token was generated
  stop_sequence,  ///< one of the stop sequences was generated; `session::stop_index()` says which
  stop_text,      ///< one of the stop texts was generated; `session::stop_index()` says which
  context_full,   ///< the target has no room to score the last token
  stopped,        ///< the user stopped it; `session::resume` goes on
  failed,         ///< the target returned unusable logits; `session::fault()` says which
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
    case session_status::stop_sequence:
      return "stop_sequence";
    case session_status::stop_text:
      return "stop_text";
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
  /// ln p(id) under the law that `generate_options::log_probabilities` names; NaN if none was asked for, the verdict
  /// did not come from `session::verify`, or the model's own law was asked for and is unusable but for a mask.
  double log_probability = std::numeric_limits<double>::quiet_NaN();
};

/// A token that might have been generated, and ln p of it.
struct candidate {
  token_id id = -1;
  double log_probability = -std::numeric_limits<double>::infinity();
};

/// The most probable tokens at several places of a text. A view.
class candidate_table {
 public:
  candidate_table() noexcept = default;
  /// @param entries `per_place` for each place, most probable first; id -1 where a law has fewer possible tokens
  candidate_table(std::span<const candidate> entries, std::size_t per_place) noexcept
      : entries_(entries), per_place_(per_place) {}

  /// Those at place i, most probable first: as many as were asked for, or as many as are possible.
  [[nodiscard]] std::span<const candidate> operator[](std::size_t i) const noexcept {
    const auto all = place(i);
    std::size_t count = 0;
    while (count < all.size() && all[count].id >= 0) ++count;
    return all.first(count);
  }
  /// The same with the empty entries behind them.
  [[nodiscard]] std::span<const candidate> place(std::size_t i) const noexcept {
    return entries_.subspan(i * per_place_, per_place_);
  }
  /// All entries, place after place.
  [[nodiscard]] std::span<const candidate> entries() const noexcept { return entries_; }

 private:
  std::span<const candidate> entries_;
  std::size_t per_place_ = 0;
};

/// What the target must do in a round. The spans are valid until the session is asked for another plan.
struct decode_plan {
  std::size_t held = 0;              ///< truncate the target to this many tokens
  std::span<const token_id> tokens;  ///< then feed these: the text it lacks, and the draft
  std::span<const node_id> parents;  ///< for each of the last rows-1 tokens, the draft's nodes: its parent node
  std::size_t rows = 0;              ///< and return the logits of the last so many: behind the root and every node
  bool tree = false;  ///< the draft branches: feed it by decode_tree, then keep session::kept_path() before the commit
};

/// Why a round accepted no more than it did.
enum class round_end : std::uint8_t {
  all_accepted,  ///< there was nothing more in the draft: the target added a token of its own
  rejected,      ///< a drafted token was refused: the target's own replaced it
  text_ended,    ///< the text ended inside the round: what lay behind was cut
  failed,        ///< the target's logits were unusable: nothing was committed
};

[[nodiscard]] constexpr const char* to_string(round_end end) noexcept {
  switch (end) {
    case round_end::all_accepted:
      return "all_accepted";
    case round_end::rejected:
      return "rejected";
    case round_end::text_ended:
      return "text_ended";
    case round_end::failed:
      return "failed";
  }
  return "unknown";
}

/// What a round took, in seconds, as whoever ran it measured. Where several texts share a call, what all of them took.
struct round_times {
  double draft = 0;        ///< in `propose`
  double target = 0;       ///< in the target's `truncate` and `decode`
  double verify = 0;       ///< in planning, verification and commit
  std::size_t scored = 0;  ///< how many tokens the call of the target was fed; 0 if nothing was measured
};

/// What a round did. The views are valid until the session, or the draft, changes.
struct outcome {
  /// The tokens to hand on, in order: those committed and not handed on before, without any that may turn out to be the
  /// beginning of a stop sequence or stop text.
  std::span<const emitted_token> tokens;
  /// Their bytes, if `generate_options::detokenize` is set. At a stop text that begins inside a token, also that
  /// token's bytes before it.
  std::string_view text;
  /// The most probable tokens at the places of `tokens`, if `generate_options::top_log_probabilities` asks for any.
  candidate_table top;

  std::uint32_t round = 0;            ///< rounds committed before this one
  std::span<const token_id> drafted;  ///< what was drafted
  std::span<const node_id> path;      ///< the nodes of the draft that were committed, from below the root down
  std::size_t accepted = 0;           ///< how many they are
  token_id next = -1;                 ///< the target's own token behind those, committed or cut
  std::size_t committed = 0;          ///< how many tokens were committed
  round_end end = round_end::all_accepted;
  session_status status = session_status::running;
  round_times times = {};  ///< filled in by whoever runs the rounds
};

/// What sees every round: called with its `outcome`, to hand its tokens on or to trace what was drafted and accepted
/// and why the round ended. If it returns bool, false stops the session.
template <class S>
concept Sink = std::invocable<S&, const outcome&> &&(std::same_as<std::invoke_result_t<S&, const outcome&>, bool> ||
                                                     std::same_as<std::invoke_result_t<S&, const outcome&>, void>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_OUTCOME_HPP
