// Drafts whose own drafting is sped up: the law of what is drafted, the law of what is emitted, and the noise of both.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"
#include "scenarios.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::cascade_drafter;
using specdec::constant;
using specdec::generate_options;
using specdec::model_drafter_options;
using specdec::token_id;
using tokens = std::vector<token_id>;

constexpr double tolerance = 1e-12;
const tokens prompt{0, 1};

/// Drafts from one law, or for a law without weights the last token again.
struct fixed_drafter {
  std::vector<float> q;
  std::size_t gamma;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    const std::size_t vocab_size = request.target_law->vocab_size();
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(gamma, request.max_depth); ++i) {
      tip = answer.extend(
          tip,
          q.empty() ? specdec::proposal::point_mass(vocab_size, request.context.back()) : specdec::proposal::dense(q),
          chance);
    }
  }
};

/// A cascade with a model of its own inside.
template <class Law, class Guesser>
class cascade_over {
 public:
  cascade_over(std::size_t vocab_size, Law law, Guesser guesser, std::size_t gamma,
               const model_drafter_options& options)
      : model_(std::make_unique<testing::law_model<Law>>(vocab_size, law)),
        drafter_(*model_, std::move(guesser), constant{gamma}, options) {}

  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }
  [[nodiscard]] const specdec::cascade_counts& counts() const { return drafter_.counts(); }

 private:
  std::unique_ptr<testing::law_model<Law>> model_;
  cascade_drafter<testing::law_model<Law>, Guesser> drafter_;
};

template <class MakeDrafter, class Rule = specdec::rejection>
testing::exactness emitted(std::size_t vocab_size, MakeDrafter&& make, const testing::enumeration& extent,
                           double temperature = 1, const Rule& rule = {}) {
  const auto p = laws::hashed(vocab_size, 1);
  return testing::enumerate(vocab_size, prompt, p, laws::at_temperature(p, temperature), make, rule,
                            generate_options{.sampling = {temperature}}, extent);
}

// --- What is drafted
// --------------------------------------------------------------------------------------------------

/// The law of the drafts for one request, and how far any token's stored law is from the one it should have.
struct drafted_law {
  std::map<tokens, double> probability = {};
  double error = 0;
};

template <class MakeDrafter, class Law>
drafted_law law_of_drafts(std::size_t vocab_size, std::size_t depth, MakeDrafter&& make, Law&& law) {
  drafted_law found;
  testing::outcome_tree tree;
  do {
    const specdec::law target(vocab_size, {});
    testing::enumerating_chance chance(tree);
    specdec::draft answer;
    const specdec::draft_request request{
        .context = prompt, .max_depth = depth, .max_nodes = depth, .target_law = &target, .prompt_size = 2, .round = 3};
    answer.begin(request);
    auto drafter = make();
    drafter.propose(request, chance, answer);
    tokens text = prompt;
    for (specdec::node_id node = 1; node <= answer.size(); ++node) {
      const auto expected = law(laws::text_view(text));
      for (std::size_t t = 0; t < vocab_size; ++t) {
        const double q = answer.law_of(node).probability(static_cast<token_id>(t));
        found.error = std::max(found.error, std::abs(q - expected[t]));
      }
      text.push_back(answer.token(node));
    }
    EXPECT_TRUE(answer.is_chain());
    found.probability[{answer.tokens().begin(), answer.tokens().end()}] += tree.weight();
  } while (tree.next());
  return found;
}

/// Laws whose weights are exact in float, though they depend on the text.
auto in_sixteenths(std::size_t vocab_size) {
  return [=](laws::text_view text) {
    laws::probabilities p(vocab_size, 1.0);
    std::size_t left = 16 - vocab_size;
    std::size_t sum = 0;
    for (const token_id token : text) sum = sum * 3 + static_cast<std::size_t>(token) + 1;
    for (std::size_t t = 0; left > 0; ++t) {
      const std::size_t share = std::min(left, sum % 5 + 2 * (t + sum) % 3);
      p[(t + sum) % vocab_size] += static_cast<double>(share);
      left -= share;
    }
    for (double& x : p) x /= 16;
    return p;
  };
}

