#ifndef TREES_SHAPES_HPP
#define TREES_SHAPES_HPP

/// @file
/// What trees of different shapes yield.

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <measurement/costs.hpp>
#include <measurement/method.hpp>
#include <specdec/specdec.hpp>
#include <study/work.hpp>

#include "options.hpp"

namespace trees {

/// The target and draft with texts to try shapes on.
class workbench {
 public:
  workbench(const options& asked, const measurement::model_pair& models, std::span<const study::tokens> prompts);

  /// What a shape yields: generates all texts with it, in noise of its own, and counts what its siblings do.
  struct yield {
    specdec::statistics stats;
    specdec::sibling_counts siblings;

    [[nodiscard]] double tokens_per_call() const noexcept { return stats.mean_acceptance_length(); }
  };
  [[nodiscard]] yield try_shape(const specdec::tree_shape& shape, std::uint32_t stream);
  /// The same for trees that grow by confidence.
  [[nodiscard]] yield try_dynamic(std::size_t nodes, std::size_t depth, std::uint32_t stream);

 private:
  template <class Drafter>
  [[nodiscard]] specdec::statistics generate(Drafter& drafter, std::uint32_t stream);

  options asked_;
  toy::context target_, draft_;
  std::span<const study::tokens> prompts_;
};

/// A shape of constant branching with at most so many nodes: `branching` children for every node of the first level,
/// then chains, as many levels as fit.
[[nodiscard]] specdec::tree_shape constant_shape(std::size_t nodes, std::size_t branching);

/// How often siblings are kept, measured on shapes that look at every rank: first along one path, then where the best
/// tree for what was found looks.
[[nodiscard]] specdec::sibling_acceptance measure_acceptance(workbench& bench, std::size_t nodes, std::size_t depth);

/// What a round costs, measured on the pair: a call of the target for 1 to `most` + 1 tokens, a level of drafting.
/// `done_with_text` is called when a prompt's text is done with.
struct measured_costs {
  std::vector<double> target;
  double draft_level = 0;

  [[nodiscard]] specdec::tree_costs view() const noexcept;
};
[[nodiscard]] std::optional<measured_costs> measure_costs(const options& asked, const measurement::model_pair& models,
                                                          std::span<const study::tokens> prompts, std::size_t most,
                                                          const std::function<void()>& done_with_text);

/// Tokens per second of a shape and of plain decoding, round by round in turns on the same texts; the shape's over
/// plain.
[[nodiscard]] double measured_speedup(const options& asked, const measurement::model_pair& models,
                                      std::span<const study::tokens> prompts, const specdec::tree_shape& shape,
                                      std::size_t rounds);

}  // namespace trees

#endif  // TREES_SHAPES_HPP
