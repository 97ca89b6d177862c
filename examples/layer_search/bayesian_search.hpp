#ifndef LAYER_SEARCH_BAYESIAN_SEARCH_HPP
#define LAYER_SEARCH_BAYESIAN_SEARCH_HPP

/// @file
/// Bayesian optimisation over yes-or-no choices.

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "gaussian_process.hpp"

namespace layer_search {

/// One decision per dimension, 0 or 1.
using choices = std::vector<std::uint8_t>;

struct search_options {
  std::size_t initial = 12;       ///< points drawn at random before the model is asked
  std::size_t candidates = 1000;  ///< points that the model judges for every proposal
  double noise = 1e-2;            ///< see `gaussian_process`
  std::uint64_t seed = 0;
};

/// Finds where a function over {0,1}^d is high, in few evaluations: fits a Gaussian process to what was observed, and
/// proposes the point with the highest expected improvement (Jones et al. 1998).
///
/// Draft & Verify (Zhang et al. 2024) searches [0,1]^d and cuts every coordinate at 0.5. The function is constant on
/// either side of the cut, so here the process is told the cut points (Garrido-Merchan and Hernandez-Lobato 2020): it
/// then knows that nothing lies between them, and a proposal is never one that was evaluated before.
class bayesian_search {
 public:
  explicit bayesian_search(std::size_t dimensions, const search_options& options = {});

  /// The point to evaluate next: random at first, as many ones as chance has it, then by expected improvement. One that
  /// was observed only if there is hardly another. O(n^2) for each of the candidates and O(n^3) once, for n
  /// observations.
  [[nodiscard]] choices propose();

  /// Tells the function's value, possibly noisy, at any point. Throws std::invalid_argument for another number of
  /// dimensions or a value that is not finite.
  void observe(const choices& point, double value);

  struct observation {
    choices point;
    double value;
  };
  [[nodiscard]] const std::vector<observation>& observations() const noexcept { return observations_; }

  /// The observed point that the process believes highest. Precondition: something was observed.
  [[nodiscard]] const observation& best();

 private:
  [[nodiscard]] double random() noexcept;
  [[nodiscard]] choices random_point() noexcept;
  [[nodiscard]] bool observed(const choices& point) const noexcept;
  [[nodiscard]] double improvement(const choices& point, double over) const;
  void fit();

  std::size_t dimensions_;
  search_options options_;
  std::mt19937_64 engine_;
  gaussian_process model_;
  std::vector<observation> observations_;
};

}  // namespace layer_search

#endif  // LAYER_SEARCH_BAYESIAN_SEARCH_HPP
