#ifndef SPECDEC_TESTS_ARCHETYPES_HPP
#define SPECDEC_TESTS_ARCHETYPES_HPP

/// @file
/// One type for each concept that has what the concept asks for, and nothing else.

#include <algorithm>
#include <cmath>
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

/// Computes a row when it is asked for, in memory of its own, with its logits two apart.
class rows : public bare {
 public:
  using law = decltype(laws::hashed(vocab, 0, 0.0));

  rows(law p, std::vector<token_id> text, std::size_t count)
      : bare(0), law_(std::move(p)), text_(std::move(text)), count_(count) {}

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] specdec::logits_row<double> row(std::size_t i) const {
    const auto p = law_(std::span(text_).first(text_.size() - count_ + i + 1));
    std::vector<double>& logits = memory_.emplace_back(2 * p.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t t = 0; t < p.size(); ++t) logits[2 * t] = std::log(p[t]);
    return {logits.data(), p.size(), 2};
  }

 private:
  law law_;
  std::vector<token_id> text_;
  std::size_t count_;
  mutable std::deque<std::vector<double>> memory_;
};

class model : public bare {
 public:
  explicit model(std::uint64_t seed) : bare(0), law_(laws::hashed(vocab, seed, 0.8)) {}

  [[nodiscard]] std::size_t vocab_size() const { return vocab; }
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  rows decode(std::span<const token_id> tokens, std::size_t count) {
    text_.insert(text_.end(), tokens.begin(), tokens.end());
    return {law_, text_, count};
  }
  void truncate(std::size_t n) { text_.resize(n); }

 private:
  rows::law law_;
  std::vector<token_id> text_;
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
static_assert(!specdec::HasCapacity<model> && !specdec::KnowsTokens<model>);
static_assert(specdec::Drafter<drafter>);
static_assert(specdec::Verifier<rule, rows>);
static_assert(specdec::LengthPolicy<policy>);
static_assert(specdec::Sink<sink>);

}  // namespace archetypes

#endif  // SPECDEC_TESTS_ARCHETYPES_HPP
