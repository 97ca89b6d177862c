#include <gtest/gtest.h>

#include <specdec/specdec.hpp>
#include <utility>
#include <vector>

#include "counting_new.hpp"

namespace {

using specdec::token_id;

/// A model that allocates nothing once built.
class still_model {
 public:
  still_model(std::size_t vocab_size, std::uint32_t seed) : vocab_size_(vocab_size), seed_(seed) {
    context_.reserve(1U << 12);
    logits_.resize(vocab_size * 512);
  }
  std::size_t vocab_size() const { return vocab_size_; }
  std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    for (std::size_t row = 0; row < rows; ++row) {
      auto state = seed_ ^ static_cast<std::uint32_t>(tokens[tokens.size() - rows + row]) * 2654435761U;
      for (std::size_t t = 0; t < vocab_size_; ++t) {
        state = state * 1664525U + 1013904223U;
        logits_[row * vocab_size_ + t] = static_cast<float>(state >> 24) / 64.0F;
      }
    }
    return {logits_.data(), rows, vocab_size_};
  }

 private:
  std::size_t vocab_size_;
  std::uint32_t seed_;
  std::vector<token_id> context_;
  std::vector<float> logits_;
};

template <class Rule>
void expect_no_allocation_once_warm(specdec::session<Rule> text, auto& target, auto& drafter) {
  text.begin(std::vector<token_id>{1, 2, 3});
  specdec::draft drafted;
  std::size_t round = 0;
  for (; text.running() && round < 200; ++round) {
    const std::size_t before = counting_new::allocations();
    const auto request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    if (target.size() > plan.held) target.truncate(plan.held);
    const auto out = text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
    ASSERT_FALSE(out.tokens.empty());
    if (round > 0) {
      EXPECT_EQ(counting_new::allocations(), before) << "round " << round;
    }
  }
  EXPECT_EQ(round, 200U);
}

void expect_no_allocation_once_warm(const specdec::sampling_params& sampling, std::size_t top) {
  still_model target(3000, 1);
  still_model draft(3000, 2);
  specdec::model_drafter drafter(draft, specdec::constant{5}, {.top = top});
  expect_no_allocation_once_warm(specdec::session(3000, {.max_tokens = 2000, .sampling = sampling}), target, drafter);
}

TEST(allocation, is_counted) {
  const std::size_t before = counting_new::allocations();
  // Volatile, or a compiler may leave the pair out.
  int* volatile something = new int;
  delete something;
  EXPECT_EQ(counting_new::allocations(), before + 1);
}

TEST(allocation, rounds_do_not_allocate_once_warm) {
  expect_no_allocation_once_warm({}, 64);
  expect_no_allocation_once_warm({.temperature = 0}, 64);
  expect_no_allocation_once_warm({.temperature = 0.7}, 0);
  expect_no_allocation_once_warm({.top_k = 40}, 64);
  expect_no_allocation_once_warm({.top_p = 0.9}, 64);
  expect_no_allocation_once_warm({.temperature = 0.8,
                                  .top_k = 100,
                                  .top_p = 0.95,
                                  .min_p = 0.01,
                                  .repetition_penalty = 1.1,
                                  .frequency_penalty = 0.1,
                                  .presence_penalty = 0.1,
                                  .bias = {{5, 1.0}, {7, -2.0}}},
                                 0);
}

TEST(allocation, wrappers_do_not_allocate_once_warm) {
  specdec::recorded target{specdec::padded(still_model(3064, 1), 3000)};
  specdec::padded draft{specdec::recorded{still_model(3008, 2)}, 3000};
  specdec::model_drafter drafter(draft, specdec::constant{5});
  // The record doubles as it grows, as a vector does; what it has held once costs nothing.
  (void)target.decode(std::vector<token_id>(3000, 1), 0);
  (void)draft.decode(std::vector<token_id>(3000, 1), 0);
  expect_no_allocation_once_warm(specdec::session(3000, {.max_tokens = 2000}), target, drafter);
}

TEST(allocation, erased_types_do_not_allocate_once_warm) {
  still_model target(3000, 1);
  still_model draft(3000, 2);
  specdec::any_drafter drafter = specdec::model_drafter(draft, specdec::constant{5});
  specdec::session<specdec::any_verifier<>> text(3000, {.max_tokens = 2000}, specdec::rejection{});
  expect_no_allocation_once_warm(std::move(text), target, drafter);
}

}  // namespace
