// What a mask forbids cannot matter: not even if its logits are unusable.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "scenarios.hpp"

namespace {

using specdec::token_id;

constexpr token_id forbidden_from = 50;

/// Allows tokens below `forbidden_from`.
struct head_only {
  bool allows(token_id token) const { return token < forbidden_from; }
  void fill(std::span<std::uint32_t> words) const {
    for (token_id t = 0; t < forbidden_from; ++t) words[static_cast<std::size_t>(t) / 32] |= 1U << t % 32;
  }
  void advance(token_id) {}
  void rollback(std::size_t) {}
};

/// The target with another logit for everything that is forbidden.
class overwritten {
 public:
  explicit overwritten(float logit) : logit_(logit) {}
  [[nodiscard]] std::size_t vocab_size() const { return scenarios::vocab_size; }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  void truncate(std::size_t n) { model_.truncate(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    const auto view = model_.decode(tokens, rows);
    logits_.clear();
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t t = 0; t < vocab_size(); ++t) {
        logits_.push_back(t < static_cast<std::size_t>(forbidden_from) ? view.row(i)[t] : logit_);
      }
    }
    return {logits_.data(), rows, vocab_size()};
  }

 private:
  scenarios::pool_model model_ = scenarios::target_model;
  float logit_;
  std::vector<float> logits_;
};

specdec::generation generated(const specdec::generate_options& options, float forbidden) {
  overwritten target(forbidden);
  scenarios::models with(scenarios::setting::plain, scenarios::drafting::dense);
  return specdec::speculative_generate(target, with.drafter, scenarios::prompt, options);
}

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

TEST(masked_logits, that_are_unusable_change_nothing) {
  for (const double temperature : {0.0, 1.0}) {
    for (const double top_p : {0.9, 1.0}) {
      specdec::generate_options options{.max_tokens = 200, .seed = 3, .mask = head_only(), .top_log_probabilities = 2};
      options.sampling.temperature = temperature;
      options.sampling.top_p = top_p;
      const auto expected = generated(options, -infinity);
      for (const float forbidden : {0.0F, infinity, nan}) {
        const auto result = generated(options, forbidden);
        ASSERT_EQ(result.tokens.size(), expected.tokens.size());
        for (std::size_t i = 0; i < expected.tokens.size(); ++i) {
          ASSERT_EQ(result.tokens[i].id, expected.tokens[i].id) << "token " << i << ", logit " << forbidden;
          EXPECT_EQ(result.tokens[i].log_probability, expected.tokens[i].log_probability);
          EXPECT_EQ(result.top(i).size(), expected.top(i).size());
        }
        EXPECT_EQ(result.stats.accepted, expected.stats.accepted);
        EXPECT_EQ(result.stats.evaluated, expected.stats.evaluated);
      }
    }
  }
}

TEST(masked_logits, that_are_unusable_leave_the_models_own_law_untold) {
  for (const float forbidden : {infinity, nan}) {
    const auto result = generated({.max_tokens = 50,
                                   .mask = head_only(),
                                   .log_probabilities = specdec::log_probability_of::model,
                                   .top_log_probabilities = 20},
                                  forbidden);
    ASSERT_EQ(result.tokens.size(), 50U);
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
      EXPECT_TRUE(std::isnan(result.tokens[i].log_probability));
      EXPECT_TRUE(result.top(i).empty());
    }
  }
}

}  // namespace
