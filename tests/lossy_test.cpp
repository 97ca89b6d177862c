// The rules that bend the target's law: what comes out is what their papers say, and nothing else.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <vector>

#include "laws.hpp"

namespace {

namespace testing = specdec::testing;
using laws::probabilities;
using laws::text_view;
using specdec::generate_options;
using specdec::token_id;

constexpr double tolerance = 1e-12;
constexpr double infinity = std::numeric_limits<double>::infinity();
const std::vector<token_id> prompt{0, 1};

static_assert(!specdec::lenient::lossless && !specdec::big_little::lossless);

/// Drafts every token from one law, given by whole numbers, so that no rounding separates it from its probabilities.
struct drafter_of {
  std::vector<float> weights;
  std::size_t gamma;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(gamma, request.max_depth); ++i) {
      tip = answer.extend(tip, specdec::proposal::dense(weights), chance);
    }
  }
};

probabilities of(const std::vector<float>& weights) { return laws::normalized({weights.begin(), weights.end()}); }

// --- Lenience --------------------------------------------------------------------------------------------------------

struct pair_of_laws {
  std::vector<float> p, q;
};
const std::vector<pair_of_laws> pairs{{{8, 5, 3}, {3, 5, 8}},
                                      {{1, 2}, {2, 1}},
                                      {{5, 3, 2}, {2, 3, 5}},
                                      {{10, 1, 4, 1}, {1, 9, 2, 4}},
                                      {{7, 0, 1, 0}, {0, 1, 5, 2}}};

double alpha_of(const probabilities& p, const probabilities& q, double lenience) {
  double sum = 0;
  for (std::size_t x = 0; x < p.size(); ++x) sum += std::min(p[x] / lenience, q[x]);
  return sum;
}

// min(q, p/l) + (1 - alpha_l) norm((p - q)+), and no token above p/l.
TEST(lenient, emits_the_law_of_appendix_a5) {
  for (const auto& [p_weights, q_weights] : pairs) {
    const probabilities p = of(p_weights);
    const probabilities q = of(q_weights);
    for (const double lenience : {1.0, 0.5, 0.3, 0.1}) {
      const auto found = testing::enumerate(p.size(), prompt, laws::fixed(p), laws::fixed(p),
                                            [w = q_weights] {
                                              return drafter_of{w, 1};
                                            },
                                            specdec::lenient(lenience), generate_options{}, {1, 1});
      const double alpha = alpha_of(p, q, lenience);
      const double left = 1 - alpha_of(p, q, 1);
      for (std::size_t x = 0; x < p.size(); ++x) {
        const double expected = std::min(q[x], p[x] / lenience) + (1 - alpha) * std::max(0.0, p[x] - q[x]) / left;
        EXPECT_NEAR(found.emitted[x], expected, tolerance) << "token " << x << ", lenience " << lenience;
        EXPECT_LE(found.emitted[x], p[x] / lenience + tolerance);
      }
      EXPECT_NEAR(found.expected_accepted, alpha, tolerance);
    }
  }
}

TEST(lenient, accepts_as_many_tokens_as_equation_1_says_for_its_alpha) {
  const auto& [p_weights, q_weights] = pairs.front();
  const double alpha = alpha_of(of(p_weights), of(q_weights), 0.5);
  const auto found = testing::enumerate(3, prompt, laws::fixed(of(p_weights)), laws::fixed(of(p_weights)),
                                        [&w = pairs.front().q] {
                                          return drafter_of{w, 3};
                                        },
                                        specdec::lenient(0.5), generate_options{}, {1, 4});
  EXPECT_NEAR(found.expected_accepted, specdec::theory::expected_tokens(alpha, 3) - 1, tolerance);
}

TEST(lenient, is_exact_without_lenience) {
  for (const double temperature : {0.0, 0.7, 1.0}) {
    for (const std::size_t vocab_size : {2U, 3U, 4U}) {
      const auto p = laws::hashed(vocab_size, 1);
      const auto q = laws::hashed(vocab_size, 2);
      const auto found =
          testing::enumerate(vocab_size, prompt, p, laws::at_temperature(p, temperature),
                             [&] { return laws::drafter_over(vocab_size, q, specdec::constant{2}, {.top = 0}); },
                             specdec::lenient(1), generate_options{.sampling = {temperature}}, {2, 4});
      EXPECT_LT(found.total_variation(), tolerance) << temperature;
    }
  }
}

