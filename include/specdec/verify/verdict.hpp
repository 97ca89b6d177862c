#ifndef SPECDEC_VERIFY_VERDICT_HPP
#define SPECDEC_VERIFY_VERDICT_HPP

/// @file
/// What every verification rule answers.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "../concepts.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The outcome of verifying one draft: the path that is kept, and the token that follows it.
struct verdict {
  node_id kept = root;                ///< last node of the kept path; `root` keeps nothing
  token_id next = -1;                 ///< the target's own token behind it
  bool rejected = false;              ///< a drafted token behind `kept` was refused, so `next` replaces it
  bool fell_back = false;             ///< the residual vanished in rounding, `next` was drawn from p
  row_fault fault = row_fault::none;  ///< if not none: a row was unusable; nothing may be committed
  node_id faulty_row = root;          ///< which row, where there is a fault
};

/// Throws std::invalid_argument, saying what was expected and what came, for what no rule can say of this draft. O(1).
inline void require_verdict(const verdict& v, const draft& drafted, std::size_t vocab_size) {
  const bool failed = v.fault != row_fault::none;
  if (v.fault > row_fault::nothing_allowed) {
    raise<std::invalid_argument>("specdec: expected a verdict with a fault that is known; it has number " +
                                 std::to_string(static_cast<unsigned>(v.fault)));
  }
  if (const node_id last = failed ? v.faulty_row : v.kept; last > drafted.size()) {
    raise<std::invalid_argument>("specdec: expected a verdict on a draft of " + std::to_string(drafted.size()) +
                                 " tokens; it names node " + std::to_string(last));
  }
  if (failed) return;
  require_token(v.next, vocab_size, "the verdict");
  if (v.rejected && drafted.first_child(v.kept) == no_node) {
    raise<std::invalid_argument>("specdec: expected a verdict that rejects only where the draft goes on; behind node " +
                                 std::to_string(v.kept) + " it has no more");
  }
  if (v.fell_back && !v.rejected) {
    raise<std::invalid_argument>("specdec: expected a verdict that falls back only where it rejects");
  }
}

/// A verification rule: decides which drafted tokens are kept.
///
/// Role: the heart of speculative decoding. It looks at the draft and at the target's laws and must leave the emitted
/// text distributed exactly as the target alone would (if it says so).
///
/// Requirements
///  1. `verifier(draft, rows, law, chance)` returns a `verdict`. It changes nothing but the memory inside `law`, so
///     asking twice gives the same answer.
///  2. It reads rows through `law.at(rows, node)`, and only those its decision needs.
///  3. It rejects only where the draft goes on behind the node that it keeps; see `require_verdict`.
///  4. `V::lossless` is true if the emitted law equals the target's, whatever the draft.
///
/// Not required: state, or that every draft shape is understood; a rule for chains follows first children.
template <class V, class Rows = logits_view<float>, class C = philox>
concept Verifier = requires(const V& verifier, const draft& d, const Rows& rows, law& target, C& chance) {
  { verifier(d, rows, target, chance) } -> std::same_as<verdict>;
  { V::lossless } -> std::convertible_to<bool>;
};

/// Whether a rule draws the target's tokens with noise that drafters should draw with, too; see `coupled`. Such a rule
/// has a function shares_noise() that says so.
template <class Rule>
[[nodiscard]] constexpr bool shares_noise(const Rule& rule) noexcept {
  if constexpr (requires {
                  { rule.shares_noise() } -> std::same_as<bool>;
                }) {
    return rule.shares_noise();
  } else {
    return false;
  }
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_VERDICT_HPP
