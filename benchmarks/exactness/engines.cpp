#include "engines.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "chain_rule.hpp"

namespace exactness_report {
namespace {

using chain_rules::chain_rule;
using chain_rules::emitted_by;
using laws::probabilities;

/// A draw of the target's own, kept if it is what was drafted.
struct sample_and_compare {
  [[maybe_unused]] static constexpr bool lossless = true;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    for (specdec::node_id here = specdec::root;;) {
      const auto p = target.at(rows, here);
      const specdec::token_id own = chance.draw(drafted.key_of(drafted.depth(here) + 1, specdec::purpose::bonus), p);
      const specdec::node_id child = drafted.first_child(here);
      if (child == specdec::no_node || drafted.token(child) != own) {
        return {.kept = here, .next = own, .rejected = child != specdec::no_node};
      }
      here = child;
    }
  }
};

std::function<specdec::testing::exactness()> drafting(const chain_rule& rule, const probabilities& p,
                                                      const std::vector<float>& q) {
  return [=] { return emitted_by(rule, p, q, 1); };
}

}  // namespace

std::vector<examined_rule> rules_of_other_engines() {
  std::vector<examined_rule> rules;

  rules.push_back({"llama.cpp v0.5.0 (de3ff81), common/sampling.cpp, the server",
                   "the target draws; the draft is kept while it is what was drawn", "p = (1/2, 1/2), draft always 0",
                   "what is emitted is the target's own draw", 2, 0.5, [] {
                     const probabilities p{0.5, 0.5};
                     return specdec::testing::enumerate(2, {0}, laws::fixed(p), laws::fixed(p),
                                                        [] {
                                                          return chain_rules::fixed_drafter{{1, 0}, 1};
                                                        },
                                                        sample_and_compare{}, specdec::generate_options{}, {1, 2});
                   }});

  chain_rule argmax;
  argmax.believed_q = {0.6, 0.4};
  rules.push_back({"llama.cpp v0.5.0 (de3ff81), examples/speculative",
                   "drafts the likeliest token, but tests it with its softmax q",
                   "p = (1/2, 1/2), q = (.6, .4), draft always 0",
                   "kept with .5/.6 = 5/6; refused, (p - q)+ leaves token 1: 5/6", 2, 5.0 / 6,
                   drafting(argmax, {0.5, 0.5}, {1, 0})});

  chain_rule by_rank;
  by_rank.replacement = [](const probabilities& p, const probabilities& q, const auto&) {
    probabilities shares;
    std::copy_if(q.begin(), q.end(), std::back_inserter(shares), [](double x) { return x > 0; });
    probabilities left(p.size(), 0.0);
    std::size_t rank = 0;
    for (std::size_t t = 0; t < p.size(); ++t) {
      if (!(p[t] > 0)) continue;
      left[t] = std::max(0.0, p[t] - (rank < shares.size() ? shares[rank] : 0.0));
      ++rank;
    }
    return left;
  };
  rules.push_back({"llama.cpp v0.5.0 (de3ff81), examples/speculative",
                   "subtracts q from p by their places in the lists of what top-k left, not by token",
                   "p = (1/2, 0, .3, .2), q = (0, .6, .4, 0)",
                   "1 is refused, 2 kept with 3/4: .7 refused, and (.5, .3, .2) - (.6, .4) leaves token 3 alone: 0", 4,
                   0, drafting(by_rank, {0.5, 0, 0.3, 0.2}, {0, 6, 4, 0})});

  chain_rule inverted;
  inverted.acceptance = [](const probabilities& p, const probabilities& q, std::size_t x) {
    double kept = 0;
    for (const double other : p) kept += other > 0 ? other * std::min(1.0, q[x] / other) : 0;
    return kept;
  };
  inverted.replacement = [](const auto& p, const auto&, const auto&) { return p; };
  rules.push_back({"openvino.genai da1db86 (August 2026), src/cpp/src/sampling/sampler.cpp",
                   "keeps x with q(x)/p(y), y another draw of the target's; what replaces it is drawn from p again\n"
                   "  (in the engine from the next row of it, which no first token shows)",
                   "p = (1/2, 1/2), q = (.9, .1)",
                   "0: .9 * min(1, .9/.5); 1: .1 * .1/.5, else p: .9 + .1 * .8 * .5 = .94", 2, 0.94,
                   drafting(inverted, {0.5, 0.5}, {9, 1})});

  chain_rule before_cut;
  before_cut.believed_q = {0.5, 0.3, 0.2};
  rules.push_back({"transformers before #47961; MLC-LLM 79d603f, ScatterDraftProbs",
                   "the draft draws from its top tokens, the rule tests with q as it was before the cut",
                   "p = (1/2, 1/4, 1/4), q = (.5, .3, .2) cut to two tokens, (5/8, 3/8)",
                   "0: 5/8 * min(1, .5/.5), and what is refused goes to token 2: 5/8", 3, 0.625,
                   drafting(before_cut, {0.5, 0.25, 0.25}, {5, 3, 0})});

  chain_rule padded;
  padded.acceptance = [](const auto& p, const auto& q, std::size_t x) { return std::min(1.0, p[x] / (q[x] + 1e-5)); };
  rules.push_back({"MLC-LLM 79d603f, cpp/serve/sampler/cpu_sampler.cc", "keeps x if u < p/(q + 1e-5)",
                   "p = (1/2, 1/2), q = (.9, .1)", "0: .9 * .5/.90001, and what is refused goes to token 1: .499994", 2,
                   0.9 * 0.5 / 0.90001, drafting(padded, {0.5, 0.5}, {9, 1})});

  chain_rule thresholds;
  thresholds.acceptance = [](const auto& p, const auto&, std::size_t x) { return p[x] >= 0.3 ? 1.0 : p[x]; };
  thresholds.replacement = [](probabilities p, const probabilities& q, const auto&) {
    // Drafts are certain there: what was refused is left out.
    for (std::size_t t = 0; t < p.size(); ++t) p[t] = q[t] > 0 ? 0 : p[t];
    return p;
  };
  rules.push_back({"SGLang b227f63, speculative_sampling.cuh, threshold_single = .3 (the default, 1, is lossless)",
                   "keeps x with p(x), and always where p(x) is at least the threshold",
                   "p = (1/2, 1/2), draft always 0", "p(0) = .5 is over .3: always kept: 1", 2, 1,
                   drafting(thresholds, {0.5, 0.5}, {1, 0})});
  return rules;
}

std::vector<examined_rule> rules_that_reuse_numbers() {
  std::vector<examined_rule> rules;
  chain_rule same_noise;
  same_noise.replacement_key = [](const auto& d, std::size_t depth) {
    return d.key_of(depth, specdec::purpose::draft);
  };
  rules.push_back({"vLLM before fe755c8 (#54282, described in #47386)",
                   "what replaces a refused token is drawn with the noise that drew the draft",
                   "p = (1/2, .3, .2), q = (.2, .3, .5)", "", 3, 0, drafting(same_noise, {0.5, 0.3, 0.2}, {2, 3, 5})});
  chain_rule one_number;
  one_number.acceptance_key = [](const auto& d, std::size_t) { return d.key_of(1, specdec::purpose::accept); };
  rules.push_back({"feifeibear/LLMSpeculativeSampling 76117cf, with random_seed",
                   "every drafted token is tested with the same number",
                   "p = (1/2, .3, .2), q = (.2, .3, .5), two drafted", "", 3, 0, [=] {
                     return emitted_by(one_number, {0.5, 0.3, 0.2}, {2, 3, 5}, 2);
                   }});
  return rules;
}

}  // namespace exactness_report
