#ifndef SOAK_TRANSCRIPT_HPP
#define SOAK_TRANSCRIPT_HPP

/// @file
/// Everything that can be told of a generation, and where two of them first differ.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <specdec/specdec.hpp>

namespace soak {

using specdec::token_id;

/// How far two generations must be alike.
enum class likeness {
  text,    ///< tokens, their log-probabilities, bytes, and how each turn ended
  rounds,  ///< besides that, what was drafted and kept: the same rounds
};

/// What was handed on, and what the session said.
struct transcript {
  std::vector<specdec::emitted_token> tokens;
  std::vector<specdec::candidate> candidates;
  std::string text;
  std::vector<std::string> turns;        ///< how each ended
  std::vector<std::string> counts;       ///< what each counted
  std::vector<token_id> committed = {};  ///< the whole text, prompts and stops included

  void take(const specdec::outcome& out) {
    tokens.insert(tokens.end(), out.tokens.begin(), out.tokens.end());
    const auto more = out.top.entries();
    candidates.insert(candidates.end(), more.begin(), more.end());
    text += out.text;
  }

  template <class Session>
  void end_turn(const Session& session) {
    turns.push_back(fmt::format("{} with {} generated, {} delivered, {} waiting", to_string(session.status()),
                                session.generated().size(), session.delivered(), session.waiting().size()));
    specdec::statistics all = session.stats();
    all.draft_seconds = all.target_seconds = all.verify_seconds = 0;
    counts.push_back(to_json(all));
    committed.assign(session.tokens().begin(), session.tokens().end());
  }
};

/// Where they first differ, in words; nothing if they do not.
[[nodiscard]] inline std::optional<std::string> difference(const transcript& expected, const transcript& got,
                                                           likeness how) {
  const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
  const std::size_t shared = std::min(expected.tokens.size(), got.tokens.size());
  for (std::size_t i = 0; i < shared; ++i) {
    const specdec::emitted_token &a = expected.tokens[i], &b = got.tokens[i];
    if (a.id != b.id) return fmt::format("token {} is {}, expected {}", i, b.id, a.id);
    if (bits(a.log_probability) != bits(b.log_probability)) {
      return fmt::format("the log-probability of token {} is {}, expected {}", i, b.log_probability, a.log_probability);
    }
    if (how == likeness::rounds && a.origin != b.origin) return fmt::format("token {} is of another origin", i);
  }
  if (expected.tokens.size() != got.tokens.size()) {
    return fmt::format("{} tokens were delivered, expected {}", got.tokens.size(), expected.tokens.size());
  }
  if (expected.candidates.size() != got.candidates.size()) {
    return fmt::format("{} candidates were delivered, expected {}", got.candidates.size(), expected.candidates.size());
  }
  for (std::size_t i = 0; i < got.candidates.size(); ++i) {
    const specdec::candidate &a = expected.candidates[i], &b = got.candidates[i];
    if (a.id != b.id || bits(a.log_probability) != bits(b.log_probability)) {
      return fmt::format("candidate {} is {} ({}), expected {} ({})", i, b.id, b.log_probability, a.id,
                         a.log_probability);
    }
  }
  if (expected.text != got.text) return fmt::format("the bytes are '{}', expected '{}'", got.text, expected.text);
  const auto first_line = [](const char* what, const auto& a, const auto& b) -> std::optional<std::string> {
    if (a == b) return std::nullopt;
    if (a.size() != b.size()) return fmt::format("{} {}, expected {}", b.size(), what, a.size());
    const auto at = std::mismatch(a.begin(), a.end(), b.begin());
    return fmt::format("{} {}: {}, expected {}", what, at.first - a.begin(), *at.second, *at.first);
  };
  if (const auto turns = first_line("turns", expected.turns, got.turns)) return turns;
  if (expected.committed != got.committed) return "the session's text is another than was delivered";
  if (how == likeness::rounds) return first_line("counts", expected.counts, got.counts);
  return std::nullopt;
}

}  // namespace soak

#endif  // SOAK_TRANSCRIPT_HPP
