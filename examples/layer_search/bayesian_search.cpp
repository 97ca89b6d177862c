#include "bayesian_search.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>

namespace layer_search {
namespace {

Eigen::VectorXd vector_of(const choices& point) {
  Eigen::VectorXd result(static_cast<Eigen::Index>(point.size()));
  for (std::size_t i = 0; i < point.size(); ++i) result[static_cast<Eigen::Index>(i)] = point[i];
  return result;
}

}  // namespace

bayesian_search::bayesian_search(std::size_t dimensions, const search_options& options)
    : dimensions_(dimensions), options_(options), engine_(options.seed), model_(options.noise) {}

void bayesian_search::observe(const choices& point, double value) {
  if (point.size() != dimensions_ || !std::isfinite(value)) {
    throw std::invalid_argument("bayesian_search: expected " + std::to_string(dimensions_) +
                                " choices and a finite value; got " + std::to_string(point.size()) + " and " +
                                std::to_string(value));
  }
  observations_.push_back({point, value});
}

// Not <random>'s distributions: what they make of an engine differs between standard libraries.
double bayesian_search::random() noexcept { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

choices bayesian_search::random_point() noexcept {
  choices point(dimensions_);
  const double share = random();
  for (std::uint8_t& choice : point) choice = random() < share ? 1 : 0;
  return point;
}

bool bayesian_search::observed(const choices& point) const noexcept {
  return std::ranges::any_of(observations_, [&](const observation& known) { return known.point == point; });
}

double bayesian_search::improvement(const choices& point, double over) const {
  const auto [mean, deviation] = model_.at(vector_of(point));
  if (!(deviation > 0)) return 0;
  const double u = (mean - over) / deviation;
  const double below = 0.5 * std::erfc(-u / std::numbers::sqrt2);
  const double density = std::exp(-0.5 * u * u) / std::sqrt(2 * std::numbers::pi);
  return deviation * (u * below + density);
}

void bayesian_search::fit() {
  Eigen::MatrixXd points(static_cast<Eigen::Index>(observations_.size()), static_cast<Eigen::Index>(dimensions_));
  Eigen::VectorXd values(points.rows());
  for (Eigen::Index i = 0; i < points.rows(); ++i) {
    const observation& known = observations_[static_cast<std::size_t>(i)];
    points.row(i) = vector_of(known.point).transpose();
    values[i] = known.value;
  }
  model_.fit(points, values);
}

const bayesian_search::observation& bayesian_search::best() {
  fit();
  // Of a value measured with luck the process believes only a part.
  return *std::ranges::max_element(observations_, {},
                                   [this](const observation& known) { return model_.at(vector_of(known.point)).mean; });
}

choices bayesian_search::propose() {
  if (observations_.size() < std::max<std::size_t>(options_.initial, 1)) {
    choices point = random_point();
    for (int i = 0; i < 100 && observed(point); ++i) point = random_point();
    return point;
  }
  constexpr std::size_t climbs = 5;
  const observation& leader = best();
  const double over = model_.at(vector_of(leader.point)).mean;

  // Half of the candidates are anywhere, half are the leader with some choices changed.
  std::vector<std::pair<double, choices>> candidates;
  for (std::size_t i = 0; i < options_.candidates; ++i) {
    choices point = i % 2 == 0 ? random_point() : leader.point;
    for (std::size_t flips = 1 + i / 2 % 4; i % 2 == 1 && flips > 0; --flips) {
      std::uint8_t& choice = point[static_cast<std::size_t>(random() * static_cast<double>(dimensions_))];
      choice = 1 - choice;
    }
    if (!observed(point)) candidates.emplace_back(improvement(point, over), std::move(point));
  }
  if (candidates.empty()) return leader.point;
  const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(std::min(climbs, candidates.size()));
  std::partial_sort(candidates.begin(), end, candidates.end(),
                    [](const auto& a, const auto& b) { return a.first > b.first; });
  candidates.erase(end, candidates.end());

  // The most promising go uphill, one choice at a time.
  for (auto& [value, point] : candidates) {
    for (std::size_t unchanged = 0, i = 0; unchanged < dimensions_; i = (i + 1) % dimensions_, ++unchanged) {
      choices neighbour = point;
      neighbour[i] = 1 - neighbour[i];
      const double there = observed(neighbour) ? 0 : improvement(neighbour, over);
      if (!(there > value)) continue;
      value = there;
      point = std::move(neighbour);
      unchanged = 0;
    }
  }
  return std::ranges::max_element(candidates, {}, [](const auto& candidate) { return candidate.first; })->second;
}

}  // namespace layer_search
