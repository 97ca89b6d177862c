#ifndef SPECDEC_REQUIREMENTS_HPP
#define SPECDEC_REQUIREMENTS_HPP

/// @file
/// What a type lacks, in words. The entry points of the library take any type; one that does not model the concept
/// asked for comes here, and fails to compile with a sentence for each requirement that it breaks.
///
/// No function here does anything at run time.

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "concepts.hpp"
#include "config.hpp"
#include "layer_skip.hpp"
#include "proposal.hpp"
#include "sampling/law.hpp"
#include "types.hpp"
#include "verify/verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What `Model::decode` returns.
template <class Model>
using rows_of =
    decltype(std::declval<Model&>().decode(std::declval<std::span<const token_id>&>(), std::declval<std::size_t&>()));

/// Requires `Rows` to be `LogitsRows`.
template <class Rows>
constexpr void require_logits_rows() {
  constexpr bool has_rows = requires(const std::remove_reference_t<Rows>& rows, std::size_t i) {
    { rows.size() } -> std::convertible_to<std::size_t>;
    rows.row(i);
  };
  static_assert(has_rows,
                "specdec: decode(tokens, rows) must return rows of logits: size() and row(i), both const "
                "(logits_view<float>, for instance); see LogitsRows in concepts.hpp");
  static_assert(!has_rows || LogitsRows<Rows>,
                "specdec: row(i) of what decode returns must be a logits_row of float, double, float16 or bfloat16");
}

/// Requires `Model` to be a `CausalModel`.
template <class Model>
constexpr void require_causal_model() {
  constexpr bool has_vocab_size = requires(Model & model) { model.vocab_size(); };
  static_assert(has_vocab_size, "specdec: a model needs `std::size_t vocab_size() const`: how many tokens it knows");
  constexpr bool tells_vocab_size = requires(const Model& model) {
    { model.vocab_size() } -> std::convertible_to<std::size_t>;
  };
  static_assert(tells_vocab_size || !has_vocab_size,
                "specdec: vocab_size() of a model must be const and return a std::size_t");

  constexpr bool has_size = requires(Model & model) { model.size(); };
  static_assert(has_size, "specdec: a model needs `std::size_t size() const`: how many tokens are in its context");
  constexpr bool tells_size = requires(const Model& model) {
    { model.size() } -> std::convertible_to<std::size_t>;
  };
  static_assert(tells_size || !has_size, "specdec: size() of a model must be const and return a std::size_t");

  constexpr bool has_decode = requires(Model & model, std::span<const token_id> tokens, std::size_t rows) {
    model.decode(tokens, rows);
  };
  static_assert(has_decode,
                "specdec: a model needs `decode(std::span<const specdec::token_id> tokens, std::size_t rows)`: append "
                "the tokens, return the logits behind the last `rows` of them");
  if constexpr (has_decode) require_logits_rows<rows_of<Model>>();

  constexpr bool has_truncate = requires(Model & model, std::size_t n) { model.truncate(n); };
  static_assert(has_truncate, "specdec: a model needs `void truncate(std::size_t n)`: keep the first n tokens");
}

/// Requires `Model` to be a `CausalModel` that `SkipsLayers`.
template <class Model>
constexpr void require_skips_layers() {
  require_causal_model<Model>();
  constexpr bool has_layer_count = requires(const Model& model) {
    { model.layer_count() } -> std::convertible_to<std::size_t>;
  };
  static_assert(has_layer_count,
                "specdec: a model that drafts for itself needs `std::size_t layer_count() const`: how many layers it "
                "has");
  constexpr bool has_decode = requires(Model & model, std::span<const token_id> tokens, const layer_skip& skipped) {
    model.decode(tokens, std::size_t{1}, skipped);
  };
  static_assert(has_decode,
                "specdec: a model that drafts for itself needs `decode(std::span<const specdec::token_id> tokens, "
                "std::size_t rows, const specdec::layer_skip& skipped)`: its decode with layers left out; see "
                "SkipsLayers in concepts.hpp");
  static_assert(!has_layer_count || !has_decode || !CausalModel<Model> || SkipsLayers<Model>,
                "specdec: decode(tokens, rows, skipped) must return what decode(tokens, rows) does");
}

/// Requires `Model` to be one that `KnowsTokens`, since several feed it.
template <class Model>
constexpr void require_knows_tokens() {
  static_assert(KnowsTokens<Model>,
                "specdec: a model that drafts for itself needs `std::span<const specdec::token_id> tokens() const`: "
                "the tokens in its context; specdec::recorded<M&>(model) adds it, and is then target and draft");
}

