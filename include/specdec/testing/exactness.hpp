#ifndef SPECDEC_TESTING_EXACTNESS_HPP
#define SPECDEC_TESTING_EXACTNESS_HPP

/// @file
/// The exactness oracle: runs real code over every outcome of every random decision, and adds up what it emits.
///
/// There is no sampling and no tolerance for luck. `enumerating_chance` takes the place of `philox`; the code under
/// test asks its questions, the oracle answers each in every possible way and keeps the product of the probabilities.
/// The result is the emitted law itself, to rounding. Feasible for small vocabularies and drafts, which is where the
/// mistakes are: a rule that is wrong is wrong for three tokens.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../decode/options.hpp"
#include "../decode/session.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../types.hpp"
#include "law_model.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// The joint law of two races with the same exponential noise E: the probability that x has the least E / q and y the
/// least E / p. For x = y it is 1 / sum_j max(p_j / p_x, q_j / q_x) (Daliri, Musco and Suresh 2024, arXiv:2408.07978);
/// for others it is the integral of q_x p_y / D(r)^2 over q_y / p_y < r < q_x / p_x, with D(r) = sum_j max(q_j, r p_j),
/// which is linear between the ratios q_j / p_j. Preconditions: laws over one vocabulary, in probabilities. O(V^2).
[[nodiscard]] inline double joint_race_probability(const std::vector<double>& q, const std::vector<double>& p,
                                                   std::size_t x, std::size_t y) {
  if (!(q[x] > 0) || !(p[y] > 0)) return 0;
  const auto sum_of_greater = [&](double r) {
    double sum = 0;
    for (std::size_t j = 0; j < p.size(); ++j) sum += std::max(q[j], r * p[j]);
    return sum;
  };
  if (x == y) return q[x] / sum_of_greater(q[x] / p[x]);
  const double first = q[y] / p[y];
  const bool endless = !(p[x] > 0);
  const double last = endless ? std::numeric_limits<double>::infinity() : q[x] / p[x];
  if (!(first < last)) return 0;
  std::vector<double> ends{first};
  for (std::size_t j = 0; j < p.size(); ++j) {
    const double ratio = p[j] > 0 ? q[j] / p[j] : std::numeric_limits<double>::infinity();
    if (ratio > first && ratio < last) ends.push_back(ratio);
  }
  std::sort(ends.begin(), ends.end());
  double integral = 0;
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    integral += (ends[i + 1] - ends[i]) / (sum_of_greater(ends[i]) * sum_of_greater(ends[i + 1]));
  }
  // Beyond the last ratio D has the slope sum_j p_j, which is 1.
  const double rest = sum_of_greater(ends.back());
  integral += endless ? 1 / rest : (last - ends.back()) / (rest * sum_of_greater(last));
  return q[x] * p[y] * integral;
}

/// The tree of all outcomes: run the code under test with an `enumerating_chance` over it, then `next()`, until that
/// returns false.
///
/// Every key may be asked once per run: a second question under one key would reuse noise that has been looked at,
/// which is a defect of the code under test, and throws std::logic_error.
class outcome_tree {
 public:
  /// The probability of the current run's answers.
  [[nodiscard]] double weight() const noexcept {
    double product = 1;
    for (const decision& d : decisions_) product *= d.probabilities[d.taken];
    return product;
  }

  /// Goes on to the next run; false if all have been made.
  bool next() {
    while (!decisions_.empty()) {
      decision& last = decisions_.back();
      while (++last.taken < last.probabilities.size()) {
        if (last.probabilities[last.taken] > 0) {
          asked_ = 0;
          races_.clear();
          return true;
        }
      }
      decisions_.pop_back();
    }
    return false;
  }

  /// Answers a question with one of probabilities.size() possibilities. Throws std::logic_error on a key used twice, on
  /// a law without mass, and if the code under test is not repeatable.
  std::size_t decide(const key& k, std::vector<double> probabilities) {
    for (std::size_t i = 0; i < asked_; ++i) {
      if (decisions_[i].name == k) throw std::logic_error("specdec: one key was used for two random decisions");
    }
    if (asked_ == decisions_.size()) {
      const auto possible = std::find_if(probabilities.begin(), probabilities.end(), [](double p) { return p > 0; });
      if (possible == probabilities.end()) throw std::logic_error("specdec: a draw from a law without mass");
      const auto first = static_cast<std::size_t>(possible - probabilities.begin());
      decisions_.push_back({k, std::move(probabilities), first});
    } else if (!(decisions_[asked_].name == k)) {
      throw std::logic_error("specdec: the code under test asked other questions when it was run again");
    }
    return decisions_[asked_++].taken;
  }

