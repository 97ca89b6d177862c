#ifndef SPECDEC_DETAIL_ROWS_HPP
#define SPECDEC_DETAIL_ROWS_HPP

/// @file
/// A row of logits as the kernels see it: block by block, with single logits replaced and tokens forbidden.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include "../types.hpp"
#include "lanes.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// Tokens per block. A block of floats takes an eighth of a small first-level cache; block sums skip most of a draw.
inline constexpr std::size_t block_size = 1024;

/// The blocks of a vocabulary.
constexpr std::size_t block_count(std::size_t vocab_size) noexcept {
  return (vocab_size + block_size - 1) / block_size;
}

/// Kernels take whole groups of this many numbers, four times the lanes, so that their loops need no tails.
inline constexpr std::size_t group_size = 4 * lane_count;

/// `count` rounded up to whole groups.
constexpr std::size_t padded(std::size_t count) noexcept { return (count + group_size - 1) / group_size * group_size; }

/// One block of numbers, padded behind its end up to the next whole group.
template <class Real>
struct block {
  alignas(64) Real values[block_size];
  std::size_t size = 0;
};

/// What a pass over a row leaves of a block: its greatest logit and the sum of its weights.
struct block_mass {
  double maximum = 0;
  double sum = 0;
};

/// A logit that stands in for a row's own.
struct edit {
  token_id token = -1;
  double logit = 0;
};

/// A set of tokens: bit t % 32 of word t / 32 is set if token t is in it.
inline constexpr std::size_t word_bits = 32;

/// Words for a set of tokens of a vocabulary.
constexpr std::size_t words_of(std::size_t vocab_size) noexcept { return (vocab_size + word_bits - 1) / word_bits; }

/// A row of logits with some of them replaced, and all but the allowed ones at -inf. `edits` ascend by token; an empty
/// `allowed` allows everything. A view.
template <class T>
struct edited_row {
  using real = arithmetic<T>;

  logits_row<T> row;
  std::span<const edit> edits = {};
  std::span<const std::uint32_t> allowed = {};

  [[nodiscard]] std::size_t size() const noexcept { return row.size(); }

  [[nodiscard]] real operator[](std::size_t token) const noexcept {
    if (!allowed.empty() && (allowed[token / word_bits] >> token % word_bits & 1U) == 0) {
      return -std::numeric_limits<real>::infinity();
    }
    if (edits.empty()) return static_cast<real>(row[token]);
    const auto at = first_edit(token);
    const bool replaced = at != edits.end() && static_cast<std::size_t>(at->token) == token;
    return static_cast<real>(replaced ? static_cast<real>(at->logit) : static_cast<real>(row[token]));
  }

  /// The first edit of this or a later token.
  [[nodiscard]] std::span<const edit>::iterator first_edit(std::size_t token) const noexcept {
    return std::lower_bound(edits.begin(), edits.end(), token,
                            [](const edit& e, std::size_t t) { return static_cast<std::size_t>(e.token) < t; });
  }

  /// How many tokens from `begin`, the start of a block, can be read from the row's memory as they are: whole blocks,
  /// none of them edited, or 0.
  [[nodiscard]] std::size_t untouched(std::size_t begin) const noexcept {
    if (row.stride() != 1 || !allowed.empty()) return 0;
    std::size_t end = row.size();
    if (!edits.empty()) {
      const auto at = first_edit(begin);
      if (at != edits.end()) end = static_cast<std::size_t>(at->token);
    }
    return (end - begin) / block_size * block_size;
  }
};

/// Lowers to -inf, in the block of logits that starts at `begin`, the tokens that are not allowed.
template <class Real>
inline void forbid_others(std::span<const std::uint32_t> allowed, std::size_t begin, block<Real>& out) noexcept {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  for (std::size_t i = 0; i < out.size; i += word_bits) {
    const std::uint32_t word = allowed[(begin + i) / word_bits];
    if (word == ~std::uint32_t{0}) continue;
    for (std::size_t bit = 0; bit < std::min(word_bits, out.size - i); ++bit) {
      if ((word >> bit & 1U) == 0) out.values[i + bit] = lowest;
    }
  }
}

/// Copies logits [begin, begin + out.size) of a row into a block, padded with -inf.
template <class T>
inline void gather(const edited_row<T>& source, std::size_t begin, block<arithmetic<T>>& out) noexcept {
  using real = arithmetic<T>;
  const logits_row<T>& row = source.row;
  out.size = std::min(block_size, row.size() - begin);
  if constexpr (std::is_same_v<T, real>) {
    if (row.stride() == 1) std::memcpy(out.values, row.data() + begin, out.size * sizeof(real));
  }
  if (!std::is_same_v<T, real> || row.stride() != 1) {
    for (std::size_t i = 0; i < out.size; ++i) out.values[i] = static_cast<real>(row[begin + i]);
  }
  std::fill(out.values + out.size, out.values + padded(out.size), -std::numeric_limits<real>::infinity());
  if (!source.edits.empty()) {
    for (auto e = source.first_edit(begin); e != source.edits.end(); ++e) {
      const std::size_t index = static_cast<std::size_t>(e->token) - begin;
      if (index >= out.size) break;
      out.values[index] = static_cast<real>(e->logit);
    }
  }
  if (!source.allowed.empty()) forbid_others(source.allowed, begin, out);
}

/// Where a filtered law ends: the tokens with a logit above `logit`, and of those that equal it the ids up to `last`.
/// Filters keep the head of the vocabulary sorted by logit, then by id; so one pair says it all, and nothing is sorted.
template <class Real>
struct cutoff {
  Real logit = -std::numeric_limits<Real>::infinity();
  token_id last = std::numeric_limits<token_id>::max();

  [[nodiscard]] bool cuts() const noexcept { return logit != -std::numeric_limits<Real>::infinity(); }
  [[nodiscard]] bool keeps(Real x, token_id token) const noexcept { return x > logit || (x == logit && token <= last); }
};

/// Lowers to -inf what a cutoff drops from a block of logits.
template <class Real>
inline void cut(block<Real>& logits, std::size_t begin, const cutoff<Real>& limit) noexcept {
  constexpr Real lowest = -std::numeric_limits<Real>::infinity();
  for (std::size_t i = 0; i < logits.size; ++i) {
    const Real x = logits.values[i];
    logits.values[i] = limit.keeps(x, static_cast<token_id>(begin + i)) ? x : lowest;
  }
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_ROWS_HPP
