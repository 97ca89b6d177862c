#ifndef SPECDEC_SAMPLING_LAW_HPP
#define SPECDEC_SAMPLING_LAW_HPP

/// @file
/// From a row of logits to the law of one token: the only path there is, for target and draft alike.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "../detail/kernels.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "distribution.hpp"
#include "mask.hpp"
#include "params.hpp"
#include "penalties.hpp"
#include "remainder.hpp"
#include "text_so_far.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The element type of the rows that `Rows::row(i)` returns.
template <class Rows>
using row_value = typename std::remove_cvref_t<decltype(std::declval<const Rows&>().row(std::size_t{}))>::value_type;

/// The pipeline from rows to laws: penalties, bias, mask, temperature, filters; with a memory of the rows already read
/// in this round.
///
/// The memory makes laziness cheap: a verifier asks for row i when, and only if, its decision needs it; whoever asks
/// again (for a log-probability, say) pays nothing.
class law {
 public:
  /// Throws std::invalid_argument for bad parameters, an empty vocabulary, or an end token outside it.
  law(std::size_t vocab_size, const sampling_params& params, const end_rule& ends = {}, const any_mask& mask = {})
      : vocab_size_(checked(vocab_size, params, ends)),
        params_(params),
        ends_(ends),
        mask_(mask),
        editor_(vocab_size, params, ends) {
    single_ = prepared();
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] const sampling_params& params() const noexcept { return params_; }
  [[nodiscard]] const end_rule& ends() const noexcept { return ends_; }
  /// The mask, led along the text by whoever asks; see `restart`.
  [[nodiscard]] mask_follower& mask() noexcept { return mask_; }

  /// Forgets the last round, and takes up one that verifies `drafted` behind `committed`, of which the first
  /// `prompt_size` tokens are the prompt. All must stay as they are until the round ends. Allocates only when rounds
  /// grow.
  /// @param ended for the root and every node, whether the text has ended there: what follows is cut, so neither rows
  ///              nor mask are looked at; any law would do, and `at` gives one. Empty if it cannot end.
  void begin_round(std::span<const token_id> committed, std::size_t prompt_size, const draft& drafted,
                   std::span<const std::uint8_t> ended = {}) {
    text_ = {committed, {}, prompt_size};
    drafted_ = &drafted;
    ended_ = ended;
    while (places_.size() <= drafted.size()) places_.push_back(prepared());
    path_.reserve(drafted.size());
    for (place& p : places_) p.forget();
    shares_.resize(places_.size());
    if (!drafted.is_chain()) {
      left_.resize(std::max(left_.size(), drafted.max_depth() + 1));
      for (remainder_memory& left : left_) left.reserve(vocab_size_, drafted.stored_tokens(), drafted.has_dense_laws());
    }
  }

  /// A number for the root and every node of the draft, for a verifier's own use during one verification.
  [[nodiscard]] std::span<double> shares() noexcept { return space_of(shares_); }

  /// The law that `at` gives, as one that siblings' shares can be taken from. There is one for each depth; `restart` it
  /// when a node is come to. Precondition: the law behind `node` is valid.
  template <class Rows>
  [[nodiscard]] remainder<row_value<Rows>> remainder_at(const Rows& rows, node_id node) {
    const std::size_t depth = drafted_->depth(node);
    if (left_.size() <= depth) left_.resize(depth + 1);
    return {at(rows, node), left_[depth]};
  }

  /// The law behind `node`, from row `node` of the target's answer; O(V) the first time in a round, then O(1). The
  /// result may be a fault: ask `valid()` before using it. Precondition: the node is in the round's draft.
  template <class Rows>
  [[nodiscard]] distribution<row_value<Rows>> at(const Rows& rows, node_id node) {
    place& p = place_of(node);
    if (has_ended(node)) return any_law<row_value<Rows>>();
    const auto row = rows.row(node);
    if (!p.final.known) {
      prepare(row, node, p);
      study(row, p.with_mask(), params_, p.final);
    }
    return recall(row, p.with_mask(), params_, p.final);
  }

  /// The model's own law behind `node`: softmax of the row as it is. As `at` otherwise.
  template <class Rows>
  [[nodiscard]] distribution<row_value<Rows>> model_at(const Rows& rows, node_id node) {
    static const sampling_params own;
    if (!reports_model_) {
      for (place& p : places_) p.own.blocks.resize(detail::block_count(vocab_size_));
      reports_model_ = true;
    }
    place& p = place_of(node);
    if (has_ended(node)) return any_law<row_value<Rows>>();
    const auto row = rows.row(node);
    if (!p.own.known) study(row, {}, own, p.own);
    return recall(row, {}, own, p.own);
  }

