#ifndef FREQUENCIES_CASES_HPP
#define FREQUENCIES_CASES_HPP

/// @file
/// What is generated and counted: the lossless rules, each over several drafts and sampling settings.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <specdec/sampling/params.hpp>

#include "markov_model.hpp"

namespace frequencies {

/// Tokens of every text that is counted.
inline constexpr std::size_t text_length = 5;
/// How many texts there can be, as they are counted, by the classes of their `text_length` tokens: these are the digits
/// in base `width` of a text's index, most significant first.
inline constexpr std::size_t text_count = 3125;
/// The classes of what every text is generated behind.
inline constexpr token_id prompt[] = {3, 1};

/// Texts are generated in blocks, which can be made in any order and on any thread.
inline constexpr std::size_t texts_per_block = 2048;
inline constexpr std::size_t tokens_per_block = texts_per_block * text_length;

/// One way to generate texts.
struct generation_case {
  std::string rule = {};
  std::string drafts = {};
  std::string setting = {};
  specdec::sampling_params sampling = {};
  std::size_t vocab_size = width;
  /// Whether the rule keeps the target's law; if not, the case is a known mistake, which must be found.
  bool is_lossless = true;
  /// Of a mistake: with how many tokens it must be found. What is hardly off needs many.
  std::uint64_t tokens_to_find = 0;
  /// Adds the texts of a block. A function of seed and block alone; safe to call from several threads.
  std::function<void(std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts)> count = {};

  /// What tells it from the others.
  [[nodiscard]] std::string name() const { return rule + ", " + drafts + ", " + setting; }
};

/// The lossless rules, each over the drafts that it is made for: chains of a model, of a model and a lesser one, of the
/// text, of counts, of the first of two drafters; trees of siblings drawn with and without replacement, and of certain
/// tokens. Chains also in batches (`rejection`, `block_verification`) and drafted ahead (these and `coupled`). Four
/// settings each; no drafts, chains of a model, under `rejection`, `block_verification` and `coupled`, and trees, under
/// `traversal`, have two more over a vocabulary that takes several blocks of the arithmetic.
///
/// Not here: `greedy`, which keeps the law of temperature 0 alone, so that its text is to be compared, not counted
/// (tests/exactness_test.cpp); masks, and with them `forced_tokens`, under which the last two tokens do not settle the
/// law of the next; layers left out and other vocabularies, which a table has not.
[[nodiscard]] std::vector<generation_case> lossless_cases();

/// How many blocks of each case make up so many tokens of each lossless rule, its cases taking equal parts, or a
/// quarter of one over a wide vocabulary. Of a mistake there are as many as it takes to find it, at most a quarter of
/// that.
[[nodiscard]] std::vector<std::size_t> blocks_for(std::span<const generation_case> cases, std::uint64_t tokens);

/// Known mistakes, and `lenient` with a lenience near 1, in one setting each.
[[nodiscard]] std::vector<generation_case> mistaken_cases();

/// The law of the texts of a case, from the target's table by plain arithmetic in double.
struct exact_law {
  std::vector<double> of_texts;   ///< text_count entries
  std::vector<double> of_tokens;  ///< that of the next token's class behind every two: width entries for each
};
[[nodiscard]] exact_law law_of(const generation_case& one);

/// How often each class of token was counted behind every two, laid out as `exact_law::of_tokens`, in these texts.
[[nodiscard]] std::vector<std::uint64_t> token_counts(std::span<const std::uint64_t> texts);

}  // namespace frequencies

#endif  // FREQUENCIES_CASES_HPP