  /// Decides a race at a position of the text. A second race there, under another law, has the same noise, so it
  /// depends on the first one's outcome. Throws std::logic_error for a third, and as `decide`.
  std::size_t race(std::uint32_t position, const std::vector<double>& law) {
    const auto earlier = races_.find(position);
    // Keys that no decision of a session has: its rounds do not come so far.
    const key name{~std::uint32_t{0}, position, static_cast<std::uint16_t>(earlier == races_.end() ? 0 : 1)};
    if (earlier == races_.end()) {
      const std::size_t winner = decide(name, law);
      races_.emplace(position, finished_race{law, winner});
      return winner;
    }
    const auto& [first_law, first_winner] = earlier->second;
    std::vector<double> conditional(law.size());
    for (std::size_t y = 0; y < law.size(); ++y) {
      conditional[y] = joint_race_probability(first_law, law, first_winner, y) / first_law[first_winner];
    }
    return decide(name, std::move(conditional));
  }

 private:
  struct finished_race {
    std::vector<double> law;
    std::size_t winner;
  };

  struct decision {
    key name;
    std::vector<double> probabilities;
    std::size_t taken;
  };

  std::vector<decision> decisions_;
  std::size_t asked_ = 0;
  std::map<std::uint32_t, finished_race> races_;
};

/// Chance that takes every branch in turn. Models `Chance`; refers to its tree.
class enumerating_chance {
 public:
  static constexpr bool races = true;

  explicit enumerating_chance(outcome_tree& tree) noexcept : tree_(&tree) {}

  bool accept(const key& k, double p, double q) const {
    if (!(p >= 0) || !(q > 0)) {
      throw std::logic_error("specdec: accept() was asked with p = " + std::to_string(p) +
                             " and q = " + std::to_string(q) + "; expected p >= 0 and q > 0");
    }
    const double yes = p < q ? p / q : 1.0;
    return tree_->decide(k, {1 - yes, yes}) == 1;
  }

  /// Asks p() whatever the bound, and throws std::logic_error if the bound is none.
  template <std::invocable P>
  bool accept(const key& k, double bound, P&& p, double q) const {
    const double exact = p();
    if (bound > exact + 1e-12) {
      throw std::logic_error("specdec: " + std::to_string(bound) +
                             " was given as a lower bound of p = " + std::to_string(exact));
    }
    return accept(k, exact, q);
  }

  template <DiscreteLaw L>
  token_id draw(const key& k, const L& law) const {
    return static_cast<token_id>(tree_->decide(k, probabilities_of(law)));
  }

  /// See `outcome_tree::race`.
  template <DiscreteLaw L>
  token_id race(std::uint32_t position, const L& law) const {
    return static_cast<token_id>(tree_->race(position, probabilities_of(law)));
  }

 private:
  template <class L>
  static std::vector<double> probabilities_of(const L& law) {
    std::vector<double> probabilities(law.vocab_size());
    for (std::size_t t = 0; t < probabilities.size(); ++t) probabilities[t] = law.probability(static_cast<token_id>(t));
    return probabilities;
  }

  outcome_tree* tree_;
};

static_assert(RacingChance<enumerating_chance>);

/// The law of a text of fixed length: entry i belongs to the text whose tokens are the digits of i in base vocab_size,
/// most significant first.
using joint_law = std::vector<double>;

/// What the oracle found.
struct exactness {
  joint_law emitted;             ///< law of the first `length` tokens that were emitted
  joint_law target;              ///< law of the same tokens under the target alone
  double expected_accepted = 0;  ///< expected number of drafted tokens accepted in the first round
  std::size_t runs = 0;          ///< outcomes enumerated

  /// Half the sum of absolute differences.
  [[nodiscard]] double total_variation() const noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < emitted.size(); ++i) sum += std::abs(emitted[i] - target[i]);
    return sum / 2;
  }
};

