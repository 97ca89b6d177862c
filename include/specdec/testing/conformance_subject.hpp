#ifndef SPECDEC_TESTING_CONFORMANCE_SUBJECT_HPP
#define SPECDEC_TESTING_CONFORMANCE_SUBJECT_HPP

/// @file
/// What all conformance checks share: the options, a text, and the rows that belong to it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../types.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// How a model is tried.
struct conformance_options {
  /// Tokens to feed, at least two different ones; none stands for the whole vocabulary. Leave out tokens that the model
  /// treats in a way of their own.
  std::vector<token_id> tokens = {};
  /// How far a logit may differ when the same text was fed in other calls. 0 asks for the same bits, without which
  /// greedy text may depend on the draft.
  double tolerance = 0;
  /// Tokens in the reference text, from 12 up; a model with less capacity is tried with fewer.
  std::size_t length = 32;
  /// Names the text and the order of calls.
  std::uint64_t seed = 0;
  /// A model with `capacity()` up to this many tokens is filled to the last of them.
  std::size_t fill_limit = 8192;
  /// Also make calls that break decode's preconditions (a token outside the vocabulary, a context overfilled): only for
  /// models that throw then, and change nothing but what size() tells.
  bool provoke_refusals = false;
};

/// A model with the reference: a text T, and T's rows as they were when it was fed token by token before anything was
/// truncated. T has one token at places 2 to 5 and another around them: a truncation to 3 that is off by one lands on
/// another row of T.
template <CausalModel Model>
class conformance_subject {
 public:
  using probe_type = conformance_probe<Model>;
  using logits = typename probe_type::logits;

  /// Throws std::invalid_argument for options that cannot be followed.
  conformance_subject(Model& model, const conformance_options& options, conformance_report& report)
      : options_(options),
        probe_(model, options.tolerance, report),
        capacity_(capacity_of(model)),
        random_(options.seed) {
    require_usable_options();
    const std::size_t length = std::min(options_.length, capacity_ - 2);
    const token_id repeated = any_token();
    for (std::size_t i = 0; i <= length; ++i) text_.push_back(any_token());
    text_[1] = another_token(repeated);
    std::fill(text_.begin() + 2, text_.begin() + 6, repeated);
    text_[6] = another_token(repeated);
  }

  [[nodiscard]] const conformance_options& options() const noexcept { return options_; }
  [[nodiscard]] probe_type& probe() noexcept { return probe_; }
  /// The greatest number if the model states none.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// T: options().length + 1 tokens, at least 13, and fewer than capacity().
  [[nodiscard]] const std::vector<token_id>& text() const noexcept { return text_; }
  [[nodiscard]] std::span<const token_id> part(std::size_t first, std::size_t count) const {
    return std::span(text_).subspan(first, count);
  }

  /// Reads T for the reference. To be called once, before anything else.
  void read_reference() {
    if (!probe_.text().empty()) probe_.truncate(0);
    reference_ = probe_.steps(text_);
  }
  /// T's row behind T[place].
  [[nodiscard]] const logits& row(std::size_t place) const { return reference_[place]; }
  [[nodiscard]] bool is_row(const logits& row, std::size_t place) const { return probe_.same(reference_[place], row); }
  /// Whether `rows` are the reference's from `place` on.
  [[nodiscard]] bool are_rows(std::span<const logits> rows, std::size_t place) const {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!is_row(rows[i], place + i)) return false;
    }
    return true;
  }

  /// A number from 0 to bound - 1.
  [[nodiscard]] std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  [[nodiscard]] token_id any_token() {
    return options_.tokens.empty() ? static_cast<token_id>(below(probe_.vocab_size()))
                                   : options_.tokens[below(options_.tokens.size())];
  }
  [[nodiscard]] token_id another_token(token_id than) {
    for (;;) {
      if (const token_id token = any_token(); token != than) return token;
    }
  }
  /// Six tokens that differ from T's at places 3 to 8.
  [[nodiscard]] std::vector<token_id> other_text() {
    std::vector<token_id> tokens;
    for (std::size_t i = 3; i < 9; ++i) tokens.push_back(another_token(text_[i]));
    return tokens;
  }

 private:
  static constexpr std::size_t shortest = 12;

  static std::size_t capacity_of(const Model& model) {
    if constexpr (HasCapacity<Model>) {
      return model.capacity();
    } else {
      return std::numeric_limits<std::size_t>::max();
    }
  }

  void require_usable_options() {
    const auto refuse = [](const std::string& expected, const std::string& got) {
      throw std::invalid_argument("specdec: to check a model, expected " + expected + "; got " + got);
    };
    if (!(options_.tolerance >= 0)) refuse("a tolerance from 0 up", std::to_string(options_.tolerance));
    if (options_.length < shortest) refuse("a length from 12 up", std::to_string(options_.length));
    if (capacity_ < shortest + 2) refuse("a capacity from 14 tokens up", std::to_string(capacity_));
    if (options_.tokens.empty() && probe_.vocab_size() < 2) refuse("a vocabulary of two tokens or more", "1");
    for (const token_id token : options_.tokens) {
      if (token < 0 || static_cast<std::size_t>(token) >= probe_.vocab_size()) {
        refuse("tokens of a vocabulary of " + std::to_string(probe_.vocab_size()), std::to_string(token));
      }
    }
    const bool differ = std::any_of(options_.tokens.begin(), options_.tokens.end(),
                                    [&](token_id token) { return token != options_.tokens.front(); });
    if (!options_.tokens.empty() && !differ) refuse("two different tokens", to_string(options_.tokens));
  }

  conformance_options options_;
  probe_type probe_;
  std::size_t capacity_;
  std::mt19937_64 random_;
  std::vector<token_id> text_;
  std::vector<logits> reference_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_SUBJECT_HPP
