#ifndef SPECDEC_CONCEPTS_HPP
#define SPECDEC_CONCEPTS_HPP

/// @file
/// The contracts between specdec and the code around it. A user writes four functions; everything else is optional.

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "config.hpp"
#include "layer_skip.hpp"
#include "proposal.hpp"
#include "random.hpp"
#include "types.hpp"

namespace specdec::inline SPECDEC_ABI {

struct outcome;

/// One row of logits: a `logits_row` of float, float16, bfloat16 or double.
template <class R>
concept LogitsRow = std::same_as<std::remove_cvref_t<R>, logits_row<float>> ||
    std::same_as<std::remove_cvref_t<R>, logits_row<float16>> ||
    std::same_as<std::remove_cvref_t<R>, logits_row<bfloat16>> ||
    std::same_as<std::remove_cvref_t<R>, logits_row<double>>;

/// The logits of several positions.
///
/// Role: what a model returns from `decode`. `logits_view` models it; so may a type that computes or fetches a row
/// only when it is asked for.
///
/// Requirements
///  1. `rows.size()` is the number of rows.
///  2. `rows.row(i)`, i < size(), is a `logits_row` of one of these types. Asking twice gives the same numbers.
///  3. What `decode` returns by value can be moved.
///
/// Not required: that rows are contiguous, that they exist before they are asked for, ownership.
template <class R>
concept LogitsRows = requires(const R& rows, std::size_t i) {
  { rows.size() } -> std::convertible_to<std::size_t>;
  { rows.row(i) } -> LogitsRow;
};

/// A model that scores text from left to right and remembers it.
///
/// Role: the target whose law is kept, or a draft that imitates it.
///
/// Requirements
///  1. `model.vocab_size()` is the number of tokens it knows. It never changes.
///  2. `model.size()` is the number of tokens now in its context.
///  3. `model.decode(tokens, rows)` appends the tokens to the context and returns the logits behind the last `rows` of
///     them, 0 <= rows <= tokens.size(): row i is behind tokens[tokens.size() - rows + i]. The logits depend on the
///     tokens of the context alone. They stay valid until the next call on the model.
///  4. `model.truncate(n)`, n <= size(), keeps the first n tokens and forgets the rest.
///  5. If `decode` throws, the context is what it was, or what it was plus some of the tokens; `size()` says which.
///
/// A minimal model:
/// @code
/// struct my_model {
///   std::size_t vocab_size() const;
///   std::size_t size() const;
///   specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows);
///   void truncate(std::size_t n);
/// };
/// @endcode
///
/// Not required: copying, moving, default construction, thread safety, probabilities (logits may be shifted by any
/// constant per row), or the same bits for a row whatever the size of the call (without it greedy text may differ
/// where two logits are almost equal).
template <class M>
concept CausalModel = requires(M& model, const M& same, std::span<const token_id> tokens, std::size_t n) {
  { same.vocab_size() } -> std::convertible_to<std::size_t>;
  { same.size() } -> std::convertible_to<std::size_t>;
  { model.decode(tokens, n) } -> LogitsRows;
  model.truncate(n);
};

/// The model whose law is emitted. See `CausalModel`.
template <class M>
concept TargetModel = CausalModel<M>;

/// A model whose context has an end: `model.capacity()` is the greatest size() it can reach.
/// With it, generation stops with `session_status::context_full` instead of asking for what cannot be done.
template <class M>
concept HasCapacity = requires(const M& model) {
  { model.capacity() } -> std::convertible_to<std::size_t>;
};

/// A model whose context has an end that depends on the text, since it counts in units of its own (`translated`):
/// `model.capacity(text)` is the greatest size() that a context which begins with `text` can reach by tokens that its
/// rows leave possible, or less than text.size() if `text` does not fit. With it a model stops drafting in time.
template <class M>
concept HasTextCapacity = requires(const M& model, std::span<const token_id> text) {
  { model.capacity(text) } -> std::convertible_to<std::size_t>;
};

/// A model that knows its text: `model.tokens()` converts to a std::span<const token_id> of the tokens now in its
/// context, in order, size() of them. It is valid until the next call on the model.
///
/// With it nobody keeps a record of what the model holds: several sessions, say the forks of one prompt, may share it,
/// and whoever feeds or truncates it in between does no harm. `recorded` makes such a model of any other.
template <class M>
concept KnowsTokens = requires(const M& model) {
  { model.tokens() } -> std::convertible_to<std::span<const token_id>>;
};

/// A model that can leave out layers: it drafts for itself (see `layer_skip_drafter`).
///
/// Requirements
///  1. `model.layer_count()` is the number of its layers. It never changes.
///  2. `model.decode(tokens, rows, skipped)` is decode(tokens, rows) with the blocks left out that `skipped`, a
///     `layer_skip` for so many layers, names. It returns the same type; where nothing is left out it is the very same.
///  3. What was appended so has keys and values of the layers that ran, and not those that the whole model would have
///     given them. More may be appended with the same layers left out; it must be truncated before the model scores as
///     itself, or with others left out. A model need not notice.
///
/// Not required: that what is left out costs nothing.
template <class M>
concept SkipsLayers = CausalModel<M> &&
    requires(M& model, const M& same, std::span<const token_id> tokens, std::size_t n, const layer_skip& skipped) {
  { same.layer_count() } -> std::convertible_to<std::size_t>;
  { model.decode(tokens, n, skipped) } -> std::same_as<decltype(model.decode(tokens, n))>;
};

/// A model that scores a tree of tokens in one call: several texts that share their beginning.
///
/// The nodes of a tree hang below the last token of the context. They are numbered from 1 in the order in which they
/// came, over several calls; 0 stands for that last token. They are no part of the context: size() and tokens() do not
/// count them, though they take up capacity(). Every call that changes the context forgets them.
///
/// Requirements
///  1. `model.decode_tree(tokens, parents, rows)`: the last parents.size() of `tokens` are nodes, parents[i] being the
///     parent of the i-th of them, a lower number. What stands before them is appended to the context, as by decode. It
///     returns what decode(tokens, rows) does, where every node is scored behind the context and the path to it alone.
///     A call with nothing but nodes goes on with the tree that there is, or begins one.
///  2. `model.keep(path)` appends the tokens of `path` to the context, as if decode had been fed them: nodes from below
///     the root downwards, each a child of the one before. It forgets all others. An empty path forgets them all.
///  3. If either throws, requirement 5 of `CausalModel` holds, and the nodes are forgotten or what they were.
///
/// Preconditions: a tree needs a context of at least one token, before it or in the call.
///
/// Not required: the same bits for a row whatever the shape of the tree (without it, see `CausalModel`).
template <class M>
concept DecodesTrees = CausalModel<M> &&
    requires(M& model, std::span<const token_id> tokens, std::span<const node_id> nodes, std::size_t rows) {
  { model.decode_tree(tokens, nodes, rows) } -> std::same_as<decltype(model.decode(tokens, rows))>;
  model.keep(nodes);
};

/// Anything that proposes tokens.
///
/// Role: the cheap side of speculation. It is told the committed text and answers with tokens that may follow.
///
/// Requirements
///  1. `drafter.propose(request, chance, draft)` appends at most `request.max_depth` tokens per path and
///     `request.max_nodes` in all to a draft that is empty but for its root, using `draft.extend`. No token at all is
///     a legal answer.
///  2. All its randomness comes from `chance`, through `draft.extend`.
///  3. It depends on nothing but the request, its own parameters and what it has learnt of earlier rounds (`Observes`)
///     and of other texts. A round that fails is asked for again, and the answer must then be the same: whether it
///     failed may tell of the noise that it will meet again.
///  4. If it may give a token several children, `D::drafts_trees` is true, and the target must be one that
///     `DecodesTrees`.
///
/// A minimal drafter, which always proposes the last token again:
/// @code
/// struct stutter {
///   std::size_t vocab;
///   void propose(const specdec::draft_request& request, auto& chance, specdec::draft& draft) {
///     if (request.max_depth == 0) return;
///     draft.extend(specdec::root, specdec::proposal::point_mass(vocab, request.context.back()), chance);
///   }
/// };
/// @endcode
///
/// For whoever uses it: what a drafter has learnt, of rounds or of whole texts, must not come from a text with the same
/// seed and stream, whose noise judges these drafts, too. Give every text a seed or a stream of its own. For the same
/// reason a round that failed wants the drafter it had, with what that had learnt. Fresh noise (`session::rewind` to
/// the end of the text) suits any drafter, but only if what failed has nothing to do with the tokens that were drawn.
///
/// Not required: a model, or that its proposals are any good; quality changes the speed, never the text's law.
template <class D, class C = philox>
concept Drafter = requires(D& drafter, const draft_request& request, C& chance, draft& answer) {
  drafter.propose(request, chance, answer);
};

/// A drafter whose drafts may branch.
template <class D>
concept DraftsTrees = requires {
  requires bool(D::drafts_trees);
};

/// What `speculative_generate` takes as its draft: a causal model, which it lifts into a drafter, or a drafter.
template <class D, class C = philox>
concept DraftModel = CausalModel<D> || Drafter<D, C>;

/// What learns from the rounds: `observer.observe(out)` is called behind every committed round, before the sink, with
/// its `outcome`. It must not throw.
///
/// Drafters and length policies may have it. Whoever runs rounds without `speculative_generate` calls `tell` instead.
template <class T>
concept Observes = requires(T& observer, const outcome& out) {
  observer.observe(out);
};

/// Tells `observer` what became of a round, if it wants to know.
template <class T>
void tell(T& observer, const outcome& out) {
  if constexpr (Observes<T>) observer.observe(out);
}

/// How far to draft.
///
/// Requirements
///  1. `policy.depth(request)` begins a round, or begins it again: it is the number of tokens to draft; more than
///     request.max_depth is cut.
///  2. `P::reads_clock` is true if the answer may depend on measured time. Where it is false, the same seed gives the
///     same text on every run.
///
/// A minimal policy:
/// @code
/// struct always_three {
///   static constexpr bool reads_clock = false;
///   std::size_t depth(const specdec::draft_request&) const { return 3; }
/// };
/// @endcode
///
/// Optional: `EndsBeforeToken`, `EndsBeforeEntropy`, `EndsBehindToken`, `Observes`.
///
/// Not required: constness; a policy may learn.
template <class P>
concept LengthPolicy = requires(P& policy, const draft_request& request) {
  { policy.depth(request) } -> std::convertible_to<std::size_t>;
  { P::reads_clock } -> std::convertible_to<bool>;
};

/// A length policy that may end a draft for what the draft model is about to say: `policy.draws(highest)` is asked
/// before every token, with the probability of the most probable one. If it is false, none is drawn.
///
/// Probabilities are those of the draft's law, before it is cut to its top tokens; where that law is greedy, those of
/// softmax of its logits. Tokens that a mask forces are drafted unasked.
template <class P>
concept EndsBeforeToken = LengthPolicy<P> && requires(P& policy, double highest) {
  { policy.draws(highest) } -> std::convertible_to<bool>;
};

/// A length policy that may end a draft where the draft model is undecided: `policy.draws_at_entropy(nats)` is asked
/// before every token, with the entropy of the law that `EndsBeforeToken` is told of. If it is false, none is drawn.
template <class P>
concept EndsBeforeEntropy = LengthPolicy<P> && requires(P& policy, double nats) {
  { policy.draws_at_entropy(nats) } -> std::convertible_to<bool>;
};

/// A length policy that may end a draft for what the draft model has said: `policy.goes_on(probability)` is asked
/// behind every drawn token, with its probability as `EndsBeforeToken` has it. If it is false, that token is the last.
/// The token itself stays, whatever it is: to drop drawn tokens would change the law of the text.
template <class P>
concept EndsBehindToken = LengthPolicy<P> && requires(P& policy, double probability) {
  { policy.goes_on(probability) } -> std::convertible_to<bool>;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_CONCEPTS_HPP
