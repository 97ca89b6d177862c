#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <vector>

#include "counting_new.hpp"

namespace {

using specdec::token_id;

constexpr std::size_t vocab = 500;
constexpr std::size_t sequences = 6;

/// A model of several sequences that allocates nothing once built.
class still_batch {
 public:
  explicit still_batch(std::uint32_t seed) : seed_(seed), contexts_(sequences), logits_(vocab * 64) {
    for (auto& context : contexts_) context.reserve(1U << 11);
  }
  std::size_t vocab_size() const { return vocab; }
  std::size_t sequence_count() const { return sequences; }
  std::size_t size(std::size_t sequence) const { return contexts_[sequence].size(); }
  void truncate(std::size_t sequence, std::size_t n) { contexts_[sequence].resize(n); }
  specdec::logits_view<float> decode(std::span<const specdec::sequence_feed> feeds) {
    std::size_t rows = 0;
    for (const auto& feed : feeds) {
      contexts_[feed.sequence].insert(contexts_[feed.sequence].end(), feed.tokens.begin(), feed.tokens.end());
      for (const token_id token : feed.tokens.last(feed.rows)) {
        auto state = seed_ ^ static_cast<std::uint32_t>(token) * 2654435761U;
        for (std::size_t t = 0; t < vocab; ++t) {
          state = state * 1664525U + 1013904223U;
          logits_[rows * vocab + t] = static_cast<float>(state >> 24) / 32.0F;
        }
        ++rows;
      }
    }
    return {logits_.data(), rows, vocab};
  }

 private:
  std::uint32_t seed_;
  std::vector<std::vector<token_id>> contexts_;
  std::vector<float> logits_;
};

TEST(allocation, is_none_in_batches_once_warm) {
  still_batch target(1);
  still_batch draft(1);
  // Records grow with the text, by doubling: they are once made as large as they will get.
  const std::vector<token_id> longest(1900, 1);
  specdec::batch_model_drafter drafter(draft, specdec::constant{5});
  specdec::session_batch batch(target, drafter, {16});
  std::vector<specdec::session<>> texts;
  for (std::uint32_t i = 0; i < sequences; ++i) {
    texts.emplace_back(vocab, specdec::generate_options{.max_tokens = 1600, .stream = i});
    texts.back().begin(longest);
  }
  for (auto& text : texts) batch.join(text);
  while (texts.back().generated().empty()) batch.round();
  std::size_t allocations = 0;
  std::size_t committed = 0;
  for (auto& text : texts) text.begin(std::vector<token_id>{10, 11, 12});
  for (int round = 0; round < 200; ++round) {
    const std::size_t before = counting_new::allocations();
    batch.round([&](auto&, const specdec::outcome& out) { committed += out.committed; });
    if (round >= 40) allocations += counting_new::allocations() - before;
  }
  EXPECT_EQ(allocations, 0U);
  EXPECT_GT(committed, 300U);
}

}  // namespace
