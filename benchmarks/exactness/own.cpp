#include "own.hpp"

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>

#include "chain_rule.hpp"
#include "laws.hpp"
#include "tree_drafters.hpp"

namespace exactness_report {
namespace {

using laws::probabilities;
using laws::text_view;
using law_of_text = std::function<probabilities(text_view)>;
using tree_drafters::drawing;
using tree_drafters::tree_sampler;

/// Drafts of one kind: below every node of depth d, branching[d] tokens drawn from q.
template <class Rule>
own_finding examine(const char* name, const char* drafts, const Rule& rule, const std::vector<std::size_t>& branching,
                    drawing mode) {
  own_finding found{name, drafts};
  const auto take = [&](std::size_t vocab_size, const law_of_text& p, const law_of_text& q, double temperature,
                        const specdec::testing::enumeration& how) {
    const auto emitted = specdec::testing::enumerate(
        vocab_size, {0}, p, laws::at_temperature(p, temperature),
        [&] {
          return tree_sampler{q, branching, mode};
        },
        rule, specdec::generate_options{.sampling = {.temperature = temperature}}, how);
    ++found.cases;
    found.runs += emitted.runs;
    found.furthest = std::max(found.furthest, emitted.total_variation());
    return emitted;
  };
  for (const std::size_t vocab_size : {2U, 3U}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      for (const double temperature : {1.0, 0.6}) {
        take(vocab_size, laws::hashed(vocab_size, seed), laws::hashed(vocab_size, seed + 20), temperature,
             {1, branching.size() + 1});
      }
    }
  }
  // With shared noise, two rounds would race three times for one place, which is beyond the oracle.
  const bool shares_noise = std::same_as<Rule, specdec::coupled>;
  if (!shares_noise) take(2, laws::hashed(2, 7), laws::hashed(2, 8), 1, {2, branching.size() + 2});
  const auto halves = take(2, laws::fixed({0.5, 0.5}), laws::fixed({0.9, 0.1}), 1, {1, branching.size() + 1});
  found.first_token = chain_rules::first_token(halves, 0, 2);
  return found;
}

}  // namespace

std::vector<own_finding> rules_of_this_library() {
  const std::vector<std::size_t> chain{1, 1};
  const std::vector<std::size_t> tree{2, 2};
  return {
      examine("rejection", "chains", specdec::rejection{}, chain, drawing::independently),
      examine("block_verification", "chains", specdec::block_verification{}, chain, drawing::independently),
      examine("recursive_rejection", "trees, siblings distinct", specdec::recursive_rejection{}, tree,
              drawing::distinctly),
      examine("recursive_rejection", "trees, siblings independent", specdec::recursive_rejection{}, tree,
              drawing::independently),
      examine("traversal", "trees, siblings distinct", specdec::traversal{}, tree, drawing::distinctly),
      examine("k_seq", "trees, siblings independent", specdec::k_seq{}, tree, drawing::independently),
      examine("naive_sampling", "trees of certain tokens", specdec::naive_sampling{}, tree, drawing::fixed),
      examine("coupled", "chains", specdec::coupled{}, chain, drawing::independently),
  };
}

}  // namespace exactness_report
