#include "cost_curve.hpp"

#include <algorithm>
#include <cmath>

#include <measurement/costs.hpp>

namespace doctor {
namespace {

// A clock may not have moved between two readings.
constexpr double shortest = 1e-9;

std::vector<double> part_of(std::span<const cycle> cycles, double round_seconds::*part) {
  std::vector<std::vector<double>> times;
  for (const cycle& one : cycles) {
    std::vector<double>& column = times.emplace_back();
    for (const round_seconds& round : one) column.push_back(std::max(round.*part, shortest));
  }
  return typical_rows(times);
}

// The line through the times of rounds that draft; a relative error counts alike everywhere.
std::vector<double> straight(const std::vector<double>& times) {
  double weight = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (std::size_t gamma = 1; gamma < times.size(); ++gamma) {
    const auto at = static_cast<double>(gamma);
    const double w = 1 / (times[gamma] * times[gamma]);
    weight += w, x += w * at, y += w * times[gamma], xx += w * at * at, xy += w * at * times[gamma];
  }
  std::vector<double> line = times;
  const double spread = weight * xx - x * x;
  if (times.size() < 3 || !(spread > 0)) return line;
  const double slope = std::max((weight * xy - x * y) / spread, 0.0);
  const double offset = (y - slope * x) / weight;
  for (std::size_t gamma = 1; gamma < line.size(); ++gamma) {
    line[gamma] = std::max(offset + slope * static_cast<double>(gamma), 0.0);
  }
  return line;
}

}  // namespace

std::vector<double> typical_rows(std::span<const std::vector<double>> times) {
  constexpr int sweeps = 6;
  const std::size_t rows = times.front().size();
  std::vector<double> row(rows), column(times.size()), values;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    for (std::size_t r = 0; r < rows; ++r) {
      values.clear();
      for (std::size_t c = 0; c < times.size(); ++c) values.push_back(std::log(times[c][r]) - column[c]);
      row[r] = measurement::median(values);
    }
    for (std::size_t c = 0; c < times.size(); ++c) {
      values.clear();
      for (std::size_t r = 0; r < rows; ++r) values.push_back(std::log(times[c][r]) - row[r]);
      column[c] = measurement::median(values);
    }
  }
  const double level = measurement::median(column);
  for (double& value : row) value = std::exp(value + level);
  return row;
}

std::vector<double> rising(std::vector<double> values) {
  struct block {
    double sum = 0;
    std::size_t size = 0;
    [[nodiscard]] double mean() const { return sum / static_cast<double>(size); }
  };
  std::vector<block> blocks;
  for (const double value : values) {
    blocks.push_back({value, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() > blocks.back().mean()) {
      const block last = blocks.back();
      blocks.pop_back();
      blocks.back().sum += last.sum;
      blocks.back().size += last.size;
    }
  }
  auto value = values.begin();
  for (const block& one : blocks) value = std::fill_n(value, one.size, one.mean());
  return values;
}

cost_curve cost_curve_of(std::span<const cycle> cycles) {
  return {straight(part_of(cycles, &round_seconds::draft)), rising(part_of(cycles, &round_seconds::target)),
          rising(part_of(cycles, &round_seconds::verify))};
}

}  // namespace doctor