TEST(cascade, drafts_from_the_models_law_at_every_place) {
  for (const std::size_t vocab_size : {2U, 3U}) {
    const auto law = in_sixteenths(vocab_size);
    for (const std::size_t gamma : {1U, 2U, 3U}) {
      for (const std::size_t guesses : {0U, 1U, 2U}) {
        std::vector<float> q(vocab_size, 1);
        q[0] = 3;
        for (const bool repeats : {false, true}) {
          const fixed_drafter guesser{repeats ? std::vector<float>{} : q, guesses};
          const auto found = law_of_drafts(
              vocab_size, gamma, [&] { return cascade_over(vocab_size, law, guesser, gamma, {.top = 0}); }, law);
          // Logits are logarithms, which round.
          EXPECT_LT(found.error, 1e-7);
          const auto joint = testing::joint_law_of(vocab_size, gamma, prompt, law);
          for (const auto& [text, probability] : found.probability) {
            ASSERT_EQ(text.size(), gamma);
            std::size_t index = 0;
            for (const token_id token : text) index = index * vocab_size + static_cast<std::size_t>(token);
            EXPECT_NEAR(probability, joint[index], 1e-7);
          }
          EXPECT_EQ(found.probability.size(), joint.size());
        }
      }
    }
  }
}

TEST(cascade, calls_its_model_less_often_than_it_drafts) {
  // Greedy, with a guesser that is right: one call a draft. With one that is wrong: one a token.
  const auto q = laws::at_temperature(laws::hashed(5, 2), 0);
  const auto right = [&](laws::text_view text) {
    const auto p = q(text);
    return static_cast<token_id>(std::max_element(p.begin(), p.end()) - p.begin());
  };
  const auto wrong = [&](laws::text_view text) { return (right(text) + 1) % 5; };
  const auto counts_of = [&](auto guesser) {
    testing::law_model model(5, laws::hashed(5, 2));
    cascade_drafter drafter(model, guesser, constant{6});
    testing::law_model target(5, laws::hashed(5, 2));
    const auto text =
        specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 70, .sampling = {.temperature = 0}});
    EXPECT_EQ(text.stats.draft_acceptance_rate(), 1);
    return drafter.counts();
  };
  const auto with_right = counts_of(laws::point_drafter<decltype(right)>{5, 9, right});
  EXPECT_EQ(with_right.calls, 10U);
  EXPECT_EQ(with_right.kept, 50U);
  EXPECT_EQ(with_right.guessed, 50U);
  EXPECT_DOUBLE_EQ(with_right.tokens_per_call(), 6);
  const auto with_wrong = counts_of(laws::point_drafter<decltype(wrong)>{5, 9, wrong});
  EXPECT_EQ(with_wrong.calls, 60U);
  EXPECT_EQ(with_wrong.kept, 0U);
  EXPECT_DOUBLE_EQ(with_wrong.tokens_per_call(), 1);
}

TEST(cascade, keeps_to_its_limits) {
  testing::law_model model(3, laws::hashed(3, 2));
  const specdec::law target(3, {});
  for (const std::size_t depth : {0U, 1U, 2U, 5U, 1000U}) {
    cascade_drafter drafter(model, fixed_drafter{{1, 1, 1}, 1000}, constant{400});
    specdec::draft answer;
    specdec::philox chance(4);
    const specdec::draft_request request{
        .context = prompt, .max_depth = depth, .max_nodes = depth, .target_law = &target};
    answer.begin(request);
    drafter.propose(request, chance, answer);
    EXPECT_EQ(answer.size(), std::min<std::size_t>(depth, 256));
    // The last token is not fed.
    EXPECT_LT(model.size(), prompt.size() + std::max<std::size_t>(answer.size(), 1));
  }
}

