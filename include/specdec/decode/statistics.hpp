#ifndef SPECDEC_DECODE_STATISTICS_HPP
#define SPECDEC_DECODE_STATISTICS_HPP

/// @file
/// What a run of generation did, counted once and the same way everywhere.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../config.hpp"
#include "../mathematics.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Counts over the committed rounds of a session. A round that failed and was retried counts once; tokens behind the
/// end of the text count only as `cut`.
struct statistics {
  std::uint64_t rounds = 0;     ///< target calls whose outcome was committed
  std::uint64_t proposed = 0;   ///< drafted tokens
  std::uint64_t evaluated = 0;  ///< drafted tokens the target accepted or rejected; the rest lay behind a rejection
  std::uint64_t accepted = 0;   ///< drafted tokens kept
  std::uint64_t emitted = 0;    ///< tokens the rounds produced: the accepted ones and one of the target's own a round
  std::uint64_t delivered = 0;  ///< tokens committed: emitted less cut; those of a stop that ended the text too
  std::uint64_t cut = 0;        ///< tokens produced behind the end of the text, and dropped
  std::uint64_t residual_fallbacks = 0;  ///< replacements drawn from p because (p - q)+ vanished in rounding

  /// Rounds in which the draft's token at depth i+1 was evaluated, and in which it was accepted.
  std::vector<std::uint64_t> evaluated_at;
  std::vector<std::uint64_t> accepted_at;

  double draft_seconds = 0;   ///< time in `propose`
  double target_seconds = 0;  ///< time in the target's `truncate` and `decode`
  double verify_seconds = 0;  ///< time in planning, verification and commit

  /// Accepted over evaluated tokens: the alpha of Leviathan et al. 2023, section 3.1; 0 if nothing was evaluated.
  [[nodiscard]] double alpha() const noexcept { return ratio(accepted, evaluated); }
  /// Accepted over proposed tokens; 0 if nothing was proposed.
  [[nodiscard]] double draft_acceptance_rate() const noexcept { return ratio(accepted, proposed); }
  /// Tokens per target call: 1 + accepted / rounds; 0 before the first round. Where an end token lay inside a draft,
  /// that round counts one token more than was delivered.
  [[nodiscard]] double mean_acceptance_length() const noexcept { return rounds == 0 ? 0 : 1 + ratio(accepted, rounds); }
  /// The share of rounds in which the first `depth` drafted tokens were all accepted; depth >= 1.
  [[nodiscard]] double survival(std::size_t depth) const noexcept {
    return depth <= accepted_at.size() ? ratio(accepted_at[depth - 1], rounds) : 0;
  }
  [[nodiscard]] double seconds() const noexcept { return draft_seconds + target_seconds + verify_seconds; }
  /// Delivered tokens per second of draft, target and verification; 0 if no time was measured.
  [[nodiscard]] double tokens_per_second() const noexcept {
    return seconds() > 0 ? static_cast<double>(delivered) / seconds() : 0;
  }

  /// Makes room for a round whose draft is `depth` deep.
  void reserve(std::size_t depth) {
    evaluated_at.resize(std::max(evaluated_at.size(), depth));
    accepted_at.resize(evaluated_at.size());
  }

  /// Counts a round that kept `kept` tokens of a draft, and of those and the target's own delivered the first
  /// `committed`. Tokens behind the text's end were never part of it, and a rule's luck with them says nothing about
  /// the draft. Precondition: room for the draft was reserved.
  void add_round(std::size_t drafted, std::size_t kept, bool rejected, bool fell_back, std::size_t committed) noexcept {
    const std::size_t kept_of_text = std::min(kept, committed);
    const std::size_t evaluated_of_text = std::min(kept + (rejected ? 1 : 0), committed);
    ++rounds;
    proposed += committed <= kept ? committed : drafted;
    evaluated += evaluated_of_text;
    accepted += kept_of_text;
    emitted += kept + 1;
    delivered += committed;
    cut += kept + 1 - committed;
    residual_fallbacks += fell_back ? 1 : 0;
    for (std::size_t i = 0; i < evaluated_of_text; ++i) ++evaluated_at[i];
    for (std::size_t i = 0; i < kept_of_text; ++i) ++accepted_at[i];
  }

  /// Adds the counts of other rounds: of another text, say.
  statistics& operator+=(const statistics& other) {
    rounds += other.rounds;
    proposed += other.proposed;
    evaluated += other.evaluated;
    accepted += other.accepted;
    emitted += other.emitted;
    delivered += other.delivered;
    cut += other.cut;
    residual_fallbacks += other.residual_fallbacks;
    reserve(other.evaluated_at.size());
    for (std::size_t i = 0; i < other.evaluated_at.size(); ++i) {
      evaluated_at[i] += other.evaluated_at[i];
      accepted_at[i] += other.accepted_at[i];
    }
    draft_seconds += other.draft_seconds;
    target_seconds += other.target_seconds;
    verify_seconds += other.verify_seconds;
    return *this;
  }

 private:
  static double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  }
};

/// The statistics as one JSON object, with counts, derived rates, the acceptance histogram and times in seconds; null for
/// a time or rate that is no finite number, since JSON has no others.
[[nodiscard]] inline std::string to_json(const statistics& s) {
  std::string json = "{";
  const auto name = [&json](std::string_view field) {
    if (json.back() != '{') json += ", ";
    json.append("\"").append(field).append("\": ");
  };
  const auto number = [&json](auto value) {
    if constexpr (std::is_floating_point_v<decltype(value)>) {
      if (!is_finite(value)) {
        json += "null";
        return;
      }
    }
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value);
    json.append(text, end.ptr);
  };
  const auto field = [&](std::string_view title, auto value) { name(title), number(value); };
  const auto list = [&](std::string_view title, const std::vector<std::uint64_t>& values) {
    name(title);
    json += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) json += ", ";
      number(values[i]);
    }
    json += ']';
  };
  field("rounds", s.rounds);
  field("proposed", s.proposed);
  field("evaluated", s.evaluated);
  field("accepted", s.accepted);
  field("emitted", s.emitted);
  field("delivered", s.delivered);
  field("cut", s.cut);
  field("residual_fallbacks", s.residual_fallbacks);
  field("alpha", s.alpha());
  field("draft_acceptance_rate", s.draft_acceptance_rate());
  field("mean_acceptance_length", s.mean_acceptance_length());
  list("evaluated_at", s.evaluated_at);
  list("accepted_at", s.accepted_at);
  field("draft_seconds", s.draft_seconds);
  field("target_seconds", s.target_seconds);
  field("verify_seconds", s.verify_seconds);
  field("tokens_per_second", s.tokens_per_second());
  json += '}';
  return json;
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_STATISTICS_HPP
