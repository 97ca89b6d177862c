#ifndef SPECDEC_DECODE_GENERATE_HPP
#define SPECDEC_DECODE_GENERATE_HPP

/// @file
/// The loop: speculative generation, and plain generation as its special case.

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../draft/model.hpp"
#include "../failure.hpp"
#include "../length/constant.hpp"
#include "../message.hpp"
#include "../owner.hpp"
#include "../requirements.hpp"
#include "../vectors.hpp"
#include "../verify/rejection.hpp"
#include "clock.hpp"
#include "options.hpp"
#include "outcome.hpp"
#include "session.hpp"
#include "statistics.hpp"
#include "stop.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The target returned logits that define no law. What was committed before stays in the session.
class logits_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A finished generation: all that the sink was handed. Where sink or stop request ended it, what then waited, as it
/// may have been the beginning of a stop, is not there; a session of your own has it (`session::waiting`) and can go
/// on.
struct generation {
  std::vector<emitted_token> tokens;  ///< the generated tokens, without the prompt and without what stopped them
  std::string text;                   ///< their bytes, if options.detokenize is set
  session_status status = session_status::idle;
  statistics stats;
  std::vector<candidate> candidates;  ///< options.top_log_probabilities for each token; `top` reads them
  std::size_t candidates_per_token = 0;

  /// The most probable tokens in place of tokens[i], if options.top_log_probabilities asked for any.
  [[nodiscard]] std::span<const candidate> top(std::size_t i) const {
    return candidate_table(view_of(candidates), candidates_per_token)[i];
  }
};

/// The sink that takes tokens and does nothing.
struct no_sink {
  void operator()(const outcome&) const noexcept {}
};

/// All that a session needs for its rounds besides a draft; `require_rounds` says what is missing.
template <class Rule, class Randomness, class Target, class Consumer, class Request>
concept RunsRounds = TargetModel<Target> && Sink<Consumer> && StopRequest<Request> &&
    Verifier<Rule, std::remove_cvref_t<rows_of<Target>>, Randomness>;

/// The session's plan for a target, which knows best what it holds, if it knows its tokens at all.
template <class Rule, class Randomness, TargetModel Target>
[[nodiscard]] decode_plan plan_for(session<Rule, Randomness>& session, const draft& drafted, const Target& target) {
  if constexpr (KnowsTokens<Target>) {
    return session.plan(drafted, std::span<const token_id>(target.tokens()));
  } else {
    return session.plan(drafted, static_cast<std::size_t>(target.size()));
  }
}

/// Has the target score a draft, as a tree where it branches. Throws std::invalid_argument if the target scores none.
template <TargetModel Target>
[[nodiscard]] decltype(auto) score(Target& target, const decode_plan& plan) {
  if constexpr (DecodesTrees<Target>) {
    if (plan.tree) return target.decode_tree(plan.tokens, plan.parents, plan.rows);
  } else if (plan.tree) {
    raise<std::invalid_argument>("specdec: expected a draft without branches, since this target scores no trees");
  }
  return target.decode(plan.tokens, plan.rows);
}

/// Prepares a session for rounds with a target and a drafter. Throws std::invalid_argument if they disagree on the
/// vocabulary, std::logic_error if the session has no text.
template <class Rule, class Randomness, TargetModel Target, class Draft>
void prepare_rounds(session<Rule, Randomness>& session, const Target& target, const Draft& drafter) {
  const std::size_t expected = session.target_law().vocab_size();
  require_vocabulary(expected, target.vocab_size(), "the target");
  // A drafter may have no vocabulary of its own, or learn at run time whether it has.
  if constexpr (requires { drafter.vocab_size(); }) {
    const std::optional<std::size_t> size = drafter.vocab_size();
    if (size) require_vocabulary(expected, *size, "the draft");
  }
  if constexpr (HasCapacity<Target>) session.limit(target.capacity());
  session.meet_target(address_of(target));

  if (session.status() == session_status::idle) {
    raise<std::logic_error>("specdec: expected a session with a text; call begin(prompt) first");
  }
}

/// Hands a round on to the drafter that observes it, and to the sink. Throws `logits_error` if the round failed.
template <class Rule, class Randomness, class Draft, class Consumer>
void deliver_round(session<Rule, Randomness>& session, const outcome& out, Draft& drafter, Consumer& sink) {
  if (out.status == session_status::failed) {
    raise<logits_error>("specdec: expected usable logits from the target for token " +
                        std::to_string(session.faulty_position()) + " of the text; its row has " +
                        to_string(session.fault()));
  }
  tell(drafter, out);
  if constexpr (std::same_as<std::invoke_result_t<Consumer&, const outcome&>, bool>) {
    if (!sink(out)) session.stop();
  } else {
    sink(out);
  }
}

