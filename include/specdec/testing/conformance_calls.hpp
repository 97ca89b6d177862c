#ifndef SPECDEC_TESTING_CONFORMANCE_CALLS_HPP
#define SPECDEC_TESTING_CONFORMANCE_CALLS_HPP

/// @file
/// Does it matter how a text is cut into calls?

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../types.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"
#include "conformance_subject.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// Feeds T many tokens at once and compares the rows, and the row of the next token, with T's.
template <CausalModel Model>
class call_checks {
 public:
  explicit call_checks(conformance_subject<Model>& subject) noexcept : subject_(subject) {}

  /// Whether rows follow their own tokens. A model that may look at everything but the last token would fail here.
  void check_tokens() {
    bool all_alike = true;
    for (std::size_t i = 1; i < text().size(); ++i) all_alike = all_alike && subject_.is_row(subject_.row(i), 0);
    if (all_alike) return;
    bool last_token_shows = false;
    probe().truncate(0);
    probe().steps(subject_.part(0, 9));
    for (std::size_t i = 9; i-- > 3 && !last_token_shows;) {
      probe().truncate(i);
      last_token_shows = !subject_.is_row(probe().step(subject_.another_token(text()[i])), i);
    }
    if (last_token_shows) return;
    probe().begin();
    probe().truncate(3);
    const std::vector<logits> rows = probe().steps(subject_.other_text());
    if (subject_.are_rows(rows, 3)) {
      probe().fail(requirement::causal_model_3, defect::tokens_ignored,
                   "expected rows that depend on the tokens; all are those of another text, which was read first");
    }
    probe().fail(requirement::causal_model_3, defect::rows_shifted,
                 "expected row i to be the law behind token i; it does not depend on token i, but on those before");
  }

  /// Calls of 1 to 8 tokens and of all of T, with rows from 0 up.
  void check_calls() {
    const std::size_t whole = text().size() - 1;
    const auto all = [&](std::size_t base, std::size_t count) {
      for (std::size_t rows = 0; rows <= count; ++rows) check_call(base, count, rows);
    };
    for (std::size_t count = 1; count <= 8; ++count) all(3, count);
    for (const std::size_t count : {1U, 2U, 5U}) all(0, count);
    for (const std::size_t rows : {std::size_t{0}, std::size_t{1}, whole / 2, whole}) check_call(0, whole, rows);
  }

 private:
  using logits = typename conformance_subject<Model>::logits;

  [[nodiscard]] conformance_probe<Model>& probe() const noexcept { return subject_.probe(); }
  [[nodiscard]] const std::vector<token_id>& text() const noexcept { return subject_.text(); }

  /// One call of `count` tokens of T behind its first `base`, and the next token.
  void check_call(std::size_t base, std::size_t count, std::size_t rows) {
    probe().begin();
    probe().truncate(base);
    const std::vector<logits> got = probe().decode(subject_.part(base, count), rows);
    const std::size_t first = base + count - rows;
    if (!subject_.are_rows(got, first)) explain_call(base, count, rows, got);
    if (base + count == text().size()) return;
    const logits next = probe().step(text()[base + count]);
    if (subject_.is_row(next, base + count)) return;
    const std::vector<std::string> calls = probe().calls();
    explain_twice(base, count);
    probe().fail(requirement::causal_model_3, defect::tokens_lost,
                 "the token behind a call of " + std::to_string(count) + " tokens with " + std::to_string(rows) +
                     " rows does not see that context: " + probe().difference(subject_.row(base + count), next),
                 calls);
  }