/// Requires `Draft` to be a `Drafter` with this source of randomness.
template <class Draft, class Randomness>
constexpr void require_drafter() {
  static_assert(Drafter<Draft, Randomness>,
                "specdec: a drafter needs `propose(const specdec::draft_request& request, auto& chance, "
                "specdec::draft& draft)`; see Drafter in concepts.hpp");
}

/// Requires `Draft` to be a `DraftModel`. What can decode or truncate was meant to be a model.
template <class Draft, class Randomness>
constexpr void require_draft_model() {
  constexpr bool drafts = DraftModel<Draft, Randomness>;
  constexpr bool decodes = requires { &Draft::decode; };
  constexpr bool truncates = requires { &Draft::truncate; };
  if constexpr (!drafts && (decodes || truncates)) {
    require_causal_model<Draft>();
  } else {
    static_assert(drafts,
                  "specdec: the draft must be a causal model (vocab_size, size, decode, truncate) or have "
                  "propose(request, chance, draft); see CausalModel and Drafter in concepts.hpp");
  }
}

/// Requires `Policy` to be a `LengthPolicy`.
template <class Policy>
constexpr void require_length_policy() {
  constexpr bool has_depth = requires(Policy & policy, const draft_request& request) {
    { policy.depth(request) } -> std::convertible_to<std::size_t>;
  };
  static_assert(has_depth,
                "specdec: a length policy needs `std::size_t depth(const specdec::draft_request&)`: how many tokens to "
                "draft");
  constexpr bool has_reads_clock = requires {
    { Policy::reads_clock } -> std::convertible_to<bool>;
  };
  static_assert(has_reads_clock,
                "specdec: a length policy needs `static constexpr bool reads_clock`: whether measured time changes its "
                "answers");
}

/// Requires `Rule` to be a `Verifier` of these rows.
template <class Rule, class Rows, class Randomness>
constexpr void require_rule() {
  constexpr bool judges = std::invocable<const Rule&, const draft&, const Rows&, law&, Randomness&>;
  static_assert(judges,
                "specdec: a verification rule needs `verdict operator()(const draft&, const auto& rows, law&, auto& "
                "chance) const`, and must take the rows of this target; see Verifier in verify/verdict.hpp");
  if constexpr (judges) {
    using answer = std::invoke_result_t<const Rule&, const draft&, const Rows&, law&, Randomness&>;
    static_assert(std::same_as<answer, verdict>, "specdec: a verification rule must return a specdec::verdict");
  }
  constexpr bool has_lossless = requires {
    { Rule::lossless } -> std::convertible_to<bool>;
  };
  static_assert(has_lossless,
                "specdec: a verification rule needs `static constexpr bool lossless`: whether it keeps the target's "
                "law");
}

/// Requires `Consumer` to be a `Sink`, or what is one but for the texts that it is told of before the outcome.
template <class Consumer, class... Texts>
constexpr void require_sink() {
  constexpr bool takes_outcomes = std::invocable<Consumer&, Texts..., const outcome&>;
  static_assert(takes_outcomes || sizeof...(Texts) > 0,
                "specdec: the sink must be callable with a `const specdec::outcome&`");
  static_assert(takes_outcomes || sizeof...(Texts) == 0,
                "specdec: the sink of a batch must be callable with its session and a `const specdec::outcome&`");
  if constexpr (takes_outcomes) {
    using answer = std::invoke_result_t<Consumer&, Texts..., const outcome&>;
    static_assert(std::same_as<answer, void> || std::same_as<answer, bool>,
                  "specdec: the sink must return void or bool (false stops the session)");
  }
}

/// Requires `Request` to be a `StopRequest`.
template <class Request>
constexpr void require_stop_request() {
  constexpr bool tells = requires(const Request& request) {
    { request.stop_requested() } -> std::convertible_to<bool>;
  };
  static_assert(
      tells, "specdec: what asks a text to stop needs `bool stop_requested() const` (std::stop_token, for instance)");
}

/// Requires `Target` to score trees if `Draft` may draft them.
template <class Draft, class Target>
constexpr void require_tree_scoring() {
  static_assert(
      !DraftsTrees<Draft> || DecodesTrees<Target>,
      "specdec: this drafter drafts trees, so the target needs `decode_tree(tokens, parents, rows)` and "
      "`keep(path)`; see DecodesTrees in concepts.hpp. Without them it scores chains: model_drafter drafts such");
}

/// Requires all that a session needs for its rounds besides a draft.
template <class Rule, class Randomness, class Target, class Consumer, class Request>
constexpr void require_rounds() {
  require_causal_model<Target>();
  require_sink<Consumer>();
  require_stop_request<Request>();
  if constexpr (CausalModel<Target>) require_rule<Rule, std::remove_cvref_t<rows_of<Target>>, Randomness>();
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_REQUIREMENTS_HPP
