#ifndef SPECDEC_SAMPLING_RESIDUAL_HPP
#define SPECDEC_SAMPLING_RESIDUAL_HPP

/// @file
/// What is left of the target's law once a draft's share is taken out.

#include <algorithm>
#include <cstddef>

#include "../detail/kernels.hpp"
#include "../proposal.hpp"
#include "law.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The law norm((p - q)+): where a replacement for a rejected draft token is drawn from.
/// Source: Leviathan et al. 2023, algorithm 1 (p' = norm(max(0, p - q))); Chen et al. 2023, algorithm 2.
///
/// Exactly, its mass before normalisation is 1 - sum min(p, q), positive whenever a token can be rejected. In floating
/// point p and q may agree so closely that nothing is left; then the law is p itself, and `fell_back()` says so: the
/// law that is emitted is off by no more than the rounding that made the mass vanish.
///
/// A view of both laws; models `DiscreteLaw`. Construction and draws are O(V).
template <class Real>
class residual {
 public:
  residual(const distribution<Real>& p, const proposal& q) noexcept : p_(p), q_(q) {
    total_ = p.greedy() ? 1.0 - q.probability(p.mode()) : detail::sum_of_blocks<Real>(p.vocab_size(), blocks());
    if (!(total_ > 0)) total_ = 0;
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return p_.vocab_size(); }

  /// sum of (p - q)+ before normalisation; 0 if it vanished in rounding.
  [[nodiscard]] double mass() const noexcept { return total_; }
  /// True if nothing was left, so that this law is p.
  [[nodiscard]] bool fell_back() const noexcept { return total_ == 0; }

  [[nodiscard]] double probability(token_id token) const noexcept {
    if (fell_back()) return p_.probability(token);
    return std::max(0.0, p_.probability(token) - q_.probability(token)) / total_;
  }

  [[nodiscard]] token_id draw(double u) const noexcept {
    if (fell_back() || p_.greedy()) return p_.draw(u);
    return detail::draw_from_blocks<Real>(vocab_size(), u * total_, blocks());
  }

 private:
  [[nodiscard]] auto blocks() const noexcept {
    return [p = p_.blocks(), &q = q_, p_scale = static_cast<Real>(1 / p_.total()),
            q_scale = static_cast<Real>(1 / q_.total())](std::size_t begin, detail::block<Real>& out) {
      p(begin, out);
      detail::scale(out, p_scale);
      switch (q.shape()) {
        case proposal::form::point_mass:
          detail::subtract_one(out, begin, q.token(), Real{1});
          break;
        case proposal::form::sparse:
          detail::subtract_sparse(out, begin, q.ids(), q.weights(), q_scale);
          break;
        case proposal::form::dense:
          detail::subtract_dense(out, begin, q.weights(), q_scale);
          break;
      }
    };
  }

  distribution<Real> p_;
  proposal q_;
  double total_ = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_RESIDUAL_HPP
