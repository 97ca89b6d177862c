#include "teacher_forcing.hpp"

#include <algorithm>

namespace llama {
namespace {

using specdec::token_id;

// As many rows as a call may have without much memory, whatever the vocabulary.
constexpr std::size_t rows_per_call = 32;

}  // namespace

forced_text force(measurement::any_context& target, measurement::any_context& draft, std::span<const token_id> text,
                  std::size_t prompt_size, const specdec::generate_options& how, std::size_t draft_top) {
  const std::size_t vocab_size = target.vocab_size();
  const specdec::end_rule ends{how.end_tokens, how.min_tokens};
  specdec::law p_law(vocab_size, how.sampling, ends), q_law(vocab_size, how.sampling, ends);
  std::vector<token_id> ids(draft_top > 0 ? std::min(draft_top, vocab_size) : 0);
  std::vector<float> weights(draft_top > 0 ? ids.size() : vocab_size);
  const auto overlap = [](const auto& p, const specdec::proposal& q, std::span<const token_id> tokens) {
    double sum = 0;
    for (const token_id token : tokens) sum += std::min(p.probability(token), q.probability(token));
    return sum;
  };
  std::vector<token_id> everything(draft_top > 0 ? 0 : vocab_size);
  for (std::size_t i = 0; i < everything.size(); ++i) everything[i] = static_cast<token_id>(i);

  forced_text found;
  target.truncate(0);
  draft.truncate(0);
  for (std::size_t end = prompt_size; end < text.size();) {
    const std::size_t begin = end == prompt_size ? 0 : end - 1;
    const std::size_t rows = std::min(rows_per_call, text.size() - end);
    // The last row is behind the token before the last position.
    const auto tokens = text.subspan(begin, end - 1 + rows - begin);
    const auto p_rows = target.decode(tokens, rows);
    const auto q_rows = draft.decode(tokens, rows);
    for (std::size_t i = 0; i < rows; ++i) {
      const specdec::text_so_far before{text.first(end + i), {}, prompt_size};
      const auto p = p_law.of(p_rows.row(i), before);
      const auto q = q_law.of(q_rows.row(i), before);
      const token_id guess = q.mode();
      found.likeliest += p.probability(guess);
      if (q.greedy()) {
        found.overlap += p.probability(guess);
      } else if (draft_top > 0) {
        const specdec::proposal drafted = q.propose_top(ids, weights);
        found.overlap += overlap(p, drafted, drafted.ids());
      } else {
        found.overlap += overlap(p, q.propose_all(weights), everything);
      }
      ++found.positions;
    }
    end += rows;
  }
  return found;
}

}  // namespace llama