TEST(cascade, drafts_nothing_behind_an_end_token) {
  testing::law_model model(3, laws::hashed(3, 2));
  testing::law_model target(3, laws::hashed(3, 1));
  cascade_drafter drafter(model, fixed_drafter{{1, 1, 1}, 5}, constant{6});
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const specdec::law ending(3, {}, {{2}, 0});
    specdec::draft answer;
    specdec::philox chance(seed);
    const specdec::draft_request request{
        .context = prompt, .max_depth = 6, .max_nodes = 6, .target_law = &ending, .prompt_size = 2};
    answer.begin(request);
    drafter.propose(request, chance, answer);
    const auto drafted = answer.tokens();
    const auto end = std::find(drafted.begin(), drafted.end(), 2);
    EXPECT_EQ(drafted.size(), end == drafted.end() ? 6U : static_cast<std::size_t>(end - drafted.begin()) + 1);
  }
}

// --- What is emitted
// --------------------------------------------------------------------------------------------------

TEST(cascade, is_lossless_at_two_levels) {
  for (const std::size_t vocab_size : {2U, 3U}) {
    const auto q = laws::hashed(vocab_size, 2);
    for (const std::size_t gamma : {1U, 2U, 3U}) {
      for (const std::size_t guesses : {1U, 2U}) {
        std::vector<float> r(vocab_size, 1);
        r.back() = 2.5F;
        for (const std::size_t top : {std::size_t{0}, vocab_size - 1}) {
          const auto found =
              emitted(vocab_size,
                      [&] {
                        return cascade_over(vocab_size, q, fixed_drafter{r, guesses}, gamma, {.top = top});
                      },
                      {1, gamma + 1});
          EXPECT_LT(found.total_variation(), tolerance) << vocab_size << " " << gamma << " " << guesses << " " << top;
          // As a model's own draft, the guesses do not change what is drafted.
          const auto plain = emitted(vocab_size, [&] { return laws::drafter_over(vocab_size, q, gamma, {.top = top}); },
                                     {1, gamma + 1});
          EXPECT_NEAR(found.expected_accepted, plain.expected_accepted, 1e-12);
        }
      }
    }
  }
}

TEST(cascade, shares_no_noise_between_rounds) {
  const auto found = emitted(2,
                             [] {
                               return cascade_over(2, laws::hashed(2, 2), fixed_drafter{{1, 2}, 2}, 3, {.top = 0});
                             },
                             {2, 3});
  EXPECT_LT(found.total_variation(), tolerance);
  EXPECT_GT(found.runs, 500U);
}

TEST(cascade, is_lossless_at_other_temperatures_and_with_other_rules) {
  for (const double temperature : {0.0, 0.6}) {
    for (const double draft_temperature : {0.0, 1.3}) {
      const model_drafter_options options{specdec::sampling_params{draft_temperature}, 2};
      const auto make = [&] { return cascade_over(3, laws::hashed(3, 2), fixed_drafter{{1, 2, 2}, 2}, 2, options); };
      EXPECT_LT(emitted(3, make, {2, 3}, temperature).total_variation(), tolerance);
      EXPECT_LT(emitted(3, make, {1, 3}, temperature, specdec::block_verification{}).total_variation(), tolerance);
    }
  }
}

TEST(cascade, is_lossless_at_three_levels) {
  const auto make = [] {
    return cascade_over(2, laws::hashed(2, 2),
                        cascade_over(2, laws::hashed(2, 3), fixed_drafter{{2, 1}, 1}, 2, {.top = 0}), 3, {.top = 0});
  };
  EXPECT_LT(emitted(2, make, {1, 4}).total_variation(), tolerance);
  EXPECT_LT(emitted(2, make, {2, 2}).total_variation(), tolerance);
}

TEST(cascade, is_lossless_with_guesses_that_were_looked_up) {
  const auto make = [] {
    return cascade_over(3, laws::hashed(3, 2), specdec::suffix_drafter({.max_spec_factor = 2}), 2, {.top = 0});
  };
  EXPECT_LT(emitted(3, make, {2, 3}).total_variation(), tolerance);
}

