#ifndef SPECDEC_VERIFY_INNER_REJECTION_HPP
#define SPECDEC_VERIFY_INNER_REJECTION_HPP

/// @file
/// Rejection sampling between a draft and its own draft: how a guess speeds up a draw.
///
/// A draft's token must be drawn from the law that the draft keeps for it. Whoever has a guess x, drawn from q, can do
/// that by the founding rule: take x with probability min(1, p(x) / q(x)), else draw from norm((p - q)+). What comes
/// out has the law p, whatever q is, and p is kept. So the rounds of a model that drafts with a draft of its own need
/// no second look: the q that the outer rule reads is the law that was sampled.
///
/// Source: Leviathan, Kalman and Matias 2023 (arXiv:2211.17192), algorithm 1.

#include <algorithm>
#include <cstddef>

#include "../proposal.hpp"
#include "../random.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The law norm((p - q)+) of two proposals over one vocabulary, in double: exact for their weights. If it vanished in
/// rounding it is p, as `residual` has it. A view; models `DiscreteLaw`. O(k log k) for laws of k tokens, O(V) if p is
/// dense.
class proposal_residual {
 public:
  proposal_residual(const proposal& p, const proposal& q) noexcept : p_(p), q_(q) {
    for (std::size_t i = 0; i < count(); ++i) mass_ += left(token(i));
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return p_.vocab_size(); }
  [[nodiscard]] bool fell_back() const noexcept { return !(mass_ > 0); }

  [[nodiscard]] double probability(token_id x) const noexcept {
    return fell_back() ? p_.probability(x) : left(x) / mass_;
  }

  [[nodiscard]] token_id draw(double u) const noexcept {
    if (fell_back()) return p_.draw(u);
    const double goal = u * mass_;
    double running = 0;
    token_id chosen = -1;
    for (std::size_t i = 0; i < count(); ++i) {
      const double share = left(token(i));
      if (!(share > 0)) continue;
      chosen = token(i);
      running += share;
      if (goal < running) break;
    }
    return chosen;
  }

 private:
  // The tokens that p can draw, and perhaps some that it cannot.
  [[nodiscard]] std::size_t count() const noexcept {
    return p_.shape() == proposal::form::point_mass ? 1 : p_.weights().size();
  }
  [[nodiscard]] token_id token(std::size_t i) const noexcept {
    switch (p_.shape()) {
      case proposal::form::point_mass:
        return p_.token();
      case proposal::form::sparse:
        return p_.ids()[i];
      case proposal::form::dense:
        break;
    }
    return static_cast<token_id>(i);
  }
  [[nodiscard]] double left(token_id x) const noexcept { return std::max(0.0, p_.probability(x) - q_.probability(x)); }

  proposal p_;
  proposal q_;
  double mass_ = 0;
};

static_assert(DiscreteLaw<proposal_residual>);

/// Draws the tokens of a draft by guesses that another draft holds.
class inner_rejection {
 public:
  static constexpr bool lossless = true;

  /// Draws a token from p and appends it as the last child of `parent`, as `answer.extend` does and with the same
  /// preconditions, but takes the guess if chance agrees. Returns whether it is the guess. Under the coupled rule the
  /// token is drawn with the noise of its position, as any other, and the guess is compared with it.
  ///
  /// @param guesses a draft behind a text that `answer` and what it goes on from begin with, with keys of its own: of a
  ///                round or level that neither `answer` nor earlier guesses for it had
  /// @param guess   the guess for the token in question, or `no_node` if there is none
  template <Chance C>
  static bool extend(draft& answer, node_id parent, const proposal& p, const draft& guesses, node_id guess, C& chance) {
    if (guess == no_node) {
      answer.extend(parent, p, chance);
      return false;
    }
    const token_id x = guesses.token(guess);
    if (answer.coupled_) return answer.token(answer.extend(parent, p, chance)) == x;
    const proposal q = guesses.law_of(guess);
    const bool kept = chance.accept(guesses.key_at(guess, purpose::accept), p.probability(x), q.probability(x));
    const token_id taken = kept ? x : chance.draw(guesses.key_at(guess, purpose::residual), proposal_residual(p, q));
    answer.add_node(parent, answer.store(p), false);
    answer.tokens_.push_back(taken);
    return kept;
  }
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_INNER_REJECTION_HPP
