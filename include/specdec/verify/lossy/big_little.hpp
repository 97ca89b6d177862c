#ifndef SPECDEC_VERIFY_LOSSY_BIG_LITTLE_HPP
#define SPECDEC_VERIFY_LOSSY_BIG_LITTLE_HPP

/// @file
/// The rollback of the big little decoder: keep what the small model wrote unless the large one finds it very unlikely.
///
/// With d_i = -ln p_i(y_i) under the target's law before temperature and filters, the first y_i with
/// d_i > rollback_threshold, and all that follows it, is replaced by the target's most probable token. If there is
/// none, the target adds its most probable token.
///
/// Source: Kim et al. 2023, "Speculative decoding with big little decoder" (arXiv:2302.07863), algorithm 1. Two things
/// are as in the authors' implementation, not in the paper: if that first y_i is the target's most probable token
/// itself, nothing is rolled back, nor is anything behind it looked at; and the default threshold. (A third is not
/// followed: there, the large model also writes the token behind a rollback.) Goes with the length policy `fallback`
/// and a draft at temperature 0.

#include <limits>
#include <stdexcept>

#include "../../failure.hpp"
#include "../../message.hpp"
#include "../../proposal.hpp"
#include "../../sampling/law.hpp"
#include "../verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Rollback by distance from the target. Lossy: most of the text is the draft's own. No randomness is used: the
/// target's tokens are its most probable ones whatever the temperature.
///
/// Time O(V) for each row that is read, no memory. A token that is impossible for the target (a mask forbids it) is
/// always rolled back.
class big_little {
 public:
  static constexpr bool lossless = false;

  /// @param rollback_threshold in nats; 2 to 5 are said to work
  /// Throws std::invalid_argument if it is negative or NaN.
  explicit big_little(double rollback_threshold = 5.0) : rollback_threshold_(rollback_threshold) {
    if (!(rollback_threshold >= 0)) {
      raise<std::invalid_argument>("specdec: the rollback threshold must not be negative or NaN; got " +
                                   number_text(rollback_threshold));
    }
  }

  [[nodiscard]] double rollback_threshold() const noexcept { return rollback_threshold_; }

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C&) const {
    bool judging = true;
    node_id here = root;
    for (;;) {
      const auto p = target.untempered_at(rows, here);
      if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      const node_id child = drafted.first_child(here);
      if (child == no_node) return {.kept = here, .next = p.mode()};
      const token_id y = drafted.token(child);
      const double distance = -p.log_probability(y);
      const bool impossible = distance == std::numeric_limits<double>::infinity();
      if (impossible || (judging && distance > rollback_threshold_)) {
        if (y != p.mode()) return {.kept = here, .next = p.mode(), .rejected = true};
        judging = false;
      }
      here = child;
    }
  }

 private:
  double rollback_threshold_;
};

static_assert(Verifier<big_little>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_LOSSY_BIG_LITTLE_HPP
