#ifndef SPECDEC_TESTS_PLAIN_TEXT_HPP
#define SPECDEC_TESTS_PLAIN_TEXT_HPP

/// @file
/// Text of the target of scenarios.hpp, one token a round: the same whatever limits and stops it runs into.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "scenarios.hpp"

namespace plain {

using specdec::token_id;
using tokens = std::vector<token_id>;

/// Runs plain text, one token a round, and returns what was delivered.
inline tokens run_plain(specdec::session<>& text) {
  auto target = scenarios::target_model;
  specdec::no_draft nothing;
  tokens delivered;
  speculative_generate(text, target, nothing, [&](const specdec::outcome& out) {
    for (const auto& token : out.tokens) delivered.push_back(token.id);
  });
  return delivered;
}

/// A session behind the prompt.
inline specdec::session<> begun_with(const specdec::generate_options& options) {
  specdec::session<> text(scenarios::vocab_size, options);
  text.begin(scenarios::prompt);
  return text;
}

/// The first tokens of the plain text.
inline tokens plain_text(std::size_t size) {
  auto text = begun_with({.max_tokens = size});
  return run_plain(text);
}

/// A token as two letters.
inline void spell(token_id token, std::string& text) {
  text += static_cast<char>('0' + token / 10);
  text += static_cast<char>('a' + token % 10);
}

inline std::string spelled(std::span<const token_id> text) {
  std::string letters;
  for (const token_id token : text) spell(token, letters);
  return letters;
}

}  // namespace plain

#endif  // SPECDEC_TESTS_PLAIN_TEXT_HPP