/// The joint law of `length` tokens behind `prompt`, when `law(text)` is the law of the next token.
template <class Law>
[[nodiscard]] joint_law joint_law_of(std::size_t vocab_size, std::size_t length, std::vector<token_id> text,
                                     Law&& law) {
  joint_law joint{1.0};
  std::vector<std::vector<token_id>> texts{std::move(text)};
  for (std::size_t depth = 0; depth < length; ++depth) {
    joint_law longer;
    std::vector<std::vector<token_id>> longer_texts;
    for (std::size_t i = 0; i < joint.size(); ++i) {
      const std::vector<double> p = law(std::span<const token_id>(texts[i]));
      for (std::size_t t = 0; t < vocab_size; ++t) {
        longer.push_back(joint[i] * p[t]);
        longer_texts.push_back(texts[i]);
        longer_texts.back().push_back(static_cast<token_id>(t));
      }
    }
    joint = std::move(longer);
    texts = std::move(longer_texts);
  }
  return joint;
}

/// How the oracle runs.
struct enumeration {
  std::size_t rounds = 1;  ///< rounds to enumerate; texts still shorter than `length` are then continued by the target
  std::size_t length = 0;  ///< tokens compared; a round's draft should be shorter
};

/// Enumerates real sessions over a drafter and a rule, and compares the emitted law with the target's.
///
/// One round behind every text being exact makes all texts exact, by induction, as long as rounds share no noise; more
/// rounds check that too.
///
/// @param model_law  next-token law of the target model, span of tokens -> vector of V probabilities
/// @param target_law what the sampling options make of it, as the user expects it; same signature
/// @param make_drafter called for every run, returns a fresh drafter
/// @param options    max_tokens is ignored; a text that has ended is continued by target_law
/// Cost: the number of distinct outcomes times one run.
template <class Rule, class ModelLaw, class TargetLaw, class MakeDrafter>
[[nodiscard]] exactness enumerate(std::size_t vocab_size, const std::vector<token_id>& prompt, ModelLaw&& model_law,
                                  TargetLaw&& target_law, MakeDrafter&& make_drafter, const Rule& rule,
                                  generate_options options, const enumeration& extent) {
  exactness found;
  found.target = joint_law_of(vocab_size, extent.length, prompt, target_law);
  found.emitted.assign(found.target.size(), 0.0);
  // No round may be shortened by the end of the text: the oracle studies the rule, not the stop.
  options.max_tokens = extent.length + 64;
  std::map<std::vector<token_id>, double> texts;
  outcome_tree tree;
  do {
    session text(vocab_size, options, rule, enumerating_chance(tree));
    law_model target(vocab_size, model_law);
    auto drafter = make_drafter();
    draft drafted;
    text.begin(prompt);
    std::size_t first_accepted = 0;
    for (std::size_t round = 0; round < extent.rounds && text.generated().size() < extent.length && text.running();
         ++round) {
      const draft_request request = text.request();
      drafted.begin(request);
      drafter.propose(request, text.chance(), drafted);
      const decode_plan plan = text.plan(drafted, target.size());
      target.truncate(plan.held);
      const verdict judged = text.verify(score(target, plan));
      if (plan.tree) target.keep(text.kept_path());
      const outcome out = text.commit(judged);
      if (round == 0) first_accepted = out.accepted;
      tell(drafter, out);
    }
    const double weight = tree.weight();
    found.expected_accepted += weight * static_cast<double>(first_accepted);
    ++found.runs;
    const auto emitted = text.generated().first(std::min(text.generated().size(), extent.length));
    texts[{emitted.begin(), emitted.end()}] += weight;
  } while (tree.next());

  for (const auto& [emitted, weight] : texts) {
    std::size_t index = 0;
    for (const token_id token : emitted) index = index * vocab_size + static_cast<std::size_t>(token);
    std::vector<token_id> whole = prompt;
    whole.insert(whole.end(), emitted.begin(), emitted.end());
    const joint_law rest = joint_law_of(vocab_size, extent.length - emitted.size(), std::move(whole), target_law);
    for (std::size_t i = 0; i < rest.size(); ++i) found.emitted[index * rest.size() + i] += weight * rest[i];
  }
  return found;
}

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_EXACTNESS_HPP
