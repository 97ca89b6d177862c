#ifndef SPECDEC_TESTS_CHAIN_RULE_HPP
#define SPECDEC_TESTS_CHAIN_RULE_HPP

/// @file
/// A rule for chains that can be got wrong in every part, and what it emits.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <vector>

#include "laws.hpp"

namespace chain_rules {

using laws::probabilities;
using specdec::node_id;
using specdec::token_id;

inline probabilities positive_part(probabilities p, const probabilities& q) {
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = std::max(0.0, p[i] - q[i]);
  return p;
}

/// A chain rule whose parts can be exchanged; as it stands, it is right.
struct chain_rule {
  [[maybe_unused]] static constexpr bool lossless = false;

  /// The q that the rule believes in; empty means the law the token was drawn from.
  probabilities believed_q{};
  /// What decides about token x.
  std::function<double(const probabilities& p, const probabilities& q, std::size_t x)> acceptance =
      [](const auto& p, const auto& q, std::size_t x) { return q[x] > 0 ? std::min(1.0, p[x] / q[x]) : 1.0; };
  /// What a refused token is replaced from, unnormalised; `later` is the law behind the refused token.
  std::function<probabilities(const probabilities& p, const probabilities& q, const probabilities& later)> replacement =
      [](const auto& p, const auto& q, const auto&) { return positive_part(p, q); };
  /// What the token behind a fully accepted draft is drawn from.
  std::function<probabilities(const probabilities& p)> bonus = [](const auto& p) { return p; };
  /// The key of the replacement's draw.
  std::function<specdec::key(const specdec::draft&, std::size_t)> replacement_key =
      [](const auto& d, std::size_t depth) { return d.key_of(depth, specdec::purpose::residual); };
  /// The key of the acceptance test.
  std::function<specdec::key(const specdec::draft&, std::size_t)> acceptance_key =
      [](const auto& d, std::size_t depth) { return d.key_of(depth, specdec::purpose::accept); };

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    const auto law_behind = [&](node_id node) {
      const auto p = target.at(rows, node);
      probabilities values(p.vocab_size());
      for (std::size_t t = 0; t < values.size(); ++t) values[t] = p.probability(static_cast<token_id>(t));
      return values;
    };
    for (node_id here = specdec::root;;) {
      const std::size_t depth = drafted.depth(here) + 1;
      const probabilities p = law_behind(here);
      const node_id child = drafted.first_child(here);
      if (child == specdec::no_node) {
        return {.kept = here,
                .next = chance.draw(drafted.key_of(depth, specdec::purpose::bonus), laws::table{bonus(p)})};
      }
      probabilities q = believed_q;
      if (q.empty()) {
        q.resize(p.size());
        for (std::size_t t = 0; t < q.size(); ++t) {
          q[t] = drafted.law_of(child).probability(static_cast<token_id>(t));
        }
      }
      const auto x = static_cast<std::size_t>(drafted.token(child));
      if (chance.accept(acceptance_key(drafted, depth), acceptance(p, q, x), 1.0)) {
        here = child;
        continue;
      }
      probabilities left = replacement(p, q, law_behind(child));
      const double mass = std::accumulate(left.begin(), left.end(), 0.0);
      left = mass > 0 ? laws::normalized(left) : p;
      return {.kept = here, .next = chance.draw(replacement_key(drafted, depth), laws::table{left}), .rejected = true};
    }
  }
};

/// Drafts every token from one law.
struct fixed_drafter {
  std::vector<float> q;
  std::size_t gamma;
  template <class Chance>
  void propose(const specdec::draft_request&, Chance& chance, specdec::draft& answer) {
    node_id tip = specdec::root;
    for (std::size_t i = 0; i < gamma; ++i) tip = answer.extend(tip, specdec::proposal::dense(q), chance);
  }
};

inline specdec::testing::exactness emitted_by(const chain_rule& rule, const probabilities& p,
                                              const std::vector<float>& q, std::size_t gamma, double temperature = 1) {
  return specdec::testing::enumerate(p.size(), {0}, laws::fixed(p), laws::at_temperature(laws::fixed(p), temperature),
                                     [&] {
                                       return fixed_drafter{q, gamma};
                                     },
                                     rule, specdec::generate_options{.sampling = {temperature}}, {1, gamma + 1});
}

/// The law of the first emitted token.
inline double first_token(const specdec::testing::exactness& found, std::size_t token, std::size_t vocab_size) {
  const std::size_t share = found.emitted.size() / vocab_size;
  return std::accumulate(found.emitted.begin() + static_cast<std::ptrdiff_t>(token * share),
                         found.emitted.begin() + static_cast<std::ptrdiff_t>((token + 1) * share), 0.0);
}

}  // namespace chain_rules

#endif  // SPECDEC_TESTS_CHAIN_RULE_HPP
