#ifndef SPECDEC_SAMPLING_LAW_HPP
#define SPECDEC_SAMPLING_LAW_HPP

/// @file
/// From a row of logits to the law of one token: the only path there is, for target and draft alike.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "../detail/kernels.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "params.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Why a row of logits defines no law. -inf is legal for single tokens and means probability 0.
enum class row_fault : std::uint8_t {
  none,
  wrong_width,            ///< the row has another number of logits than the vocabulary has tokens
  nan,                    ///< a logit is NaN
  positive_infinity,      ///< a logit is +inf
  all_negative_infinity,  ///< no token is possible
};

/// The fault in words, for messages.
[[nodiscard]] constexpr const char* to_string(row_fault fault) noexcept {
  switch (fault) {
    case row_fault::none:
      return "no fault";
    case row_fault::wrong_width:
      return "a width other than the vocabulary's";
    case row_fault::nan:
      return "NaN";
    case row_fault::positive_infinity:
      return "+inf";
    case row_fault::all_negative_infinity:
      return "nothing but -inf";
  }
  return "an unknown fault";
}

/// The law of one token: softmax(row / temperature), or all mass on the highest logit at temperature 0.
///
/// A view of the row, valid as long as the row is. Made by `law::at`. Nothing but the maximum and the normaliser is
/// computed beforehand: one token's probability costs one exponential. Models `DiscreteLaw` if `valid()`.
template <class Real>
class distribution {
 public:
  /// The numbers that, with the row, make the law.
  struct summary {
    Real maximum = 0;
    Real inverse_temperature = 0;  ///< 0 stands for greedy
    double total = 0;              ///< sum of exp((x - maximum) * inverse_temperature)
    token_id highest = -1;
    row_fault fault = row_fault::none;
  };

  distribution(logits_row<Real> row, const summary& s) noexcept : row_(row), summary_(s) {}

  /// Reads the row once for its maximum and once for the normaliser. O(V).
  static summary summarize(const logits_row<Real>& row, std::size_t vocab_size,
                           const sampling_params& params) noexcept {
    summary s;
    if (row.size() != vocab_size) {
      s.fault = row_fault::wrong_width;
      return s;
    }
    const auto found = detail::maximum(row);
    s.maximum = found.maximum;
    s.highest = found.index;
    if (found.has_nan) {
      s.fault = row_fault::nan;
    } else if (found.index < 0) {
      s.fault = row_fault::all_negative_infinity;
    } else if (found.maximum == std::numeric_limits<Real>::infinity()) {
      s.fault = row_fault::positive_infinity;
    } else if (params.temperature > 0) {
      s.inverse_temperature = static_cast<Real>(1 / params.temperature);
      s.total = detail::sum_of_blocks<Real>(vocab_size, blocks_of(row, s));
    }
    return s;
  }

  [[nodiscard]] bool valid() const noexcept { return summary_.fault == row_fault::none; }
  [[nodiscard]] row_fault fault() const noexcept { return summary_.fault; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return row_.size(); }

  /// The most probable token; the lowest id among equals.
  [[nodiscard]] token_id mode() const noexcept { return summary_.highest; }
  /// True at temperature 0: `mode()` has probability 1.
  [[nodiscard]] bool greedy() const noexcept { return summary_.inverse_temperature == Real{0}; }

  /// p(token). O(1).
  [[nodiscard]] double probability(token_id token) const noexcept {
    if (greedy()) return token == mode() ? 1.0 : 0.0;
    return static_cast<double>(detail::exponential(row_[static_cast<std::size_t>(token)], summary_.maximum,
                                                   summary_.inverse_temperature)) /
           summary_.total;
  }

  /// ln p(token); -inf if it cannot be drawn. Accurate also where p itself has underflowed. O(1).
  [[nodiscard]] double log_probability(token_id token) const noexcept {
    if (greedy()) return token == mode() ? 0.0 : -std::numeric_limits<double>::infinity();
    const double distance =
        static_cast<double>(row_[static_cast<std::size_t>(token)]) - static_cast<double>(summary_.maximum);
    return distance * static_cast<double>(summary_.inverse_temperature) - std::log(summary_.total);
  }

  /// The token at which the running sum of p exceeds u, 0 <= u < 1. O(V); O(1) when greedy.
  [[nodiscard]] token_id draw(double u) const noexcept {
    if (greedy()) return mode();
    return detail::draw_from_blocks<Real>(row_.size(), u * summary_.total, blocks());
  }

