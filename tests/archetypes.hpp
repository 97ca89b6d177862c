#ifndef SPECDEC_TESTS_ARCHETYPES_HPP
#define SPECDEC_TESTS_ARCHETYPES_HPP

/// @file
/// One type for each concept that has what the concept asks for, and nothing else.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace archetypes {

using specdec::token_id;

inline constexpr std::size_t vocab = 6;

/// What no concept asks for is taken away: copies, assignment, a default constructor, addresses, sequences.
class bare {
 public:
  explicit bare(int) noexcept {}
  bare(bare&&) noexcept = default;
  bare& operator=(bare&&) = delete;
  ~bare() = default;

  void operator&() const = delete;  // NOLINT: nobody may rely on it
  template <class Other>
  void operator,(Other&&) const = delete;
  template <class Other>
  friend void operator,(Other&&, const bare&) = delete;
};

using text = std::vector<token_id>;

/// A text without so many of its last tokens.
inline text without_last(const text& whole, std::size_t count) {
  return {whole.begin(), whole.end() - static_cast<std::ptrdiff_t>(count)};
}

/// Computes the row behind a text when it is asked for, in memory of its own, with its logits two apart.
class rows : public bare {
 public:
  using law = decltype(laws::hashed(vocab, 0, 0.0));

  explicit rows(law p, std::vector<text> behind = {}) : bare(0), law_(std::move(p)), behind_(std::move(behind)) {}
  void move_behind(std::vector<text> texts) { behind_ = std::move(texts); }

  [[nodiscard]] std::size_t size() const { return behind_.size(); }
  [[nodiscard]] specdec::logits_row<double> row(std::size_t i) const {
    const auto p = law_(behind_[i]);
    std::vector<double>& logits = memory_.emplace_back(2 * p.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t t = 0; t < p.size(); ++t) logits[2 * t] = std::log(p[t]);
    return {logits.data(), p.size(), 2};
  }

 private:
  law law_;
  std::vector<text> behind_;
  mutable std::deque<std::vector<double>> memory_;
};

class model : public bare {
 public:
  explicit model(std::uint64_t seed) : bare(0), law_(laws::hashed(vocab, seed, 0.8)) {}

  [[nodiscard]] std::size_t vocab_size() const { return vocab; }
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  rows decode(std::span<const token_id> tokens, std::size_t count) { return rows(law_, appended(tokens, count)); }
  void truncate(std::size_t n) { text_.resize(n); }

 protected:
  /// Appends tokens; returns the texts behind the last `count` of them.
  std::vector<text> appended(std::span<const token_id> tokens, std::size_t count) {
    text_.insert(text_.end(), tokens.begin(), tokens.end());
    std::vector<text> texts;
    for (std::size_t left = count; left > 0; --left) texts.push_back(without_last(text_, left - 1));
    return texts;
  }

  rows::law law_;
  text text_;
};

/// Returns rows that it keeps, and that nobody can copy; and has a `decode` of its own for whole texts.
class lending_model : public model {
 public:
  explicit lending_model(std::uint64_t seed) : model(seed), rows_(law_) {}
  const rows& decode(std::span<const token_id> tokens, std::size_t count) {
    rows_.move_behind(appended(tokens, count));
    return rows_;
  }
  const rows& decode(const text& tokens, std::size_t count) = delete;

 private:
  rows rows_;
};

class tree_model : public model {
 public:
  using model::model;
  rows decode(std::span<const token_id> tokens, std::size_t count) { return decode_tree(tokens, {}, count); }
  rows decode_tree(std::span<const token_id> tokens, std::span<const specdec::node_id> parents, std::size_t count) {
    const std::size_t nodes = parents.size();
    const auto context = tokens.first(tokens.size() - nodes);
    if (!context.empty()) nodes_.clear();
    std::vector<text> texts = appended(context, count - std::min(count, nodes));
    for (std::size_t i = 0; i < nodes; ++i) {
      text& to = nodes_.emplace_back(parents[i] == specdec::root ? text_ : nodes_[parents[i] - 1]);
      to.push_back(tokens[context.size() + i]);
      if (i + count >= nodes) texts.push_back(to);
    }
    return rows(law_, std::move(texts));
  }
  void keep(std::span<const specdec::node_id> path) {
    if (!path.empty()) text_ = nodes_[path.back() - 1];
    nodes_.clear();
  }
  void truncate(std::size_t n) {
    model::truncate(n);
    nodes_.clear();
  }

