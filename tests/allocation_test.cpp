#include <gtest/gtest.h>

#include <array>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <utility>
#include <vector>

#include "counting_new.hpp"
#include "still_model.hpp"

namespace {

using specdec::token_id;

constexpr std::size_t vocab_size = 3000;

/// Nests two kinds of brackets: tokens 0 and 1 open one, 2 and 3 close the last, all others are words. Nothing else
/// fits at the greatest depth, so that some tokens are forced.
class brackets {
 public:
  bool allows(token_id token) const {
    const bool closes = depth_ > 0 && token == 2 + open_[depth_ - 1];
    return depth_ == deepest ? closes : closes || (token != 2 && token != 3);
  }
  void fill(std::span<std::uint32_t> words) const {
    for (std::size_t t = 0; t < vocab_size; ++t) {
      if (allows(static_cast<token_id>(t))) words[t / 32] |= 1U << t % 32;
    }
  }
  void advance(token_id token) {
    ASSERT_LT(size_, taken_.size());
    taken_[size_++] = token;
    replay();
  }
  void rollback(std::size_t n) {
    size_ -= n;
    replay();
  }

 private:
  static constexpr std::size_t deepest = 3;

  void replay() {
    depth_ = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      // Every third word opens one too, or there would be few.
      if (taken_[i] == 2 || taken_[i] == 3) {
        --depth_;
      } else if (depth_ < deepest && (taken_[i] < 2 || taken_[i] % 3 == 0)) {
        open_[depth_++] = taken_[i] % 2;
      }
    }
  }

  std::array<token_id, 3000> taken_{};
  std::size_t size_ = 0;
  std::array<token_id, deepest> open_{};
  std::size_t depth_ = 0;
};

/// Runs 200 rounds, of which those behind the first `warm` must not allocate. Returns how many tokens waited in them.
template <class Session, class Target, class Draft>
std::size_t expect_no_allocation(Session& text, Target& target, Draft& drafter, std::size_t warm) {
  text.begin(std::vector<token_id>{10, 11, 12});
  specdec::draft drafted;
  std::size_t round = 0;
  std::size_t waiting = 0;
  for (; text.running() && round < 200; ++round) {
    const auto [out, allocations, while_drafting] = make_round(text, target, drafter, drafted);
    EXPECT_GT(out.committed, 0U);
    waiting += text.waiting().size();
    if (round >= warm) {
      EXPECT_EQ(allocations, 0U) << "round " << round << ", drafting " << while_drafting;
    }
  }
  EXPECT_EQ(round, 200U);
  return waiting;
}

void expect_no_allocation_once_warm(const specdec::sampling_params& sampling, std::size_t top) {
  still_model target(vocab_size, {.seed = 1});
  still_model draft(vocab_size, {.seed = 2});
  specdec::session text(vocab_size, {.max_tokens = 2000, .sampling = sampling});
  specdec::model_drafter drafter(draft, specdec::constant{5}, {.top = top});
  (void)expect_no_allocation(text, target, drafter, 1);
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

/// Everything that a generation can be asked for, in all of the text.
specdec::generate_options demanding(specdec::log_probability_of which) {
  specdec::generate_options options{.max_tokens = 2000, .end_tokens = {20}, .min_tokens = 2000};
  options.sampling = {.temperature = 0.5, .repetition_penalty = 1.05};
  options.mask = brackets();
  options.log_probabilities = which;
  options.top_log_probabilities = 5;
  options.detokenize = [](token_id token, std::string& text) {
    text.append(1 + static_cast<std::size_t>(token % 3), static_cast<char>('a' + token % 5));
  };
  // None of them can come to its end: no token spells '!', and the end token is too early.
  options.stop_texts = {"ab!", "aaaa!", "eeee!", "c!"};
  for (token_id t = 0; t < 1000; ++t) options.stop_sequences.push_back({t, 20});
  return options;
}

TEST(allocation, is_none_under_a_mask_with_stops_and_candidates_once_warm) {
  for (const auto which : {specdec::log_probability_of::law, specdec::log_probability_of::model}) {
    still_model target(vocab_size, {.seed = 1});
    still_model draft(vocab_size, {.seed = 1});
    specdec::session text(vocab_size, demanding(which));
    specdec::model_drafter drafter(draft, specdec::constant{5});
    // What waits sets the greatest size of a round, and chance how soon it is met.
    EXPECT_GT(expect_no_allocation(text, target, drafter, 40), 50U);
    EXPECT_GT(text.stats().accepted, 100U);
  }
}

TEST(allocation, is_none_with_filters_under_a_mask_once_warm) {
  still_model target(vocab_size, {.seed = 1});
  still_model draft(vocab_size, {.seed = 1});
  auto options = demanding(specdec::log_probability_of::law);
  options.sampling.top_k = 50;
  options.sampling.top_p = 0.9;
  specdec::session text(vocab_size, options);
  specdec::model_drafter drafter(draft, specdec::constant{5}, {.top = 0});
  EXPECT_GT(expect_no_allocation(text, target, drafter, 40), 50U);
}

TEST(allocation, is_none_in_wrappers_once_warm) {
  specdec::recorded target{specdec::padded(still_model(3064, {.seed = 1}), vocab_size)};
  specdec::padded draft{specdec::recorded{still_model(3008, {.seed = 2})}, vocab_size};
  specdec::session text(vocab_size, {.max_tokens = 2000});
  specdec::model_drafter drafter(draft, specdec::constant{5});
  (void)target.decode(std::vector<token_id>(2100, 1), 0);
  (void)draft.decode(std::vector<token_id>(2100, 1), 0);
  (void)expect_no_allocation(text, target, drafter, 1);
}

TEST(allocation, is_none_with_types_chosen_at_run_time_and_a_target_that_knows_its_tokens_once_warm) {
  still_model inner(vocab_size, {.seed = 1});
  still_model draft(vocab_size, {.seed = 2});
  specdec::recorded<still_model&> target(inner);
  // It cannot know how long the text will be, and grows by doubling; so it is once made as large as it will get.
  (void)target.decode(std::vector<token_id>(2100, 1), 0);
  target.truncate(0);
  specdec::any_drafter drafter = specdec::model_drafter(draft, specdec::constant{5});
  specdec::session<specdec::any_verifier<>> text(vocab_size, {.max_tokens = 2000}, specdec::rejection{});
  (void)expect_no_allocation(text, target, drafter, 1);
}

}  // namespace
