// One file of a program of two. Both are this one, compiled under two names and, in places, with other -m flags.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <vector>

/// A model over several blocks of the vocabulary. Its logits are small multiples of 1/64, exact in any arithmetic.
class hashed_model {
 public:
  explicit hashed_model(std::uint32_t noise) : noise_(noise) {}

  std::size_t vocab_size() const { return 3000; }
  std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }

  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    logits_.clear();
    for (const specdec::token_id last : tokens.last(rows)) {
      auto state = static_cast<std::uint32_t>(last) + 1;
      for (std::size_t i = 0; i < vocab_size(); ++i) {
        state = state * 1664525U + 1013904223U;
        logits_.push_back(static_cast<float>((state >> 23) + ((state >> 16) & noise_)) / 64.0F);
      }
    }
    return {logits_.data(), rows, vocab_size()};
  }

 private:
  std::uint32_t noise_;
  std::vector<specdec::token_id> context_;
  std::vector<float> logits_;
};

/// A generation to the last bit.
std::string UNIT() {
  hashed_model target(0);
  hashed_model draft(63);
  const std::vector<specdec::token_id> prompt{1};
  const auto result = specdec::speculative_generate(
      target, draft, prompt, {.gamma = 4, .max_tokens = 64, .sampling = {.temperature = 0.8, .top_p = 0.97}, .seed = 5});
  std::string text;
  for (const specdec::emitted_token& token : result.tokens) {
    text += std::to_string(token.id) + (token.origin == specdec::provenance::target ? " " : "' ") +
            std::to_string(std::bit_cast<std::uint64_t>(token.log_probability)) + "\n";
  }
  return text;
}
