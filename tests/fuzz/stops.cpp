// Stop sequences and stop texts against a search through the whole text, however tokens and rounds break them.

#include <optional>
#include <specdec/decode/delivery.hpp>

#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::require;
using specdec::token_id;

using tokens = std::vector<token_id>;

/// What is watched for, and the bytes of every token: few letters, so that patterns run into one another.
struct question {
  std::vector<std::string> pieces;
  std::vector<tokens> sequences;
  std::vector<std::string> texts;

  explicit question(input& in) {
    const auto letters = [&in](std::size_t least, std::size_t most) {
      std::string text(in.between(least, most), '\0');
      for (char& letter : text) letter = in.one_in(16) ? in.bits<char>() : static_cast<char>('a' + in.below(2));
      return text;
    };
    pieces.resize(in.between(1, 6));
    for (std::string& piece : pieces) piece = letters(0, 3);
    sequences.resize(in.below(4));
    for (tokens& sequence : sequences) {
      sequence.resize(in.between(1, 4));
      for (token_id& token : sequence) token = any_token(in);
    }
    texts.resize(in.below(4));
    for (std::string& text : texts) text = letters(1, 5);
  }

  [[nodiscard]] token_id any_token(input& in) const { return static_cast<token_id>(in.below(pieces.size())); }
  [[nodiscard]] const std::string& piece(token_id token) const { return pieces[static_cast<std::size_t>(token)]; }
};

/// How many of the last symbols are the longest beginning of a pattern, short of the whole.
template <class Pattern>
std::size_t held(const std::vector<Pattern>& patterns, const Pattern& stream) {
  std::size_t longest = 0;
  for (const Pattern& pattern : patterns) {
    for (std::size_t size = std::min(pattern.size() - 1, stream.size()); size > longest; --size) {
      if (std::equal(pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(size),
                     stream.end() - static_cast<std::ptrdiff_t>(size))) {
        longest = size;
      }
    }
  }
  return longest;
}

/// The first of the longest patterns that the stream ends with.
template <class Pattern>
std::optional<std::size_t> ended(const std::vector<Pattern>& patterns, const Pattern& stream) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const Pattern& pattern = patterns[i];
    if (pattern.size() > stream.size() || (found && pattern.size() <= patterns[*found].size())) continue;
    if (std::equal(pattern.begin(), pattern.end(), stream.end() - static_cast<std::ptrdiff_t>(pattern.size())))
      found = i;
  }
  return found;
}

/// The stop that the last token of a text completes.
std::optional<specdec::stop_match> stop_at_end(const question& asked, const tokens& text, const std::string& bytes) {
  specdec::stop_match match;
  const auto sequence = ended(asked.sequences, text);
  if (sequence) match.tokens = asked.sequences[*sequence].size();
  std::optional<std::size_t> stop_text;
  std::size_t trailing = asked.piece(text.back()).size();
  while (!stop_text && trailing > 0) {
    --trailing;
    stop_text = ended(asked.texts, bytes.substr(0, bytes.size() - trailing));
  }
  if (stop_text) match.bytes = asked.texts[*stop_text].size() + trailing;
  if (!sequence && !stop_text) return std::nullopt;
  // Of those that end together the sequence is told.
  match.is_text = stop_text && (!sequence || trailing > 0);
  match.index = match.is_text ? *stop_text : *sequence;
  return match;
}

/// What may be handed on of a text whose last so many tokens and bytes must not be; `cut` is whether a token may be
/// cut.
struct handed_on {
  std::size_t tokens = 0;
  std::size_t bytes = 0;

  handed_on(const question& asked, const ::tokens& text, std::size_t last_tokens, std::size_t last_bytes, bool cut) {
    std::size_t all = 0;
    for (const token_id token : text) all += asked.piece(token).size();
    const std::size_t most = all - std::min(all, last_bytes);
    while (tokens + last_tokens < text.size() && bytes + asked.piece(text[tokens]).size() <= most) {
      bytes += asked.piece(text[tokens++]).size();
    }
    if (cut && tokens + last_tokens < text.size()) bytes = most;
  }
};

/// A pattern is followed wherever it comes, whatever came before.
void follow(const std::vector<token_id>& pattern, const ::tokens& stream) {
  specdec::pattern_follower follower(pattern);
  const std::vector<::tokens> alone{pattern};
  ::tokens before;
  for (const token_id token : stream) {
    before.push_back(token);
    require(follower.push(token) == ended(alone, before).has_value(), "a pattern is found wherever it ends");
    require(follower.matched() == held(alone, before), "and so is its beginning");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const question asked(in);
  specdec::stop_watch watch(asked.sequences, asked.texts);
  specdec::delivery delivery(watch, 0);
  require(watch.watches() == (!asked.sequences.empty() || !asked.texts.empty()), "it says whether it watches");
  tokens text, out;
  std::string bytes, out_bytes;
  bool stopped = false;
  for (std::size_t rounds = 0; rounds < 24 && !in.empty() && !stopped; ++rounds) {
    delivery.begin_round();
    const std::size_t count = in.between(1, 4);
    delivery.reserve(count, 3 * count);
    for (std::size_t i = 0; i < count && !stopped; ++i) {
      const token_id token = asked.any_token(in);
      text.push_back(token);
      bytes += asked.piece(token);
      const auto expected = stop_at_end(asked, text, bytes);
      const auto found = watch.push(token, asked.piece(token));
      require(found.has_value() == expected.has_value(), "a stop is found where it ends");
      if (found) {
        require(found->is_text == expected->is_text && found->index == expected->index, "it is that stop");
        require(found->tokens == expected->tokens && found->bytes == expected->bytes, "and so much is to be cut");
      } else {
        require(watch.held_tokens() == held(asked.sequences, text), "what may begin a stop sequence waits");
        require(watch.held_bytes() == held(asked.texts, bytes), "what may begin a stop text waits");
      }
      stopped = delivery.take({.id = token}, asked.piece(token), {});
      require(stopped == found.has_value(), "a delivery watches as a watch does");
    }
    const bool last = !stopped && in.one_in(8);
    delivery.release(last);
    for (const auto& token : delivery.tokens()) out.push_back(token.id);
    out_bytes += delivery.text();
    const auto match = delivery.match();
    const handed_on expected(asked, text,
                             match  ? match->tokens
                             : last ? 0
                                    : held(asked.sequences, text),
                             match  ? match->bytes
                             : last ? 0
                                    : held(asked.texts, bytes),
                             match.has_value());
    require(out == tokens(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(expected.tokens)),
            "so many tokens are handed on, and no other");
    require(out_bytes == bytes.substr(0, expected.bytes), "and their text");
    require(delivery.delivered() == out.size() && delivery.waiting().size() == text.size() - out.size(),
            "the rest waits");
    stopped = stopped || last;
  }
  for (std::size_t more = 0; more < 32 && !in.empty(); ++more) text.push_back(asked.any_token(in));
  for (const tokens& sequence : asked.sequences) follow(sequence, text);
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(24, 120); }
