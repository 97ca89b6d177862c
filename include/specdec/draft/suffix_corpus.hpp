#ifndef SPECDEC_DRAFT_SUFFIX_CORPUS_HPP
#define SPECDEC_DRAFT_SUFFIX_CORPUS_HPP

/// @file
/// Texts that outlive their requests, for drafters to look things up in.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "../config.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../types.hpp"
#include "suffix_automaton.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What was said in earlier requests, within bounds: a memory that several `suffix_drafter`s may share.
///
/// Texts are kept in two generations of half the capacity each. A text that does not fit into the young one makes it
/// the old one, and the old one is forgotten. So a text stays for at least half a capacity of tokens behind it, nothing
/// older than a capacity does, and to forget costs no more than to clear memory, which is used again. Of a text that is
/// longer than a generation its end is kept.
///
/// Memory per token of capacity, as `suffix_automaton` has it: 104 bytes at most and half as much again, 51 measured on
/// text; `bytes` tells. Time: O(1) amortised per token that is added.
///
/// Any number of threads may read while nobody adds.
class suffix_corpus {
 public:
  /// Throws std::invalid_argument for an empty vocabulary, a capacity below 2 or above what two automata hold, and a
  /// depth that is none; see `suffix_automaton`.
  /// @param capacity tokens
  suffix_corpus(std::size_t vocab_size, std::size_t capacity, std::size_t max_depth = 64)
      : vocab_size_(vocab_size),
        room_(capacity / 2),
        generations_{suffix_automaton(max_depth), suffix_automaton(max_depth)} {
    if (vocab_size == 0) raise<std::invalid_argument>("specdec: the vocabulary must not be empty");
    constexpr std::size_t most = 2 * suffix_automaton::most_tokens;
    if (capacity < 2 || capacity > most) {
      raise<std::invalid_argument>("specdec: expected a capacity of 2 to " + std::to_string(most) +
                                   " tokens for a corpus; got " + std::to_string(capacity));
    }
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return 2 * room_; }
  /// How many tokens it holds.
  [[nodiscard]] std::size_t size() const noexcept { return generations_[0].size() + generations_[1].size(); }
  /// The memory that is taken, used or not.
  [[nodiscard]] std::size_t bytes() const noexcept { return generations_[0].bytes() + generations_[1].bytes(); }
  /// How often it has changed.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// Adds a text: what `session::tokens` are when it has ended, say. Texts that are drafted from it want other seeds or
  /// streams than this one had: else they are judged by the noise they came from, and lose their law; see `Drafter`.
  /// Throws std::invalid_argument for a token outside the vocabulary; then nothing has changed. What an allocator
  /// throws passes through; then the young generation is forgotten.
  void add(std::span<const token_id> text) {
    for (const token_id token : text) require_token(token, vocab_size_, "the text for the corpus");
    if (text.empty()) return;
    text = text.last(std::min(text.size(), room_));
    ++version_;
    if (generations_[young_].size() + text.size() > room_) {
      young_ = 1 - young_;
      generations_[young_].clear();
    }
    suffix_automaton& into = generations_[young_];
    const auto append = [&] {
      for (const token_id token : text) into.append(token);
    };
    cleaning_up(append, [&] { into.clear(); });
    into.end_text();
  }

  /// Forgets all texts, but keeps the memory.
  void clear() noexcept {
    for (suffix_automaton& generation : generations_) generation.clear();
    ++version_;
  }

  static constexpr std::size_t generation_count = 2;

  /// A part of the texts, the younger first. Precondition: i < generation_count.
  [[nodiscard]] const suffix_automaton& generation(std::size_t i) const noexcept {
    return generations_[i == 0 ? young_ : 1 - young_];
  }

 private:
  std::size_t vocab_size_;
  std::size_t room_;  ///< tokens in a generation
  std::array<suffix_automaton, generation_count> generations_;
  std::size_t young_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_SUFFIX_CORPUS_HPP