  /// The whole law as a draft: every token's weight, written to `weights`, which must have vocab_size() elements and
  /// outlive the proposal. A point mass when greedy. O(V).
  [[nodiscard]] proposal propose_all(std::span<float> weights) const {
    SPECDEC_ASSERT(weights.size() == vocab_size());
    if (greedy()) return proposal::point_mass(vocab_size(), mode());
    detail::block<Real> block;
    for (std::size_t begin = 0; begin < vocab_size(); begin += detail::block_size) {
      blocks()(begin, block);
      std::transform(block.values, block.values + block.size, weights.begin() + static_cast<std::ptrdiff_t>(begin),
                     [](Real w) { return static_cast<float>(w); });
    }
    return proposal::dense(weights);
  }

  /// The law cut to its `ids.size()` most probable tokens (ties to lower ids) and renormalised, as a draft. The spans
  /// must have equal sizes and outlive the proposal. A point mass when greedy. O(V + k log k) in practice.
  [[nodiscard]] proposal propose_top(std::span<token_id> ids, std::span<float> weights) const {
    SPECDEC_ASSERT(!ids.empty() && ids.size() == weights.size());
    if (greedy()) return proposal::point_mass(vocab_size(), mode());
    const std::size_t kept = detail::top(row_, ids);
    std::sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept));
    for (std::size_t i = 0; i < kept; ++i) {
      weights[i] = static_cast<float>(
          detail::exponential(row_[static_cast<std::size_t>(ids[i])], summary_.maximum, summary_.inverse_temperature));
    }
    return proposal::sparse(vocab_size(), ids.first(kept), weights.first(kept));
  }

  /// Fills blocks with unnormalised weights; their sum is `total()`. For laws made out of this one.
  [[nodiscard]] auto blocks() const noexcept { return blocks_of(row_, summary_); }
  [[nodiscard]] double total() const noexcept { return summary_.total; }

 private:
  static auto blocks_of(const logits_row<Real>& row, const summary& s) noexcept {
    return [row, maximum = s.maximum, inverse = s.inverse_temperature](std::size_t begin, detail::block<Real>& out) {
      detail::exponentials(row, begin, maximum, inverse, out);
    };
  }

  logits_row<Real> row_;
  summary summary_;
};

/// The element type of the rows that `Rows::row(i)` returns.
template <class Rows>
using row_value = typename std::remove_cvref_t<decltype(std::declval<const Rows&>().row(std::size_t{}))>::value_type;

/// The pipeline from rows to laws, with the user's parameters and a memory of the rows already read in this round.
///
/// The memory makes laziness cheap: a verifier asks for row i when, and only if, its decision needs it; whoever asks
/// again (for a log-probability, say) pays nothing.
class law {
 public:
  /// Throws std::invalid_argument for bad parameters or an empty vocabulary.
  law(std::size_t vocab_size, const sampling_params& params) : vocab_size_(vocab_size), params_(params) {
    if (vocab_size == 0) throw std::invalid_argument("specdec: the vocabulary must not be empty");
    params.validate();
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] const sampling_params& params() const noexcept { return params_; }

  /// Forgets the rows of the last round and makes room for `rows` new ones. Allocates only when rounds grow.
  void begin_round(std::size_t rows) { seen_.assign(rows, remembered{}); }

  /// The law behind `node`, from row `node` of the target's answer; O(V) the first time in a round, then O(1).
  /// The result may be a fault: ask `valid()` before using it. Precondition: node < rows given to begin_round().
  template <class Rows>
  [[nodiscard]] distribution<row_value<Rows>> at(const Rows& rows, node_id node) {
    using Real = row_value<Rows>;
    const logits_row<Real> row = rows.row(node);
    SPECDEC_ASSERT(node < seen_.size());
    remembered& m = seen_[node];
    if (!m.known) {
      const auto s = distribution<Real>::summarize(row, vocab_size_, params_);
      m = {true, s.fault, s.highest, static_cast<double>(s.maximum), s.total};
    }
    const Real inverse = params_.temperature > 0 ? static_cast<Real>(1 / params_.temperature) : Real{0};
    return {row, {static_cast<Real>(m.maximum), inverse, m.total, m.highest, m.fault}};
  }

  /// The law of a single row, without memory: what a drafter needs.
  template <class Real>
  [[nodiscard]] distribution<Real> of(const logits_row<Real>& row) const noexcept {
    return {row, distribution<Real>::summarize(row, vocab_size_, params_)};
  }

 private:
  struct remembered {
    bool known = false;
    row_fault fault = row_fault::none;
    token_id highest = -1;
    double maximum = 0;
    double total = 0;
  };

  std::size_t vocab_size_;
  sampling_params params_;
  std::vector<remembered> seen_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_LAW_HPP
