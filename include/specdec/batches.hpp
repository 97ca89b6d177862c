#ifndef SPECDEC_BATCHES_HPP
#define SPECDEC_BATCHES_HPP

/// @file
/// The contract of a model that scores several sequences in one call.

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "concepts.hpp"
#include "config.hpp"
#include "owner.hpp"
#include "types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What one sequence is fed in a call for several.
struct sequence_feed {
  std::size_t sequence = 0;          ///< which of the model's sequences
  std::span<const token_id> tokens;  ///< to be appended to its context
  std::size_t rows = 0;              ///< the logits behind so many of the last of them are wanted
};

/// A model with several sequences, each a context of its own, which scores tokens of any of them in one call: the
/// weights are read once for all.
///
/// Role: the target, or the draft, of a `session_batch`.
///
/// Requirements
///  1. `model.vocab_size()` is the number of tokens it knows, `model.sequence_count()` that of its sequences, numbered
///     from 0. Neither ever changes.
///  2. `model.size(sequence)` is the number of tokens now in that sequence's context.
///  3. `model.decode(feeds)` takes a std::span<const sequence_feed> with at most one feed for each sequence. It appends
///     to every sequence what it is fed and returns the logits that are wanted, feed after feed: for each the rows that
///     `decode(tokens, rows)` of a `CausalModel` would return. A row depends on the tokens of its own sequence alone.
///     Rows stay valid until the next call on the model.
///  4. `model.truncate(sequence, n)`, n <= size(sequence), keeps the first n tokens of that sequence.
///  5. If `decode` throws, the context of each sequence is what it was, or that and some of the tokens it was fed;
///     size(sequence) says which.
///
/// A minimal model:
/// @code
/// struct my_batch {
///   std::size_t vocab_size() const;
///   std::size_t sequence_count() const;
///   std::size_t size(std::size_t sequence) const;
///   specdec::logits_view<float> decode(std::span<const specdec::sequence_feed> feeds);
///   void truncate(std::size_t sequence, std::size_t n);
/// };
/// @endcode
///
/// Optional: `HasCapacity`, of each sequence. `one_sequence` makes a `CausalModel` of one of them, for
/// `check_target_model`; `separate_sequences` makes such a model of several causal models.
///
/// Not required: copying, moving, thread safety, or the same bits for a row whatever shares its call (without it a text
/// may differ from the one that is generated alone, where two logits are almost equal).
template <class M>
concept DecodesBatches = requires(M& model, const M& same, std::span<const sequence_feed> feeds, std::size_t sequence,
                                  std::size_t n) {
  { same.vocab_size() } -> std::convertible_to<std::size_t>;
  { same.sequence_count() } -> std::convertible_to<std::size_t>;
  { same.size(sequence) } -> std::convertible_to<std::size_t>;
  { model.decode(feeds) } -> LogitsRows;
  model.truncate(sequence, n);
};

/// The rows from `first` on of what a call for several sequences returned. Models `LogitsRows`, as lazily as `Rows`.
template <LogitsRows Rows>
struct rows_between {
  const Rows* rows;
  std::size_t first;
  std::size_t count;

  [[nodiscard]] std::size_t size() const noexcept { return count; }
  [[nodiscard]] auto row(std::size_t i) const { return rows->row(first + i); }
};

/// One sequence's rows: a view of `rows`, which must outlive it. Rows that are a `logits_view` stay one, so that a rule
/// need not be compiled, or erased, for another type. Precondition: there are so many.
template <LogitsRows Rows>
[[nodiscard]] rows_between<Rows> rows_of_feed(const Rows& rows, std::size_t first, std::size_t count) {
  return {address_of(rows), first, count};
}
template <class T>
[[nodiscard]] logits_view<T> rows_of_feed(const logits_view<T>& rows, std::size_t first, std::size_t count) {
  if (count == 0) return {};
  const logits_row<T> begin = rows.row(first);
  const std::ptrdiff_t stride = count > 1 ? rows.row(first + 1).data() - begin.data() : 0;
  return {begin.data(), count, begin.size(), stride};
}

/// What `rows_of_feed` returns for a model that `DecodesBatches`.
template <class Model>
using feed_rows_of = decltype(rows_of_feed(
    std::declval<
        const std::remove_cvref_t<decltype(std::declval<Model&>().decode(std::span<const sequence_feed>()))>&>(),
    0, 0));

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_BATCHES_HPP
