#ifndef SPECDEC_TESTS_FUZZ_LOGITS_HPP
#define SPECDEC_TESTS_FUZZ_LOGITS_HPP

/// @file
/// Rows of logits of any bits, and sampling parameters of any bits, as several targets read them from their input.

#include <limits>
#include <memory>
#include <specdec/sampling/params.hpp>
#include <specdec/types.hpp>

#include "fuzz.hpp"

namespace fuzz {

using specdec::token_id;

/// Rows of logits in memory of exactly their size, so that a sanitizer sees who leaves it.
///
/// Each logit is one of a palette's, chosen by its place: a few bytes of input make rows of thousands of tokens, with
/// ties, gaps and whatever else the palette has.
template <class T>
class logits {
 public:
  logits(input& in, std::size_t rows, std::size_t vocab_size)
      : stride_(in.one_in(4) ? in.between(2, 3) : 1),
        rows_(rows),
        vocab_size_(vocab_size),
        size_(rows * vocab_size * stride_),
        memory_(new T[size_]) {
    T palette[16];
    const std::size_t colours = in.between(1, std::size(palette));
    const std::size_t kind = in.below(4);
    for (std::size_t i = 0; i < colours; ++i) palette[i] = colour(in, kind);
    const auto seed = in.bits<std::uint32_t>();
    for (std::size_t i = 0; i < size_; ++i) {
      const std::uint64_t random = mixed((std::uint64_t{seed} << 32) + i);
      memory_[i] = palette[random % colours];
      // Ties are for the palette; here no two need be alike.
      if (kind == 0 && sizeof(T) >= sizeof(float)) memory_[i] = nudged(memory_[i], random >> 32);
    }
    // Single ones of any bits, since a palette that has a NaN spoils nearly every row.
    for (std::size_t i = in.one_in(4) ? in.between(1, 2) : 0; i > 0; --i) memory_[in.below(size_)] = any(in);
  }

  /// Lets a row be of another width than the vocabulary: whoever reads a wider one leaves the memory.
  void misshape(std::size_t row, std::size_t width) noexcept {
    misshapen_ = row;
    width_ = width;
  }

  /// The same with zeros in some of the rows, all as wide as the vocabulary.
  template <class Choose>
  [[nodiscard]] logits without(Choose&& chosen) const {
    logits copy(*this);
    for (std::size_t i = 0; i < rows_; ++i) {
      if (chosen(i)) std::fill_n(copy.memory_.get() + i * vocab_size_ * stride_, vocab_size_ * stride_, T{});
    }
    return copy;
  }

  [[nodiscard]] std::size_t size() const noexcept { return rows_; }
  [[nodiscard]] specdec::logits_row<T> row(std::size_t index) const noexcept {
    return {memory_.get() + index * vocab_size_ * stride_, index == misshapen_ ? width_ : vocab_size_,
            static_cast<std::ptrdiff_t>(stride_)};
  }

 private:
  logits(const logits& other)
      : stride_(other.stride_),
        rows_(other.rows_),
        vocab_size_(other.vocab_size_),
        size_(other.size_),
        memory_(new T[size_]) {
    std::copy_n(other.memory_.get(), size_, memory_.get());
  }

  static T colour(input& in, std::size_t kind) {
    if (kind == 3) return in.bits<T>();
    if constexpr (std::is_same_v<T, specdec::float16>) {
      // Magnitudes up to 2 in kind 0, to 256 otherwise.
      const auto bits = in.bits<std::uint16_t>();
      return {static_cast<std::uint16_t>((bits & 0x83FF) | (kind == 0 ? 0x3C00 : (bits & 0x1C00) + 0x3C00))};
    } else if constexpr (std::is_same_v<T, specdec::bfloat16>) {
      const auto bits = in.bits<std::uint16_t>();
      return {static_cast<std::uint16_t>((bits & 0x807F) | (kind == 0 ? 0x3F80 : (bits & 0x0380) + 0x3F80))};
    } else {
      const auto steps = static_cast<T>(in.bits<std::int8_t>());
      return kind == 2 && in.one_in(4) ? -std::numeric_limits<T>::infinity() : steps / (kind == 0 ? T{8} : T{1});
    }
  }
  /// Any bits; every other time such as make no finite number.
  static T any(input& in) {
    using word = std::conditional_t<std::is_same_v<T, double>, std::uint64_t,
                                    std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint16_t>>;
    static_assert(sizeof(T) == sizeof(word));
    constexpr word exponent = std::is_same_v<T, double>             ? static_cast<word>(0x7FF0000000000000)
                              : std::is_same_v<T, float>            ? static_cast<word>(0x7F800000)
                              : std::is_same_v<T, specdec::float16> ? 0x7C00
                                                                    : 0x7F80;
    const word bits = in.bits<word>();
    return std::bit_cast<T>(static_cast<word>(in.below(2) == 0 ? bits : bits | exponent));
  }
  template <class Real>
  static Real nudged(Real x, std::uint64_t random) {
    if constexpr (std::is_floating_point_v<Real>) {
      return x + static_cast<Real>(random & 0xFFFF) * Real{0x1p-16F};
    } else {
      return x;
    }
  }

