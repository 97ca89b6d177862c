#ifndef SPECDEC_SAMPLING_DISTRIBUTION_HPP
#define SPECDEC_SAMPLING_DISTRIBUTION_HPP

/// @file
/// The law of one token, as a view of the row of logits it comes from.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "../detail/kernels.hpp"
#include "../mathematics.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Why a row of logits defines no law. -inf is legal for single tokens and means probability 0.
enum class row_fault : std::uint8_t {
  none,
  wrong_width,            ///< the row has another number of logits than the vocabulary has tokens
  nan,                    ///< a logit is NaN
  positive_infinity,      ///< a logit is +inf
  all_negative_infinity,  ///< no token is possible
  nothing_allowed,        ///< no possible token is allowed: mask, bias or min_tokens forbid what the model leaves
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
    case row_fault::nothing_allowed:
      return "no possible token that is allowed";
  }
  return "an unknown fault";
}

/// Whether the model is to blame for a fault: then the same text may well have a law when the model is asked again.
/// Where it is only that nothing is allowed, it never will.
[[nodiscard]] constexpr bool is_of_model(row_fault fault) noexcept {
  return fault != row_fault::none && fault != row_fault::nothing_allowed;
}

/// The law of one token: softmax(logits / temperature) over the tokens that the filters keep, or all mass on the
/// highest logit at temperature 0.
///
/// A view: valid as long as the row, and the `law` that made it is not asked about another round. Nothing but the
/// maximum, the mass of every block of 1024 tokens and the place where the filters cut is computed beforehand: one
/// token's probability costs one exponential, a draw reads one block, and no list of the kept tokens exists. Models
/// `DiscreteLaw` if `valid()`. `T` is the type the logits are stored in.
template <class T>
class distribution {
 public:
  using Real = arithmetic<T>;

  /// The numbers that, with the row, make the law.
  struct summary {
    Real maximum = 0;
    double inverse_temperature = 0;  ///< 0 stands for greedy
    double total = 0;                ///< sum of exp((x - maximum) * inverse_temperature) over the kept tokens
    token_id highest = -1;
    row_fault fault = row_fault::none;
    detail::cutoff<Real> limit;
    std::span<const detail::block_mass> blocks = {};  ///< the maximum and the share of the total of each block
  };

  distribution(const detail::edited_row<T>& row, const summary& s) noexcept
      : row_(row), summary_(s), scale_(detail::exponent_scale<Real>(s.inverse_temperature)) {}

  [[nodiscard]] bool valid() const noexcept { return summary_.fault == row_fault::none; }
  [[nodiscard]] row_fault fault() const noexcept { return summary_.fault; }
  [[nodiscard]] std::size_t vocab_size() const noexcept { return row_.size(); }

  /// The most probable token; the lowest id among equals.
  [[nodiscard]] token_id mode() const noexcept { return summary_.highest; }
  /// True at temperature 0: `mode()` has probability 1.
  [[nodiscard]] bool greedy() const noexcept { return summary_.inverse_temperature == 0; }

  /// p(token). O(1).
  [[nodiscard]] double probability(token_id token) const noexcept {
    if (greedy()) return token == mode() ? 1.0 : 0.0;
    return weight(token) / summary_.total;
  }

  /// ln p(token); -inf if mask or filters exclude it. Accurate also where p itself has underflowed. O(1).
  [[nodiscard]] double log_probability(token_id token) const noexcept {
    constexpr double impossible = -std::numeric_limits<double>::infinity();
    if (greedy()) return token == mode() ? 0.0 : impossible;
    const Real x = row_[static_cast<std::size_t>(token)];
    if (!summary_.limit.keeps(x, token)) return impossible;
    const double distance = static_cast<double>(x) - static_cast<double>(summary_.maximum);
    return detail::rounded(distance * summary_.inverse_temperature) - logarithm(summary_.total);
  }

  /// The law's entropy, -sum p ln p, in nats; 0 when greedy. O(V).
  [[nodiscard]] double entropy() const noexcept {
    if (greedy()) return 0;
    // ln p = -(maximum - x) / temperature - ln total
    double distance = 0;
    detail::block<Real> weights;
    for (std::size_t b = 0; b < summary_.blocks.size(); ++b) {
      if (!(block_total(b) > 0)) continue;
      const std::size_t begin = b * detail::block_size;
      fill(begin, weights);
      distance += detail::weighted_distance(row_, begin, weights, summary_.maximum);
    }
    const double scaled = detail::rounded(distance * summary_.inverse_temperature);
    return std::max(0.0, logarithm(summary_.total) + scaled / summary_.total);
  }

