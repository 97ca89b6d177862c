#ifndef SPECDEC_SAMPLING_GUESS_HPP
#define SPECDEC_SAMPLING_GUESS_HPP

/// @file
/// The token behind a draft, coupled with a guess for it.

#include <concepts>
#include <cstdint>

#include "../proposal.hpp"
#include "../random.hpp"
#include "distribution.hpp"
#include "residual.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Chance that answers as another does, but draws the target's token behind an accepted draft so that it is likely to
/// be a guess that was drafted for its place: x, drawn from q, is it with probability min(1, p(x)/q(x)), else it is
/// drawn from norm((p - q)+). That is rejection sampling once more, so the token's law is p whatever the guess; and
/// where the guess is right, what was drafted behind it is a draft for the next round.
///
/// Decides under the keys of an acceptance and a residual at the guess's place, which no other token of the round has.
/// Refers to the other chance and to the guess.
template <Chance Other>
class guessing_chance {
 public:
  static constexpr bool races = RacingChance<Other>;

  /// @param guess a draft of one token, or of none: then nothing is coupled
  guessing_chance(Other& other, const draft& guess) noexcept : other_(&other), guess_(&guess) {}

  bool accept(const key& k, double p, double q) const { return other_->accept(k, p, q); }

  template <std::invocable P>
  bool accept(const key& k, double bound, P&& p, double q) const requires requires(Other& other) {
    other.accept(k, bound, p, q);
  }
  { return other_->accept(k, bound, p, q); }

  template <DiscreteLaw L>
  [[nodiscard]] token_id draw(const key& k, const L& law) const {
    return other_->draw(k, law);
  }

  template <class T>
  [[nodiscard]] token_id draw(const key& k, const distribution<T>& p) const {
    if (k.use != purpose::bonus || guess_->empty() || k.position != guess_->position_of(1)) return other_->draw(k, p);
    const token_id x = guess_->token(1);
    const proposal q = guess_->law_of(1);
    if (other_->accept(guess_->key_of(1, purpose::accept), p.probability(x), q.probability(x))) return x;
    return other_->draw(guess_->key_of(1, purpose::residual), residual<T>(p, q));
  }

  /// A race needs no coupling: it has the noise that the guess was drawn with.
  template <class L>
  [[nodiscard]] token_id race(std::uint32_t position, const L& law) const requires RacingChance<Other> {
    return other_->race(position, law);
  }

 private:
  Other* other_;
  const draft* guess_;
};

static_assert(RacingChance<guessing_chance<philox>>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_GUESS_HPP
