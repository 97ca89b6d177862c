#ifndef SPECDEC_DECODE_HELD_TOKENS_HPP
#define SPECDEC_DECODE_HELD_TOKENS_HPP

/// @file
/// What is known of a model's context.

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "../concepts.hpp"
#include "../types.hpp"
#include "../vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The most tokens that room is made for ahead of time; a user may ask for endless text.
inline constexpr std::size_t reserve_at_most = std::size_t{1} << 16;

/// The most drafted tokens that room is made for ahead of time where each comes with a law: a policy may set no bound,
/// and end drafts by what it sees.
inline constexpr std::size_t laws_reserved_at_most = 256;

/// The length of the longest prefix that two texts share. O(n).
[[nodiscard]] inline std::size_t shared_prefix(std::span<const token_id> a, std::span<const token_id> b) noexcept {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t shared = 0;
  while (shared < most && a[shared] == b[shared]) ++shared;
  return shared;
}

/// A record, by value, of the tokens a causal model holds, kept by whoever feeds it.
///
/// One question replaces all bookkeeping of accepted and rejected tokens: how much of what the model holds is a prefix
/// of the text? The rest is truncated and what is missing is fed. Prefill, rollback, reuse of a prompt and recovery
/// from a failed call are the same case.
class held_tokens {
 public:
  /// The length of the prefix of `text` that the model holds, if its context now has `model_size` tokens. O(n).
  [[nodiscard]] std::size_t shared_prefix(std::span<const token_id> text, std::size_t model_size) const noexcept {
    const std::size_t known = std::min(tokens_.size(), model_size);
    return specdec::shared_prefix(text, {tokens_.data(), known});
  }

  /// Keeps the first n tokens. To be called before the model is touched: what a failing model holds beyond its known
  /// prefix counts as unknown.
  void truncate(std::size_t n) noexcept { tokens_.resize(std::min(n, tokens_.size())); }

  /// How many tokens are known.
  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }

  /// Makes room for `size` tokens in all, so that `append` does not allocate.
  void reserve(std::size_t size) { reserve_at_least(tokens_, size); }

  /// To be called after the model has taken the tokens.
  void append(std::span<const token_id> tokens) { append_to(tokens_, tokens); }

 private:
  std::vector<token_id> tokens_;
};

/// In place of the record of a model that knows its tokens: nothing to keep.
struct no_held_tokens {
  void truncate(std::size_t) noexcept {}
  void reserve(std::size_t) noexcept {}
  void append(std::span<const token_id>) noexcept {}
};

/// What is to be kept by whoever feeds a `Model`.
template <class Model>
using held_tokens_of = std::conditional_t<KnowsTokens<Model>, no_held_tokens, held_tokens>;

/// The length of the prefix of `text` that the model holds, as it says itself if it knows its tokens. O(n).
template <KnowsTokens Model>
[[nodiscard]] std::size_t held_prefix(const Model& model, const no_held_tokens&, std::span<const token_id> text) {
  return shared_prefix(text, model.tokens());
}

/// The same for any other model, as the record of its feeder says.
template <class Model>
[[nodiscard]] std::size_t held_prefix(const Model& model, const held_tokens& record, std::span<const token_id> text) {
  return record.shared_prefix(text, model.size());
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_HELD_TOKENS_HPP
