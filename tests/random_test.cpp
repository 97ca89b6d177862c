#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <specdec/random.hpp>
#include <vector>

namespace {

using block = std::array<std::uint32_t, 4>;

// Known answers published with the generator (Random123, kat_vectors, philox4x32 with 10 rounds).
TEST(philox, gives_the_published_answers) {
  EXPECT_EQ(specdec::philox4x32({0, 0, 0, 0}, {0, 0}), (block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(specdec::philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(specdec::philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(philox, every_part_of_the_key_changes_the_number) {
  using specdec::purpose;
  std::set<double> seen;
  const specdec::philox chance(1, 2);
  const std::vector<specdec::key> keys = {{},
                                          {.round = 1},
                                          {.position = 1},
                                          {.lane = 1},
                                          {.level = 1},
                                          {.use = purpose::accept},
                                          {.use = purpose::residual},
                                          {.use = purpose::bonus}};
  for (const auto& k : keys) seen.insert(chance.uniform(k));
  seen.insert(specdec::philox(2, 2).uniform({}));
  seen.insert(specdec::philox(std::uint64_t{1} << 32 | 1, 2).uniform({}));
  seen.insert(specdec::philox(1, 3).uniform({}));
  EXPECT_EQ(seen.size(), keys.size() + 3);
}

TEST(philox, every_bit_of_a_round_and_a_place_changes_the_number) {
  std::set<double> seen;
  std::size_t asked = 0;
  const auto ask = [&](const specdec::philox& chance, const specdec::key& k) {
    seen.insert(chance.uniform(k));
    ++asked;
  };
  const specdec::philox chance(1, 2);
  ask(chance, {});
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    ask(chance, {.round = 1U << bit});
    ask(chance, {.position = 1U << bit});
    ask(specdec::philox(1, 2 ^ 1U << bit), {});
  }
  for (std::uint32_t bit = 0; bit < 64; ++bit) ask(specdec::philox(1 ^ std::uint64_t{1} << bit, 2), {});
  EXPECT_EQ(seen.size(), asked);
}

// Chi-square over 256 cells of 2^18 numbers, fixed seed; false alarm 1e-6 at 255 degrees of freedom: 374.
TEST(philox, uniforms_are_uniform) {
  const specdec::philox chance(7);
  constexpr std::uint32_t count = 1U << 18;
  std::vector<double> cells(256);
  for (std::uint32_t i = 0; i < count; ++i) {
    const double u = chance.uniform({.round = i / 64, .position = i % 64, .use = specdec::purpose::accept});
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++cells[static_cast<std::size_t>(u * 256)];
  }
  double chi_square = 0;
  for (const double n : cells) chi_square += (n - count / 256.0) * (n - count / 256.0) / (count / 256.0);
  EXPECT_LT(chi_square, 374);
}

TEST(philox, uniforms_have_53_bits) {
  const specdec::philox chance(3);
  bool odd = false;
  for (std::uint32_t i = 0; i < 64; ++i) {
    const double mantissa = std::ldexp(chance.uniform({.round = i}), 53);
    EXPECT_EQ(mantissa, std::floor(mantissa));
    odd = odd || std::fmod(mantissa, 2) == 1;
  }
  EXPECT_TRUE(odd);
}

TEST(philox, what_cannot_be_is_never_accepted_and_what_must_be_always_is) {
  const specdec::philox chance(5);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_FALSE(chance.accept({.round = i}, 0.0, 0.5));
    EXPECT_TRUE(chance.accept({.round = i}, 0.5, 0.5));
    EXPECT_TRUE(chance.accept({.round = i}, 1e-300, 1e-300));
  }
}

// One number in 2^53 is 0, and would accept what cannot be if the comparison were not strict.
TEST(philox, a_number_that_equals_the_probability_refuses) {
  const specdec::philox chance(5);
  for (std::uint32_t i = 0; i < 100; ++i) {
    const specdec::key k{.round = i};
    const double u = chance.uniform(k);
    const double above = std::nextafter(u, 1.0);
    EXPECT_FALSE(chance.accept(k, u, 1.0));
    EXPECT_TRUE(chance.accept(k, above, 1.0));
    const auto nothing = [] { return 0.0; };
    EXPECT_FALSE(chance.accept(k, u, nothing, 1.0));
    EXPECT_TRUE(chance.accept(k, above, nothing, 1.0));
    EXPECT_FALSE(chance.accept(
        k, 0.0, [u] { return u; }, 1.0));
    EXPECT_TRUE(chance.accept(
        k, 0.0, [above] { return above; }, 1.0));
  }
}

}  // namespace
