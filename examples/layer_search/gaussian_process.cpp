#include "gaussian_process.hpp"

#include <cmath>
#include <limits>

namespace layer_search {
namespace {

Eigen::ArrayXXd matern(const Eigen::ArrayXXd& distance, double length_scale) {
  const Eigen::ArrayXXd s = std::sqrt(5.0) / length_scale * distance;
  return (1 + s + s.square() / 3) * (-s).exp();
}

Eigen::ArrayXd distances(const Eigen::MatrixXd& points, const Eigen::VectorXd& to) {
  return (points.rowwise() - to.transpose()).rowwise().norm().array();
}

}  // namespace

void gaussian_process::fit(const Eigen::MatrixXd& points, const Eigen::VectorXd& values) {
  constexpr int length_scales = 16;
  constexpr double shortest = 0.25, step = 1.3;
  points_ = points;
  const Eigen::Index n = points.rows();
  mean_ = values.mean();
  const double variance = (values.array() - mean_).square().mean();
  deviation_ = variance > 0 ? std::sqrt(variance) : 1;
  const Eigen::VectorXd y = (values.array() - mean_) / deviation_;

  Eigen::ArrayXXd distance(n, n);
  for (Eigen::Index i = 0; i < n; ++i) distance.col(i) = distances(points, points.row(i).transpose());
  double best = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < length_scales; ++i) {
    // From a quarter of a step along one axis to many times the diagonal of a small cube.
    const double length_scale = shortest * std::pow(step, i) * std::sqrt(std::sqrt(static_cast<double>(points.cols())));
    Eigen::MatrixXd covariance = matern(distance, length_scale).matrix();
    covariance.diagonal().array() += noise_;
    Eigen::LLT<Eigen::MatrixXd> factor(covariance);
    if (factor.info() != Eigen::Success) continue;
    Eigen::VectorXd weights = factor.solve(y);
    const double log_likelihood = -0.5 * y.dot(weights) - factor.matrixLLT().diagonal().array().log().sum();
    if (!(log_likelihood > best)) continue;
    best = log_likelihood;
    length_scale_ = length_scale;
    factor_ = std::move(factor);
    weights_ = std::move(weights);
  }
}

gaussian_process::prediction gaussian_process::at(const Eigen::VectorXd& point) const {
  const Eigen::VectorXd k = matern(distances(points_, point), length_scale_).matrix();
  const double explained = factor_.matrixL().solve(k).squaredNorm();
  return {mean_ + deviation_ * k.dot(weights_), deviation_ * std::sqrt(std::fmax(1 - explained, 0.0))};
}

}  // namespace layer_search
