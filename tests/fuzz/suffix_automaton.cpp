// Suffix automata against counting by hand, for any texts.

#include <specdec/draft/suffix_automaton.hpp>

#include "../counted_texts.hpp"
#include "fuzz.hpp"

namespace {

using counting::tokens;
using fuzz::require;
using specdec::suffix_automaton;
using specdec::token_id;

/// What the automaton knows of the string that it has come to.
void check(const suffix_automaton& automaton, const counting::counted_texts& texts, const suffix_automaton::match& at,
           const tokens& string) {
  require(at.length == string.size(), "a string that occurs is found");
  if (string.empty()) return;
  require(automaton.occurrences(at) == texts.count(string), "it is counted");
  require(automaton.continuations(at) == texts.continuations(string), "so is what it is followed by");
  const auto [likeliest, often] = texts.likeliest(string);
  require(automaton.likeliest(at) == likeliest, "the likeliest token behind it is known");
  require(likeliest < 0 || automaton.occurrences_of_likeliest(at) == often, "and how often that came");
}

/// The longest end of a string that occurs, of at most so many tokens.
tokens longest_end(const counting::counted_texts& texts, const tokens& string, std::size_t most) {
  std::size_t size = std::min(string.size(), most);
  while (size > 0 && texts.count(counting::end_of(string, size)) == 0) --size;
  return counting::end_of(string, size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in({data, size});
  const std::size_t depth = in.between(2, 9);
  const std::size_t vocab_size = in.between(1, 5);
  suffix_automaton automaton(depth);
  counting::counted_texts texts;
  if (in.below(2) == 1) automaton.reserve(in.below(64));
  // Somebody else reads a text of its own along the automaton.
  suffix_automaton::match at;
  tokens read;
  for (std::size_t steps = 0; steps < 64 && !in.empty(); ++steps) {
    switch (const std::size_t act = in.below(16)) {
      case 0:
        if (texts.texts.back().empty()) break;
        automaton.end_text();
        texts.texts.emplace_back();
        break;
      case 1:
        if (!in.one_in(4)) break;
        automaton.clear();
        texts = {};
        at = {};
        read.clear();
        break;
      default: {
        const auto token = static_cast<token_id>(in.below(vocab_size));
        if (act < 12) {
          automaton.append(token);
          texts.texts.back().push_back(token);
          // What was read may have become longer than what occurred before; it is read anew.
          at = {};
          read = longest_end(texts, read, depth - 1);
          for (const token_id one : read) at = automaton.follow(at, one);
        } else {
          read.push_back(token);
          read = longest_end(texts, read, depth - 1);
          at = automaton.follow(at, token);
        }
      }
    }
    check(automaton, texts, automaton.end(), texts.last(depth - 1));
    check(automaton, texts, at, read);
    if (!read.empty()) {
      const auto shorter = automaton.shorter(at);
      std::size_t expected = read.size() - 1;
      while (expected > 0 && texts.count(counting::end_of(read, expected)) == texts.count(read)) --expected;
      require(shorter.length == expected, "its longest end that occurs elsewhere, too, is known");
    }
  }
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(24, 64); }