// --- Wrong cascades
// ---------------------------------------------------------------------------------------------------

/// Accepts by given numbers, one for each level, and takes every branch of a draw.
class by_level {
 public:
  by_level(testing::outcome_tree& tree, double outer, double inner) : draws_(tree), outer_(outer), inner_(inner) {}
  bool accept(const specdec::key& k, double p, double q) const { return (k.level == 0 ? outer_ : inner_) * q < p; }
  template <specdec::DiscreteLaw L>
  token_id draw(const specdec::key& k, const L& law) const {
    return draws_.draw(k, law);
  }

 private:
  testing::enumerating_chance draws_;
  double outer_;
  double inner_;
};

/// How probable it is that the first token is 0, for given numbers.
double probability_of_first(double outer, double inner) {
  double found = 0;
  testing::outcome_tree tree;
  do {
    specdec::session text(2, {.max_tokens = 9}, specdec::rejection{}, by_level(tree, outer, inner));
    testing::law_model target(2, laws::fixed({0.5, 0.5}));
    auto drafter = cascade_over(2, laws::fixed({0.8, 0.2}), fixed_drafter{{1, 1}, 1}, 2, {.top = 0});
    text.begin(prompt);
    const auto request = text.request();
    specdec::draft drafted;
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
    if (text.generated().front() == 0) found += tree.weight();
  } while (tree.next());
  return found;
}

// Target (.5, .5), model (.8, .2), guesses (.5, .5): with one uniform for both levels, P(0) = .5 * .625 + .5 * (.625 -
// .4).
TEST(cascade, that_shares_accept_noise_between_levels_is_caught) {
  constexpr int steps = 200;
  const auto middle = [](int i) { return (i + 0.5) / steps; };
  double shared = 0;
  for (int i = 0; i < steps; ++i) shared += probability_of_first(middle(i), middle(i)) / steps;
  EXPECT_NEAR(shared, 0.425, 1e-9);
  double apart = 0;
  for (int i = 0; i < steps; i += 5) {
    for (int j = 0; j < steps; j += 5) apart += probability_of_first(middle(i + 2), middle(j + 2)) * 25 / steps / steps;
  }
  EXPECT_NEAR(apart, 0.5, 1e-9);
}

/// Drops a part of every key on the way to the randomness.
class forgetful {
 public:
  enum class of { level, inner_round };
  forgetful(testing::outcome_tree& tree, of what) : chance_(tree), what_(what) {}
  bool accept(const specdec::key& k, double p, double q) const { return chance_.accept(left_of(k), p, q); }
  template <specdec::DiscreteLaw L>
  token_id draw(const specdec::key& k, const L& law) const {
    return chance_.draw(left_of(k), law);
  }

 private:
  [[nodiscard]] specdec::key left_of(specdec::key k) const {
    if (k.level > 0) k.round = 0;
    if (what_ == of::level) k.level = 0;
    return k;
  }

  testing::enumerating_chance chance_;
  of what_;
};

