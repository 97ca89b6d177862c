#ifndef SPECDEC_DECODE_GENERATE_HPP
#define SPECDEC_DECODE_GENERATE_HPP

/// @file
/// The loop: speculative generation, and plain generation as its special case.

#include <chrono>
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
#include "../length/constant.hpp"
#include "../requirements.hpp"
#include "../verify/rejection.hpp"
#include "options.hpp"
#include "session.hpp"
#include "statistics.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The target returned logits that define no law. What was committed before stays in the session.
class logits_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A finished generation.
struct generation {
  std::vector<emitted_token> tokens;  ///< the generated tokens, without the prompt
  session_status status = session_status::idle;
  statistics stats;
};

/// The sink that takes tokens and does nothing.
struct no_sink {
  void operator()(const outcome&) const noexcept {}
};

/// What streams tokens: called with every `outcome` as it is committed. If it returns bool, false stops the session.
template <class S>
concept Sink = std::invocable<S&, const outcome&> &&(std::same_as<std::invoke_result_t<S&, const outcome&>, bool> ||
                                                     std::same_as<std::invoke_result_t<S&, const outcome&>, void>);

/// The loop itself; `speculative_generate` says the rest.
template <class Rule, class Randomness, TargetModel Target, Drafter<Randomness> Draft, Sink Consumer>
session_status run_rounds(session<Rule, Randomness>& session, Target& target, Draft& drafter, Consumer& sink) {
  using clock = std::chrono::steady_clock;
  const auto seconds = [](clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const auto require_vocabulary = [&](std::optional<std::size_t> size, const char* whose) {
    const std::size_t expected = session.target_law().vocab_size();
    if (size && *size != expected) {
      throw std::invalid_argument("specdec: expected one vocabulary of " + std::to_string(expected) + " tokens; " +
                                  whose + " has " + std::to_string(*size) +
                                  " (if the wider one is padding, wrap that model in specdec::padded)");
    }
  };
  require_vocabulary(target.vocab_size(), "the target");
  // A drafter may have no vocabulary of its own, or learn at run time whether it has.
  if constexpr (requires { drafter.vocab_size(); }) require_vocabulary(drafter.vocab_size(), "the draft");
  if constexpr (HasCapacity<Target>) session.limit(target.capacity());

  draft drafted;
  while (session.running()) {
    const auto start = clock::now();
    const draft_request request = session.request();
    drafted.begin(request);
    drafter.propose(request, session.chance(), drafted);
    const auto proposed = clock::now();

    const decode_plan plan = session.plan(drafted, target.size());
    const auto planned = clock::now();

    if (target.size() > plan.held) target.truncate(plan.held);
    const auto rows = target.decode(plan.tokens, plan.rows);
    const auto decoded = clock::now();

    const outcome out = session.commit(session.verify(rows));
    const auto verified = clock::now();
    session.add_seconds(seconds(proposed - start), seconds(decoded - planned),
                        seconds(planned - proposed + (verified - decoded)));

    if (out.status == session_status::failed) {
      throw logits_error("specdec: expected usable logits from the target for token " +
                         std::to_string(session.faulty_position()) + " of the text; its row has " +
                         to_string(session.fault()));
    }
    if constexpr (std::same_as<std::invoke_result_t<Consumer&, const outcome&>, bool>) {
      if (!sink(out)) session.stop();
    } else {
      sink(out);
    }
  }
  return session.status();
}

/// Runs a session that has begun until it stops: draft, score the draft with one call of the target, verify, commit.
///
/// The draft is a drafter, or a bare model, which then drafts options.gamma tokens a round.
///
/// Resumable: whatever a model or the sink throws reaches the caller unchanged, with the committed text in the session;
/// calling again goes on from there. A round whose sink threw is committed and is not delivered again. Throws
/// `logits_error` if the target's logits are unusable and std::invalid_argument if draft and target disagree on the
/// vocabulary. Returns the session's status.
template <class Rule, class Randomness, TargetModel Target, DraftModel<Randomness> Draft, Sink Consumer = no_sink>
session_status speculative_generate(session<Rule, Randomness>& session, Target& target, Draft& drafter,
                                    Consumer&& sink = {}) {
  if constexpr (CausalModel<Draft> && !Drafter<Draft, Randomness>) {
    model_drafter lifted(drafter, constant{session.options().gamma});
    return speculative_generate(session, target, lifted, sink);
  } else {
    return run_rounds(session, target, drafter, sink);
  }
}

/// Generates from a prompt with a target and a draft: a causal model (then gamma = options.gamma) or any drafter.
///
/// The text has the law of `autoregressive_generate` with the same options; only the speed depends on the draft.
/// @param prompt at least one token
/// @param sink   called with the tokens of every round as they are committed
/// Throws std::invalid_argument for bad options, an empty prompt, tokens outside the vocabulary or vocabularies that
/// differ, std::length_error if the prompt exceeds the target's capacity, `logits_error` for unusable logits, and
/// whatever the models or the sink throw. To keep the text in those cases, run a session of your own.
template <TargetModel Target, class Draft, Sink Consumer = no_sink>
generation speculative_generate(Target& target, Draft& draft, std::span<const token_id> prompt,
                                const generate_options& options = {}, Consumer&& sink = {}) {
  session<> text(target.vocab_size(), options);
  if constexpr (HasCapacity<Target>) text.limit(target.capacity());
  text.begin(prompt);
  generation result;
  const auto collect = [&](const outcome& out) {
    result.tokens.insert(result.tokens.end(), out.tokens.begin(), out.tokens.end());
    return sink(out);
  };
  speculative_generate(text, target, draft, collect);
  result.status = text.status();
  result.stats = text.stats();
  return result;
}

/// Generates one token per target call: the baseline, with the same law, options and statistics.
/// See `speculative_generate`; options.gamma is not used.
template <TargetModel Target, Sink Consumer = no_sink>
generation autoregressive_generate(Target& target, std::span<const token_id> prompt,
                                   const generate_options& options = {}, Consumer&& sink = {}) {
  no_draft nothing;
  return speculative_generate(target, nothing, prompt, options, std::forward<Consumer>(sink));
}

// What the functions above do not take comes to these, and is told what it lacks.

template <class Rule, class Randomness, class Target, class Draft, class Consumer, class... Rest>
session_status run_rounds(session<Rule, Randomness>& session, Target&, Draft&, Consumer&,
                          const Rest&...) requires(!(TargetModel<Target> && Drafter<Draft, Randomness> &&
                                                     Sink<Consumer>)) {
  require_rounds<Rule, Randomness, Target, Consumer>();
  require_drafter<Draft, Randomness>();
  return session.status();
}

template <class Rule, class Randomness, class Target, class Draft, class Consumer = no_sink, class... Rest>
session_status speculative_generate(session<Rule, Randomness>& session, Target&, Draft&, Consumer&& = {},
                                    const Rest&...) requires(!(TargetModel<Target> && DraftModel<Draft, Randomness> &&
                                                               Sink<Consumer>)) {
  require_rounds<Rule, Randomness, Target, Consumer>();
  require_draft_model<Draft, Randomness>();
  return session.status();
}

template <class Target, class Draft, class Consumer = no_sink, class... Rest>
generation speculative_generate(Target&, Draft&, std::span<const token_id>, const generate_options& = {},
                                Consumer&& = {}, const Rest&...) requires(!(TargetModel<Target> && Sink<Consumer>)) {
  require_rounds<rejection, philox, Target, Consumer>();
  require_draft_model<Draft, philox>();
  return {};
}

template <class Target, class Consumer = no_sink, class... Rest>
generation autoregressive_generate(Target&, std::span<const token_id>, const generate_options& = {}, Consumer&& = {},
                                   const Rest&...) requires(!(TargetModel<Target> && Sink<Consumer>)) {
  require_rounds<rejection, philox, Target, Consumer>();
  return {};
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_GENERATE_HPP