TEST(lenient, changes_the_law_and_says_so) {
  const auto p = laws::hashed(3, 1);
  const auto found = testing::enumerate(
      3, prompt, p, p, [] { return laws::drafter_over(3, laws::hashed(3, 2), specdec::constant{2}, {.top = 0}); },
      specdec::lenient(0.5), generate_options{}, {1, 3});
  EXPECT_GT(found.total_variation(), 0.01);
}

/// Runs one round behind the prompt and returns the committed tokens.
template <class Rule, class Law, class Drafter>
std::vector<token_id> one_round(const Rule& rule, Law law, Drafter drafter, const generate_options& options) {
  testing::law_model target(law(text_view(prompt)).size(), law);
  specdec::session text(target.vocab_size(), options, rule);
  text.begin(prompt);
  const auto once = [](const specdec::outcome&) { return false; };
  specdec::speculative_generate(text, target, drafter, once);
  return {text.generated().begin(), text.generated().end()};
}

/// Drafts these tokens.
struct script {
  std::size_t vocab_size;
  std::vector<token_id> tokens;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(tokens.size(), request.max_depth); ++i) {
      tip = answer.extend(tip, specdec::proposal::point_mass(vocab_size, tokens[i]), chance);
    }
  }
};

using tokens = std::vector<token_id>;

// p = (.5, .3, .2): token 1 is 0.6 of the greatest, token 2 is 0.4 of it.
TEST(lenient, keeps_greedy_drafts_within_a_share_of_the_greatest_probability) {
  const auto p = laws::fixed({.5, .3, .2});
  const generate_options greedy{.sampling = {.temperature = 0, .top_k = 1}};
  const script draft{3, {1, 2, 0}};
  EXPECT_EQ(one_round(specdec::lenient(1), p, draft, greedy), (tokens{0}));
  EXPECT_EQ(one_round(specdec::lenient(0.61), p, draft, greedy), (tokens{0}));
  EXPECT_EQ(one_round(specdec::lenient(0.59), p, draft, greedy), (tokens{1, 0}));
  EXPECT_EQ(one_round(specdec::lenient(0.41), p, draft, greedy), (tokens{1, 0}));
  EXPECT_EQ(one_round(specdec::lenient(0.39), p, draft, greedy), (tokens{1, 2, 0, 0}));
}

/// Allows only tokens from the first on.
struct from {
  token_id first;
  bool allows(token_id token) const { return token >= first; }
  void fill(std::span<std::uint32_t> words) const { words[0] = ~0U << first; }
  void advance(token_id) {}
  void rollback(std::size_t) {}
};

TEST(lossy_rules, never_keep_what_is_impossible) {
  const auto p = laws::fixed({.5, .3, .2, 0});
  for (const double temperature : {0.0, 1.0}) {
    const generate_options masked{.sampling = {temperature}, .mask = from{1}};
    const generate_options early{.sampling = {temperature}, .end_tokens = {0}, .min_tokens = 2};
    for (const token_id forbidden : {0, 3}) {
      const script draft{4, {1, forbidden}};
      for (const auto& options : {masked, early}) {
        const auto leniently = one_round(specdec::lenient(1e-9), p, draft, options);
        ASSERT_EQ(leniently.size(), 2U);
        EXPECT_EQ(leniently[0], 1);
        EXPECT_NE(leniently[1], forbidden);
        EXPECT_EQ(one_round(specdec::big_little(infinity), p, draft, options), (tokens{1, 1}));
      }
    }
  }
}

