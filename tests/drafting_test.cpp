// What a length policy is asked while a model drafts, and what it and the drafter are told of the rounds.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace {

using specdec::token_id;
using specdec::testing::law_model;

constexpr std::size_t vocab = 5;
const std::vector<token_id> prompt{1, 2};

/// What a policy hears, in order.
struct diary {
  std::vector<std::string> lines;
  std::vector<double> highest;
  std::vector<double> drawn;
};

/// Ends drafts by what it is asked, and writes everything down.
struct writing_policy {
  static constexpr bool reads_clock = false;

  diary* heard;
  std::size_t gamma = 4;
  double least_highest = 0;
  double least_drawn = 0;

  std::size_t depth(const specdec::draft_request&) {
    heard->lines.emplace_back("depth");
    return gamma;
  }
  bool draws(double highest) {
    heard->highest.push_back(highest);
    return highest >= least_highest;
  }
  bool goes_on(double probability) {
    heard->drawn.push_back(probability);
    return probability >= least_drawn;
  }
  void observe(const specdec::outcome& out) {
    heard->lines.push_back("observe " + std::to_string(out.accepted) + " of " + std::to_string(out.drafted.size()));
  }
};

static_assert(specdec::EndsBeforeToken<writing_policy> && specdec::EndsBehindToken<writing_policy>);
static_assert(!specdec::EndsBeforeToken<specdec::constant> && !specdec::Observes<specdec::constant>);
static_assert(specdec::Observes<specdec::any_drafter>);

auto model_of(std::uint64_t seed) { return law_model(vocab, laws::hashed(vocab, seed, 0.6)); }

/// One draft behind the prompt.
template <class Policy>
specdec::draft drafted(Policy policy, const specdec::model_drafter_options& options,
                       const specdec::sampling_params& target) {
  auto model = model_of(7);
  specdec::model_drafter drafter(model, policy, options);
  specdec::law law(vocab, target);
  specdec::philox chance(3);
  const specdec::draft_request request{.context = prompt, .max_depth = 8, .max_nodes = 8, .target_law = &law};
  specdec::draft answer;
  answer.begin(request);
  drafter.propose(request, chance, answer);
  return answer;
}

laws::probabilities law_behind(const specdec::draft& answer, std::size_t depth, double temperature) {
  std::vector<token_id> text = prompt;
  text.insert(text.end(), answer.tokens().begin(), answer.tokens().begin() + static_cast<std::ptrdiff_t>(depth));
  return laws::at_temperature(laws::hashed(vocab, 7, 0.6), temperature)(text);
}

void expect_probabilities(const diary& heard, const specdec::draft& answer, double temperature) {
  ASSERT_EQ(heard.highest.size(), answer.size());
  ASSERT_EQ(heard.drawn.size(), answer.size());
  for (std::size_t i = 0; i < answer.size(); ++i) {
    const laws::probabilities q = law_behind(answer, i, temperature);
    EXPECT_NEAR(heard.highest[i], *std::max_element(q.begin(), q.end()), 1e-6);
    EXPECT_NEAR(heard.drawn[i], q[static_cast<std::size_t>(answer.tokens()[i])], 1e-6);
  }
}

TEST(policy_hooks, hear_the_probabilities_of_the_law_that_is_drawn_from) {
  diary heard;
  const auto answer = drafted(writing_policy{&heard}, {}, {.temperature = 0.7});
  expect_probabilities(heard, answer, 0.7);
  EXPECT_EQ(answer.size(), 4U);
}

// The cut to the top tokens serves storage; it would make every draft look surer than it is.
TEST(policy_hooks, hear_probabilities_before_the_cut_to_the_top_tokens) {
  diary heard;
  const auto answer = drafted(writing_policy{&heard}, {.top = 1}, {.temperature = 0.7});
  expect_probabilities(heard, answer, 0.7);
}

TEST(policy_hooks, hear_the_softmax_of_a_greedy_law) {
  diary heard;
  const auto answer = drafted(writing_policy{&heard}, {}, {.temperature = 0, .top_k = 2, .top_p = 0.5});
  expect_probabilities(heard, answer, 1.0);
}