  /// The law behind `node` before temperature and filters: softmax of the logits that penalties, bias and mask leave.
  /// At temperature 0 it is what the one choice is made from. As `at` otherwise.
  template <class Rows>
  [[nodiscard]] distribution<row_value<Rows>> untempered_at(const Rows& rows, node_id node) {
    static const sampling_params untempered;
    if (!reports_untempered_) {
      for (place& p : places_) p.untempered.blocks.resize(detail::block_count(vocab_size_));
      reports_untempered_ = true;
    }
    place& p = place_of(node);
    if (has_ended(node)) return any_law<row_value<Rows>>();
    const auto row = rows.row(node);
    if (!p.untempered.known) {
      prepare(row, node, p);
      study(row, p.with_mask(), untempered, p.untempered);
    }
    return recall(row, p.with_mask(), untempered, p.untempered);
  }

  /// Whether chance keeps `token`, drafted behind `node` with probability q: accept(key, p(token), q) under the law
  /// that `at` gives. False, and nothing is asked, if that law is a fault.
  ///
  /// Under a mask it tries to do without: the forbidden tokens' mass goes to the others, so the law without the mask is
  /// a lower bound for an allowed token. Where that settles it, the mask need not be filled and the row is read once.
  /// (The bound holds for temperature and top-k: what masking lets into the top k weighs no more than what it takes
  /// out. Top-p and min-p may keep more tokens behind a mask than before it, so there the mask is filled at once.)
  template <class Rows, Chance C>
  [[nodiscard]] bool accepts(const Rows& rows, node_id node, token_id token, double q, const key& decision, C& chance) {
    const auto exactly = [&] {
      const auto p = at(rows, node);
      return p.valid() ? p.probability(token) : 0.0;
    };
    if constexpr (requires(double bound) { chance.accept(decision, bound, exactly, q); }) {
      place& p = place_of(node);
      if (!p.final.known && params_.top_p == 1 && params_.min_p == 0 && follows_mask(node)) {
        const auto row = rows.row(node);
        edit(row, text_, p);
        if (!p.unmasked.known) study(row, p.without_mask(), params_, p.unmasked);
        // What is wrong with a row may lie under the mask: then there is no bound, but there is a law.
        if (p.unmasked.fault == row_fault::none) {
          if (!mask_.allows(text_, token)) return chance.accept(decision, 0.0, q);
          const double bound = recall(row, p.without_mask(), params_, p.unmasked).probability(token);
          return chance.accept(decision, bound, exactly, q);
        }
      }
    }
    const auto p = at(rows, node);
    return p.valid() && chance.accept(decision, p.probability(token), q);
  }

  /// The law of a single row behind `text`, under a mask that is not this law's own: what a drafter needs. O(V). The
  /// result is valid until the next question. @param mask null if there is none
  template <class T>
  [[nodiscard]] distribution<T> of(const logits_row<T>& row, const text_so_far& text = {},
                                   mask_follower* mask = nullptr) {
    single_.forget();
    edit(row, text, single_);
    if (mask != nullptr) restrict(text, *mask, single_);
    study(row, single_.with_mask(), params_, single_.final);
    return recall(row, single_.with_mask(), params_, single_.final);
  }

 private:
  /// What is remembered of a law; numbers in double hold those of any element type.
  struct memory {
    bool known = false;
    row_fault fault = row_fault::none;
    token_id highest = -1;
    double maximum = 0;
    double total = 0;
    detail::cutoff<double> limit;
    std::vector<detail::block_mass> blocks;
  };

  /// What changes a row's logits.
  struct changes {
    std::span<const detail::edit> edits = {};
    std::span<const std::uint32_t> allowed = {};
  };

  /// A place in the text: what changes the logits there, and the laws that were asked for.
  struct place {
    memory final;       ///< the law
    memory unmasked;    ///< the law if there were no mask
    memory untempered;  ///< the law before temperature and filters
    memory own;         ///< the model's own
    bool edited = false;
    bool masked = false;
    std::vector<detail::edit> edits;
    std::vector<std::uint32_t> allowed;

    void forget() noexcept { final.known = unmasked.known = untempered.known = own.known = edited = masked = false; }
    [[nodiscard]] changes without_mask() const noexcept { return {view_of(edits), {}}; }
    [[nodiscard]] changes with_mask() const noexcept {
      return {view_of(edits), masked ? view_of(allowed) : std::span<const std::uint32_t>()};
    }
  };

  /// A place with the memory that it needs.
  [[nodiscard]] place prepared() const {
    place p;
    p.edits.reserve(editor_.most_edits());
    p.final.blocks.resize(detail::block_count(vocab_size_));
    if (mask_.restricts()) {
      p.allowed.resize(detail::words_of(vocab_size_));
      p.unmasked.blocks.resize(detail::block_count(vocab_size_));
    }
    if (reports_model_) p.own.blocks.resize(detail::block_count(vocab_size_));
    if (reports_untempered_) p.untempered.blocks.resize(detail::block_count(vocab_size_));
    return p;
  }

  [[nodiscard]] place& place_of(node_id node) noexcept {
    SPECDEC_ASSERT(drafted_ != nullptr && node <= drafted_->size());
    return places_[node];
  }

