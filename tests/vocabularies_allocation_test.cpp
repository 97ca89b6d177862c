// Drafting with another vocabulary allocates nothing per round either.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "counting_new.hpp"

namespace {

using specdec::token_id;

/// Tokens are pairs of letters out of `Letters`, and the letters; made without a list.
template <std::size_t Letters>
struct pairs_of_letters {
  static constexpr std::size_t pairs = Letters * Letters;

  [[nodiscard]] std::size_t vocab_size() const { return pairs + Letters; }
  void decode(token_id token, std::string& bytes) const {
    const auto index = static_cast<std::size_t>(token);
    if (index < pairs) bytes += letter(index / Letters);
    bytes += letter(index % Letters);
  }
  void encode(std::string_view text, std::vector<token_id>& tokens) const {
    for (; text.size() > 1; text.remove_prefix(2)) {
      tokens.push_back(static_cast<token_id>(place(text[0]) * Letters + place(text[1])));
    }
    if (!text.empty()) tokens.push_back(static_cast<token_id>(pairs + place(text[0])));
  }

 private:
  static char letter(std::size_t index) { return static_cast<char>('a' + index); }
  static std::size_t place(char letter) { return static_cast<std::size_t>(letter - 'a') % Letters; }
};

/// A model that allocates nothing once built; its logits depend on the last token.
class still_model {
 public:
  still_model(std::size_t vocab_size, std::uint32_t seed) : vocab_size_(vocab_size), seed_(seed) {
    context_.reserve(1U << 13);
    logits_.resize(vocab_size * 64);
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
        logits_[row * vocab_size_ + t] = static_cast<float>(state >> 24) / 128.0F;
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

const pairs_of_letters<9> target_letters;
const pairs_of_letters<7> draft_letters;

/// Generates a text twice. The second time the drafter has seen a text as long, and must not allocate.
void expect_no_allocation_once_warm(auto& drafter, double temperature) {
  still_model target(target_letters.vocab_size(), 1);
  specdec::session text(target.vocab_size(), {.max_tokens = 4000, .sampling = {temperature}});
  specdec::draft drafted;
  for (const bool warm : {false, true}) {
    text.begin(std::vector<token_id>{81, 82, 83});
    std::size_t round = 0;
    for (; text.running() && round < 300; ++round) {
      const auto request = text.request();
      drafted.begin(request);
      const std::size_t before = counting_new::allocations();
      drafter.propose(request, text.chance(), drafted);
      if (warm) {
        EXPECT_EQ(counting_new::allocations(), before) << "round " << round;
      }
      const auto plan = plan_for(text, drafted, target);
      if (target.size() > plan.held) target.truncate(plan.held);
      (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
    }
    EXPECT_EQ(round, 300U);
    EXPECT_GT(text.stats().proposed, 300U);
  }
}

TEST(allocation, drafting_by_the_intersection_does_not_allocate_once_warm) {
  const specdec::vocabulary_map map(target_letters, draft_letters);
  for (const double temperature : {0.0, 1.0}) {
    specdec::translated draft(still_model(draft_letters.vocab_size(), 2), map);
    specdec::model_drafter drafter(draft, specdec::constant{5});
    expect_no_allocation_once_warm(drafter, temperature);
  }
}

TEST(allocation, drafting_through_the_text_does_not_allocate_once_warm) {
  for (const double temperature : {0.0, 1.0}) {
    still_model draft(draft_letters.vocab_size(), 3);
    specdec::universal_drafter drafter(draft, target_letters, draft_letters, {.num_assistant_tokens = 8});
    expect_no_allocation_once_warm(drafter, temperature);
  }
}

}  // namespace