/// The loop itself; `speculative_generate` says the rest.
template <class Rule, class Randomness, class Target, Drafter<Randomness> Draft, class Consumer, class Request>
requires RunsRounds<Rule, Randomness, Target, Consumer, Request> session_status
run_rounds(session<Rule, Randomness>& session, Target& target, Draft& drafter, Consumer& sink,
           const Request& request_to_stop) {
  prepare_rounds(session, target, drafter);
  draft drafted;
  while (session.running()) {
    if (request_to_stop.stop_requested()) {
      session.stop();
      break;
    }
    const double start = seconds_now();
    const draft_request request = session.request();
    drafted.begin(request);
    drafter.propose(request, session.chance(), drafted);
    const double proposed = seconds_now();
    // Drafting may take as long as scoring does. What was drafted will be drafted again.
    if (request_to_stop.stop_requested()) session.stop();
    if (!session.running()) break;

    const decode_plan plan = plan_for(session, drafted, target);
    const double planned = seconds_now();

    if (target.size() > plan.held) target.truncate(plan.held);
    const auto& rows = score(target, plan);
    const double decoded = seconds_now();

    const verdict judged = session.verify(rows);
    if constexpr (DecodesTrees<Target>) {
      if (plan.tree) target.keep(session.kept_path());
    }
    outcome out = session.commit(judged);
    const double verified = seconds_now();
    out.times = {proposed - start, decoded - planned, (planned - proposed) + (verified - decoded), plan.tokens.size()};
    session.add_seconds(out.times.draft, out.times.target, out.times.verify);
    deliver_round(session, out, drafter, sink);
  }
  return session.status();
}

/// Runs a session that has begun until it stops: draft, score the draft with one call of the target, verify, commit.
///
/// The draft is a drafter, or a bare model, which then drafts options.gamma tokens a round. The sink is called behind
/// every round. `request_to_stop` is asked before every draft and every call of the target.
///
/// Resumable: whatever a model or the sink throws reaches the caller unchanged, with the committed text in the session;
/// calling again goes on from there (after a stop or unusable logits, behind `session.resume()`), and the text is the
/// one it would have been. A round whose sink threw is committed and is not delivered again. Throws `logits_error` if
/// the target's logits are unusable, std::invalid_argument if draft and target disagree on the vocabulary, and
/// std::logic_error if the session has no text. Returns the session's status.
template <class Rule, class Randomness, class Target, class Draft, class Consumer = no_sink, class Request = never_stop>
session_status speculative_generate(session<Rule, Randomness>& session, Target& target, Draft& drafter,
                                    Consumer&& sink = {}, const Request& request_to_stop = {}) {
  require_rounds<Rule, Randomness, Target, Consumer, Request>();
  require_draft_model<Draft, Randomness>();
  require_tree_scoring<Draft, Target>();
  if constexpr (!RunsRounds<Rule, Randomness, Target, Consumer, Request>) {
    return session.status();
  } else if constexpr (Drafter<Draft, Randomness>) {
    return run_rounds(session, target, drafter, sink, request_to_stop);
  } else if constexpr (CausalModel<Draft>) {
    model_drafter lifted(drafter, constant{session.options().gamma});
    return run_rounds(session, target, lifted, sink, request_to_stop);
  } else {
    return session.status();
  }
}

/// Generates from a prompt with a target and a draft: a causal model (then gamma = options.gamma) or any drafter.
///
/// The text has the law of `autoregressive_generate` with the same options; only the speed depends on the draft.
/// @param prompt at least one token
/// @param sink   called with the `outcome` of every round; returns bool, false to stop, or nothing
/// @param request_to_stop anything with stop_requested(): a std::stop_token, for instance
/// Throws std::invalid_argument for bad options, an empty prompt, tokens outside the vocabulary or vocabularies that
/// differ, std::length_error if the prompt exceeds the target's capacity, `logits_error` for unusable logits, and
/// whatever the models or the sink throw. To keep the text in those cases, run a session of your own.
template <class Target, class Draft, class Consumer = no_sink, class Request = never_stop>
generation speculative_generate(Target& target, Draft& draft, std::span<const token_id> prompt,
                                const generate_options& options = {}, Consumer&& sink = {},
                                const Request& request_to_stop = {}) {
  require_rounds<rejection, philox, Target, Consumer, Request>();
  generation result;
  if constexpr (RunsRounds<rejection, philox, Target, Consumer, Request>) {
    session<> text(target.vocab_size(), options);
    if constexpr (HasCapacity<Target>) text.limit(target.capacity());
    text.begin(prompt);
    result.candidates_per_token = options.top_log_probabilities;
    const auto collect = [&](const outcome& out) {
      append_to(result.tokens, out.tokens);
      result.text += out.text;
      append_to(result.candidates, out.top.entries());
      return sink(out);
    };
    speculative_generate(text, target, draft, collect, request_to_stop);
    result.status = text.status();
    result.stats = text.stats();
  } else {
    require_draft_model<Draft, philox>();
  }
  return result;
}

/// Generates one token per target call: the baseline, with the same law, options and statistics.
/// See `speculative_generate`; options.gamma is not used.
template <class Target, class Consumer = no_sink, class Request = never_stop>
generation autoregressive_generate(Target& target, std::span<const token_id> prompt,
                                   const generate_options& options = {}, Consumer&& sink = {},
                                   const Request& request_to_stop = {}) {
  no_draft nothing;
  return speculative_generate(target, nothing, prompt, options, std::forward<Consumer>(sink), request_to_stop);
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_GENERATE_HPP
