#ifndef SPECDEC_SAMPLING_REMAINDER_HPP
#define SPECDEC_SAMPLING_REMAINDER_HPP

/// @file
/// What is left of the target's law once the shares of several siblings are taken out, one after the other.

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../detail/kernels.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "distribution.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What a `remainder` has changed of a law, in memory that is kept across rounds.
class remainder_memory {
 public:
  /// Makes room for a vocabulary of so many tokens, of which so many may change; all of them, if a dense law is taken out.
  void reserve(std::size_t vocab_size, std::size_t tokens, bool dense) {
    reserve_at_least(sums_, detail::block_count(vocab_size));
    reserve_at_least(next_sums_, detail::block_count(vocab_size));
    reserve_at_least(changed_, tokens);
    reserve_at_least(next_changed_, tokens);
    if (!dense) return;
    reserve_at_least(all_, vocab_size);
    reserve_at_least(taken_, vocab_size);
  }

 private:
  template <class T>
  friend class remainder;

  struct change {
    token_id token;
    double weight;
  };

  std::vector<double> sums_;  ///< what is left of each block
  std::vector<double> next_sums_;
  double total_ = 0;
  std::vector<change> changed_;  ///< ascending tokens with what is left of them, unless all_ has it
  std::vector<change> next_changed_;
  bool whole_ = false;         ///< whether all_ is in use
  std::vector<double> all_;    ///< what is left of every token
  std::vector<double> taken_;  ///< the same while a share is being taken
};

/// A law that begins as p and loses a draft's share with every refused sibling: p <- norm((share p - q)+).
/// Source: Miao et al. 2023 (arXiv:2305.09781), algorithm 2; the share: Weng et al. 2025 (arXiv:2505.12398).
///
/// `residual` is the cheaper form for one sibling. This one keeps the tokens whose weight has changed in a
/// `remainder_memory`, so a refusal with a sparse q of k tokens costs O(1024 k) and leaves the rest of the row unread;
/// a dense q costs O(V) time and memory. A view of p and of that memory; models `DiscreteLaw`.
template <class T>
class remainder {
 public:
  using Real = arithmetic<T>;

  /// Takes up the law that the memory has of p. Precondition: `restart` was called on such a remainder of p.
  remainder(const distribution<T>& p, remainder_memory& memory) noexcept : p_(p), memory_(&memory) {}

  /// Makes it p again.
  void restart() {
    memory_->whole_ = false;
    memory_->changed_.clear();
    memory_->sums_.clear();
    memory_->total_ = 1;
    if (p_.greedy()) return;
    memory_->total_ = p_.total();
    for (std::size_t b = 0; b < detail::block_count(vocab_size()); ++b) memory_->sums_.push_back(p_.block_total(b));
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return p_.vocab_size(); }

  [[nodiscard]] double probability(token_id token) const noexcept {
    return p_.greedy() ? p_.probability(token) : weight(token) / memory_->total_;
  }

  /// The token at which the running sum of the law exceeds u, 0 <= u < 1.
  [[nodiscard]] token_id draw(double u) const noexcept {
    if (p_.greedy()) return p_.mode();
    return detail::draw_by_blocks<Real>(
        0, memory_->sums_.size(), 0, u * memory_->total_, [this](std::size_t b) { return memory_->sums_[b]; },
        [this](std::size_t begin, detail::block<Real>& out) { fill(begin, out); });
  }

  /// Makes the law norm((share p - q)+) and returns the mass before normalisation. Where nothing is left, or what is
  /// left vanished in rounding, returns 0 and the law stays as it was. Precondition: 0 < share <= 1.
  double take(const proposal& q, double share = 1) {
    if (p_.greedy()) return std::max(0.0, share - q.probability(p_.mode()));
    const double unit = memory_->total_ / (share * q.total());
    const double before = memory_->total_;
    const bool changed =
        change(q, [unit](double own, double drafted) { return detail::left_without(own, drafted, unit); });
    return changed ? share * memory_->total_ / before : 0.0;
  }

  /// Makes the law norm(p - factor min(q, p / rho)). Where nothing is left the law stays as it was, and the answer is
  /// false. Precondition: 0 <= factor <= rho.
  bool take_overlap(const proposal& q, double rho, double factor) {
    if (p_.greedy()) return p_.probability(p_.mode()) > factor * std::min(q.probability(p_.mode()), 1 / rho);
    const double unit = memory_->total_ / q.total();
    return change(
        q, [=](double own, double drafted) { return detail::left_without_overlap(own, drafted, unit, rho, factor); });
  }

 private:
  [[nodiscard]] double weight(token_id token) const noexcept {
    if (memory_->whole_) return memory_->all_[static_cast<std::size_t>(token)];
    const auto at = first_change(token);
    const bool changed = at < memory_->changed_.size() && memory_->changed_[at].token == token;
    return changed ? memory_->changed_[at].weight : p_.weight(token);
  }

