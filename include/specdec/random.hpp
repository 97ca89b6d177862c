#ifndef SPECDEC_RANDOM_HPP
#define SPECDEC_RANDOM_HPP

/// @file
/// Randomness without state.
///
/// Every random decision is named by a `key`, and its uniform number is a pure function of (seed, stream, key).
/// Nothing is advanced, so nothing has to be saved or restored: a round that is retried sees the same numbers, and
/// two decisions with different keys never share noise.
///
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "mathematics.hpp"
#include "types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What a random number decides. Part of its key, so that decisions about the same token stay independent.
enum class purpose : std::uint8_t {
  draft,     ///< a draft token is drawn from q
  accept,    ///< a draft token is accepted or rejected
  residual,  ///< the token that replaces a rejected one is drawn
  bonus,     ///< the target's own token is drawn: behind a draft that was accepted whole, say
};

/// The name of one random decision.
struct key {
  std::uint32_t round = 0;     ///< tells rounds apart: see `draft_request`
  std::uint32_t position = 0;  ///< index in the text (prompt included) of the token that is decided
  std::uint16_t lane = 0;      ///< tells siblings in a token tree apart; 0 on a chain
  std::uint8_t level = 0;      ///< nesting: 0 for the session a user runs, another for each session inside a draft
  purpose use = purpose::draft;

  friend constexpr bool operator==(const key&, const key&) noexcept = default;
};

/// The constants of Philox4x32: rounds, two multipliers, and what the key grows by every round.
struct philox_constants {
  static constexpr int rounds = 10;
  static constexpr std::uint32_t multipliers[2] = {0xD2511F53, 0xCD9E8D57};
  static constexpr std::uint32_t weyl[2] = {0x9E3779B9, 0xBB67AE85};
};

/// The Philox4x32-10 block function: 128 pseudo-random bits for a 128-bit counter under a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                                std::array<std::uint32_t, 2> block_key) noexcept {
  using constants = philox_constants;
  for (int round = 0; round < constants::rounds; ++round) {
    const std::uint64_t a = std::uint64_t{constants::multipliers[0]} * counter[0];
    const std::uint64_t b = std::uint64_t{constants::multipliers[1]} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ block_key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ block_key[1], static_cast<std::uint32_t>(a)};
    block_key[0] += constants::weyl[0];
    block_key[1] += constants::weyl[1];
  }
  return counter;
}

/// A probability law over token ids, as random draws see it.
///
/// - `law.vocab_size()`       tokens are 0 .. vocab_size()-1
/// - `law.probability(token)` its probability, in double
/// - `law.draw(u)`            inverse transform: the first token at which the running sum of the law exceeds u,
///                            0 <= u < 1; never a token of probability 0
template <class L>
concept DiscreteLaw = requires(const L& law, token_id token, double u) {
  { law.vocab_size() } -> std::convertible_to<std::size_t>;
  { law.probability(token) } -> std::convertible_to<double>;
  { law.draw(u) } -> std::same_as<token_id>;
};

/// The source of all random decisions in a round.
///
/// Role: verifiers and drafters ask it questions instead of drawing numbers, so that the code that runs in
/// production with `philox` is the code that the exactness oracle enumerates, branch by branch.
///
/// Requirements
///  1. `chance.accept(key, p, q)` answers true with probability min(1, p/q), for p >= 0 and q > 0.
///  2. `chance.draw(key, law)` answers a token with its probability under a `DiscreteLaw`.
///  3. Answers under different keys are independent; the same question under the same key has the same answer.
///
/// Optional: `chance.accept(key, bound, p, q)`, the same decision where p() is dear and bound <= p() is known: it may
/// be settled without asking p().
///
/// Not required: state, copyability, or any relation between the answers and a uniform number.
/// (The concept can only check `accept`; `draw` is a template over the law.)
template <class C>
concept Chance = requires(C& chance, const key& k, double p, double q) {
  { chance.accept(k, p, q) } -> std::same_as<bool>;
};

/// A `Chance` that can also let tokens race.
///
/// Requirements
///  1. `chance.race(position, law)` is the token x of least E(x) / law(x), where E(x) is exponential noise that belongs
///     to the position in the text and to the token, whatever the law and whoever asks. So its law is `law` (this is
///     the exponential form of the Gumbel-max trick), and laws that are alike choose alike.
///  2. `C::races` is true. (The concept can only check this: `race` is a template over the law.)
template <class C>
concept RacingChance = Chance<C> && requires {
  requires bool(C::races);
};

