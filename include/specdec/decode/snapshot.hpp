#ifndef SPECDEC_DECODE_SNAPSHOT_HPP
#define SPECDEC_DECODE_SNAPSHOT_HPP

/// @file
/// A session as bytes, and back.
///
/// The format is the same on every machine: little-endian numbers of fixed width, lists behind their length, a checksum
/// at the end. It holds what the text was and where it stood, not what the user chose: that is given again, and the
/// bytes tell if it was another choice.
///
/// All of it are templates, so that nobody compiles it who takes no snapshot.

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../failure.hpp"
#include "../sampling/distribution.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "options.hpp"
#include "outcome.hpp"
#include "statistics.hpp"
#include "stop.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Everything that a session does not get from its options.
struct session_state {
  std::vector<token_id> committed;
  std::size_t prompt_size = 0;
  std::uint32_t round = 0;
  session_status status = session_status::idle;
  row_fault fault = row_fault::none;
  std::size_t faulty_position = 0;
  std::size_t stop_index = 0;
  statistics stats;
  /// Generated tokens that were not handed on, the last ones of the text, with their candidates.
  std::vector<emitted_token> waiting;
  std::vector<candidate> waiting_top;
};

namespace snapshot_format {

inline constexpr std::uint64_t magic = 0x6365646365707300;  // "specdec" behind a zero byte
inline constexpr std::uint32_t version = 1;

/// FNV-1a, 64 bits.
inline std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
  return hash;
}

/// Writes values one behind the other.
class writer {
 public:
  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void operator()(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      (*this)(static_cast<std::underlying_type_t<T>>(value));
    } else {
      auto bits = static_cast<std::uint64_t>(value);
      const std::size_t width = std::is_same_v<T, std::size_t> ? 8 : sizeof(T);
      for (std::size_t i = 0; i < width; ++i, bits >>= 8) bytes_.push_back(static_cast<std::byte>(bits & 0xff));
    }
  }
  void operator()(const double& value) { (*this)(std::bit_cast<std::uint64_t>(value)); }
  template <class T>
  void operator()(const std::vector<T>& values) {
    (*this)(values.size());
    for (const T& value : values) fields(*this, value);
  }
  [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads them back. Throws std::invalid_argument where the bytes end early.
class reader {
 public:
  explicit reader(std::span<const std::byte> bytes) noexcept : left_(bytes) {}

  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void operator()(T& value) {
    if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> number{};
      (*this)(number);
      value = static_cast<T>(number);
    } else {
      const std::size_t width = std::is_same_v<T, std::size_t> ? 8 : sizeof(T);
      need(width);
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < width; ++i) bits |= static_cast<std::uint64_t>(left_[i]) << 8 * i;
      left_ = left_.subspan(width);
      value = static_cast<T>(bits);
    }
  }
  void operator()(double& value) {
    std::uint64_t bits = 0;
    (*this)(bits);
    value = std::bit_cast<double>(bits);
  }
  template <class T>
  void operator()(std::vector<T>& values) {
    std::size_t size = 0;
    (*this)(size);
    need(size);  // an element has at least one byte: a garbled length is no reason to ask for all the memory there is
    values.clear();
    values.resize(size);
    for (T& value : values) fields(*this, value);
  }
  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }

 private:
  void need(std::size_t count) const {
    if (left_.size() < count) {
      raise<std::invalid_argument>("specdec: expected " + std::to_string(count) +
                                   " more bytes in the snapshot; it has " + std::to_string(left_.size()));
    }
  }

  std::span<const std::byte> left_;
};

// One list of fields for both directions.

template <class Archive, class T>
requires(std::is_arithmetic_v<std::remove_const_t<T>>) void fields(Archive& archive, T& value) { archive(value); }

template <class Archive, class T>
requires(std::is_same_v<std::remove_const_t<T>, emitted_token>) void fields(Archive& archive, T& token) {
  archive(token.id), archive(token.origin), archive(token.log_probability);
}

template <class Archive, class T>
requires(std::is_same_v<std::remove_const_t<T>, candidate>) void fields(Archive& archive, T& c) {
  archive(c.id), archive(c.log_probability);
}

template <class Archive, class T>
requires(std::is_same_v<std::remove_const_t<T>, logit_bias>) void fields(Archive& archive, T& bias) {
  archive(bias.token), archive(bias.amount);
}

template <class Archive, class T>
requires(std::is_same_v<std::remove_const_t<T>, statistics>) void fields(Archive& archive, T& s) {
  archive(s.rounds), archive(s.proposed), archive(s.evaluated), archive(s.accepted), archive(s.emitted);
  archive(s.delivered), archive(s.cut), archive(s.residual_fallbacks);
  archive(s.evaluated_at), archive(s.accepted_at);
  archive(s.draft_seconds), archive(s.target_seconds), archive(s.verify_seconds);
}