// Of a law of the draft's own, too, and in the first round.
TEST(policy_hooks, hear_the_softmax_of_a_greedy_law_of_the_drafts_own) {
  const specdec::sampling_params greedy{.temperature = 0};
  for (const double temperature : {0.0, 0.7}) {
    diary heard;
    const auto answer = drafted(writing_policy{&heard}, {.sampling = greedy}, {.temperature = temperature});
    expect_probabilities(heard, answer, 1.0);
    EXPECT_EQ(answer.size(), 4U);
  }
}

/// Writes down the entropies that it is asked about, and stops a draft there once.
struct entropy_policy {
  static constexpr bool reads_clock = false;

  std::vector<double>* heard;
  std::size_t gamma = 4;
  double most = 100;

  std::size_t depth(const specdec::draft_request&) const { return gamma; }
  bool draws_at_entropy(double nats) {
    heard->push_back(nats);
    return nats <= most;
  }
};

static_assert(specdec::EndsBeforeEntropy<entropy_policy> && !specdec::EndsBeforeEntropy<writing_policy>);

double entropy_of(const laws::probabilities& q) {
  double sum = 0;
  for (const double p : q) sum -= p > 0 ? p * std::log(p) : 0;
  return sum;
}

TEST(policy_hooks, hear_the_entropy_of_the_law_before_the_cut_to_the_top_tokens) {
  // A greedy law has none: then it is that of what the choice is made from.
  for (const double temperature : {0.7, 0.0}) {
    for (const std::size_t top : {0U, 1U, 64U}) {
      std::vector<double> heard;
      const auto answer = drafted(entropy_policy{&heard}, {.top = top}, {.temperature = temperature});
      ASSERT_EQ(heard.size(), 4U);
      for (std::size_t i = 0; i < heard.size(); ++i) {
        EXPECT_NEAR(heard[i], entropy_of(law_behind(answer, i, temperature > 0 ? temperature : 1)), 1e-6);
      }
    }
  }
}

TEST(policy_hooks, end_a_draft_before_a_law_of_high_entropy) {
  std::vector<double> all, some;
  (void)drafted(entropy_policy{&all}, {}, {});
  entropy_policy policy{&some};
  policy.most = std::max(all[0], all[1]) - 1e-9;
  const std::size_t ended = all[0] > all[1] ? 0 : 1;
  EXPECT_EQ(drafted(policy, {}, {}).size(), ended);
  EXPECT_EQ(some.size(), ended + 1);
}

TEST(policy_hooks, end_a_draft_before_a_token) {
  diary all, some;
  (void)drafted(writing_policy{&all}, {}, {});
  // Just above the second answer, which must not be lower than the first for the first to pass.
  writing_policy policy{&some};
  policy.least_highest = std::min(all.highest[0], all.highest[1]) + 1e-9;
  const auto answer = drafted(policy, {}, {});
  const std::size_t ended = all.highest[0] < all.highest[1] ? 0 : 1;
  EXPECT_EQ(answer.size(), ended);
  EXPECT_EQ(some.highest.size(), ended + 1);
  EXPECT_EQ(some.drawn.size(), ended);
}

TEST(policy_hooks, end_a_draft_behind_a_token_that_stays) {
  diary heard;
  writing_policy policy{&heard};
  policy.least_drawn = 2;
  const auto answer = drafted(policy, {}, {});
  EXPECT_EQ(answer.size(), 1U);
  EXPECT_EQ(heard.drawn.size(), 1U);
}

// The law of the text is the target's, although the length of every draft depends on the tokens drawn.
TEST(policy_hooks, keep_the_law_of_the_text) {
  for (const double temperature : {0.0, 0.8}) {
    const auto target = laws::hashed(3, 11);
    const auto draft_law = laws::hashed(3, 11, 0.5);  // the same modes
    diary heard;
    writing_policy policy{&heard, 2};
    policy.least_highest = 0.4;
    policy.least_drawn = 0.5;
    const auto found = specdec::testing::enumerate(3, {0}, target, laws::at_temperature(target, temperature),
                                                   [&] { return laws::drafter_over(3, draft_law, policy, {.top = 0}); },
                                                   specdec::rejection{}, {.sampling = {.temperature = temperature}},
                                                   {.rounds = 2, .length = 4});
    EXPECT_LT(found.total_variation(), 1e-12);
    EXPECT_GT(found.expected_accepted, 0.1);
    const auto lowest = *std::min_element(heard.drawn.begin(), heard.drawn.end());
    EXPECT_LT(lowest, 0.5) << "no draft was ended";
  }
}