// Penalties, bias and mask count, temperature and filters do not; and asking for one law does not disturb the other.
TEST(lossy_rules, see_the_law_before_temperature_and_filters) {
  const std::vector<double> logits{1, 2, 3, 4};
  const specdec::logits_view<double> rows(logits.data(), 1, 4);
  const specdec::sampling_params params{.temperature = 0.5, .top_k = 2, .presence_penalty = 1.5, .bias = {{3, -10.0}}};
  const tokens committed{0, 2};
  specdec::draft nothing;
  for (const bool first : {true, false}) {
    specdec::law law(4, params, {{3}, 9}, specdec::any_mask(from{1}));
    law.begin_round(committed, 1, nothing);
    // Token 2 is in the window, 3 is an end token too early, 0 is masked.
    const auto expected = laws::normalized({0, std::exp(2.0), std::exp(1.5), 0});
    if (!first) static_cast<void>(law.at(rows, specdec::root));
    const auto p = law.untempered_at(rows, specdec::root);
    for (token_id t = 0; t < 4; ++t) EXPECT_NEAR(p.probability(t), expected[static_cast<std::size_t>(t)], 1e-15);
    const auto tempered = laws::normalized({0, std::exp(4.0), std::exp(3.0), 0});
    const auto chosen_from = law.at(rows, specdec::root);
    for (token_id t = 0; t < 4; ++t) {
      EXPECT_NEAR(chosen_from.probability(t), tempered[static_cast<std::size_t>(t)], 1e-15);
    }
  }
}

TEST(lenient, refuses_a_lenience_out_of_range) {
  for (const double lenience : {0.0, -0.5, 1.5, infinity, std::nan("")}) {
    EXPECT_THROW(specdec::lenient{lenience}, std::invalid_argument) << lenience;
  }
  EXPECT_EQ(specdec::lenient(0.5).lenience(), 0.5);
}

TEST(lossy_rules, report_unusable_rows) {
  const auto broken = [](text_view text) { return probabilities(3, text.size() == 3 ? std::nan("") : 1.0 / 3); };
  for (const double temperature : {0.0, 1.0}) {
    const generate_options options{.sampling = {temperature}};
    EXPECT_THROW(one_round(specdec::lenient(0.1), broken, script{3, {1, 1}}, options), specdec::logits_error);
    EXPECT_THROW(one_round(specdec::big_little(), broken, script{3, {1, 1}}, options), specdec::logits_error);
  }
}

// --- The big little decoder ------------------------------------------------------------------------------------------

/// A law for every place behind the prompt.
auto scripted(std::vector<probabilities> places) {
  return [by_place = std::move(places)](text_view text) {
    return by_place[std::min(text.size() - prompt.size(), by_place.size() - 1)];
  };
}

// Distances of the drafted tokens, in nats: -ln .3 = 1.20, -ln .1 = 2.30, -ln .05 = 3.00.
const auto large = scripted({{.6, .3, .1, 0}, {.1, .1, .7, .1}, {.05, .05, .1, .8}, {.9, .05, .05, 0}});
const script small{4, {1, 0, 1}};

TEST(big_little, keeps_what_is_within_the_threshold_and_adds_the_targets_choice) {
  EXPECT_EQ(one_round(specdec::big_little(3.1), large, small, {}), (tokens{1, 0, 1, 0}));
  EXPECT_EQ(one_round(specdec::big_little(), large, small, {}), (tokens{1, 0, 1, 0}));
}

TEST(big_little, rolls_back_to_the_earliest_beyond_the_threshold) {
  EXPECT_EQ(one_round(specdec::big_little(2.9), large, small, {}), (tokens{1, 0, 3}));
  EXPECT_EQ(one_round(specdec::big_little(2.2), large, small, {}), (tokens{1, 2}));
  EXPECT_EQ(one_round(specdec::big_little(1.1), large, small, {}), (tokens{0}));
}

// The first beyond the threshold is the target's own choice, -ln .4 = 0.92: the whole window stays, although the second
// is beyond it too.
TEST(big_little, rolls_nothing_back_where_the_earliest_is_the_targets_own_choice) {
  const auto flat = scripted({{.4, .3, .3, 0}, {.9, .1, 0, 0}, {0, 0, 1, 0}});
  EXPECT_EQ(one_round(specdec::big_little(0.9), flat, script{4, {0, 1}}, {}), (tokens{0, 1, 2}));
  EXPECT_EQ(one_round(specdec::big_little(0.9), flat, script{4, {1, 1}}, {}), (tokens{0}));
  EXPECT_EQ(one_round(specdec::big_little(1.0), flat, script{4, {0, 1}}, {}), (tokens{0, 0}));
}

TEST(big_little, judges_before_temperature_and_filters) {
  const generate_options hot{.sampling = {.temperature = 5, .top_k = 1}};
  EXPECT_EQ(one_round(specdec::big_little(2.9), large, small, hot), (tokens{1, 0, 3}));
}