  /// The token at which the running sum of p exceeds u, 0 <= u < 1. Reads one block; O(1) when greedy.
  [[nodiscard]] token_id draw(double u) const noexcept {
    if (greedy()) return mode();
    return detail::draw_by_blocks<Real>(
        0, summary_.blocks.size(), 0, u * summary_.total, [this](std::size_t b) { return block_total(b); },
        [this](std::size_t begin, detail::block<Real>& out) { fill(begin, out); });
  }

  /// The token with the least noise over probability; see `RacingChance`. O(V); O(1) when greedy.
  [[nodiscard]] token_id race(const race_noise& noise) const {
    if (greedy()) return mode();
    // With the favourite in the lead few others come close.
    detail::race_leader leader;
    detail::run(leader, noise, mode(), 1.0);
    detail::block<Real> weights;
    for (std::size_t b = 0; b < summary_.blocks.size(); ++b) {
      if (!(block_total(b) > 0)) continue;
      fill(b * detail::block_size, weights);
      detail::run_block(leader, noise, b * detail::block_size, weights);
    }
    return leader.token;
  }

  /// The whole law as a draft: every token's weight, written to `weights`, which must have vocab_size() elements and
  /// outlive the proposal. A point mass when greedy. O(V).
  [[nodiscard]] proposal propose_all(std::span<float> weights) const {
    SPECDEC_ASSERT(weights.size() == vocab_size());
    if (greedy()) return proposal::point_mass(vocab_size(), mode());
    detail::block<Real> block;
    for (std::size_t begin = 0; begin < vocab_size(); begin += detail::block_size) {
      fill(begin, block);
      std::transform(block.values, block.values + block.size, weights.data() + begin,
                     [](Real w) { return static_cast<float>(w); });
    }
    return proposal::dense(weights);
  }

  /// The law cut to its `ids.size()` most probable tokens (ties to lower ids) and renormalised, as a draft. The spans
  /// must have equal sizes and outlive the proposal. A point mass when greedy. O(V + k log k) in practice.
  [[nodiscard]] proposal propose_top(std::span<token_id> ids, std::span<float> weights) const {
    SPECDEC_ASSERT(!ids.empty() && ids.size() == weights.size());
    if (greedy()) return proposal::point_mass(vocab_size(), mode());
    const std::size_t kept = detail::top(row_, summary_.limit, summary_.blocks, ids);
    std::sort(ids.data(), ids.data() + kept);
    for (std::size_t i = 0; i < kept; ++i) {
      weights[i] = static_cast<float>(detail::weight(row_[static_cast<std::size_t>(ids[i])], summary_.maximum, scale_));
    }
    return proposal::sparse(vocab_size(), {ids.data(), kept}, {weights.data(), kept});
  }

  /// The most probable tokens that mask and filters leave, most probable first, of equal ones the lower id; at most
  /// ids.size(). Returns how many there are. O(V + k log k) in practice; O(1) for none, or when greedy.
  [[nodiscard]] std::size_t most_probable(std::span<token_id> ids) const noexcept {
    if (ids.empty()) return 0;
    if (greedy()) return ids[0] = mode(), 1;
    const std::size_t count = detail::top(row_, summary_.limit, summary_.blocks, ids);
    std::sort(ids.data(), ids.data() + count, [this](token_id a, token_id b) {
      const Real x = row_[static_cast<std::size_t>(a)];
      const Real y = row_[static_cast<std::size_t>(b)];
      return x > y || (x == y && a < b);
    });
    return count;
  }

  /// The sum of all unnormalised weights. For laws made out of this one, as are the next three. Precondition, for all
  /// of them: not greedy.
  [[nodiscard]] double total() const noexcept { return summary_.total; }
  /// The weight of one token.
  [[nodiscard]] double weight(token_id token) const noexcept {
    const Real x = row_[static_cast<std::size_t>(token)];
    if (!summary_.limit.keeps(x, token)) return 0.0;
    return static_cast<double>(detail::weight(x, summary_.maximum, scale_));
  }
  /// The sum of the weights of one block, by its index.
  [[nodiscard]] double block_total(std::size_t index) const noexcept { return summary_.blocks[index].sum; }
  /// The weights of the block that starts with token `begin`.
  void fill(std::size_t begin, detail::block<Real>& out) const noexcept {
    detail::weights_of(row_, begin, summary_.limit, summary_.maximum, scale_, out);
  }

 private:
  detail::edited_row<T> row_;
  summary summary_;
  Real scale_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_DISTRIBUTION_HPP
