#ifndef SPECDEC_TESTS_DRAFTED_HPP
#define SPECDEC_TESTS_DRAFTED_HPP

/// @file
/// What a drafter without a model drafts behind a text.

#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/concepts.hpp>
#include <specdec/proposal.hpp>
#include <specdec/random.hpp>
#include <specdec/sampling/law.hpp>
#include <specdec/sampling/mask.hpp>
#include <vector>

namespace drafting {

using tokens = std::vector<specdec::token_id>;

/// What a request may come with.
struct setting {
  std::size_t max_depth = 64;
  specdec::end_rule ends = {};
  specdec::any_mask mask = {};
  std::size_t prompt_size = 1;
  double temperature = 1;
  std::uint32_t round = 0;
};

/// What is drafted behind a text over 10 tokens.
template <class Drafter>
tokens drafted(Drafter&& drafter, const tokens& text, const setting& with = {}) {
  constexpr std::size_t vocab_size = 10;
  const specdec::law target(vocab_size, {.temperature = with.temperature}, with.ends);
  specdec::mask_follower mask(with.mask);
  specdec::philox chance(1);
  specdec::draft answer;
  const specdec::draft_request request{.context = text,
                                       .max_depth = with.max_depth,
                                       .max_nodes = with.max_depth,
                                       .target_law = &target,
                                       .prompt_size = with.prompt_size,
                                       .round = with.round,
                                       .mask = mask.restricts() ? &mask : nullptr};
  answer.begin(request);
  drafter.propose(request, chance, answer);
  answer.require_fit(request, vocab_size);
  return {answer.tokens().begin(), answer.tokens().end()};
}

/// Forbids one token.
struct without {
  specdec::token_id token;
  bool allows(specdec::token_id t) const { return t != token; }
  void fill(std::span<std::uint32_t> words) const { words[0] = ~(1U << token); }
  void advance(specdec::token_id) {}
  void rollback(std::size_t) {}
};

}  // namespace drafting

#endif  // SPECDEC_TESTS_DRAFTED_HPP
