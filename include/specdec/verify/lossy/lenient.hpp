#ifndef SPECDEC_VERIFY_LOSSY_LENIENT_HPP
#define SPECDEC_VERIFY_LOSSY_LENIENT_HPP

/// @file
/// Rejection sampling with lenience: more is accepted, and the text no longer has the target's law.
///
/// For a chain x_1 .. x_n drawn from q_1 .. q_n and a lenience 0 < l <= 1: accept x_i with probability
/// min(1, p_i(x_i) / (l q_i(x_i))); at the first refusal emit a token from norm((p_i - q_i)+), as without lenience. The
/// emitted law of one token is min(q, p/l) + (1 - alpha_l) norm((p - q)+), where alpha_l = sum min(p/l, q) is the
/// acceptance rate. No token comes out more often than p/l: what the target finds rare stays rare. Nothing bounds it
/// from below, so that variety may suffer.
///
/// At temperature 0, where p has one token only, lenience comes before the choice: accept x if
/// p(x) >= l max p under the law before temperature and filters, else emit the target's most probable token.
///
/// Source: Leviathan, Kalman and Matias 2023 (arXiv:2211.17192), appendix A.5 (where the inequality of the greedy form
/// is printed the other way round), which measures l = 1, 0.5, 0.3 and 0.1.

#include <cstddef>
#include <stdexcept>

#include "../../failure.hpp"
#include "../../message.hpp"
#include "../../proposal.hpp"
#include "../../sampling/law.hpp"
#include "../rejection.hpp"
#include "../verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Lenient rejection sampling over a chain. Lossy, unless the lenience is 1: then it is `rejection`.
///
/// Lazy as `rejection`: row i+1 is read only after token i was accepted. Time O(V) for each row that is read, no
/// memory. What is impossible for the target (mask, filters) is never accepted; at temperature 0, where lenience comes
/// before the filters, what mask, bias and `min_tokens` exclude.
class lenient {
 public:
  static constexpr bool lossless = false;

  /// @param lenience l: 1 is exact, 0.1 lets no token come out more than ten times as often as it should
  /// Throws std::invalid_argument unless 0 < lenience <= 1.
  explicit lenient(double lenience) : lenience_(lenience) {
    if (!(lenience > 0 && lenience <= 1)) {
      raise<std::invalid_argument>("specdec: the lenience must be above 0 and at most 1 (exact); got " +
                                   number_text(lenience));
    }
  }

  [[nodiscard]] double lenience() const noexcept { return lenience_; }

  template <LogitsRows Rows, Chance C>
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, C& chance) const {
    if (target.params().temperature == 0) return choose(drafted, rows, target);
    return reject_along_chain(drafted, rows, target, chance, lenience_);
  }

 private:
  /// The rule at temperature 0.
  template <LogitsRows Rows>
  [[nodiscard]] verdict choose(const draft& drafted, const Rows& rows, law& target) const {
    node_id here = root;
    for (;;) {
      const auto p = target.untempered_at(rows, here);
      if (!p.valid()) return {.kept = here, .fault = p.fault(), .faulty_row = here};
      const node_id child = drafted.first_child(here);
      if (child == no_node) return {.kept = here, .next = p.mode()};
      const double of_token = p.probability(drafted.token(child));
      if (!(of_token > 0 && of_token >= lenience_ * p.probability(p.mode()))) {
        return {.kept = here, .next = p.mode(), .rejected = true};
      }
      here = child;
    }
  }

  double lenience_;
};

static_assert(Verifier<lenient>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_LOSSY_LENIENT_HPP
