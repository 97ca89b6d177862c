#ifndef FREQUENCIES_MISTAKES_HPP
#define FREQUENCIES_MISTAKES_HPP

/// @file
/// Rules that somebody got wrong, written out. Those that use one random number twice the oracle cannot weigh: it
/// refuses them. Here they show.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <specdec/specdec.hpp>

#include "chain_rule.hpp"
#include "markov_model.hpp"

namespace frequencies::mistakes {

using laws::probabilities;
using specdec::node_id;
using specdec::purpose;

/// A mistake, and with how many tokens it must be found.
struct known {
  std::string name;
  specdec::any_lossy_verifier<> rule;
  std::uint64_t tokens_to_find;
};

/// Chance in which the keys of all rounds are those of the first.
struct same_every_round {
  specdec::philox* chance;

  static specdec::key first_round(specdec::key k) {
    k.round = 0;
    return k;
  }
  bool accept(const specdec::key& k, double p, double q) const { return chance->accept(first_round(k), p, q); }
  template <std::invocable P>
  bool accept(const specdec::key& k, double bound, P&& p, double q) const {
    return chance->accept(first_round(k), bound, p, q);
  }
  template <specdec::DiscreteLaw L>
  specdec::token_id draw(const specdec::key& k, const L& law) const {
    return chance->draw(first_round(k), law);
  }
};

/// Numbers that belong to the place in the text: what a block looked at and left is used again by the next round.
struct block_by_place {
  [[maybe_unused]] static constexpr bool lossless = false;

  template <class Rows>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              specdec::philox& chance) const {
    same_every_round by_place{&chance};
    return specdec::block_verification{}(drafted, rows, target, by_place);
  }
};

/// Siblings that were drawn without replacement, each held against the law of the first.
struct siblings_of_one_law {
  [[maybe_unused]] static constexpr bool lossless = false;

  template <class Rows>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              specdec::philox& chance) const {
    for (node_id here = specdec::root;;) {
      const auto p = target.at(rows, here);
      probabilities left(width);
      for (std::size_t t = 0; t < width; ++t) left[t] = p.probability(static_cast<token_id>(t));
      const node_id first = drafted.first_child(here);
      node_id child = first;
      for (; child != specdec::no_node; child = drafted.next_sibling(child)) {
        const auto q = drafted.law_of(first);
        const token_id x = drafted.token(child);
        if (chance.accept(drafted.key_at(child, purpose::accept), left[static_cast<std::size_t>(x)],
                          q.probability(x))) {
          break;
        }
        for (std::size_t t = 0; t < width; ++t) {
          left[t] = std::max(0.0, left[t] - q.probability(static_cast<token_id>(t)));
        }
        double mass = 0;
        for (const double share : left) mass += share;
        for (double& share : left) share = mass > 0 ? share / mass : 1.0 / width;
      }
      if (child == specdec::no_node) {
        return {.kept = here,
                .next = chance.draw(drafted.key_behind(here, purpose::residual), laws::table{left}),
                .rejected = first != specdec::no_node};
      }
      here = child;
    }
  }
};

[[nodiscard]] inline std::vector<known> of_chains() {
  using chain_rules::chain_rule;
  std::vector<known> rules;
  const auto add = [&](const char* name, const auto& change) {
    chain_rule rule;
    change(rule);
    rules.push_back({name, rule, 100'000});
  };
  add("replacement drawn from p",
      [](chain_rule& rule) { rule.replacement = [](const auto& p, const auto&, const auto&) { return p; }; });
  add("p / q upside down", [](chain_rule& rule) {
    rule.acceptance = [](const auto& p, const auto& q, std::size_t x) {
      return p[x] > 0 ? std::min(1.0, q[x] / p[x]) : 0.0;
    };
  });
  add("bonus token at temperature 1", [](chain_rule& rule) {
    rule.bonus = [](probabilities p) {
      for (double& x : p) x = x > 0 ? std::pow(x, 1.4) : 0;
      return laws::normalized(std::move(p));
    };
  });
  add("replacement drawn with the draft's number", [](chain_rule& rule) {
    rule.replacement_key = [](const auto& d, std::size_t depth) { return d.key_of(depth, purpose::draft); };
  });
  add("one number for all acceptance tests", [](chain_rule& rule) {
    rule.acceptance_key = [](const auto& d, std::size_t) { return d.key_of(1, purpose::accept); };
  });
  // Hardly any of the numbers that were looked at in vain decide anything the second time.
  rules.push_back({"block verification, numbers by place", block_by_place{}, 2'500'000});
  return rules;
}

[[nodiscard]] inline std::vector<known> of_trees() {
  return {{"siblings all held against the first law", siblings_of_one_law{}, 500'000}};
}

/// Drafts a chain, and drops its last token if it is an unlikely one: a decision that looks at the sampled value.
class peeking_drafter {
 public:
  peeking_drafter(markov_model& model, const specdec::model_drafter_options& options)
      : drafter_(model, specdec::constant{2}, options), shorter_(model, specdec::constant{1}, options) {}

  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
    if (answer.size() < 2) return;
    const auto last = static_cast<node_id>(answer.size());
    if (answer.law_of(last).probability(answer.token(last)) >= 0.3) return;
    answer.begin(request);
    shorter_.propose(request, chance, answer);
  }

 private:
  specdec::model_drafter<markov_model> drafter_, shorter_;
};

}  // namespace frequencies::mistakes

#endif  // FREQUENCIES_MISTAKES_HPP
