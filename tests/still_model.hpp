#ifndef SPECDEC_TESTS_STILL_MODEL_HPP
#define SPECDEC_TESTS_STILL_MODEL_HPP

/// @file
/// What tests of allocation share: a model that allocates nothing itself, and a round whose allocations are counted.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <utility>
#include <vector>

#include "counting_new.hpp"

/// A model that allocates nothing once built; its logits depend on the last token. Scores trees.
class still_model {
 public:
  struct options {
    std::uint32_t seed = 0;
    float scale = 1.0F / 64;  ///< logits lie between 0 and 256 times this
    float noise = 0;          ///< what every seventh token has more than the one before
  };

  still_model(std::size_t vocab_size, const options& how) : vocab_size_(vocab_size), how_(how) {
    context_.reserve(1U << 13);
    logits_.resize(vocab_size * 512);
    nodes_.reserve(512);
  }

  [[nodiscard]] std::size_t vocab_size() const { return vocab_size_; }
  [[nodiscard]] std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) {
    nodes_.clear();
    context_.resize(n);
  }

  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    nodes_.clear();
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    return rows_behind(tokens.last(rows));
  }

  specdec::logits_view<float> decode_tree(std::span<const specdec::token_id> tokens,
                                          std::span<const specdec::node_id> parents, std::size_t rows) {
    const auto text = tokens.first(tokens.size() - parents.size());
    if (!text.empty()) nodes_.clear();
    context_.insert(context_.end(), text.begin(), text.end());
    nodes_.insert(nodes_.end(), tokens.begin() + static_cast<std::ptrdiff_t>(text.size()), tokens.end());
    return rows_behind(tokens.last(rows));
  }

  void keep(std::span<const specdec::node_id> path) {
    for (const specdec::node_id node : path) context_.push_back(nodes_[node - 1]);
    nodes_.clear();
  }

 private:
  specdec::logits_view<float> rows_behind(std::span<const specdec::token_id> tokens) {
    for (std::size_t row = 0; row < tokens.size(); ++row) {
      auto state = how_.seed ^ static_cast<std::uint32_t>(tokens[row]) * 2654435761U;
      for (std::size_t t = 0; t < vocab_size_; ++t) {
        state = state * 1664525U + 1013904223U;
        logits_[row * vocab_size_ + t] =
            static_cast<float>(state >> 24) * how_.scale + how_.noise * static_cast<float>(t % 7);
      }
    }
    return {logits_.data(), tokens.size(), vocab_size_};
  }

  std::size_t vocab_size_;
  options how_;
  std::vector<specdec::token_id> context_;
  std::vector<specdec::token_id> nodes_;
  std::vector<float> logits_;
};

/// A round, and how often it has allocated: in all, and while it drafted.
struct counted_round {
  specdec::outcome out;
  std::size_t allocations = 0;
  std::size_t while_drafting = 0;
};

/// Makes a round of the session's.
template <class Session, class Target, class Draft>
counted_round make_round(Session& text, Target& target, Draft& drafter, specdec::draft& drafted) {
  const std::size_t before = counting_new::allocations();
  const auto request = text.request();
  drafted.begin(request);
  drafter.propose(request, text.chance(), drafted);
  const std::size_t proposed = counting_new::allocations();
  const auto plan = plan_for(text, drafted, target);
  if (target.size() > plan.held) target.truncate(plan.held);
  const auto judged = text.verify(score(target, plan));
  if constexpr (specdec::DecodesTrees<Target>) {
    if (plan.tree) target.keep(text.kept_path());
  }
  const auto out = text.commit(judged);
  specdec::tell(drafter, out);
  return {out, counting_new::allocations() - before, proposed - before};
}

#endif  // SPECDEC_TESTS_STILL_MODEL_HPP