  [[noreturn]] void explain_call(std::size_t base, std::size_t count, std::size_t rows,
                                 const std::vector<logits>& got) {
    const std::vector<std::string> calls = probe().calls();
    // A mistake is told apart best where first rows, last rows and shifted rows are all different ones of T.
    for (const auto& [c, r] : {std::pair<std::size_t, std::size_t>{6, 3}, {6, 6}, {2, 2}}) {
      probe().begin();
      probe().truncate(3);
      const std::vector<logits> answer = probe().decode(subject_.part(3, c), r);
      if (!subject_.are_rows(answer, 3 + c - r)) explain_rows(3, 3 + c - r, answer, probe().calls());
    }
    explain_rows(base, base + count - rows, got, calls);
    explain_twice(base, count);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t place = base + count - rows + i;
      if (subject_.is_row(got[i], place)) continue;
      probe().fail(requirement::causal_model_3, defect::call_size_shows,
                   "row " + std::to_string(i) + " of a call of " + std::to_string(count) + " tokens with " +
                       std::to_string(rows) + " rows is not the row of the same text fed token by token: " +
                       probe().difference(subject_.row(place), got[i]) + "; if that is rounding, set options.tolerance",
                   calls);
    }
    throw typename conformance_probe<Model>::stop{};
  }

  /// Names the mistake if `rows`, which should be T's from `first` on, are other rows of T.
  /// @param calls those that gave the rows
  void explain_rows(std::size_t base, std::size_t first, const std::vector<logits>& rows,
                    const std::vector<std::string>& calls) {
    const auto fail = [&](defect kind, const std::string& got) {
      probe().fail(requirement::causal_model_3, kind,
                   "expected the rows behind the last " + std::to_string(rows.size()) + " tokens, in order; got " + got,
                   calls);
    };
    const auto all_are = [&](std::size_t place) {
      return std::all_of(rows.begin(), rows.end(), [&](const logits& row) { return subject_.is_row(row, place); });
    };
    for (std::size_t i = 0; i < rows.size() && rows.size() > 1; ++i) {
      if (all_are(first + i)) fail(defect::rows_alias, "row " + std::to_string(i) + " as every row");
    }
    if (first > 0 && subject_.are_rows(rows, first - 1)) {
      fail(defect::rows_shifted, "for each token the row behind the one before");
    }
    if (first > base && subject_.are_rows(rows, base)) {
      fail(defect::rows_of_first_tokens, "those behind the first tokens");
    }
    std::vector<bool> used(rows.size());
    std::string order;
    for (const logits& row : rows) {
      std::size_t i = 0;
      while (i < rows.size() && (used[i] || !subject_.is_row(row, first + i))) ++i;
      if (i == rows.size()) return;
      used[i] = true;
      order += " " + std::to_string(i);
    }
    fail(defect::rows_out_of_order, "them in the order" + order);
  }

  /// Names the mistake if a call reads its last token twice: either compared with single calls that repeat the token,
  /// or, where single calls do the same, by [a a b] being the context of [a] and [b].
  void explain_twice(std::size_t base, std::size_t count) {
    const auto fail = [&] {
      probe().fail(
          requirement::causal_model_3, defect::last_token_twice,
          "expected each token of a call to be read once; the rows are those of a text with its last token twice");
    };
    const token_id next = text()[std::min(base + count, text().size() - 1)];
    const token_id last = text()[base + count - 1];
    probe().truncate(base);
    probe().steps(subject_.part(base, count));
    const std::vector<logits> repeated = probe().steps(std::vector<token_id>{last, next});
    probe().begin();
    probe().truncate(base);
    const logits row = probe().decode(subject_.part(base, count), 1).front();
    if ((probe().same(row, repeated[0]) && !subject_.is_row(row, base + count - 1)) ||
        (probe().same(probe().step(next), repeated[1]) && !probe().same(repeated[1], subject_.row(base + count)))) {
      fail();
    }

    const std::vector<token_id> doubled{text()[6], text()[6], text()[5]};
    probe().truncate(0);
    const logits thrice = probe().steps(doubled).back();
    probe().truncate(0);
    const logits twice = probe().steps(std::span(doubled).subspan(1)).back();
    probe().begin();
    probe().truncate(0);
    const logits together = probe().decode(doubled, 1).front();
    if (probe().same(together, twice) && !probe().same(together, thrice)) fail();
  }

  conformance_subject<Model>& subject_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_CALLS_HPP