void run_forgetting(forgetful::of what) {
  testing::outcome_tree tree;
  do {
    specdec::session text(2, {.max_tokens = 9}, specdec::rejection{}, forgetful(tree, what));
    testing::law_model target(2, laws::hashed(2, 1));
    auto drafter = cascade_over(2, laws::hashed(2, 2), fixed_drafter{{1, 1}, 2}, 4, {.top = 0});
    text.begin(prompt);
    const auto request = text.request();
    specdec::draft drafted;
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const auto plan = text.plan(drafted, target.size());
    (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
  } while (tree.next());
}

// The oracle meets a key twice.
TEST(cascade, that_uses_noise_twice_is_caught) {
  EXPECT_THROW(run_forgetting(forgetful::of::level), std::logic_error);
  // What was drawn behind a guess that failed is drawn again in the next inner round.
  EXPECT_THROW(run_forgetting(forgetful::of::inner_round), std::logic_error);
}

/// Keeps every guess that the model finds possible, and says it drew it.
struct credulous {
  void propose(const specdec::draft_request&, auto& chance, specdec::draft& answer) {
    // What the inner session emits has the law (.5, .5) of the guesses; the law that is told is the model's.
    const std::vector<float> r{1, 1};
    const auto k = answer.key_of(1, specdec::purpose::residual);
    const token_id x = chance.draw({k.round, k.position, 1, 1, k.use}, specdec::proposal::dense(r));
    answer.extend(specdec::root, specdec::proposal::point_mass(2, x), chance);
  }
};

/// Rejection that believes in the model's law, whatever the draft says.
struct believes_in_model {
  [[maybe_unused]] static constexpr bool lossless = false;
  template <class Rows, class C>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target, C& chance) const {
    const auto p = target.at(rows, specdec::root);
    const laws::table q{{0.8, 0.2}};
    const token_id x = drafted.token(1);
    if (chance.accept(drafted.key_of(1, specdec::purpose::accept), p.probability(x), q.probability(x))) {
      return {.kept = 1, .next = chance.draw(drafted.key_of(2, specdec::purpose::bonus), target.at(rows, 1))};
    }
    laws::probabilities left{std::max(0.0, p.probability(0) - 0.8), std::max(0.0, p.probability(1) - 0.2)};
    return {.kept = specdec::root,
            .next = chance.draw(drafted.key_of(1, specdec::purpose::residual), laws::table{laws::normalized(left)}),
            .rejected = true};
  }
};

// An inner session that is not lossless makes a q that was not sampled: what is emitted is off.
TEST(cascade, with_a_lossy_inner_rule_is_caught) {
  const auto p = laws::fixed({0.5, 0.5});
  const auto found =
      testing::enumerate(2, prompt, p, p, [] { return credulous{}; }, believes_in_model{}, generate_options{}, {1, 2});
  // P(0) = .5 * .5 / .8.
  EXPECT_NEAR(found.emitted[0] + found.emitted[1], 0.3125, tolerance);
}

// --- Models that are used by others, or fail
// --------------------------------------------------------------------------

specdec::generation generate(auto& drafter, const generate_options& options) {
  scenarios::pool_model target = scenarios::target_model;
  return specdec::speculative_generate(target, drafter, scenarios::prompt, options);
}

tokens ids(const specdec::generation& text) {
  tokens all;
  for (const auto& token : text.tokens) all.push_back(token.id);
  return all;
}

TEST(cascade, keeps_greedy_text) {
  const generate_options options{.max_tokens = 150, .sampling = {.temperature = 0}};
  scenarios::pool_model target = scenarios::target_model;
  const auto plain = specdec::autoregressive_generate(target, scenarios::prompt, options);
  scenarios::pool_model draft = scenarios::draft_model;
  cascade_drafter drafter(draft, scenarios::guesser{}, constant{5});
  const auto text = generate(drafter, options);
  EXPECT_EQ(ids(text), ids(plain));
  EXPECT_GT(drafter.counts().tokens_per_call(), 2);
  EXPECT_GT(text.stats.accepted, 20U);
}

TEST(cascade, may_share_its_model_with_the_guesser) {
  specdec::recorded model(scenarios::pool_model(1.5F));
  const specdec::model_drafter_options cold{specdec::sampling_params{.temperature = 0.5}};
  cascade_drafter sharing(model, specdec::model_drafter(model, constant{3}, cold), constant{5});
  scenarios::pool_model one(1.5F);
  scenarios::pool_model other(1.5F);
  cascade_drafter apart(one, specdec::model_drafter(other, constant{3}, cold), constant{5});
  const generate_options options{.max_tokens = 150, .seed = 5};
  EXPECT_EQ(ids(generate(sharing, options)), ids(generate(apart, options)));
  EXPECT_GT(sharing.counts().kept, 50U);
}

