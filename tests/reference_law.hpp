#ifndef SPECDEC_TESTS_REFERENCE_LAW_HPP
#define SPECDEC_TESTS_REFERENCE_LAW_HPP

/// @file
/// What sampling parameters mean, written as plainly as possible: whole vectors, full sorts, no code of the library's.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <specdec/sampling/params.hpp>
#include <vector>

namespace laws {

using specdec::sampling_params;
using specdec::token_id;

inline std::vector<double> softmax(const std::vector<double>& logits, double temperature) {
  const double maximum = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const double x : logits) p.push_back(std::exp((x - maximum) / temperature));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= total;
  return p;
}

/// The law of the next token behind `text`, the first `prompt_size` tokens of which are the prompt.
inline std::vector<double> reference_law(std::vector<double> logits, std::span<const token_id> text,
                                         std::size_t prompt_size, const sampling_params& params) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<int> counts(logits.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool in_window = text.size() - i <= params.penalty_window;
    const bool counts_at_all = params.penalize_prompt || i >= prompt_size;
    if (in_window && counts_at_all) ++counts[static_cast<std::size_t>(text[i])];
  }
  for (std::size_t t = 0; t < logits.size(); ++t) {
    double& x = logits[t];
    if (counts[t] > 0) {
      x = x > 0 ? x / params.repetition_penalty : x * params.repetition_penalty;
      x -= counts[t] * params.frequency_penalty + params.presence_penalty;
    }
    for (const auto& b : params.bias) x += static_cast<std::size_t>(b.token) == t ? b.amount : 0;
  }

  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  if (params.temperature == 0) {
    std::vector<double> p(logits.size(), 0.0);
    p[order.front()] = 1;
    return p;
  }
  const bool tempered_first = params.order == specdec::filter_order::hugging_face;
  std::vector<double> p = softmax(logits, tempered_first ? params.temperature : 1.0);
  const auto drop_behind = [&](std::size_t kept) {
    for (std::size_t i = kept; i < order.size(); ++i) {
      p[order[i]] = 0;
      logits[order[i]] = -infinity;
    }
    const double total = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= total;
  };
  if (params.top_k > 0) drop_behind(std::min(params.top_k, order.size()));
  if (params.top_p < 1) {
    double mass = 0;
    std::size_t kept = 0;
    while (kept < order.size() && mass < params.top_p) mass += p[order[kept++]];
    drop_behind(kept);
  }
  if (params.min_p > 0) {
    std::size_t kept = 0;
    while (kept < order.size() && p[order[kept]] >= params.min_p * p[order.front()]) ++kept;
    drop_behind(kept);
  }
  return softmax(logits, params.temperature);
}

}  // namespace laws

#endif  // SPECDEC_TESTS_REFERENCE_LAW_HPP