template <class Archive, class T>
requires(std::is_same_v<std::remove_const_t<T>, session_state>) void fields(Archive& archive, T& s) {
  archive(s.committed), archive(s.prompt_size), archive(s.round), archive(s.status), archive(s.fault);
  archive(s.faulty_position), archive(s.stop_index);
  fields(archive, s.stats);
  archive(s.waiting), archive(s.waiting_top);
}

/// What decides the text that follows, besides the text so far, as one number.
template <std::same_as<generate_options> Options>
std::uint64_t fingerprint(const Options& options) {
  writer all;
  const sampling_params& p = options.sampling;
  all(p.temperature), all(p.top_k), all(p.top_p), all(p.min_p), all(p.order);
  all(p.repetition_penalty), all(p.frequency_penalty), all(p.presence_penalty), all(p.penalty_window);
  all(static_cast<std::uint8_t>(p.penalize_prompt)), all(p.bias);
  all(options.min_tokens), all(options.end_tokens), all(options.top_log_probabilities);
  all(static_cast<std::uint8_t>(options.mask.empty()));
  return checksum(view_of(all.bytes()));
}

}  // namespace snapshot_format

/// The state as bytes, with what it takes to go on from it: vocabulary, seed, stream and sampling.
template <std::same_as<session_state> State>
[[nodiscard]] std::vector<std::byte> to_bytes(const State& state, std::size_t vocab_size,
                                              const generate_options& options) {
  snapshot_format::writer out;
  out(snapshot_format::magic), out(snapshot_format::version);
  out(vocab_size), out(options.seed), out(options.stream), out(snapshot_format::fingerprint(options));
  fields(out, state);
  const std::uint64_t sum = snapshot_format::checksum(view_of(out.bytes()));
  out(sum);
  return std::move(out.bytes());
}

/// Throws std::invalid_argument, saying what is wrong, for a state that contradicts itself: its parts do not belong to
/// one text that a session with these end tokens has generated. Limits and stops may have been others when the bytes
/// were written. Whether a model could have said the text, or a stop was reached, is not looked into here; see
/// `require_stop`.
template <std::same_as<session_state> State>
void require_sound(const State& state, std::size_t vocab_size, const generate_options& options) {
  const auto require = [](bool sound, const char* claim) {
    if (!sound) raise<std::invalid_argument>(std::string("specdec: the snapshot contradicts itself: ") + claim);
  };
  const auto known = [vocab_size](token_id token) {
    return token >= 0 && static_cast<std::size_t>(token) < vocab_size;
  };
  const auto& text = state.committed;
  const auto& waiting = state.waiting;
  require(std::all_of(text.begin(), text.end(), known), "its text has a token outside the vocabulary");
  require(state.status <= session_status::failed, "it has an unknown status");
  require((state.status == session_status::idle) == text.empty(), "only an idle session has no text");
  require(text.empty() ? state.prompt_size == 0 : state.prompt_size > 0 && state.prompt_size <= text.size(),
          "its prompt is no part of its text");
  require(state.fault <= row_fault::nothing_allowed, "it has an unknown fault");
  require((state.status == session_status::failed) == (state.fault != row_fault::none),
          "only a session that failed has a fault");

  const statistics& stats = state.stats;
  const auto generated = view_of(text).subspan(state.prompt_size);
  const auto adds_up = [](const std::vector<std::uint64_t>& counts, std::uint64_t total) {
    for (const std::uint64_t count : counts) {
      if (count > total) return false;
      total -= count;
    }
    return total == 0;
  };
  // Where rounds are no longer told apart by number, neither is this.
  require(stats.rounds <= state.round || stats.rounds > std::numeric_limits<std::uint32_t>::max(),
          "its counts are of other rounds");
  constexpr std::uint64_t most = std::uint64_t{1} << 62;
  require(std::max({stats.rounds, stats.proposed, stats.emitted, stats.delivered, stats.cut}) < most,
          "it counts more than can be");
  require(stats.accepted <= stats.evaluated && stats.evaluated <= stats.proposed,
          "it counts more tokens as accepted than as evaluated, or as evaluated than as proposed");
  require(stats.rounds <= stats.delivered && stats.accepted <= stats.delivered &&
              stats.delivered <= stats.accepted + stats.rounds,
          "its rounds cannot have brought so many tokens");
  require(stats.emitted == stats.delivered + stats.cut, "its counts of emitted tokens differ");
  require(generated.size() <= stats.delivered, "it has more generated tokens than it counts");
  require(stats.residual_fallbacks <= stats.rounds, "it counts more residuals than rounds");
  require(stats.evaluated_at.size() == stats.accepted_at.size(), "its counts are of several depths");
  require(adds_up(stats.evaluated_at, stats.evaluated) && adds_up(stats.accepted_at, stats.accepted),
          "its counts by depth have other sums");
  std::uint64_t reached = stats.rounds;
  for (std::size_t i = 0; i < stats.evaluated_at.size(); ++i) {
    require(stats.accepted_at[i] <= stats.evaluated_at[i] && stats.evaluated_at[i] <= reached,
            "it counts more tokens at a depth than were reached");
    reached = stats.accepted_at[i];
  }
  // Every round, one that failed too, has made room for the depth of its draft.
  require(state.status != session_status::failed || (state.faulty_position >= text.size() &&
                                                     state.faulty_position - text.size() <= stats.evaluated_at.size()),
          "its fault is not behind its text");

  const bool stopped = state.status == session_status::stop_sequence || state.status == session_status::stop_text;
  const auto end = std::find_if(generated.begin(), generated.end(), [&options](token_id token) {
    return std::find(options.end_tokens.begin(), options.end_tokens.end(), token) != options.end_tokens.end();
  });
  if (end == generated.end()) {
    require(state.status != session_status::end_token, "there is no end token where its text ended");
  } else {
    require(end + 1 == generated.end() && (stopped || state.status == session_status::end_token),
            "its text goes on behind an end token");
  }
  require(state.status != session_status::end_token || waiting.empty(), "tokens wait where nothing can follow");
  require(waiting.size() <= generated.size(), "more tokens wait than were generated");
  require(std::equal(waiting.begin(), waiting.end(), text.end() - static_cast<std::ptrdiff_t>(waiting.size()),
                     [](const emitted_token& token, token_id id) { return token.id == id; }),
          "the tokens that wait are not the last of its text");
  require(std::all_of(waiting.begin(), waiting.end(),
                      [](const emitted_token& token) { return token.origin <= provenance::target; }),
          "a token is of unknown origin");
  require(state.waiting_top.size() == waiting.size() * options.top_log_probabilities,
          "it has candidates for another number of tokens");
  require(std::all_of(state.waiting_top.begin(), state.waiting_top.end(),
                      [known](const candidate& c) { return c.id == -1 || known(c.id); }),
          "a candidate is outside the vocabulary");
  if (!stopped) return;
  const bool by_sequence = state.status == session_status::stop_sequence;
  const std::size_t stops = by_sequence ? options.stop_sequences.size() : options.stop_texts.size();
  if (state.stop_index >= stops) {
    raise<std::invalid_argument>("specdec: the snapshot's text ended at " + std::string(to_string(state.status)) + " " +
                                 std::to_string(state.stop_index) + "; the options have " + std::to_string(stops));
  }
}

