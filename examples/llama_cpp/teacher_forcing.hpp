#ifndef LLAMA_CPP_TEACHER_FORCING_HPP
#define LLAMA_CPP_TEACHER_FORCING_HPP

/// @file
/// How often two rules accept a draft's first token, both asked at every position of the same texts.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <measurement/any_context.hpp>
#include <specdec/specdec.hpp>

namespace llama {

/// Sums over the positions of one text, p being the target's law there and q what is drafted from.
struct forced_text {
  std::size_t positions = 0;
  double overlap = 0;    ///< sum min(p, q): rejection sampling accepts a token drawn from q so often
  double likeliest = 0;  ///< p(argmax q): a sample of p is the draft's likeliest token so often
};

/// Asks both models at the positions behind the first `prompt_size` tokens of a text.
/// @param how       the sampling and end tokens with which the text was generated
/// @param draft_top how many tokens q is cut to, 0 for none
/// Precondition: 1 <= prompt_size < text.size(), and the text fits in the contexts. Throws what the contexts throw.
[[nodiscard]] forced_text force(measurement::any_context& target, measurement::any_context& draft,
                                std::span<const specdec::token_id> text, std::size_t prompt_size,
                                const specdec::generate_options& how, std::size_t draft_top);

}  // namespace llama

#endif  // LLAMA_CPP_TEACHER_FORCING_HPP
