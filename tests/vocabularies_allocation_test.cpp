// Drafting with another vocabulary allocates nothing per round either.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "still_model.hpp"

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

const pairs_of_letters<9> target_letters;
const pairs_of_letters<7> draft_letters;

/// Generates a text twice. The second time the drafter has seen a text as long, and must not allocate.
void expect_no_allocation_once_warm(auto& drafter, double temperature) {
  still_model target(target_letters.vocab_size(), {.seed = 1, .scale = 1.0F / 128});
  specdec::session text(target.vocab_size(), {.max_tokens = 4000, .sampling = {temperature}});
  specdec::draft drafted;
  for (const bool warm : {false, true}) {
    text.begin(std::vector<token_id>{81, 82, 83});
    std::size_t round = 0;
    for (; text.running() && round < 300; ++round) {
      const counted_round made = make_round(text, target, drafter, drafted);
      if (warm) {
        EXPECT_EQ(made.while_drafting, 0U) << "round " << round;
      }
    }
    EXPECT_EQ(round, 300U);
    EXPECT_GT(text.stats().proposed, 300U);
  }
}

TEST(allocation, drafting_by_the_intersection_does_not_allocate_once_warm) {
  const specdec::vocabulary_map map(target_letters, draft_letters);
  for (const double temperature : {0.0, 1.0}) {
    specdec::translated draft(still_model(draft_letters.vocab_size(), {.seed = 2, .scale = 1.0F / 128}), map);
    specdec::model_drafter drafter(draft, specdec::constant{5});
    expect_no_allocation_once_warm(drafter, temperature);
  }
}

TEST(allocation, drafting_through_the_text_does_not_allocate_once_warm) {
  for (const double temperature : {0.0, 1.0}) {
    still_model draft(draft_letters.vocab_size(), {.seed = 3, .scale = 1.0F / 128});
    specdec::universal_drafter drafter(draft, target_letters, draft_letters, {.num_assistant_tokens = 8});
    expect_no_allocation_once_warm(drafter, temperature);
  }
}

}  // namespace
