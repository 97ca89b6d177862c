#ifndef SPECDEC_SAMPLING_PENALTIES_HPP
#define SPECDEC_SAMPLING_PENALTIES_HPP

/// @file
/// Single logits that are replaced: penalties, the user's bias, and end tokens that would come too early.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "../detail/kernels.hpp"
#include "../mathematics.hpp"
#include "../types.hpp"
#include "params.hpp"
#include "text_so_far.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Finds the logits that penalties, bias and `end_rule` change, and what they become.
///
/// Nothing is carried from one place of a draft to the next, so there is nothing to undo when a draft is rejected: the
/// window is counted afresh. O(w + d log d) for a window of w tokens, d of them distinct. Once its memory, O(V), has
/// been taken, nothing is allocated.
class logit_editor {
 public:
  logit_editor(std::size_t vocab_size, const sampling_params& params, const end_rule& ends)
      : params_(params), ends_(ends) {
    if (params.penalizes()) {
      counts_.resize(vocab_size);
      seen_.reserve(most_seen());
    }
    std::vector<logit_bias>& bias = params_.bias;
    // By amount too, so that a token's biases have one sum whatever their order.
    std::sort(bias.begin(), bias.end(), [](const logit_bias& a, const logit_bias& b) {
      return a.token != b.token ? a.token < b.token : a.amount < b.amount;
    });
    for (std::size_t i = 1; i < bias.size();) {
      if (bias[i].token == bias[i - 1].token) {
        bias[i - 1].amount = std::min(bias[i - 1].amount + bias[i].amount, std::numeric_limits<double>::max());
        bias.erase(bias.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  /// Whether there can be anything to edit.
  [[nodiscard]] bool edits() const noexcept {
    return params_.penalizes() || !params_.bias.empty() || ends_.restricts();
  }

  /// The most logits that can change behind one text.
  [[nodiscard]] std::size_t most_edits() const noexcept {
    return params_.bias.size() + (params_.penalizes() ? most_seen() : 0) +
           (ends_.restricts() ? ends_.tokens.size() : 0);
  }

  /// Writes the changed logits of `row` behind `text` to `edits`, ascending by token. Preconditions: edits(); the row
  /// has a logit for every token of the vocabulary, and the text no others.
  template <class Real>
  void edit(const logits_row<Real>& row, const text_so_far& text, std::vector<detail::edit>& edits) {
    edits.clear();
    // A copy's memory was not taken yet; were it taken among the counts, they would be left behind where there is none.
    edits.reserve(most_edits());
    seen_.reserve(params_.penalizes() ? most_seen() : 0);
    if (params_.penalizes()) count(text);
    auto bias = params_.bias.begin();
    const auto add_biased_before = [&](token_id end) {
      for (; bias != params_.bias.end() && bias->token < end; ++bias) {
        const auto logit = static_cast<double>(row[static_cast<std::size_t>(bias->token)]);
        edits.push_back({bias->token, representable<arithmetic<Real>>(logit + bias->amount, logit)});
      }
    };
    for (const token_id token : seen_) {
      add_biased_before(token);
      const auto index = static_cast<std::size_t>(token);
      const auto own = static_cast<double>(row[index]);
      double logit = penalized(own, counts_[index]);
      if (bias != params_.bias.end() && bias->token == token) logit += (bias++)->amount;
      edits.push_back({token, representable<arithmetic<Real>>(logit, own)});
      counts_[index] = 0;
    }
    seen_.clear();
    add_biased_before(static_cast<token_id>(row.size()));
    if (ends_.restricts() && ends_.too_early(text)) forbid_ends(row, edits);
  }

 private:
  /// The most distinct tokens in a window.
  [[nodiscard]] std::size_t most_seen() const noexcept { return std::min(counts_.size(), params_.penalty_window); }

  template <class Real>
  void forbid_ends(const logits_row<Real>& row, std::vector<detail::edit>& edits) const {
    for (const token_id token : ends_.tokens) {
      const double own = static_cast<double>(row[static_cast<std::size_t>(token)]);
      const detail::edit impossible{token, representable<Real>(-std::numeric_limits<double>::infinity(), own)};
      const auto at = std::lower_bound(edits.begin(), edits.end(), token,
                                       [](const detail::edit& e, token_id t) { return e.token < t; });
      if (at != edits.end() && at->token == token) {
        *at = impossible;
      } else {
        edits.insert(at, impossible);
      }
    }
  }

  /// An edited logit as the row's type can hold it: what grew beyond is the greatest number, what fell below is -inf.
  /// A logit that was no number to begin with stays the fault it is.
  template <class Real>
  [[nodiscard]] static double representable(double logit, double own) noexcept {
    constexpr auto most = static_cast<double>(std::numeric_limits<Real>::max());
    if (!is_finite(own)) return own > 0 || own != own ? own : -std::numeric_limits<double>::infinity();
    if (logit > most) return most;
    return logit < -most ? -std::numeric_limits<double>::infinity() : logit;
  }

  /// Fills seen_ with the window's distinct tokens, ascending, and counts_ with their numbers.
  void count(const text_so_far& text) {
    const std::size_t total = text.size();
    const std::size_t earliest = params_.penalize_prompt ? 0 : text.prompt_size;
    const std::size_t window = std::min(params_.penalty_window, total - std::min(earliest, total));
    for (std::size_t i = total - window; i < total; ++i) {
      const token_id token = text[i];
      if (counts_[static_cast<std::size_t>(token)]++ == 0) seen_.push_back(token);
    }
    std::sort(seen_.data(), seen_.data() + seen_.size());
  }

  /// What grew beyond the greatest number there is, as that: two infinities might meet, and what they leave is none.
  [[nodiscard]] static double bounded(double x) noexcept {
    constexpr double most = std::numeric_limits<double>::max();
    return std::clamp(x, -most, most);
  }

  [[nodiscard]] double penalized(double logit, std::uint32_t count) const noexcept {
    if (params_.repetition_penalty != 1) {
      logit = bounded(logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty);
    }
    const double taken = bounded(detail::rounded(count * params_.frequency_penalty) + params_.presence_penalty);
    return bounded(detail::rounded(logit) - taken);
  }

  sampling_params params_;
  end_rule ends_;
  std::vector<std::uint32_t> counts_;
  std::vector<token_id> seen_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_PENALTIES_HPP
