#ifndef SPECDEC_TESTING_CONFORMANCE_USAGE_HPP
#define SPECDEC_TESTING_CONFORMANCE_USAGE_HPP

/// @file
/// A session's mixture of calls, calls that fail, and the end of the context.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../types.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"
#include "conformance_subject.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// Drives the model as a session does, up to its limits.
template <CausalModel Model>
class usage_checks {
 public:
  explicit usage_checks(conformance_subject<Model>& subject) noexcept : subject_(subject) {}

  /// Rounds as a session drives them: the committed text is T, drafts follow it for a while and then go wrong.
  void check_sessions() {
    for (int walk = 0; walk < 4; ++walk) {
      probe().begin();
      probe().truncate(0);
      probe().decode(subject_.part(0, 2), 0);
      for (std::size_t committed = 4; committed < text().size();) {
        // Now and then more is fed again than must be, as behind a call that failed.
        const std::size_t known = std::min(probe().text().size(), committed - 1);
        const std::size_t held = subject_.below(4) == 0 ? subject_.below(known + 1) : known;
        const std::size_t drafted = std::min(subject_.below(7), text().size() - committed);
        const std::size_t right = subject_.below(drafted + 1);
        if (probe().text().size() > held) probe().truncate(held);
        std::vector<token_id> fed(text().begin() + static_cast<std::ptrdiff_t>(held),
                                  text().begin() + static_cast<std::ptrdiff_t>(committed + right));
        for (std::size_t i = right; i < drafted; ++i) fed.push_back(subject_.another_token(text()[committed + i]));
        const std::vector<logits> rows = probe().decode(fed, drafted + 1);
        for (std::size_t i = 0; i <= right; ++i) {
          if (subject_.is_row(rows[i], committed - 1 + i)) continue;
          probe().fail(requirement::causal_model_3, defect::calls_interact,
                       "row " + std::to_string(i) +
                           " of the last call is not the row of the same text fed token by token: " +
                           probe().difference(subject_.row(committed - 1 + i), rows[i]));
        }
        committed += right + 1;
      }
    }
  }

  /// A call that throws on its last token, and the tokens that may follow it. For models that refuse unknown tokens.
  void check_refusals() {
    probe().truncate(0);
    probe().steps(subject_.part(0, 5));
    probe().begin();
    const std::vector<token_id> tokens{text()[5], text()[6], static_cast<token_id>(probe().vocab_size())};
    if (probe().refuses(tokens)) compare_refused(5);
  }

  /// As many tokens as capacity() says, the last by itself; then T again from its beginning.
  void check_capacity() {
    probe().truncate(0);
    probe().steps(text());
    while (probe().text().size() < subject_.capacity()) {
      const std::size_t count = std::clamp<std::size_t>(subject_.capacity() - probe().text().size() - 1, 1, 16);
      std::vector<token_id> tokens;
      for (std::size_t i = 0; i < count; ++i) tokens.push_back(subject_.any_token());
      probe().begin();
      probe().decode(tokens, 1);
    }
    if (subject_.options().provoke_refusals) {
      probe().begin();
      probe().refuses(std::vector<token_id>{text()[0]});
    }
    probe().begin();
    probe().truncate(3);
    if (subject_.are_rows(probe().steps(subject_.part(3, 4)), 3)) return;
    probe().fail(requirement::has_capacity, defect::capacity_too_large,
                 "expected the first 3 of capacity() = " + std::to_string(subject_.capacity()) +
                     " tokens to be kept by truncate(3); the tokens that follow have other rows");
  }

 private:
  using logits = typename conformance_subject<Model>::logits;

  [[nodiscard]] conformance_probe<Model>& probe() const noexcept { return subject_.probe(); }
  [[nodiscard]] const std::vector<token_id>& text() const noexcept { return subject_.text(); }

  void compare_refused(std::size_t before) {
    const std::size_t size = probe().text().size();
    if (subject_.are_rows(probe().steps(subject_.part(size, 3)), size)) return;
    probe().fail(requirement::causal_model_5, defect::refused_call_miscounted,
                 "expected the context of " + std::to_string(size) +
                     " tokens that size() told behind a refused call on " + std::to_string(before) +
                     "; the tokens that follow have other rows");
  }

  conformance_subject<Model>& subject_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_USAGE_HPP