  std::size_t stride_, rows_, vocab_size_, size_;
  std::size_t misshapen_ = ~std::size_t{0}, width_ = 0;
  std::unique_ptr<T[]> memory_;
};

/// A vocabulary of a few tokens as a rule, at times of several blocks.
[[nodiscard]] inline std::size_t vocabulary_size(input& in) {
  // Few are large, since one that is costs as much as a hundred others.
  const std::size_t choice = in.below(64);
  return choice == 63 ? in.between(1, 5000) : choice > 58 ? in.between(1000, 1100) : in.between(1, 40);
}

/// A real number: any bits, or one of those that matter.
[[nodiscard]] inline double any_real(input& in) {
  constexpr double most = std::numeric_limits<double>::max(), infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double edges[] = {0, -0.0, 1, -1, 1e-6, 9e-7, 1e30, 2e30, 0.5, 5e-324, most, infinity, -infinity, nan};
  return in.one_in(2) ? in.bits<double>() : edges[in.below(std::size(edges))];
}

/// Sampling parameters: mostly such as can be used, at times any bits.
[[nodiscard]] inline specdec::sampling_params sampling(input& in, std::size_t vocab_size) {
  const auto real = [&in](double usual, double other, double scale) {
    switch (in.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return usual;
      case 4:
        return other;
      case 7:
        return any_real(in);
      default:
        return static_cast<double>(in.bits<std::uint8_t>()) * scale;
    }
  };
  specdec::sampling_params params;
  params.temperature = real(1, 0, 0x1p-6);
  params.top_k = in.one_in(3) ? in.below(vocab_size + 2) : 0;
  params.top_p = real(1, 0.9, 0x1p-8);
  params.min_p = real(0, 0.1, 0x1p-9);
  params.order = in.below(2) == 1 ? specdec::filter_order::llama_cpp : specdec::filter_order::hugging_face;
  if (in.one_in(3)) {
    params.repetition_penalty = real(1, 1.1, 0x1p-6);
    params.frequency_penalty = real(0, -0.5, 0x1p-4);
    params.presence_penalty = real(0, 0.25, 0x1p-4);
    params.penalty_window = in.one_in(8) ? in.bits<std::size_t>() : in.below(16);
    params.penalize_prompt = in.below(2) == 0;
  }
  for (std::size_t i = in.one_in(4) ? in.below(4) : 0; i > 0; --i) {
    const auto token = in.one_in(16) ? in.bits<token_id>() : static_cast<token_id>(in.below(vocab_size));
    const double amount = in.one_in(4) ? -std::numeric_limits<double>::infinity() : real(1, -1, 0x1p-3);
    params.bias.push_back({token, amount});
  }
  return params;
}

/// Whether the parameters are such as sampling_params.hpp allows.
[[nodiscard]] inline bool allowed(const specdec::sampling_params& p, std::size_t vocab_size) {
  constexpr double most = std::numeric_limits<double>::max();
  bool all = p.temperature == 0 || (p.temperature >= 1e-6 && p.temperature <= 1e30);
  all = all && p.top_p > 0 && p.top_p <= 1 && p.min_p >= 0 && p.min_p <= 1;
  all = all && p.repetition_penalty > 0 && p.repetition_penalty <= most;
  for (const double penalty : {p.frequency_penalty, p.presence_penalty})
    all = all && penalty >= -most && penalty <= most;
  for (const auto& bias : p.bias) {
    all = all && bias.token >= 0 && static_cast<std::size_t>(bias.token) < vocab_size && bias.amount <= most;
  }
  return all;
}

/// The text behind which a token is chosen.
[[nodiscard]] inline std::vector<token_id> text(input& in, std::size_t vocab_size, std::size_t most) {
  std::vector<token_id> tokens(in.below(most + 1));
  for (token_id& token : tokens) token = static_cast<token_id>(in.below(vocab_size));
  return tokens;
}

/// A mask that looks at nothing but the token and how many were generated.
class sieve {
 public:
  sieve(std::uint64_t seed, std::size_t vocab_size) : seed_(seed), vocab_size_(vocab_size) {}

  [[nodiscard]] bool allows(token_id token) const {
    return mixed(seed_ + taken_ * 8191 + static_cast<std::uint64_t>(token)) % 4 != 0;
  }
  void fill(std::span<std::uint32_t> words) const {
    for (std::size_t t = 0; t < vocab_size_; ++t) {
      if (allows(static_cast<token_id>(t))) words[t / 32] |= std::uint32_t{1} << t % 32;
    }
  }
  void advance(token_id) { ++taken_; }
  void rollback(std::size_t n) {
    require(n <= taken_, "no more is taken back than was advanced");
    taken_ -= n;
  }

 private:
  std::uint64_t seed_;
  std::size_t vocab_size_;
  std::size_t taken_ = 0;
};

/// Calls `act.operator()<Logit>()` with one of the types that a logit may have; float is the likeliest.
template <class Act>
void with_any_logit(input& in, const Act& act) {
  switch (in.below(5)) {
    case 2:
      return act.template operator()<specdec::float16>();
    case 3:
      return act.template operator()<specdec::bfloat16>();
    case 4:
      return act.template operator()<double>();
    default:
      return act.template operator()<float>();
  }
}

}  // namespace fuzz

#endif  // SPECDEC_TESTS_FUZZ_LOGITS_HPP
