#ifndef SPECDEC_LENGTH_CONFIDENCE_HPP
#define SPECDEC_LENGTH_CONFIDENCE_HPP

/// @file
/// Drafting no further than the draft model is sure, with a threshold that is fitted to what was accepted.
///
/// The fit: of all thresholds between "draft on" and "stop", the one with the least fpr + 3 fnr, where a positive is a
/// token that was accepted, and predicted to be if its draft probability reaches the threshold. The candidates are
/// the probabilities themselves; of equally good ones the highest.
///
/// Source: Hugging Face transformers, assisted generation with assistant_confidence_threshold; Mamou et al. 2024,
/// "Dynamic speculation lookahead accelerates speculative decoding of large language models" (arXiv:2405.04304). The
/// default, the 5 samples and the weight 3 are transformers'. scikit-learn's roc_curve, which they use, leaves out
/// points between equal steps; those are never the first of the best, so the choice is the same.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../decode/outcome.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../vectors.hpp"
#include "constant.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How `confidence` stops, and learns.
struct confidence_options {
  /// A token less probable than this is the draft's last. 0 never stops a draft, and learns nothing.
  double assistant_confidence_threshold = 0.4;
  /// Whether the threshold is fitted anew behind every round.
  bool refits = true;
  /// How many of the last tokens it is fitted to. (Transformers keep all of them.)
  std::size_t most_samples = 4096;
};

/// Drafts as far as `Depth`, another policy, says, but nothing behind a token that the draft model gave less than the
/// threshold. Hugging Face's own combinations are `confidence{}`, 20 tokens at most, and `confidence(heuristic{})`.
///
/// A fit needs more than 5 samples, some accepted and some refused; tokens behind a refused one count as neither. A
/// round in which a mask forced a token teaches nothing: which probability belongs to which token is then not known.
/// (In transformers as of 2026 the fitted threshold does not reach the assistant's next draft; here it does.)
///
/// Costs O(s) per round for s samples, in memory that is taken once, or in growing steps if it is to be more than for
/// 65536. What it has learnt is in the policy, not in the session: who goes on with a snapshot elsewhere begins to
/// learn anew.
template <LengthPolicy Depth = constant>
class confidence {
 public:
  static constexpr bool reads_clock = Depth::reads_clock;

  /// Throws std::invalid_argument unless the threshold is from 0 to 1.
  explicit confidence(Depth depth = default_depth(), const confidence_options& options = {})
      : depth_(std::move(depth)), options_(options), threshold_(options.assistant_confidence_threshold) {
    if (!(threshold_ >= 0 && threshold_ <= 1)) {
      raise<std::invalid_argument>("specdec: the confidence threshold must be from 0 to 1; got " +
                                   number_text(threshold_));
    }
  }

  /// The threshold as it is now.
  [[nodiscard]] double assistant_confidence_threshold() const noexcept { return threshold_; }
  [[nodiscard]] Depth& inner() noexcept { return depth_; }

  [[nodiscard]] std::size_t depth(const draft_request& request) {
    const std::size_t goal = depth_.depth(request);
    drawn_.clear();
    if (learns()) {
      const std::size_t most = std::min({goal, request.max_depth, reserve_at_most});
      if (most > drawn_.capacity()) drawn_.reserve(2 * most);
      reserve_samples(most);
    }
    return goal;
  }

  [[nodiscard]] bool draws(double highest) requires EndsBeforeToken<Depth> { return depth_.draws(highest); }
  [[nodiscard]] bool draws_at_entropy(double nats) requires EndsBeforeEntropy<Depth> {
    return depth_.draws_at_entropy(nats);
  }

  [[nodiscard]] bool goes_on(double probability) {
    if (learns()) drawn_.push_back(probability);
    bool on = probability >= threshold_;
    if constexpr (EndsBehindToken<Depth>) on = depth_.goes_on(probability) && on;
    return on;
  }

  void observe(const outcome& out) {
    tell(depth_, out);
    if (!learns() || drawn_.size() != out.drafted.size()) return;
    for (std::size_t i = 0; i < out.accepted; ++i) learn({drawn_[i], true});
    if (out.end == round_end::rejected) learn({drawn_[out.accepted], false});
    fit();
  }

 private:
  /// A drafted token.
  struct sample {
    double probability;
    bool accepted;

    /// Most probable first. Of equally probable ones the refused first: then no place between them is the cheapest, and
    /// every sample may be a place to cut.
    friend bool operator<(const sample& a, const sample& b) noexcept {
      return a.probability != b.probability ? a.probability > b.probability : a.accepted < b.accepted;
    }
  };

  static Depth default_depth() {
    if constexpr (std::same_as<Depth, constant>) {
      return constant{20};
    } else {
      return Depth{};
    }
  }

  [[nodiscard]] bool learns() const noexcept {
    return options_.refits && options_.assistant_confidence_threshold > 0 && options_.most_samples > 0;
  }

  /// Makes room for `further` samples, so that `observe` needs none; a user may ask to keep all there will ever be.
  void reserve_samples(std::size_t further) {
    const std::size_t soon = std::max(arrived_.size() + further, reserve_at_most);
    reserve_at_least(arrived_, std::min(soon, options_.most_samples));
    reserve_at_least(sorted_, std::min(soon, options_.most_samples));
  }

  /// Takes a sample in; the oldest goes if there are too many.
  void learn(const sample& s) {
    if (arrived_.size() < options_.most_samples) {
      arrived_.push_back(s);
    } else {
      sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), arrived_[oldest_]));
      arrived_[oldest_] = s;
      oldest_ = (oldest_ + 1) % options_.most_samples;
    }
    sorted_.insert(std::lower_bound(sorted_.begin(), sorted_.end(), s), s);
  }

  void fit() noexcept {
    const auto total = static_cast<std::uint64_t>(sorted_.size());
    const auto positives = static_cast<std::uint64_t>(
        std::count_if(sorted_.begin(), sorted_.end(), [](const sample& s) { return s.accepted; }));
    const std::uint64_t negatives = total - positives;
    if (total <= 5 || positives == 0 || negatives == 0) return;
    // In units of 1 / (positives * negatives) costs are whole numbers, and equal ones are equal.
    std::uint64_t least = 3 * positives * negatives;
    std::uint64_t true_positives = 0;
    std::uint64_t false_positives = 0;
    for (const sample& s : sorted_) {
      ++(s.accepted ? true_positives : false_positives);
      const std::uint64_t cost = false_positives * positives + 3 * (positives - true_positives) * negatives;
      if (cost < least) {
        least = cost;
        threshold_ = s.probability;
      }
    }
  }

  Depth depth_;
  confidence_options options_;
  double threshold_;
  std::vector<double> drawn_;    ///< the probabilities of this round's tokens
  std::vector<sample> arrived_;  ///< a ring, once it is full
  std::size_t oldest_ = 0;       ///< where the ring begins
  std::vector<sample> sorted_;   ///< the same samples
};

static_assert(EndsBehindToken<confidence<>> && Observes<confidence<>> && !EndsBeforeToken<confidence<>>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_CONFIDENCE_HPP
