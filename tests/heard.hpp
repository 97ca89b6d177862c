#ifndef SPECDEC_TESTS_HEARD_HPP
#define SPECDEC_TESTS_HEARD_HPP

/// @file
/// All that can be told of a generation, as text to compare: what was handed on, and how the session stands.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <specdec/specdec.hpp>
#include <string>

/// Everything that was handed on, in a form to compare and to concatenate.
struct heard {
  std::string tokens;
  std::string text;

  void operator()(const specdec::outcome& out) {
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      const auto& token = out.tokens[i];
      add(token.id, token.log_probability);
      tokens += token.origin == specdec::provenance::drafted ? "drafted" : "own";
      for (const auto& candidate : out.top[i]) add(candidate.id, candidate.log_probability);
      tokens += '\n';
    }
    text += out.text;
  }
  heard& operator+=(const heard& more) {
    tokens += more.tokens;
    text += more.text;
    return *this;
  }
  friend bool operator==(const heard&, const heard&) = default;

 private:
  void add(specdec::token_id id, double log_probability) {
    tokens += std::to_string(id);
    tokens += ' ';
    tokens += std::to_string(std::bit_cast<std::uint64_t>(log_probability));
    tokens += ' ';
  }
};

/// How a session stands, but for the times it took.
template <class Rule, class Randomness>
std::string state_of(const specdec::session<Rule, Randomness>& text) {
  specdec::statistics counts = text.stats();
  counts.draft_seconds = counts.target_seconds = counts.verify_seconds = 0;
  std::string all = to_string(text.status());
  all += ' ' + std::to_string(text.prompt_size()) + ' ' + std::to_string(text.delivered()) + '\n' + to_json(counts);
  for (const specdec::token_id token : text.tokens()) all += ' ' + std::to_string(token);
  for (const auto& token : text.waiting()) all += " waits " + std::to_string(token.id);
  return all;
}

#endif  // SPECDEC_TESTS_HEARD_HPP