  /// The index of the first change of this or a later token.
  [[nodiscard]] std::size_t first_change(token_id token) const noexcept {
    const auto at = std::lower_bound(memory_->changed_.begin(), memory_->changed_.end(), token,
                                     [](const remainder_memory::change& c, token_id t) { return c.token < t; });
    return static_cast<std::size_t>(at - memory_->changed_.begin());
  }

  /// The weights of the block that starts with token `begin`.
  void fill(std::size_t begin, detail::block<Real>& out) const noexcept {
    if (memory_->whole_) {
      out.size = std::min(detail::block_size, vocab_size() - begin);
      for (std::size_t i = 0; i < out.size; ++i) out.values[i] = static_cast<Real>(memory_->all_[begin + i]);
      std::fill(out.values + out.size, out.values + detail::padded(out.size), Real{0});
      return;
    }
    p_.fill(begin, out);
    for (std::size_t i = first_change(static_cast<token_id>(begin)); i < memory_->changed_.size(); ++i) {
      const std::size_t place = static_cast<std::size_t>(memory_->changed_[i].token) - begin;
      if (place >= out.size) break;
      out.values[place] = static_cast<Real>(memory_->changed_[i].weight);
    }
  }

  /// Gives every token that q can draw the weight left(its own, its weight in q). If no mass would remain, changes
  /// nothing and returns false.
  template <class Left>
  [[nodiscard]] bool change(const proposal& q, Left&& left) {
    if (q.shape() == proposal::form::dense || memory_->whole_) return change_all(q, left);
    memory_->next_changed_.clear();
    std::size_t next = 0;
    const auto put = [&](token_id token, double drafted) {
      auto& changed = memory_->changed_;
      while (next < changed.size() && changed[next].token < token) memory_->next_changed_.push_back(changed[next++]);
      const bool again = next < changed.size() && changed[next].token == token;
      const double own = again ? changed[next++].weight : p_.weight(token);
      memory_->next_changed_.push_back({token, rounded(left(own, drafted))});
    };
    for_each_token(q, put);
    while (next < memory_->changed_.size()) memory_->next_changed_.push_back(memory_->changed_[next++]);
    std::swap(memory_->changed_, memory_->next_changed_);

    memory_->next_sums_.clear();
    append_to(memory_->next_sums_, view_of(memory_->sums_));
    std::size_t summed = memory_->sums_.size();
    for_each_token(q, [&](token_id token, double) {
      const std::size_t index = static_cast<std::size_t>(token) / detail::block_size;
      if (index != summed) memory_->next_sums_[index] = sum_of_block(index);
      summed = index;
    });
    if (accept_sums()) return true;
    std::swap(memory_->changed_, memory_->next_changed_);
    return false;
  }

  /// The same where every weight is written out.
  template <class Left>
  [[nodiscard]] bool change_all(const proposal& q, Left&& left) {
    memory_->taken_.clear();
    detail::block<Real> own;
    for (std::size_t begin = 0; begin < vocab_size(); begin += detail::block_size) {
      fill(begin, own);
      for (std::size_t i = 0; i < own.size; ++i) memory_->taken_.push_back(static_cast<double>(own.values[i]));
    }
    if (q.shape() == proposal::form::dense) {
      detail::replace_all<Real>(space_of(memory_->taken_), q.weights(), left);
    } else {
      for_each_token(q, [&](token_id token, double drafted) {
        double& weight = memory_->taken_[static_cast<std::size_t>(token)];
        weight = rounded(left(weight, drafted));
      });
    }
    const bool was_whole = memory_->whole_;
    memory_->whole_ = true;
    std::swap(memory_->all_, memory_->taken_);
    memory_->next_sums_.clear();
    for (std::size_t b = 0; b < memory_->sums_.size(); ++b) memory_->next_sums_.push_back(sum_of_block(b));
    if (accept_sums()) return true;
    std::swap(memory_->all_, memory_->taken_);
    memory_->whole_ = was_whole;
    return false;
  }

  /// As it is stored in a block, so that sums and single weights agree.
  [[nodiscard]] static double rounded(double weight) noexcept { return static_cast<double>(static_cast<Real>(weight)); }

  /// Calls visit(token, weight) for the tokens of a law that is not dense, ascending.
  template <class Visit>
  static void for_each_token(const proposal& q, Visit&& visit) {
    if (q.shape() == proposal::form::point_mass) return visit(q.token(), 1.0);
    for (std::size_t i = 0; i < q.ids().size(); ++i) visit(q.ids()[i], static_cast<double>(q.weights()[i]));
  }

  [[nodiscard]] double sum_of_block(std::size_t index) const {
    detail::block<Real> weights;
    fill(index * detail::block_size, weights);
    return detail::sum_of(weights);
  }

  [[nodiscard]] bool accept_sums() noexcept {
    double total = 0;
    for (const double sum : memory_->next_sums_) total += sum;
    if (!(total > 0)) return false;
    std::swap(memory_->sums_, memory_->next_sums_);
    memory_->total_ = total;
    return true;
  }

  distribution<T> p_;
  remainder_memory* memory_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_REMAINDER_HPP
