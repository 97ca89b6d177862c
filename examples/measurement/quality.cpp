#include "quality.hpp"

#include <cmath>

#include <specdec/specdec.hpp>

namespace measurement {

double quality::agreement() const noexcept {
  return tokens == 0 ? 0 : static_cast<double>(likeliest) / static_cast<double>(tokens);
}

double quality::perplexity() const noexcept {
  return tokens == 0 ? 1 : std::exp(-log_probability / static_cast<double>(tokens));
}

quality& quality::operator+=(const quality& other) noexcept {
  tokens += other.tokens;
  likeliest += other.likeliest;
  log_probability += other.log_probability;
  return *this;
}

quality quality_of(any_context target, std::span<const specdec::token_id> text, std::size_t prompt_size) {
  quality found;
  if (text.size() == prompt_size) return found;
  specdec::law law(target.vocab_size(), {});
  target.truncate(0);
  const std::size_t generated = text.size() - prompt_size;
  // The last token is judged by the row before it; what would follow it is nobody's question.
  const auto rows = target.decode(text.first(text.size() - 1), generated);
  for (std::size_t i = 0; i < generated; ++i) {
    const specdec::token_id token = text[prompt_size + i];
    const auto p = law.of(rows.row(i));
    found.log_probability += p.log_probability(token);
    found.likeliest += p.mode() == token ? 1 : 0;
    ++found.tokens;
  }
  return found;
}

}  // namespace measurement