 private:
  std::deque<text> nodes_;  ///< the text to each
};

class batch_model : public bare {
 public:
  batch_model(std::uint64_t seed, std::size_t sequences) : bare(0), law_(laws::hashed(vocab, seed, 0.8)) {
    texts_.resize(sequences);
  }

  [[nodiscard]] std::size_t vocab_size() const { return vocab; }
  [[nodiscard]] std::size_t sequence_count() const { return texts_.size(); }
  [[nodiscard]] std::size_t size(std::size_t sequence) const { return texts_[sequence].size(); }
  rows decode(std::span<const specdec::sequence_feed> feeds) {
    std::vector<text> behind;
    for (const specdec::sequence_feed& feed : feeds) {
      text& whole = texts_[feed.sequence];
      whole.insert(whole.end(), feed.tokens.begin(), feed.tokens.end());
      for (std::size_t left = feed.rows; left > 0; --left) behind.push_back(without_last(whole, left - 1));
    }
    return rows(law_, std::move(behind));
  }
  void truncate(std::size_t sequence, std::size_t n) { texts_[sequence].resize(n); }

 private:
  rows::law law_;
  std::vector<text> texts_;
};

/// Proposes the last token again, up to three times.
class drafter : public bare {
 public:
  using bare::bare;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min({std::size_t{3}, request.max_depth, request.max_nodes}); ++i) {
      tip = answer.extend(tip, specdec::proposal::point_mass(vocab, request.context.back()), chance);
    }
  }
};

/// Rejection sampling.
class rule : public bare {
 public:
  using bare::bare;
  static constexpr bool lossless = true;
  specdec::verdict operator()(const specdec::draft& drafted, const auto& answer, specdec::law& target,
                              auto& chance) const {
    return specdec::rejection{}(drafted, answer, target, chance);
  }
};

class policy : public bare {
 public:
  using bare::bare;
  static constexpr bool reads_clock = false;
  std::size_t depth(const specdec::draft_request&) { return 2; }
};

/// For a batch, which copies it; it cannot be assigned.
class copied_policy {
 public:
  explicit copied_policy(std::size_t depth) : depth_(depth) {}
  static constexpr bool reads_clock = false;
  std::size_t depth(const specdec::draft_request&) { return depth_; }
  void operator&() const = delete;  // NOLINT: nobody may rely on it

 private:
  const std::size_t depth_;
};

/// Collects tokens where it was told to.
class sink : public bare {
 public:
  explicit sink(std::vector<token_id>& seen) : bare(0), seen_(seen) {}
  void operator()(const specdec::outcome& out) {
    for (const specdec::emitted_token& token : out.tokens) seen_.push_back(token.id);
  }

 private:
  std::vector<token_id>& seen_;
};

static_assert(specdec::LogitsRows<rows>);
static_assert(specdec::TargetModel<model> && specdec::DraftModel<model>);
static_assert(specdec::TargetModel<lending_model> && !std::copy_constructible<rows>);
static_assert(specdec::DecodesTrees<tree_model> && specdec::DecodesBatches<batch_model>);
static_assert(!specdec::HasCapacity<model> && !specdec::KnowsTokens<model>);
static_assert(specdec::Drafter<drafter>);
static_assert(specdec::Verifier<rule, rows>);
static_assert(specdec::LengthPolicy<policy> && specdec::LengthPolicy<copied_policy>);
static_assert(specdec::Sink<sink>);

}  // namespace archetypes

#endif  // SPECDEC_TESTS_ARCHETYPES_HPP
