#ifndef LAYER_SEARCH_GAUSSIAN_PROCESS_HPP
#define LAYER_SEARCH_GAUSSIAN_PROCESS_HPP

/// @file
/// Regression with a Gaussian process: what is known of a function that was measured, with noise, in a few places.

#include <Eigen/Cholesky>
#include <Eigen/Core>

namespace layer_search {

/// A Gaussian process with the Matern 5/2 kernel
///
///     k(r) = (1 + s + s^2 / 3) exp(-s),  s = sqrt(5) r / length scale,  r the Euclidean distance,
///
/// over values that are shifted and scaled to mean 0 and variance 1. The length scale is the one of a grid under which
/// the values are most probable. Source: Rasmussen and Williams 2006, algorithm 2.1 and equation 4.17.
class gaussian_process {
 public:
  /// @param noise variance of the measurements' noise, as a share of the variance of the values
  explicit gaussian_process(double noise) : noise_(noise) {}

  struct prediction {
    double mean;
    double deviation;  ///< standard deviation of the function, without the noise of a measurement
  };

  /// Learns from one point per row, each with its value. O(n^3). Precondition: at least one point, and as many values.
  void fit(const Eigen::MatrixXd& points, const Eigen::VectorXd& values);

  /// What is known of the function at a point. O(n^2). Precondition: fit() was called.
  [[nodiscard]] prediction at(const Eigen::VectorXd& point) const;

  [[nodiscard]] double length_scale() const noexcept { return length_scale_; }

 private:
  double noise_;
  double mean_ = 0;
  double deviation_ = 1;
  double length_scale_ = 1;
  Eigen::MatrixXd points_;
  Eigen::LLT<Eigen::MatrixXd> factor_;
  Eigen::VectorXd weights_;
};

}  // namespace layer_search

#endif  // LAYER_SEARCH_GAUSSIAN_PROCESS_HPP
