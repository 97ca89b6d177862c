#ifndef LLAMA_CPP_COMPARISON_HPP
#define LLAMA_CPP_COMPARISON_HPP

/// @file
/// Plain decoding, llama.cpp's own rule and specdec's, on the same texts' beginnings.

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include <doctor/alternatives.hpp>

#include "engine.hpp"
#include "options.hpp"
#include "teacher_forcing.hpp"

namespace llama {

/// The ways that are compared, plain decoding first.
enum class way : std::size_t { plain, plain_llama, matching, rejection };
inline constexpr std::size_t ways = 4;
inline constexpr std::array<std::string_view, ways> names_of_ways{"plain decoding", "plain, llama.cpp's samplers",
                                                                  "llama.cpp's rule", "specdec, rejection"};

/// What was written down.
struct comparison {
  std::size_t gamma = 0;
  std::size_t tokens_per_text = 0;
  doctor::runs_of_texts runs;       ///< runs[text][way]
  std::vector<forced_text> forced;  ///< on the texts of plain decoding
  std::size_t prompts_without_room = 0;
};

/// Generates behind every prompt in all ways, round by round, whichever has the fewest tokens going next: what disturbs
/// the machine disturbs all alike. Texts have as many tokens as asked for, whatever would end them. A text that the
/// user interrupts is dropped. Throws std::runtime_error if no prompt leaves room for them.
[[nodiscard]] comparison compare(const engine& models, const options& asked);

}  // namespace llama

#endif  // LLAMA_CPP_COMPARISON_HPP
