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
    std::vector<detail::block_mass> blocks;
  };

  [[nodiscard]] place new_place() const {
    place p;
    p.edits.reserve(editor_.most_edits());
    p.blocks.resize(detail::block_count(vocab_size_));
    return p;
  }

  static std::size_t checked(std::size_t vocab_size, const sampling_params& params) {
    if (vocab_size == 0) throw std::invalid_argument("specdec: the vocabulary must not be empty");
    params.validate(vocab_size);
    return vocab_size;
  }

  template <class T>
  void study(const logits_row<T>& row, const text_so_far& text, place& p) {
    p.known = true;
    p.fault = row_fault::none;
    p.limit = {};
    if (row.size() != vocab_size_) {
      p.fault = row_fault::wrong_width;
      return;
    }
    if (editor_.edits()) editor_.edit(row, text, p.edits);
    const detail::edited_row<T> edited{row, p.edits};
    const auto found = detail::study_filtered(edited, filters_of(params_), workspace_, std::span(p.blocks));
    p.maximum = static_cast<double>(found.maximum);
    p.highest = found.highest;
    p.total = found.total;
    p.limit = {static_cast<double>(found.limit.logit), found.limit.last};
    if (found.has_nan) {
      p.fault = row_fault::nan;
    } else if (found.highest < 0) {
      p.fault = row_fault::all_negative_infinity;
    } else if (found.maximum == std::numeric_limits<arithmetic<T>>::infinity()) {
      p.fault = row_fault::positive_infinity;
    }
  }

  /// The parameters as the kernels take them.
  static detail::filter_settings filters_of(const sampling_params& params) noexcept {
    return {.temperature = params.temperature,
            .filter_temperature = params.order == filter_order::hugging_face ? params.temperature : 1.0,
            .top_k = params.top_k,
            .top_p = params.top_p,
            .min_p = params.min_p};
  }

  template <class T>
  [[nodiscard]] distribution<T> recall(const logits_row<T>& row, const place& p) const noexcept {
    using Real = arithmetic<T>;
    return {{row, p.edits},
            {.maximum = static_cast<Real>(p.maximum),
             .inverse_temperature = params_.temperature > 0 ? 1 / params_.temperature : 0.0,
             .total = p.total,
             .highest = p.highest,
             .fault = p.fault,
             .limit = {static_cast<Real>(p.limit.logit), p.limit.last},
             .blocks = p.blocks}};
  }

  std::size_t vocab_size_;
  sampling_params params_;
  logit_editor editor_;
  detail::filter_workspace workspace_;

  text_so_far text_;
  const draft* drafted_ = nullptr;
  std::vector<place> places_;
  std::vector<token_id> path_;
  place single_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_LAW_HPP
