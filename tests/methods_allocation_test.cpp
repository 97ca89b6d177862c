// The founding methods allocate nothing per round either, once rounds have reached their size.

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <vector>

#include "counting_new.hpp"

namespace {

using specdec::token_id;

constexpr std::size_t vocabulary = 300;

/// A model that allocates nothing once built, and whose text repeats itself: its logits depend on the last token.
class still_model {
 public:
  explicit still_model(float noise) : logits_(vocabulary * 64), noise_(noise) { context_.reserve(1U << 12); }
  std::size_t vocab_size() const { return vocabulary; }
  std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    for (std::size_t row = 0; row < rows; ++row) {
      auto state = static_cast<std::uint32_t>(tokens[tokens.size() - rows + row]) * 2654435761U;
      for (std::size_t t = 0; t < vocabulary; ++t) {
        state = state * 1664525U + 1013904223U;
        logits_[row * vocabulary + t] = static_cast<float>(state >> 24) / 24.0F + noise_ * static_cast<float>(t % 7);
      }
    }
    return {logits_.data(), rows, vocabulary};
  }

 private:
  std::vector<token_id> context_;
  std::vector<float> logits_;
  float noise_;
};

/// Runs 200 rounds, of which those behind the first `warm` must not allocate.
template <class Rule, class Drafter>
void expect_no_allocation_once_warm(const Rule& rule, Drafter drafter, double temperature, std::size_t warm = 20) {
  still_model target(0);
  specdec::session text(vocabulary, {.max_tokens = 3000, .sampling = {temperature}}, rule);
  text.begin(std::vector<token_id>{10, 11, 12});
  specdec::draft drafted;
  std::size_t round = 0;
  for (; text.running() && round < 200; ++round) {
    const std::size_t before = counting_new::allocations();
    const auto request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const auto plan = plan_for(text, drafted, target);
    if (target.size() > plan.held) target.truncate(plan.held);
    const auto out = text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
    specdec::tell(drafter, out);
    if (round >= warm) {
      EXPECT_EQ(counting_new::allocations(), before) << "round " << round;
    }
  }
  EXPECT_GT(round, 50U);
  EXPECT_GT(text.stats().proposed, 20U);
}

template <class Rule>
void expect_no_allocation_once_warm(const Rule& rule) {
  for (const double temperature : {0.0, 1.0}) {
    still_model draft(0.05F);
    const specdec::constant five{5};
    expect_no_allocation_once_warm(rule, specdec::model_drafter(draft, specdec::adaptive_exit{.max_step_draft = 5}),
                                   temperature);
    expect_no_allocation_once_warm(rule, specdec::model_drafter(draft, specdec::confidence(five)), temperature);
    expect_no_allocation_once_warm(rule, specdec::model_drafter(draft, specdec::fallback{.fallback_threshold = 0.02}),
                                   temperature);
    expect_no_allocation_once_warm(rule, specdec::prompt_lookup{}, temperature, 60);
    std::vector<token_id> corpus;
    for (token_id t = 0; t < 5000; ++t) corpus.push_back(t * t % static_cast<token_id>(vocabulary));
    const specdec::ngram_table table(vocabulary, corpus);
    expect_no_allocation_once_warm(rule, specdec::ngram_drafter(table, five), temperature);
  }
}

TEST(allocation, is_none_in_the_founding_methods_once_warm) {
  expect_no_allocation_once_warm(specdec::rejection{});
  expect_no_allocation_once_warm(specdec::lenient(0.3));
  expect_no_allocation_once_warm(specdec::big_little());
}

}  // namespace