TEST(big_little, refuses_a_threshold_out_of_range) {
  EXPECT_THROW(specdec::big_little{-1.0}, std::invalid_argument);
  EXPECT_THROW(specdec::big_little{std::nan("")}, std::invalid_argument);
  EXPECT_EQ(specdec::big_little().rollback_threshold(), 5.0);
}

/// Algorithm 1 of the paper over laws, with the two departures of the authors' code that big_little.hpp names.
template <class Large, class Small>
tokens big_little_text(const Large& large_law, const Small& small_law, std::size_t size, double fallback,
                       double rollback, std::size_t longest) {
  const auto mode = [](const probabilities& p) {
    return static_cast<token_id>(std::max_element(p.begin(), p.end()) - p.begin());
  };
  tokens text = prompt;
  while (text.size() < prompt.size() + size) {
    const std::size_t begin = text.size();
    while (text.size() < begin + longest && text.size() + 1 < prompt.size() + size) {
      const probabilities p = small_law(text_view(text));
      if (*std::max_element(p.begin(), p.end()) < fallback) break;
      text.push_back(mode(p));
    }
    bool rolled_back = false;
    for (std::size_t i = begin; i < text.size(); ++i) {
      const probabilities p = large_law(text_view(text).first(i));
      if (-std::log(p[static_cast<std::size_t>(text[i])]) <= rollback) continue;
      if (mode(p) != text[i]) {
        text.resize(i);
        text.push_back(mode(p));
        rolled_back = true;
      }
      break;
    }
    if (!rolled_back) text.push_back(mode(large_law(text_view(text))));
  }
  return {text.begin() + static_cast<std::ptrdiff_t>(prompt.size()), text.end()};
}

TEST(big_little, writes_the_text_of_algorithm_1) {
  constexpr std::size_t vocab_size = 6;
  std::uint64_t rejected = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const auto p = laws::hashed(vocab_size, seed);
    // Half of the small model's law is the large one's: so it is often right, and seldom sure.
    const auto q = [p, other = laws::hashed(vocab_size, seed + 100)](text_view text) {
      probabilities mixed = p(text);
      const probabilities wrong = other(text);
      for (std::size_t t = 0; t < vocab_size; ++t) mixed[t] = (mixed[t] + wrong[t]) / 2;
      return mixed;
    };
    for (const double rollback : {0.5, 1.5, 3.0}) {
      for (const double fallback : {0.0, 0.45, 0.6}) {
        testing::law_model target(vocab_size, p);
        testing::law_model draft(vocab_size, q);
        specdec::model_drafter drafter(draft, specdec::fallback{fallback, 4});
        specdec::session text(vocab_size, {.max_tokens = 60, .sampling = {.temperature = 0}},
                              specdec::big_little(rollback));
        text.begin(prompt);
        specdec::speculative_generate(text, target, drafter);
        EXPECT_EQ(tokens(text.generated().begin(), text.generated().end()),
                  big_little_text(p, q, 60, fallback, rollback, 4));
        rejected += text.stats().evaluated - text.stats().accepted;
      }
    }
  }
  EXPECT_GT(rejected, 100U);
}

TEST(fallback, ends_a_draft_before_the_draft_model_hesitates) {
  testing::law_model model(3, scripted({{.7, .2, .1}, {.1, .6001, .2999}, {.5999, .4, .0001}, {1, 0, 0}}));
  specdec::law target(3, {.temperature = 0});
  specdec::philox chance;
  const specdec::draft_request request{.context = prompt, .max_depth = 20, .max_nodes = 20, .target_law = &target};
  specdec::draft answer;
  answer.begin(request);
  specdec::model_drafter drafter(model, specdec::fallback{});
  drafter.propose(request, chance, answer);
  EXPECT_EQ(tokens(answer.tokens().begin(), answer.tokens().end()), (tokens{0, 1}));
}

TEST(fallback, drafts_ten_tokens_at_most) {
  testing::law_model model(2, laws::fixed({1, 0}));
  specdec::law target(2, {.temperature = 0});
  specdec::philox chance;
  const specdec::draft_request request{.context = prompt, .max_depth = 20, .max_nodes = 20, .target_law = &target};
  specdec::draft answer;
  answer.begin(request);
  specdec::model_drafter drafter(model, specdec::fallback{});
  drafter.propose(request, chance, answer);
  EXPECT_EQ(answer.size(), 10U);
}

}  // namespace
