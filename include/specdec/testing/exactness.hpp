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

 private:
  struct decision {
    key name;
    std::vector<double> probabilities;
    std::size_t taken;
  };

  std::vector<decision> decisions_;
  std::size_t asked_ = 0;
};

/// Chance that takes every branch in turn. Models `Chance`; refers to its tree.
class enumerating_chance {
 public:
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
    std::vector<double> probabilities(law.vocab_size());
    for (std::size_t t = 0; t < probabilities.size(); ++t) probabilities[t] = law.probability(static_cast<token_id>(t));
    return static_cast<token_id>(tree_->decide(k, std::move(probabilities)));
  }

 private:
  outcome_tree* tree_;
};

static_assert(Chance<enumerating_chance>);

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
