// The float path with production randomness, against the exact law: what enumeration cannot see, such as a generator
// whose numbers are not independent, or keys that collide between rounds.

#include <gtest/gtest.h>

#include <cmath>
#include <specdec/specdec.hpp>
#include <vector>

#include "laws.hpp"

namespace {

using specdec::token_id;

constexpr std::size_t width = 8;
constexpr std::size_t length = 3;

/// A Markov chain in float: the law of the next token depends on the last two.
class chain {
 public:
  explicit chain(std::uint64_t seed) {
    const auto law = laws::hashed(width, seed, 0.8);
    for (token_id a = 0; a < token_id{width}; ++a) {
      for (token_id b = 0; b < token_id{width}; ++b) {
        for (const double p : law(std::vector<token_id>{a, b})) table_.push_back(static_cast<float>(std::log(p)));
      }
    }
  }
  std::size_t vocab_size() const { return width; }
  std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    logits_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context_.push_back(tokens[i]);
      if (i + rows < tokens.size()) continue;
      const std::size_t n = context_.size();
      const float* row = row_behind(n > 1 ? context_[n - 2] : 0, context_[n - 1]);
      logits_.insert(logits_.end(), row, row + width);
    }
    return {logits_.data(), rows, width};
  }
  /// The law behind two tokens at a temperature, in double.
  laws::probabilities law(token_id a, token_id b, double temperature) const {
    laws::probabilities p;
    for (std::size_t t = 0; t < width; ++t) {
      p.push_back(std::exp(static_cast<double>(row_behind(a, b)[t]) / temperature));
    }
    return laws::normalized(p);
  }

 private:
  const float* row_behind(token_id a, token_id b) const {
    return &table_[(static_cast<std::size_t>(a) * width + static_cast<std::size_t>(b)) * width];
  }
  std::vector<float> table_;
  std::vector<token_id> context_;
  std::vector<float> logits_;
};

/// Pearson's statistic over all texts of `length` tokens, from `count` generations that differ in seed or in stream.
double chi_square(double temperature, std::size_t gamma, std::size_t top, bool by_stream, std::size_t count) {
  chain target(41);
  chain draft(42);
  std::vector<double> seen(width * width * width);
  const std::vector<token_id> prompt{3, 5};
  for (std::size_t i = 0; i < count; ++i) {
    specdec::session text(width, {.max_tokens = length,
                                  .sampling = {.temperature = temperature},
                                  .seed = by_stream ? 7 : i,
                                  .stream = by_stream ? static_cast<std::uint32_t>(i) : 0});
    text.begin(prompt);
    specdec::model_drafter drafter(draft, specdec::constant{gamma}, {.top = top});
    speculative_generate(text, target, drafter);
    std::size_t index = 0;
    for (const token_id t : text.generated()) index = index * width + static_cast<std::size_t>(t);
    ++seen[index];
  }
  double statistic = 0;
  for (token_id a = 0; a < token_id{width}; ++a) {
    for (token_id b = 0; b < token_id{width}; ++b) {
      for (token_id c = 0; c < token_id{width}; ++c) {
        const auto at = [](const laws::probabilities& p, token_id t) { return p[static_cast<std::size_t>(t)]; };
        const double p = at(target.law(prompt[0], prompt[1], temperature), a) *
                         at(target.law(prompt[1], a, temperature), b) * at(target.law(a, b, temperature), c);
        const double expected = p * static_cast<double>(count);
        const double got = seen[static_cast<std::size_t>((a * 8 + b) * 8 + c)];
        statistic += (got - expected) * (got - expected) / expected;
      }
    }
  }
  return statistic;
}

// 511 degrees of freedom; a right program exceeds 678 once in 10^6 runs. The seeds are fixed, so it never varies.
constexpr double limit = 678;
constexpr std::size_t generations = 100'000;

TEST(statistics, texts_have_the_law_of_the_target) {
  EXPECT_LT(chi_square(1.0, 2, 0, false, generations), limit);
  EXPECT_LT(chi_square(1.0, 4, 3, true, generations), limit);
  EXPECT_LT(chi_square(1.4, 1, 64, false, generations), limit);
  EXPECT_LT(chi_square(1.0, 0, 0, true, generations), limit);
}

}  // namespace