TEST(observation, tells_every_committed_round_before_the_sink) {
  auto target = model_of(5);
  auto draft_model = model_of(6);
  diary heard;
  specdec::model_drafter drafter(draft_model, writing_policy{&heard});
  std::vector<std::string> sunk;
  const auto sink = [&](const specdec::outcome& out) {
    sunk.push_back("observe " + std::to_string(out.accepted) + " of " + std::to_string(out.drafted.size()));
    EXPECT_EQ(heard.lines.back(), sunk.back());
  };
  const auto result = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 30, .seed = 2}, sink);
  EXPECT_EQ(sunk.size(), result.stats.rounds);
  std::erase(heard.lines, "depth");
  EXPECT_EQ(heard.lines, sunk);
}

TEST(observation, passes_through_an_erased_drafter) {
  auto target = model_of(5);
  auto draft_model = model_of(6);
  diary heard;
  specdec::any_drafter drafter = specdec::model_drafter(draft_model, writing_policy{&heard});
  const auto result = specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 30, .seed = 2});
  EXPECT_EQ(static_cast<std::size_t>(std::count(heard.lines.begin(), heard.lines.end(), "depth")), result.stats.rounds);
  EXPECT_EQ(heard.lines.size(), 2 * result.stats.rounds);
}

// A round that failed was none: it is begun again, and told of once.
TEST(observation, hears_nothing_of_a_round_that_failed) {
  auto draft_model = model_of(6);
  auto sound = model_of(5);
  diary expected;
  specdec::model_drafter undisturbed(draft_model, writing_policy{&expected});
  specdec::session text(vocab, {.max_tokens = 20, .seed = 2});
  text.begin(prompt);
  specdec::speculative_generate(text, sound, undisturbed);

  for (const auto kind : {specdec::testing::fault_kind::throw_before, specdec::testing::fault_kind::nan}) {
    specdec::testing::faulty_model target(model_of(5), specdec::testing::fault{kind, 3});
    diary heard;
    specdec::model_drafter drafter(draft_model, writing_policy{&heard});
    specdec::session again(vocab, {.max_tokens = 20, .seed = 2});
    again.begin(prompt);
    EXPECT_THROW(specdec::speculative_generate(again, target, drafter), std::runtime_error);
    again.resume();
    specdec::speculative_generate(again, target, drafter);
    EXPECT_TRUE(std::equal(text.tokens().begin(), text.tokens().end(), again.tokens().begin(), again.tokens().end()));
    EXPECT_EQ(heard.lines.size(), expected.lines.size() + 1) << "one depth() more";
    std::erase(heard.lines, "depth");
    auto told = expected.lines;
    std::erase(told, "depth");
    EXPECT_EQ(heard.lines, told);
  }
}

TEST(observation, of_a_batch_hears_nothing_of_a_round_that_failed) {
  using specdec::testing::fault;
  using specdec::testing::fault_kind;
  const auto heard_with = [](const fault& planned) {
    diary heard;
    std::vector<specdec::testing::faulty_model<decltype(model_of(5))>> models;
    models.emplace_back(model_of(5), planned);
    specdec::separate_sequences target(std::move(models));
    specdec::separate_sequences draft(std::vector{model_of(6)});
    specdec::batch_model_drafter drafter(draft, writing_policy{&heard});
    specdec::session_batch batch(target, drafter);
    specdec::session text(vocab, {.max_tokens = 20, .seed = 2});
    text.begin(prompt);
    batch.join(text);
    std::size_t failures = 0;
    while (text.status() != specdec::session_status::max_tokens) {
      try {
        batch.round();
      } catch (const std::runtime_error&) {
        ++failures;
      }
      if (text.status() != specdec::session_status::failed) continue;
      ++failures;
      text.resume();
    }
    EXPECT_EQ(failures, planned.kind == fault_kind::none ? 0U : 1U);
    std::erase(heard.lines, "depth");
    return heard.lines;
  };
  const auto expected = heard_with({fault_kind::none, 3});
  EXPECT_GT(expected.size(), 4U);
  EXPECT_EQ(heard_with({fault_kind::throw_before, 3}), expected);
  EXPECT_EQ(heard_with({fault_kind::nan, 3}), expected);
}

}  // namespace