/// Throws std::invalid_argument if the state is of a text that a stop ended, but not one of the options: `found` is
/// what these find at the end of the text.
template <std::same_as<session_state> State>
void require_stop(const State& state, const std::optional<stop_match>& found) {
  const bool by_text = state.status == session_status::stop_text;
  if (!by_text && state.status != session_status::stop_sequence) return;
  if (!found || found->is_text != by_text || found->index != state.stop_index) {
    raise<std::invalid_argument>("specdec: the snapshot's text ended at " + std::string(to_string(state.status)) + " " +
                                 std::to_string(state.stop_index) + "; that of the options is not there");
  }
}

/// The state that `to_bytes` wrote. Throws std::invalid_argument, saying what was expected and what came, for bytes
/// that are no snapshot, are damaged, contradict themselves, or were written with another vocabulary, seed, stream or
/// sampling.
template <std::same_as<session_state> State = session_state>
[[nodiscard]] State from_bytes(std::span<const std::byte> bytes, std::size_t vocab_size,
                               const generate_options& options) {
  constexpr std::size_t sum_size = 8;
  const auto body = bytes.first(bytes.size() - std::min(sum_size, bytes.size()));
  snapshot_format::reader in(body);
  const auto expect = [&in]<class T>(T expected, const char* what) {
    T came{};
    in(came);
    if (came != expected) {
      raise<std::invalid_argument>("specdec: expected a snapshot with " + std::string(what) + " " +
                                   std::to_string(expected) + "; it has " + std::to_string(came));
    }
  };
  std::uint64_t magic = 0;
  in(magic);
  if (magic != snapshot_format::magic) {
    raise<std::invalid_argument>("specdec: expected the bytes of a session's snapshot; these begin otherwise");
  }
  expect(snapshot_format::version, "format");
  std::uint64_t sum = 0;
  snapshot_format::reader(bytes.last(sum_size))(sum);
  if (sum != snapshot_format::checksum(body)) {
    raise<std::invalid_argument>("specdec: the snapshot is damaged: its checksum is wrong");
  }
  expect(vocab_size, "a vocabulary of");
  expect(options.seed, "seed");
  expect(options.stream, "stream");
  std::uint64_t settings = 0;
  in(settings);
  if (settings != snapshot_format::fingerprint(options)) {
    raise<std::invalid_argument>(
        "specdec: the snapshot was taken with other sampling parameters, end tokens, min_tokens, mask or "
        "top_log_probabilities");
  }
  State state;
  fields(in, state);
  if (!in.empty()) raise<std::invalid_argument>("specdec: the snapshot is longer than what it holds");
  require_sound(state, vocab_size, options);
  return state;
}

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_SNAPSHOT_HPP