/// The noise of a race at one position of the text: an exponential variable for every token, a pure function of seed,
/// stream, position and token. Of its 64 random bits the upper 32 settle almost every comparison.
///
/// They come from one block function for four tokens: counter c of chunk n (tokens 64 n to 64 n + 63), 0 <= c < 16,
/// gives the bits of tokens 64 n + c, 64 n + c + 16, + 32 and + 48, so that sixteen counters side by side give them in
/// order.
class race_noise {
 public:
  static constexpr std::uint32_t chunk_size = 64;
  static constexpr std::uint32_t counters_per_chunk = chunk_size / 4;

  constexpr race_noise(std::uint64_t seed, std::uint32_t stream, std::uint32_t position) noexcept
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        counter_{0, position, upper << 24, stream} {}

  /// The key and the counter (its first word set to 0) of the block function that gives the upper bits.
  [[nodiscard]] constexpr const std::array<std::uint32_t, 2>& key() const noexcept { return key_; }
  [[nodiscard]] constexpr const std::array<std::uint32_t, 4>& counter() const noexcept { return counter_; }

  /// The upper 32 bits u of a token. Its noise is at least u * 2^-32.
  [[nodiscard]] constexpr std::uint32_t upper_bits(std::uint32_t token) const noexcept {
    std::array<std::uint32_t, 4> counter = counter_;
    counter[0] = token / chunk_size * counters_per_chunk + token % counters_per_chunk;
    return philox4x32(counter, key_)[token % chunk_size / counters_per_chunk];
  }

  /// The noise of `token`, whose upper bits are known: -ln(1 - v), v uniform over the odd multiples of 2^-65 in (0, 1),
  /// rounded.
  [[nodiscard]] double of(std::uint32_t token, std::uint32_t upper_bits) const noexcept {
    constexpr double below_one = 1 - 0x1p-53;
    const std::array<std::uint32_t, 4> counter{token, counter_[1], lower << 24, counter_[3]};
    const double rest = static_cast<double>(philox4x32(counter, key_)[0]) + 0.5;
    const double v = static_cast<double>(upper_bits) * 0x1p-32 + rest * 0x1p-64;
    if (v > 0x1p-10) return -logarithm(1 - (v < below_one ? v : below_one));
    // 1 - v would round away what tells small ones apart.
    double series = 1.0 / 6;
    for (int n = 5; n > 0; --n) series = 1.0 / n + product(v, series);
    return v * series;
  }

 private:
  // Behind the purposes of keyed decisions, in the same byte of the counter.
  static constexpr std::uint32_t upper = 0x80;
  static constexpr std::uint32_t lower = 0x81;

  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
};

/// Production randomness: Philox4x32-10, counter = the key and the stream, key = the seed.
class philox {
 public:
  static constexpr bool races = true;

  constexpr explicit philox(std::uint64_t seed = 0, std::uint32_t stream = 0) noexcept : seed_(seed), stream_(stream) {}

  [[nodiscard]] constexpr std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] constexpr std::uint32_t stream() const noexcept { return stream_; }

  /// A multiple of 2^-53 in [0, 1), uniform over all of them.
  /// 53 bits, because an inverse transform over 262,144 tokens from 24 bits is off by 2e-3 in total variation.
  [[nodiscard]] constexpr double uniform(const key& k) const noexcept {
    const std::uint32_t tags = static_cast<std::uint32_t>(k.lane) | static_cast<std::uint32_t>(k.level) << 16 |
                               static_cast<std::uint32_t>(k.use) << 24;
    const auto bits = philox4x32({k.round, k.position, tags, stream_},
                                 {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    const std::uint64_t mantissa = std::uint64_t{bits[0] >> 5} << 26 | bits[1] >> 6;
    return static_cast<double>(mantissa) * 0x1p-53;
  }

  /// u*q < p: strict, so that p = 0 is never accepted although u may be 0; a product, so that nothing is divided.
  [[nodiscard]] constexpr bool accept(const key& k, double p, double q) const noexcept { return uniform(k) * q < p; }

  /// The same, with a lower bound on p in place of p where that settles it.
  template <std::invocable P>
  [[nodiscard]] constexpr bool accept(const key& k, double bound, P&& p, double q) const {
    const double taken = uniform(k) * q;
    return taken < bound || taken < p();
  }

  template <DiscreteLaw L>
  [[nodiscard]] constexpr token_id draw(const key& k, const L& law) const {
    return law.draw(uniform(k));
  }

  /// The law must have `law.race(noise)`, the token of least noise / probability, as `distribution` and `proposal` do.
  template <class L>
  [[nodiscard]] token_id race(std::uint32_t position, const L& law) const {
    return law.race(race_noise(seed_, stream_, position));
  }

 private:
  std::uint64_t seed_;
  std::uint32_t stream_;
};

static_assert(Chance<const philox> && RacingChance<philox>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_RANDOM_HPP
