#ifndef SPECDEC_SAMPLING_RESIDUAL_HPP
#define SPECDEC_SAMPLING_RESIDUAL_HPP

/// @file
/// What is left of the target's law once a draft's share is taken out.

#include <algorithm>
#include <cstddef>
#include <limits>

#include "../detail/kernels.hpp"
#include "../proposal.hpp"
#include "law.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The law norm((p - q)+): where a replacement for a rejected draft token is drawn from; or norm((share p - q)+), where
/// that much of p is left.
/// Source: Leviathan et al. 2023, algorithm 1 (p' = norm(max(0, p - q))); Chen et al. 2023, algorithm 2; the share: Sun
/// et al. 2024 (arXiv:2403.10444), algorithm 2.
///
/// Exactly, for a share of 1, its mass before normalisation is 1 - sum min(p, q), positive whenever a token can be
/// rejected. In floating point p and q may agree so closely that nothing is left; then the law is p itself, and
/// `fell_back()` says so: the law that is emitted is off by no more than the rounding that made the mass vanish.
///
/// A view of both laws; models `DiscreteLaw`. Where q is a point mass or sparse, only the blocks that hold its tokens
/// are computed anew: O(1024 k). Where it is dense, construction is one pass over the row, the last to see it, and over
/// q: O(V). A draw reads one block for every 128 there are.
template <class T>
class residual {
 public:
  using Real = arithmetic<T>;

  /// Precondition: 0 < share <= 1.
  residual(const distribution<T>& p, const proposal& q, double share = 1) noexcept : p_(p), q_(q), share_(share) {
    if (p.greedy()) {
      mass_ = share - q.probability(p.mode());
    } else {
      // In units of p's weights: what q does not touch needs no arithmetic at all. The greatest number takes all of a
      // weight of p, at most 1, from any token whose weight in q is a normal number, as the true factor beyond it does.
      constexpr auto most = static_cast<double>(std::numeric_limits<Real>::max());
      taken_ = static_cast<Real>(std::min(p.total() / (share * q.total()), most));
      const std::size_t blocks = detail::block_count(p.vocab_size());
      blocks_per_sum_ = (blocks + sum_count - 1) / sum_count;
      for (std::size_t b = 0; b < blocks; ++b) {
        const double left = block_total(b);
        sums_[b / blocks_per_sum_] += left;
        total_ += left;
      }
      mass_ = share * total_ / p.total();
    }
    if (!(mass_ > 0)) mass_ = 0;
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return p_.vocab_size(); }

  /// sum of (share p - q)+ before normalisation; 0 if there is none, or it vanished in rounding.
  [[nodiscard]] double mass() const noexcept { return mass_; }
  /// True if nothing was left, so that this law is p.
  [[nodiscard]] bool fell_back() const noexcept { return mass_ == 0; }

  [[nodiscard]] double probability(token_id token) const noexcept {
    if (fell_back()) return p_.probability(token);
    return std::max(0.0, share_ * p_.probability(token) - q_.probability(token)) / mass_;
  }

  [[nodiscard]] token_id draw(double u) const noexcept {
    if (fell_back() || p_.greedy()) return p_.draw(u);
    const double goal = u * total_;
    const auto chosen = detail::find_part(0, sum_count, 0, goal, [this](std::size_t i) { return sums_[i]; });
    const std::size_t first = chosen.index * blocks_per_sum_;
    const std::size_t last = std::min(first + blocks_per_sum_, detail::block_count(vocab_size()));
    return detail::draw_by_blocks<Real>(
        first, last, chosen.passed, goal,
        [&](std::size_t b) { return blocks_per_sum_ == 1 ? sums_[b] : block_total(b); },
        [this](std::size_t begin, detail::block<Real>& out) { static_cast<void>(fill(begin, out)); });
  }

 private:
  static constexpr std::size_t sum_count = 128;

  /// Whether q has weight in a block.
  [[nodiscard]] bool touches(std::size_t begin) const noexcept {
    const std::size_t end = begin + detail::block_size;
    switch (q_.shape()) {
      case proposal::form::point_mass:
        return static_cast<std::size_t>(q_.token()) >= begin && static_cast<std::size_t>(q_.token()) < end;
      case proposal::form::sparse: {
        const auto at = std::lower_bound(q_.ids().begin(), q_.ids().end(), static_cast<token_id>(begin));
        return at != q_.ids().end() && static_cast<std::size_t>(*at) < end;
      }
      case proposal::form::dense:
        return true;
    }
    return true;
  }

  /// What is left of a block's weights.
  [[nodiscard]] double block_total(std::size_t index) const noexcept {
    const std::size_t begin = index * detail::block_size;
    const double own = p_.block_total(index);
    if (!(own > 0) || !touches(begin)) return own;
    detail::block<Real> left;
    return fill(begin, left);
  }

  /// The weights that are left in the block that starts with token `begin`; returns their sum.
  double fill(std::size_t begin, detail::block<Real>& out) const noexcept {
    p_.fill(begin, out);
    if (q_.shape() == proposal::form::dense) return detail::subtract_dense(out, begin, q_.weights(), taken_);
    if (q_.shape() == proposal::form::point_mass) {
      detail::subtract_one(out, begin, q_.token(), taken_);
    } else {
      detail::subtract_sparse(out, begin, q_.ids(), q_.weights(), taken_);
    }
    return detail::sum_of(out);
  }

  distribution<T> p_;
  proposal q_;
  double share_;
  Real taken_ = 0;    ///< what a unit of q's weight takes of p's
  double total_ = 0;  ///< what is left of p's weights
  double mass_ = 0;   ///< its share
  std::size_t blocks_per_sum_ = 1;
  double sums_[sum_count] = {};  ///< what is left of so many blocks each
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_RESIDUAL_HPP