TEST(cascade, goes_on_behind_a_failure_as_if_there_had_been_none) {
  const generate_options options{.max_tokens = 60, .seed = 9};
  const auto run = [&](const testing::fault& planned) {
    testing::faulty_model draft(scenarios::draft_model, planned);
    cascade_drafter drafter(draft, specdec::first_of(scenarios::guesser{}, specdec::suffix_drafter()), constant{5});
    scenarios::pool_model target = scenarios::target_model;
    specdec::session text(scenarios::vocab_size, options);
    text.begin(scenarios::prompt);
    int failures = 0;
    while (text.running()) {
      try {
        specdec::speculative_generate(text, target, drafter);
      } catch (const std::exception&) {
        ++failures;
      }
    }
    EXPECT_LE(failures, 1);
    return tokens(text.generated().begin(), text.generated().end());
  };
  const tokens expected = run({});
  ASSERT_EQ(expected.size(), 60U);
  for (std::size_t call = 1; call <= 40; ++call) {
    EXPECT_EQ(run({testing::fault_kind::throw_midway, call}), expected) << call;
    EXPECT_EQ(run({testing::fault_kind::nan, call}), expected) << call;
  }
}

TEST(cascade, obeys_a_mask) {
  for (const bool dense : {false, true}) {
    scenarios::pool_model draft = scenarios::draft_model;
    cascade_drafter drafter(draft, scenarios::guesser{}, constant{5}, {.top = dense ? 0U : 64U});
    auto options = scenarios::options_of(scenarios::setting::bounded);
    const auto text = generate(drafter, options);
    EXPECT_EQ(text.stats.delivered, 200U);
    EXPECT_GT(text.stats.accepted, 20U);
  }
}

TEST(cascade, draws_with_the_noise_of_the_target_under_the_coupled_rule) {
  const generate_options options{.max_tokens = 120, .seed = 21};
  const auto text_of = [&](auto& drafter) {
    scenarios::pool_model target = scenarios::target_model;
    specdec::session text(scenarios::vocab_size, options, specdec::coupled{});
    text.begin(scenarios::prompt);
    specdec::speculative_generate(text, target, drafter);
    return std::pair(tokens(text.generated().begin(), text.generated().end()), text.stats().accepted);
  };
  specdec::no_draft nothing;
  const auto plain = text_of(nothing).first;
  scenarios::pool_model draft = scenarios::draft_model;
  specdec::model_drafter alone(draft, constant{4});
  const auto without_guesses = text_of(alone);
  scenarios::pool_model middle = scenarios::draft_model;
  scenarios::pool_model cheap(3);
  cascade_drafter drafter(middle, specdec::model_drafter(cheap, constant{3}), constant{4});
  const auto with_guesses = text_of(drafter);
  EXPECT_EQ(with_guesses.first, plain);
  // It drafts what the model alone would.
  EXPECT_EQ(with_guesses.second, without_guesses.second);
  EXPECT_GT(drafter.counts().kept, 20U);
}

/// Tells no vocabulary, and proposes tokens over another one than it was asked for.
struct foreign {
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    if (request.max_depth > 0) answer.extend(specdec::root, specdec::proposal::point_mass(4, 3), chance);
  }
};

TEST(cascade, says_what_is_wrong) {
  testing::law_model model(3, laws::hashed(3, 2));
  const tokens counted{0, 1, 2, 3};
  const specdec::ngram_table table(4, counted);
  EXPECT_THROW(cascade_drafter(model, specdec::ngram_drafter(table)), std::invalid_argument);
  testing::law_model target(3, laws::hashed(3, 1));
  cascade_drafter guessing(model, foreign{});
  EXPECT_THROW(specdec::speculative_generate(target, guessing, prompt), std::invalid_argument);
  // A model that returns too few rows.
  testing::faulty_model short_of_rows(testing::law_model(3, laws::hashed(3, 2)),
                                      {testing::fault_kind::too_few_rows, 2});
  cascade_drafter drafter(short_of_rows, fixed_drafter{{1, 1, 1}, 2});
  EXPECT_THROW(specdec::speculative_generate(target, drafter, prompt), std::invalid_argument);
}

}  // namespace
