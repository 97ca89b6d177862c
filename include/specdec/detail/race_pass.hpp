#ifndef SPECDEC_DETAIL_RACE_PASS_HPP
#define SPECDEC_DETAIL_RACE_PASS_HPP

/// @file
/// The loop of an exponential race: random bits for a block of tokens, and which of its chunks may hold a winner.
/// Written once for registers of any width, as passes.hpp; the bits are integers, so nothing can be rounded
/// differently.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../random.hpp"
#include "lanes.hpp"

namespace specdec::inline SPECDEC_ABI::detail {

/// The product of the lower halves of 64-bit lanes with a number of 32 bits.
template <std::size_t Width>
SPECDEC_INLINE void multiply_halves(part<Width, std::uint64_t>& x, std::uint32_t factor) noexcept {
  using longs = part<Width, std::uint64_t>;
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
  // GCC makes a whole product of 64 bits: 3 to 8 instructions where 1 does it.
  if constexpr (Width >= 32) {
    const longs factors = longs{} + factor;
    asm("{vpmuludq %1, %0, %0|vpmuludq %0, %0, %1}" : "+v"(x) : "v"(factors));
    return;
  }
#if !defined(__AVX__)
  if constexpr (Width == 16) {
    const longs factors = longs{} + factor;
    asm("{pmuludq %1, %0|pmuludq %0, %1}" : "+x"(x) : "x"(factors));
    return;
  }
#endif
#endif
  x = (x & (longs{} + 0xFFFFFFFFU)) * (longs{} + factor);
}

/// The random words of the sixteen counters from `first` on, in the order of race_noise: out[16 k + c] is word k of
/// counter c.
template <std::size_t Width>
SPECDEC_INLINE void philox_chunk(const race_noise& noise, std::uint32_t first, std::uint32_t* out) noexcept {
  using longs = part<Width, std::uint64_t>;
  constexpr std::size_t lanes = part_size<Width, std::uint64_t>;
  constexpr std::size_t counters = race_noise::counters_per_chunk;
  // As many registers side by side as hide that each round waits for the one before.
  constexpr std::size_t batch = counters / lanes < 2 ? 1 : 2;
  for (std::size_t begin = 0; begin < counters; begin += batch * lanes) {
    longs c[4][batch];
    SPECDEC_UNROLL for (std::size_t r = 0; r < batch; ++r) {
      std::uint64_t numbers[lanes];
      for (std::size_t l = 0; l < lanes; ++l) numbers[l] = first + begin + r * lanes + l;
      std::memcpy(&c[0][r], numbers, sizeof numbers);
      for (std::size_t k = 1; k < 4; ++k) c[k][r] = longs{} + noise.counter()[k];
    }
    std::uint32_t key[2] = {noise.key()[0], noise.key()[1]};
    for (int round = 0; round < philox_constants::rounds; ++round) {
      SPECDEC_UNROLL for (std::size_t r = 0; r < batch; ++r) {
        longs a = c[0][r];
        longs b = c[2][r];
        multiply_halves<Width>(a, philox_constants::multipliers[0]);
        multiply_halves<Width>(b, philox_constants::multipliers[1]);
        // Only lower halves are multiplied and kept, so the upper ones may hold anything.
        c[0][r] = (b >> 32) ^ c[1][r] ^ (longs{} + key[0]);
        c[2][r] = (a >> 32) ^ c[3][r] ^ (longs{} + key[1]);
        c[1][r] = b;
        c[3][r] = a;
      }
      key[0] += philox_constants::weyl[0];
      key[1] += philox_constants::weyl[1];
    }
    SPECDEC_UNROLL for (std::size_t r = 0; r < batch; ++r) {
      for (std::size_t k = 0; k < 4; ++k) {
        std::uint64_t numbers[lanes];
        std::memcpy(numbers, &c[k][r], sizeof numbers);
        for (std::size_t l = 0; l < lanes; ++l) {
          out[counters * k + begin + r * lanes + l] = static_cast<std::uint32_t>(numbers[l]);
        }
      }
    }
  }
}

/// Fills `words` with the upper bits of the tokens from `first_token` on, whole chunks of them, and returns which
/// chunks, by the bits of the answer, have a token whose noise may be below bound * weight. At most 32 chunks.
/// `first_token` is the start of a chunk; `weights` are padded to whole chunks.
template <std::size_t Width>
SPECDEC_INLINE std::uint32_t race_chunks(const race_noise& noise, std::uint32_t first_token, const float* weights,
                                         std::size_t chunks, float bound, std::uint32_t* words) noexcept {
  using floats = part<Width, float>;
  using ints = part<Width, std::int32_t>;
  constexpr std::size_t step = part_size<Width, float>;
  // The upper bits without the last are a signed number, which every instruction set can make a float of.
  const float scaled = bound * 0x1p31F;
  std::uint32_t found = 0;
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    const std::size_t begin = chunk * race_noise::chunk_size;
    philox_chunk<Width>(noise, static_cast<std::uint32_t>((first_token + begin) / 4), words + begin);
    std::uint32_t any = 0;
    for (std::size_t i = begin; i < begin + race_noise::chunk_size; i += step) {
      floats limit;
      load<Width, float>(weights + i, limit);
      limit *= scaled;
      ints bits;
      std::memcpy(&bits, words + i, sizeof bits);
#if defined(__GNUC__)
      if constexpr (Width != 0) {
        bits = (bits >> 1) & (ints{} + 0x7FFFFFFF);
        const auto passes = __builtin_convertvector(bits, floats) <= limit;
        std::uint64_t parts[Width / 8];
        std::memcpy(parts, &passes, sizeof parts);
        for (const std::uint64_t part_of : parts) any |= part_of != 0 ? 1U : 0U;
        continue;
      }
#endif
      if constexpr (Width == 0) any |= static_cast<float>((bits >> 1) & 0x7FFFFFFF) <= limit ? 1U : 0U;
    }
    found |= any << chunk;
  }
  return found;
}

}  // namespace specdec::inline SPECDEC_ABI::detail

#endif  // SPECDEC_DETAIL_RACE_PASS_HPP
