#ifndef SPECDEC_SAMPLING_LAW_HPP
#define SPECDEC_SAMPLING_LAW_HPP

/// @file
/// From a row of logits to the law of one token: the only path there is, for target and draft alike.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "../detail/kernels.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "distribution.hpp"
#include "params.hpp"
#include "penalties.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The element type of the rows that `Rows::row(i)` returns.
template <class Rows>
using row_value = typename std::remove_cvref_t<decltype(std::declval<const Rows&>().row(std::size_t{}))>::value_type;

/// The pipeline from rows to laws: penalties, bias, temperature, filters; with a memory of the rows already read in
/// this round.
///
/// The memory makes laziness cheap: a verifier asks for row i when, and only if, its decision needs it; whoever asks
/// again (for a log-probability, say) pays nothing.
class law {
 public:
  /// Throws std::invalid_argument for bad parameters or an empty vocabulary.
  law(std::size_t vocab_size, const sampling_params& params)
      : vocab_size_(checked(vocab_size, params)), params_(params), editor_(vocab_size, params) {
    single_ = new_place();
    if (params_.top_k > 0) ids_.reserve(std::min(params_.top_k, vocab_size));
    if (params_.top_p < 1) {
      cells_.resize(detail::histogram_cells);
      ids_.reserve(vocab_size);
    }
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] const sampling_params& params() const noexcept { return params_; }

  /// Forgets the last round, and takes up one that verifies `drafted` behind `committed`, of which the first
  /// `prompt_size` tokens are the prompt. Both must stay as they are until the round ends. Allocates only when rounds
  /// grow.
  void begin_round(std::span<const token_id> committed, std::size_t prompt_size, const draft& drafted) {
    text_ = {committed, {}, prompt_size};
    drafted_ = &drafted;
    while (places_.size() <= drafted.size()) places_.push_back(new_place());
    path_.reserve(drafted.size());
    for (place& p : places_) p.known = false;
  }

  /// The law behind `node`, from row `node` of the target's answer; O(V) the first time in a round, then O(1). The
  /// result may be a fault: ask `valid()` before using it. Precondition: the node is in the round's draft.
  template <class Rows>
  [[nodiscard]] distribution<row_value<Rows>> at(const Rows& rows, node_id node) {
    SPECDEC_ASSERT(drafted_ != nullptr && node <= drafted_->size());
    const auto row = rows.row(node);
    place& p = places_[node];
    if (!p.known) {
      if (editor_.edits()) {
        path_.resize(drafted_->depth(node));
        for (node_id n = node; n != root; n = drafted_->parent(n)) path_[drafted_->depth(n) - 1] = drafted_->token(n);
        text_.drafted = path_;
      }
      study(row, text_, p);
    }
    return recall(row, p);
  }

  /// The law of a single row behind `text`: what a drafter needs. O(V). The result is valid until the next question.
  template <class Real>
  [[nodiscard]] distribution<Real> of(const logits_row<Real>& row, const text_so_far& text = {}) {
    study(row, text, single_);
    return recall(row, single_);
  }

 private:
  /// What is remembered of a row; numbers in double hold those of any element type.
  struct place {
    bool known = false;
    row_fault fault = row_fault::none;
    token_id highest = -1;
    double maximum = 0;
    double total = 0;
    detail::cutoff<double> limit;
    std::vector<detail::edit> edits;
  };

  [[nodiscard]] place new_place() const {
    place p;
    p.edits.reserve(editor_.most_edits());
    return p;
  }

  static std::size_t checked(std::size_t vocab_size, const sampling_params& params) {
    if (vocab_size == 0) throw std::invalid_argument("specdec: the vocabulary must not be empty");
    params.validate(vocab_size);
    return vocab_size;
  }

  template <class Real>
  void study(const logits_row<Real>& row, const text_so_far& text, place& p) {
    p.known = true;
    p.fault = row_fault::none;
    p.limit = {};
    if (row.size() != vocab_size_) {
      p.fault = row_fault::wrong_width;
      return;
    }
    if (editor_.edits()) editor_.edit(row, text, p.edits);
    const detail::edited_row<Real> edited{row, p.edits};
    const auto found = detail::maximum(edited);
    p.maximum = static_cast<double>(found.maximum);
    p.highest = found.index;
    if (found.has_nan) {
      p.fault = row_fault::nan;
    } else if (found.index < 0) {
      p.fault = row_fault::all_negative_infinity;
    } else if (found.maximum == std::numeric_limits<Real>::infinity()) {
      p.fault = row_fault::positive_infinity;
    } else if (params_.temperature > 0) {
      const auto limit = filtered(edited, found.maximum);
      p.limit = {static_cast<double>(limit.logit), limit.last};
      const auto unnormalized = distribution<Real>::blocks_of(edited, summary_of<Real>(p));
      p.total = detail::sum_of_blocks<Real>(vocab_size_, unnormalized);
    }
  }

  /// Where the filters cut. Each of them keeps a head of the vocabulary sorted by logit, so together they keep the
  /// shortest; top-p alone depends on those before it, through the mass it takes its share of.
  template <class Real>
  [[nodiscard]] detail::cutoff<Real> filtered(const detail::edited_row<Real>& row, Real maximum) {
    const Real inverse = params_.order == filter_order::hugging_face ? inverse_temperature<Real>() : Real{1};
    detail::cutoff<Real> limit;
    if (params_.top_k > 0 && params_.top_k < vocab_size_) {
      ids_.resize(params_.top_k);
      const std::size_t kept = detail::top(row, limit, std::span(ids_));
      if (kept == params_.top_k) {
        const token_id least = ids_.front();  // the selection is a heap whose first is the least probable
        limit = {row[static_cast<std::size_t>(least)], least};
      }
    }
    if (params_.top_p < 1) {
      limit = detail::cutoff_at_mass(row, limit, maximum, inverse, params_.top_p, cells_, ids_);
    }
    if (params_.min_p > 0) {
      const double temperature = params_.order == filter_order::hugging_face ? params_.temperature : 1.0;
      limit = detail::cutoff_at_weight(limit, maximum, temperature, params_.min_p);
    }
    return limit;
  }

  template <class Real>
  [[nodiscard]] Real inverse_temperature() const noexcept {
    return params_.temperature > 0 ? static_cast<Real>(1 / params_.temperature) : Real{0};
  }

  template <class Real>
  [[nodiscard]] typename distribution<Real>::summary summary_of(const place& p) const noexcept {
    return {.maximum = static_cast<Real>(p.maximum),
            .inverse_temperature = inverse_temperature<Real>(),
            .total = p.total,
            .highest = p.highest,
            .fault = p.fault,
            .limit = {static_cast<Real>(p.limit.logit), p.limit.last}};
  }

  template <class Real>
  [[nodiscard]] distribution<Real> recall(const logits_row<Real>& row, const place& p) const noexcept {
    return {{row, p.edits}, summary_of<Real>(p)};
  }

  std::size_t vocab_size_;
  sampling_params params_;
  logit_editor editor_;
  std::vector<double> cells_;
  std::vector<token_id> ids_;

  text_so_far text_;
  const draft* drafted_ = nullptr;
  std::vector<place> places_;
  std::vector<token_id> path_;
  place single_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_LAW_HPP
