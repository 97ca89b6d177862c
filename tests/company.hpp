#ifndef SPECDEC_TESTS_COMPANY_HPP
#define SPECDEC_TESTS_COMPANY_HPP

/// @file
/// Some small models of several sequences, and what texts are alone that they generate together.

#include <cstddef>
#include <cstdint>
#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "laws.hpp"

namespace company {

using batches::alone;
using batches::result;
using batches::tokens;
using batches::wish;
using specdec::separate_sequences;
using specdec::session_batch;
using specdec::token_id;

inline constexpr std::size_t vocab = 9;
inline constexpr std::size_t sequences = 3;

using law = decltype(laws::hashed(vocab, 0, 0.0));
using model = specdec::testing::law_model<law>;

inline model target_model() { return {vocab, laws::hashed(vocab, 1, 0.6)}; }
/// Right often enough to be worth its while.
inline model draft_model() { return {vocab, laws::hashed(vocab, 1, 0.4)}; }

inline separate_sequences<model> targets(std::size_t count = sequences) {
  return separate_sequences(std::vector<model>(count, target_model()));
}
inline separate_sequences<model> drafts(std::size_t count = sequences) {
  return separate_sequences(std::vector<model>(count, draft_model()));
}

static_assert(specdec::DecodesBatches<separate_sequences<model>> && !specdec::DecodesBatches<model>);
static_assert(!specdec::HasCapacity<separate_sequences<model>>);
static_assert(specdec::BatchDrafter<specdec::batch_model_drafter<separate_sequences<model>>>);

/// What every wish gives alone, with a drafter made by `make(draft)`.
template <class Make>
std::vector<result> all_alone(const std::vector<wish>& wishes, const Make& make) {
  std::vector<result> results;
  for (const wish& wanted : wishes) {
    model draft = draft_model();
    results.push_back(alone(target_model(), make(draft), wanted));
  }
  return results;
}

inline const auto with_gamma = [](std::size_t gamma) {
  return [=](model& draft) { return specdec::model_drafter(draft, specdec::constant{gamma}); };
};

/// A batch with a draft, and all that it refers to.
template <class Target, class Draft, class Policy>
struct drafting_batch {
  Target target;
  Draft draft;
  specdec::batch_model_drafter<Draft, Policy> drafter;
  session_batch<Target, specdec::batch_model_drafter<Draft, Policy>> batch;

  drafting_batch(Target of, Draft by, Policy policy, const specdec::batch_options& options = {})
      : target(std::move(of)), draft(std::move(by)), drafter(draft, policy), batch(target, drafter, options) {}
  drafting_batch(const drafting_batch&) = delete;
  drafting_batch& operator=(const drafting_batch&) = delete;
};

/// The texts that are wished for, each behind its prompt.
inline std::vector<specdec::session<>> begun(const std::vector<wish>& wishes) {
  std::vector<specdec::session<>> texts;
  for (const wish& wanted : wishes) {
    texts.emplace_back(vocab, wanted.options);
    texts.back().begin(wanted.prompt);
  }
  return texts;
}

/// As many texts as there are streams, alike but for their noise.
inline std::vector<specdec::session<>> begun(std::size_t count, std::size_t max_tokens, const tokens& prompt) {
  std::vector<wish> wishes;
  for (std::uint32_t i = 0; i < count; ++i) wishes.push_back({prompt, {.max_tokens = max_tokens, .stream = i}});
  return begun(wishes);
}

inline tokens generated(const specdec::session<>& text) { return {text.generated().begin(), text.generated().end()}; }

}  // namespace company

#endif  // SPECDEC_TESTS_COMPANY_HPP
