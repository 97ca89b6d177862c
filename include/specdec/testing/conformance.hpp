#ifndef SPECDEC_TESTING_CONFORMANCE_HPP
#define SPECDEC_TESTING_CONFORMANCE_HPP

/// @file
/// Is this a model that specdec can drive? `check_target_model` uses it as a session would and names what is wrong.
///
/// @code
/// my_model model;
/// const auto report = specdec::testing::check_target_model(model);
/// EXPECT_TRUE(report.conforming()) << report.text();
/// @endcode
///
/// The model is compared with itself alone: the same text must have the same logits, however it came into the context.
/// The reference is one text T fed token by token before anything was truncated; T has the same token at places 2 to 5,
/// so that a truncation which is off by one lands on a row of the reference and gives itself away. Each check builds on
/// those before it, so a finding names a cause and not its consequences. In this order:
///
/// - Every call: sizes, widths, numbers, two readings of the rows, tokens() where it has them; see `conformance_probe`.
/// - Truncation: T is fed again behind truncate(n), token by token; its rows must be T's. At a mismatch other tails are
///   fed and truncated first: if other tokens change the row, the cache was not rolled back, else positions were not.
///   Names stale rows, one token too many or too few, forgotten tokens that show, a truncation that shows.
/// - Tokens: another token behind the first i of T must have another row than T's. Names rows that are shifted by one,
///   tokens that are ignored.
/// - New text: other tokens behind truncate(n) must have the rows that they have behind truncate(0).
/// - Calls: many tokens of T at once, with none to all of their rows, and the token that follows; all rows must be T's.
///   Names aliased, swapped, shifted and first rows, a last token read twice, lost tokens, a call's size that shows.
/// - Sessions: prefill, drafts right and wrong, rollback and re-feeding, as rounds of a session make them.
/// - Trees, where the model scores them: branches below the first 6 tokens of T, some of them T's own, in one call and
/// in
///   several, and what is kept of them. Names branches that see each other, positions by number, nodes that are
///   counted, nodes that are not moved when they are kept, nodes that are not forgotten.
/// - Refusals, if asked for: behind a call that threw, the text that size() tells must go on as T does.
/// - Capacity: as many tokens as it says, then T again from its beginning. Names a context that ends earlier.

#include "../concepts.hpp"
#include "../requirements.hpp"
#include "conformance_calls.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"
#include "conformance_subject.hpp"
#include "conformance_trees.hpp"
#include "conformance_truncation.hpp"
#include "conformance_usage.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// Uses `model` as a session would, and reports every requirement of `TargetModel`, `HasCapacity`, `KnowsTokens` and
/// `DecodesTrees` that it breaks.
///
/// What the model holds is truncated. It is compared with itself: a model whose logits are wrong for every text alike
/// conforms. A model which ignores its last token by design would be taken for one whose rows are shifted.
///
/// Throws std::invalid_argument for options that cannot be followed. What the model throws becomes a finding.
/// Cost: with the default options about 270 calls of decode with 820 tokens, about 100 calls with 300 tokens more where
/// it scores trees, and capacity() tokens more where they are at most options.fill_limit; memory for `length` rows in
/// double.
template <TargetModel Model>
[[nodiscard]] conformance_report check_target_model(Model& model, const conformance_options& options = {}) {
  conformance_report report;
  if (model.vocab_size() == 0) {
    report.findings.push_back({requirement::causal_model_1,
                               defect::vocabulary_empty,
                               "expected a vocabulary of at least two tokens; vocab_size() is 0",
                               {}});
    report.complete = false;
    return report;
  }
  conformance_subject<Model> subject(model, options, report);
  truncation_checks<Model> truncation(subject);
  call_checks<Model> calls(subject);
  usage_checks<Model> usage(subject);
  const auto passed = [&](auto check) {
    try {
      subject.probe().begin();
      check();
      return true;
    } catch (const typename conformance_probe<Model>::stop&) {
      report.complete = false;
      return false;
    }
  };
  if (!passed([&] { subject.read_reference(); }) || !passed([&] { truncation.check_same_text(); })) return report;
  if (passed([&] { calls.check_tokens(); }) && passed([&] { truncation.check_new_text(); }) &&
      passed([&] { calls.check_calls(); })) {
    const bool sessions_pass = passed([&] { usage.check_sessions(); });
    if constexpr (DecodesTrees<Model>) {
      tree_checks<Model> trees(subject);
      if (sessions_pass && passed([&] { trees.check_rows(); })) {
        passed([&] { trees.check_keep(); });
        passed([&] { trees.check_forgetting(); });
      }
    }
  }
  if (options.provoke_refusals) passed([&] { usage.check_refusals(); });
  if (subject.capacity() <= options.fill_limit) passed([&] { usage.check_capacity(); });
  return report;
}

/// Says what a type lacks that is no model at all.
template <class Model>
conformance_report check_target_model(Model&, const conformance_options& = {}) {
  require_causal_model<Model>();
  return {};
}

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_HPP
