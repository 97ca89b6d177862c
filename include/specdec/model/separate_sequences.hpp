#ifndef SPECDEC_MODEL_SEPARATE_SEQUENCES_HPP
#define SPECDEC_MODEL_SEPARATE_SEQUENCES_HPP

/// @file
/// Several causal models as one model of several sequences.

#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../batches.hpp"
#include "../concepts.hpp"
#include "../failure.hpp"
#include "../requirements.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Rows that lie with several models, feed after feed. Models `LogitsRows`, as lazily as `Rows`.
template <LogitsRows Rows>
class rows_of_several {
 public:
  /// Where the rows of one feed lie, the first of them being row `first` of all.
  struct part {
    std::size_t first;
    Rows rows;
  };

  /// Views the parts, of which there are `count` rows.
  rows_of_several(std::span<const part> parts, std::size_t count) noexcept : parts_(parts), count_(count) {}

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  /// O(parts).
  [[nodiscard]] auto row(std::size_t i) const {
    std::size_t p = parts_.size();
    while (parts_[--p].first > i) {
    }
    return parts_[p].rows.row(i - parts_[p].first);
  }

 private:
  std::span<const part> parts_;
  std::size_t count_;
};

/// Gives a `session_batch` what models there are: each sequence is a causal model of its own, called by itself. Nothing
/// gets faster by it. Owns the models, of which all must have the same vocabulary and, if any, the same capacity.
///
/// Models `DecodesBatches`, and `HasCapacity` where the models do. Does not allocate once warm.
template <CausalModel Model>
class separate_sequences {
 public:
  /// Throws std::invalid_argument if there is no model, or if their vocabularies or capacities differ.
  explicit separate_sequences(std::vector<Model> models) : models_(std::move(models)) {
    if (models_.empty()) raise<std::invalid_argument>("specdec: expected at least one model for a batch; got none");
    for (const Model& model : models_) {
      require_same(model.vocab_size(), models_.front().vocab_size(), "tokens in the vocabulary");
      if constexpr (HasCapacity<Model>)
        require_same(model.capacity(), models_.front().capacity(), "tokens of capacity");
    }
    parts_.reserve(models_.size());
  }

  [[nodiscard]] std::size_t vocab_size() const { return models_.front().vocab_size(); }
  [[nodiscard]] std::size_t sequence_count() const noexcept { return models_.size(); }
  [[nodiscard]] std::size_t size(std::size_t sequence) const { return models_[sequence].size(); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<Model> { return models_.front().capacity(); }

  /// A call of each model that is fed. What one throws passes through; throws std::invalid_argument if one returns
  /// another number of rows than its feed asks for. Those before it have been fed then.
  auto decode(std::span<const sequence_feed> feeds) {
    std::size_t count = 0;
    parts_.clear();
    for (const sequence_feed& feed : feeds) {
      parts_.push_back({count, models_[feed.sequence].decode(feed.tokens, feed.rows)});
      require_rows(feed, parts_.back().rows.size());
      count += feed.rows;
    }
    return rows_of_several<rows>({parts_.data(), parts_.size()}, count);
  }
  void truncate(std::size_t sequence, std::size_t n) { models_[sequence].truncate(n); }

  [[nodiscard]] Model& model(std::size_t sequence) noexcept { return models_[sequence]; }

 private:
  /// Rows that a model keeps are viewed where they are.
  using rows = std::conditional_t<std::is_lvalue_reference_v<rows_of<Model>>,
                                  const std::remove_reference_t<rows_of<Model>>&, std::remove_cvref_t<rows_of<Model>>>;

  static void require_same(std::size_t got, std::size_t expected, const char* what) {
    if (got == expected) return;
    raise<std::invalid_argument>("specdec: expected models of a batch to agree on " + std::to_string(expected) + " " +
                                 what + "; one has " + std::to_string(got));
  }

  static void require_rows(const sequence_feed& feed, std::size_t came) {
    if (came == feed.rows) return;
    raise<std::invalid_argument>("specdec: expected " + std::to_string(feed.rows) +
                                 " rows of logits from the model of sequence " + std::to_string(feed.sequence) +
                                 "; got " + std::to_string(came));
  }

  std::vector<Model> models_;
  std::vector<typename rows_of_several<rows>::part> parts_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_SEPARATE_SEQUENCES_HPP
