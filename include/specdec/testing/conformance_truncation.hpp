#ifndef SPECDEC_TESTING_CONFORMANCE_TRUNCATION_HPP
#define SPECDEC_TESTING_CONFORMANCE_TRUNCATION_HPP

/// @file
/// What is left of truncated tokens?

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../types.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"
#include "conformance_subject.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// Feeds T, and other text, again behind truncations, token by token.
template <CausalModel Model>
class truncation_checks {
 public:
  explicit truncation_checks(conformance_subject<Model>& subject) noexcept : subject_(subject) {}

  /// T again behind truncations: to the middle, to the end, to nothing, twice in a row. Expects a context that holds T.
  void check_same_text() {
    const std::size_t last = text().size() - 1;
    probe().begin();
    probe().truncate(last - 1);
    const logits near_end = probe().step(text()[last - 1]);
    probe().truncate(3);
    const std::vector<logits> rows = probe().steps(subject_.part(3, 4));
    if (!subject_.is_row(near_end, last - 1) || !subject_.are_rows(rows, 3)) {
      // A stale row is the one that the next call of the first reading returned.
      if (subject_.is_row(rows[0], last) && subject_.are_rows(std::span(rows).subspan(1), 4)) {
        probe().fail(requirement::causal_model_3, defect::rows_stale,
                     "expected decode to return the row behind its own token; got the row of the call before");
      }
      if (subject_.is_row(rows[0], 4)) off_by_one(defect::truncate_keeps_too_many, "4");
      if (subject_.is_row(rows[0], 2)) off_by_one(defect::truncate_keeps_too_few, "2");
      if (!subject_.is_row(rows[0], 3)) explain_truncation(3, 3, rows[0]);
      if (!subject_.is_row(near_end, last - 1)) explain_truncation(last - 1, last - 1, near_end);
      compare_behind(3, 3, rows);
    }

    probe().begin();
    probe().truncate(7);
    compare_behind(7, 7, probe().steps(subject_.part(7, 2)));
    probe().begin();
    probe().truncate(6);
    probe().truncate(4);
    compare_behind(4, 4, probe().steps(subject_.part(4, 3)));
    probe().begin();
    probe().truncate(0);
    compare_behind(0, 0, probe().steps(subject_.part(0, 8)));
  }

  /// Other tokens behind a truncation.
  void check_new_text() {
    const std::vector<token_id> tokens = subject_.other_text();
    probe().truncate(0);
    probe().steps(text());
    probe().begin();
    probe().truncate(3);
    const std::vector<logits> rows = probe().steps(tokens);
    const std::vector<std::string> calls = probe().calls();
    probe().truncate(0);
    probe().steps(subject_.part(0, 3));
    const std::vector<logits> expected = probe().steps(tokens);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (probe().same(expected[i], rows[i])) continue;
      probe().fail(requirement::causal_model_4, defect::forgotten_tokens_show,
                   "the row behind new token " + std::to_string(i) +
                       " behind truncate(3) is not that of the same text behind truncate(0): " +
                       probe().difference(expected[i], rows[i]),
                   calls);
    }
  }

 private:
  using logits = typename conformance_subject<Model>::logits;

  [[nodiscard]] conformance_probe<Model>& probe() const noexcept { return subject_.probe(); }
  [[nodiscard]] const std::vector<token_id>& text() const noexcept { return subject_.text(); }

  [[noreturn]] void off_by_one(defect kind, const char* kept) {
    probe().fail(requirement::causal_model_4, kind,
                 std::string("expected truncate(3) to keep 3 tokens, as size() says; the next row is that of a context "
                             "of which ") +
                     kept + " were kept");
  }

  /// `rows` came behind truncate(held) and some of T; they should be T's from `place` on.
  void compare_behind(std::size_t held, std::size_t place, const std::vector<logits>& rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!subject_.is_row(rows[i], place + i)) explain_truncation(held, place + i, rows[i]);
    }
  }

  /// Finds out what logits behind truncate(n) depend on, by feeding and truncating tails before the same token.
  [[noreturn]] void explain_truncation(std::size_t n, std::size_t place, const logits& got) {
    const std::vector<std::string> calls = probe().calls();
    const std::string seen = "the row behind place " + std::to_string(place) + " of a text changed when it was fed " +
                             "again behind truncate(" + std::to_string(n) +
                             "): " + probe().difference(subject_.row(place), got);
    const token_id one = subject_.another_token(text()[n]);
    const token_id other = subject_.another_token(one);
    // Two tokens at least: the first is overwritten by what is fed next.
    const auto behind_tail = [&](token_id token, std::size_t count) {
      probe().truncate(n);
      probe().steps(std::vector<token_id>(count, token));
      probe().truncate(n);
      return probe().step(text()[n]);
    };
    probe().truncate(std::min(n, probe().text().size()));
    if (probe().text().size() < n) probe().steps(subject_.part(probe().text().size(), n - probe().text().size()));
    const logits first = behind_tail(one, 2);
    const logits others = behind_tail(other, 2);
    const logits longer = behind_tail(one, std::min<std::size_t>(4, text().size() - n));
    if (!probe().same(first, others)) {
      probe().fail(requirement::causal_model_4, defect::forgotten_tokens_show,
                   seen + "; it depends on what was truncated", calls);
    }
    probe().fail(requirement::causal_model_4, defect::truncation_shows,
                 seen + (probe().same(first, longer)
                             ? "; it does not depend on what was truncated, only on that something was: are positions "
                               "counted right?"
                             : "; it depends on how many tokens were truncated, not on which: are positions rolled "
                               "back?"),
                 calls);
  }

  conformance_subject<Model>& subject_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_TRUNCATION_HPP
