#ifndef TREES_BLOCKS_HPP
#define TREES_BLOCKS_HPP

/// @file
/// The same drafted chains, verified token by token and as blocks.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <measurement/method.hpp>
#include <study/work.hpp>

#include "options.hpp"

namespace trees {

/// How much of drafted chains two rules keep, as expectations over their own decisions: only the chains are random.
class kept_of_chains {
 public:
  explicit kept_of_chains(std::size_t gamma) : by_token_(gamma), by_block_(gamma) {}

  /// Adds a chain, from the target's laws over its own, p(x) / q(x), at its tokens in order.
  void add(std::span<const double> ratios);

  [[nodiscard]] std::uint64_t chains() const noexcept { return chains_; }
  /// Tokens per call with drafts of gamma tokens. Precondition: 1 <= gamma <= that of the constructor; there are
  /// chains.
  [[nodiscard]] double by_token(std::size_t gamma) const noexcept { return 1 + mean_of_first(by_token_, gamma); }
  [[nodiscard]] double by_block(std::size_t gamma) const noexcept { return 1 + mean_of_first(by_block_, gamma); }

 private:
  [[nodiscard]] double mean_of_first(std::span<const double> sums, std::size_t count) const noexcept;

  // For each depth, the sum over all chains of the probability that so many tokens are kept.
  std::vector<double> by_token_, by_block_;
  std::uint64_t chains_ = 0;
};

/// Drafts chains along texts behind the prompts. Less if the user interrupts it.
[[nodiscard]] kept_of_chains verify_both_ways(const options& asked, const measurement::model_pair& models,
                                              std::span<const study::tokens> prompts);

}  // namespace trees

#endif  // TREES_BLOCKS_HPP