  static std::size_t checked(std::size_t vocab_size, const sampling_params& params, const end_rule& ends) {
    if (vocab_size == 0) raise<std::invalid_argument>("specdec: the vocabulary must not be empty");
    params.validate(vocab_size);
    for (const token_id token : ends.tokens) require_token(token, vocab_size, "the list of end tokens");
    return vocab_size;
  }

  /// Makes text_ the text behind `node`.
  void go_to(node_id node) {
    path_.resize(drafted_->depth(node));
    for (node_id n = node; n != root; n = drafted_->parent(n)) path_[drafted_->depth(n) - 1] = drafted_->token(n);
    text_.drafted = view_of(path_);
  }

  /// Makes text_ the text behind `node`, and says whether the mask has a say there.
  [[nodiscard]] bool follows_mask(node_id node) {
    go_to(node);
    return mask_.restricts() && !has_ended(node);
  }

  [[nodiscard]] bool has_ended(node_id node) const noexcept { return !ended_.empty() && ended_[node] != 0; }

  /// Token 0 for certain: a law that needs no row.
  template <class T>
  [[nodiscard]] distribution<T> any_law() const noexcept {
    typename distribution<T>::summary certain;
    certain.highest = 0;
    return {{logits_row<T>(nullptr, vocab_size_)}, certain};
  }

  /// Whether a drafted token is an end token, so that the mask has no say behind it.
  [[nodiscard]] bool ended(const text_so_far& text) const noexcept {
    return std::any_of(text.drafted.begin(), text.drafted.end(), [this](token_id t) { return ends_.ends(t); });
  }

  /// Finds what changes the logits behind `node`, if that is not known.
  template <class T>
  void prepare(const logits_row<T>& row, node_id node, place& p) {
    go_to(node);
    edit(row, text_, p);
    if (!p.masked) restrict(text_, mask_, p);
  }

  template <class T>
  void edit(const logits_row<T>& row, const text_so_far& text, place& p) {
    if (p.edited || !editor_.edits() || row.size() != vocab_size_) return;
    editor_.edit(row, text, p.edits);
    p.edited = true;
  }

  void restrict(const text_so_far& text, mask_follower& mask, place& p) const {
    if (!mask.restricts() || ended(text)) return;
    p.allowed.resize(detail::words_of(vocab_size_));
    mask.fill(text, space_of(p.allowed));
    p.masked = true;
  }

  template <class T>
  void study(const logits_row<T>& row, const changes& changed, const sampling_params& params, memory& found) {
    found.fault = row_fault::none;
    if (row.size() != vocab_size_) {
      found.fault = row_fault::wrong_width;
      found.known = true;
      return;
    }
    const detail::edited_row<T> edited{row, changed.edits, changed.allowed};
    const auto studied = detail::study_filtered(edited, filters_of(params), workspace_, space_of(found.blocks));
    found.maximum = static_cast<double>(studied.maximum);
    found.highest = studied.highest;
    found.total = studied.total;
    found.limit = {static_cast<double>(studied.limit.logit), studied.limit.last};
    if (studied.has_nan) {
      found.fault = row_fault::nan;
    } else if (studied.highest < 0) {
      found.fault = without_choice(row);
    } else if (studied.maximum == std::numeric_limits<arithmetic<T>>::infinity()) {
      found.fault = row_fault::positive_infinity;
    }
    found.known = true;
  }

  /// What is wrong where no token is left: the row, or what the parameters and the mask take from it.
  template <class T>
  [[nodiscard]] static row_fault without_choice(const logits_row<T>& row) noexcept {
    row_fault found = row_fault::all_negative_infinity;
    for (std::size_t t = 0; t < row.size(); ++t) {
      const arithmetic<T> logit = detail::edited_row<T>{row}[t];
      if (logit > -std::numeric_limits<arithmetic<T>>::infinity()) return row_fault::nothing_allowed;
      if (logit != logit) found = row_fault::nan;
    }
    return found;
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
  [[nodiscard]] static distribution<T> recall(const logits_row<T>& row, const changes& changed,
                                              const sampling_params& params, const memory& m) noexcept {
    using Real = arithmetic<T>;
    return {{row, changed.edits, changed.allowed},
            {.maximum = static_cast<Real>(m.maximum),
             .inverse_temperature = params.temperature > 0 ? 1 / params.temperature : 0.0,
             .total = m.total,
             .highest = m.highest,
             .fault = m.fault,
             .limit = {static_cast<Real>(m.limit.logit), m.limit.last},
             .blocks = view_of(m.blocks)}};
  }

  std::size_t vocab_size_;
  sampling_params params_;
  end_rule ends_;
  mask_follower mask_;
  logit_editor editor_;
  detail::filter_workspace workspace_;

  text_so_far text_;
  const draft* drafted_ = nullptr;
  std::span<const std::uint8_t> ended_;
  std::vector<place> places_;
  std::vector<token_id> path_;
  std::vector<double> shares_;
  std::vector<remainder_memory> left_;  ///< one for each depth
  bool reports_model_ = false;          ///< whether the model's own laws were ever asked for
  bool reports_untempered_ = false;     ///< whether the laws before temperature and filters were
  place single_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_LAW_HPP
