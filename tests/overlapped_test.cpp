// Drafting while the target scores: the law of the text, its independence of time, and what is gained.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <specdec/adapters/background_thread.hpp>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "laws.hpp"
#include "message_of.hpp"
#include "still_model.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::draft_ahead;
using specdec::token_id;
using testing::law_model;

static_assert(specdec::Executor<specdec::background_thread> && specdec::Executor<specdec::one_after_the_other>);
static_assert(specdec::RoundLink<specdec::background_thread::link>);

constexpr double tolerance = 1e-12;
constexpr std::size_t all = specdec::ahead_options{}.first;
const std::vector<token_id> prompt{0, 1};

std::vector<token_id> ids(std::span<const token_id> tokens) { return {tokens.begin(), tokens.end()}; }

// --- the token behind a draft, coupled with a guess ------------------------------------------------------------------

struct coupling {
  std::vector<double> law;
  double guessed = 0;
};

/// The law of the token that `make(chance, guess)` draws from p, guesses being drawn from q.
template <class Make>
coupling law_of_coupled(const std::vector<double>& p, const std::vector<float>& q, Make&& make) {
  std::vector<double> logits;
  for (const double x : p) logits.push_back(std::log(x));
  specdec::law pipeline(p.size(), {});
  coupling found{std::vector<double>(p.size()), 0};
  testing::outcome_tree tree;
  do {
    testing::enumerating_chance chance(tree);
    specdec::draft guess;
    guess.begin({.context = prompt, .round = 3});
    guess.extend(specdec::root, specdec::proposal::dense(q), chance);
    const auto law = pipeline.of(specdec::logits_row<double>(logits.data(), logits.size()));
    const token_id next = make(chance, guess).draw(guess.key_of(1, specdec::purpose::bonus), law);
    found.law[static_cast<std::size_t>(next)] += tree.weight();
    if (next == guess.token(1)) found.guessed += tree.weight();
  } while (tree.next());
  return found;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / 2;
}

TEST(guessing_chance, draws_the_target_s_token_and_mostly_the_guess) {
  // Sixteenths are exact in float: sum min(p, q) = 11/16.
  const std::vector<double> p{8.0 / 16, 5.0 / 16, 3.0 / 16};
  const std::vector<float> q{3.0F / 16, 5.0F / 16, 8.0F / 16};
  const auto coupled =
      law_of_coupled(p, q, [](auto& chance, const auto& guess) { return specdec::guessing_chance(chance, guess); });
  EXPECT_LT(distance(coupled.law, p), tolerance);
  EXPECT_NEAR(coupled.guessed, 11.0 / 16, tolerance);
  const auto alone = law_of_coupled(p, q, [](auto& chance, const auto&) { return chance; });
  EXPECT_LT(distance(alone.law, p), tolerance);
  EXPECT_LT(alone.guessed, 0.35);
}

/// A guess that is replaced by a token from p, not from what it leaves of p.
struct unscaled_chance {
  testing::enumerating_chance& chance;
  const specdec::draft& guess;
  token_id draw(const specdec::key&, const auto& p) const {
    const token_id x = guess.token(1);
    if (chance.accept(guess.key_of(1, specdec::purpose::accept), p.probability(x), guess.law_of(1).probability(x))) {
      return x;
    }
    return chance.draw(guess.key_of(1, specdec::purpose::residual), p);
  }
};

TEST(guessing_chance, would_be_off_without_the_residual) {
  const auto mutant = law_of_coupled({8.0 / 16, 5.0 / 16, 3.0 / 16}, {3, 5, 8}, [](auto& chance, const auto& guess) {
    return unscaled_chance{chance, guess};
  });
  EXPECT_GT(distance(mutant.law, {8.0 / 16, 5.0 / 16, 3.0 / 16}), 0.05);
}

TEST(guessing_chance, couples_nothing_without_a_guess_or_elsewhere) {
  const specdec::philox chance(5);
  specdec::draft guess;
  guess.begin({.context = prompt});
  const std::vector<float> logits{1, 2, 3, 0};
  specdec::law pipeline(4, {});
  const auto p = pipeline.of(specdec::logits_row<float>(logits.data(), 4));
  const specdec::key name = guess.key_of(1, specdec::purpose::bonus);
  EXPECT_EQ(specdec::guessing_chance(chance, guess).draw(name, p), chance.draw(name, p));
  specdec::philox drawing(5);
  guess.extend(specdec::root, specdec::proposal::point_mass(4, 3), drawing);
  const specdec::key other = guess.key_of(2, specdec::purpose::bonus);
  EXPECT_EQ(specdec::guessing_chance(chance, guess).draw(other, p), chance.draw(other, p));
  const specdec::key draws = guess.key_of(1, specdec::purpose::draft);
  EXPECT_EQ(specdec::guessing_chance(chance, guess).draw(draws, p), chance.draw(draws, p));
}

// --- the law of the text ---------------------------------------------------------------------------------------------

/// Scores as soon as there is a guess, so that drafting knows whether it is of use: no noise is drawn that is not used,
/// and the oracle can tell if any is used twice.
struct scoring_at_the_announcement {
  template <class Scoring>
  struct link {
    Scoring& scoring;
    bool is_cancelled = false;
    void announce() { scoring(*this); }
    void await() const {}
    void cancel() { is_cancelled = true; }
    [[nodiscard]] bool cancelled() const { return is_cancelled; }
  };

  template <class Drafting, class Scoring>
  void run(Drafting&& drafting, Scoring&& scoring) const {
    link<std::remove_reference_t<Scoring>> between{scoring};
    drafting(between);
  }
};

struct found_law {
  double total_variation = 0;
  std::size_t runs = 0;
};

/// Enumerates `rounds` overlapped rounds, as `testing::enumerate` does plain ones.
template <class Rule>
found_law enumerate_overlapped(std::size_t vocab_size, std::size_t gamma, std::size_t first, double temperature,
                               const Rule& rule, std::size_t rounds, std::size_t length, std::size_t top = 0) {
  const auto p = laws::hashed(vocab_size, 41, 0.8);
  const auto q = laws::hashed(vocab_size, 41, 0.5);
  const auto target_law = laws::at_temperature(p, temperature);
  std::map<std::vector<token_id>, double> texts;
  found_law found;
  testing::outcome_tree tree;
  do {
    specdec::session text(vocab_size, {.max_tokens = length + 64, .sampling = {temperature}}, rule,
                          testing::enumerating_chance(tree));
    law_model target(vocab_size, p);
    law_model draft(vocab_size, q);
    specdec::model_drafter drafter(draft, specdec::constant{gamma}, {.top = top});
    draft_ahead ahead(drafter, {.first = first});
    scoring_at_the_announcement executor;
    text.begin(prompt);
    specdec::overlapped_generate(text, target, ahead, executor, [&](const specdec::outcome& out) {
      return out.round + 1 < rounds && text.generated().size() < length;
    });
    const auto emitted = text.generated().first(std::min(text.generated().size(), length));
    texts[ids(emitted)] += tree.weight();
    ++found.runs;
  } while (tree.next());

  testing::joint_law emitted_law(static_cast<std::size_t>(std::pow(vocab_size, length)));
  for (const auto& [emitted, weight] : texts) {
    std::size_t index = 0;
    for (const token_id token : emitted) index = index * vocab_size + static_cast<std::size_t>(token);
    std::vector<token_id> whole = prompt;
    whole.insert(whole.end(), emitted.begin(), emitted.end());
    const auto rest = testing::joint_law_of(vocab_size, length - emitted.size(), std::move(whole), target_law);
    for (std::size_t i = 0; i < rest.size(); ++i) emitted_law[index * rest.size() + i] += weight * rest[i];
  }
  found.total_variation = distance(emitted_law, testing::joint_law_of(vocab_size, length, prompt, target_law));
  return found;
}

TEST(overlapped, keeps_the_law_of_the_text) {
  for (const double temperature : {0.0, 0.7, 1.0}) {
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}, all}) {
      for (const std::size_t gamma : {1U, 2U}) {
        const auto found = enumerate_overlapped(2, gamma, first, temperature, specdec::rejection{}, 4 - gamma, 5);
        EXPECT_LT(found.total_variation, tolerance) << temperature << ", first " << first << ", gamma " << gamma;
        if (temperature > 0) {
          EXPECT_GT(found.runs, 20U);
        }
      }
      EXPECT_LT(enumerate_overlapped(3, 1, first, temperature, specdec::rejection{}, 2, 4, 2).total_variation,
                tolerance);
    }
  }
  EXPECT_LT(enumerate_overlapped(3, 2, 0, 1, specdec::rejection{}, 2, 4).total_variation, tolerance);
}

TEST(overlapped, keeps_the_law_of_the_text_under_other_rules) {
  for (const std::size_t first : {std::size_t{0}, all}) {
    EXPECT_LT(enumerate_overlapped(2, 2, first, 1, specdec::block_verification{}, 2, 5).total_variation, tolerance);
    EXPECT_LT(enumerate_overlapped(2, 2, first, 0.7, specdec::naive_sampling{}, 2, 5).total_variation, tolerance);
  }
}

// 20,000 texts of 3 tokens from 3, by two threads. Chi-square with 26 degrees of freedom exceeds 85 with a probability
// of 4e-8; the seeds are fixed.
TEST(overlapped, draws_texts_by_their_law_in_two_threads) {
  constexpr std::size_t count = 20'000;
  constexpr std::size_t length = 3;
  const auto p = laws::hashed(3, 51, 0.5);
  law_model target(3, p);
  law_model draft(3, laws::hashed(3, 51, 0.3));
  specdec::model_drafter drafter(draft, specdec::constant{1});
  specdec::background_thread second;
  for (const std::size_t first : {std::size_t{0}, all}) {
    std::vector<double> counts(27);
    for (std::size_t seed = 0; seed < count; ++seed) {
      draft_ahead ahead(drafter, {.first = first});
      specdec::session text(3, {.max_tokens = length, .seed = seed});
      text.begin(prompt);
      specdec::overlapped_generate(text, target, ahead, second);
      std::size_t index = 0;
      for (const token_id token : text.generated()) index = index * 3 + static_cast<std::size_t>(token);
      ++counts[index];
    }
    const auto law = testing::joint_law_of(3, length, prompt, p);
    double chi_square = 0;
    for (std::size_t i = 0; i < law.size(); ++i) {
      const double expected = static_cast<double>(count) * law[i];
      chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi_square, 85) << "first " << first;
  }
}

// --- the text depends on nothing but the seed ------------------------------------------------------------------------

constexpr std::size_t vocab_size = 6;

auto target_model() { return law_model(vocab_size, laws::hashed(vocab_size, 61, 0.7)); }
auto draft_model() { return law_model(vocab_size, laws::hashed(vocab_size, 61, 0.55)); }

/// Never two tokens of one parity in a row, but for token 0.
struct alternating {
  std::vector<token_id> taken;
  [[nodiscard]] bool allows(token_id token) const {
    return token == 0 || taken.empty() || taken.back() % 2 != token % 2;
  }
  void fill(std::span<std::uint32_t> words) const {
    for (token_id t = 0; t < static_cast<token_id>(vocab_size); ++t) words[0] |= allows(t) ? 1U << t : 0U;
  }
  void advance(token_id token) { taken.push_back(token); }
  void rollback(std::size_t n) { taken.resize(taken.size() - n); }
};

template <class Executor, class Rule = specdec::rejection>
std::pair<std::vector<token_id>, std::string> overlapped_text(Executor&& executor,
                                                              const specdec::generate_options& options,
                                                              std::size_t gamma, std::size_t first, Rule rule = {}) {
  auto target = target_model();
  auto draft = draft_model();
  specdec::model_drafter drafter(draft, specdec::constant{gamma});
  draft_ahead ahead(drafter, {.first = first});
  specdec::session text(vocab_size, options, rule);
  text.begin(prompt);
  specdec::overlapped_generate(text, target, ahead, executor);
  auto stats = text.stats();
  stats.draft_seconds = stats.target_seconds = stats.verify_seconds = 0;
  return {ids(text.tokens()), to_json(stats)};
}

std::vector<specdec::generate_options> many_options() {
  return {{.max_tokens = 80, .seed = 3},
          {.max_tokens = 80, .sampling = {.temperature = 0}},
          {.max_tokens = 80, .sampling = {.temperature = 0.8, .repetition_penalty = 1.2}, .seed = 4},
          {.max_tokens = 80, .end_tokens = {5}, .seed = 5, .min_tokens = 7},
          {.max_tokens = 80, .seed = 6, .stop_sequences = {{2, 3}}},
          {.max_tokens = 80, .seed = 7, .mask = alternating{}}};
}

TEST(overlapped, writes_the_same_text_whatever_runs_it) {
  specdec::background_thread second;
  for (const specdec::generate_options& options : many_options()) {
    for (const std::size_t gamma : {0U, 1U, 3U, 6U}) {
      for (const std::size_t first : {std::size_t{0}, std::size_t{2}, all}) {
        const auto expected = overlapped_text(specdec::one_after_the_other{}, options, gamma, first);
        EXPECT_EQ(overlapped_text(scoring_at_the_announcement{}, options, gamma, first), expected) << gamma;
        for (int i = 0; i < 3; ++i) EXPECT_EQ(overlapped_text(second, options, gamma, first), expected) << gamma;
      }
    }
  }
}

TEST(overlapped, writes_the_greedy_text) {
  auto target = target_model();
  const specdec::generate_options options{.max_tokens = 120, .sampling = {.temperature = 0}};
  const auto plain = specdec::autoregressive_generate(target, prompt, options);
  std::vector<token_id> expected = prompt;
  for (const auto& token : plain.tokens) expected.push_back(token.id);
  specdec::background_thread second;
  for (const std::size_t gamma : {1U, 2U, 5U}) {
    for (const std::size_t first : {std::size_t{0}, all}) {
      EXPECT_EQ(overlapped_text(second, options, gamma, first).first, expected);
    }
  }
}

// With noise that belongs to the place, the text is plain decoding's at any temperature.
TEST(overlapped, writes_the_text_of_plain_decoding_under_the_coupled_rule) {
  auto target = target_model();
  const specdec::generate_options options{.max_tokens = 120, .seed = 9};
  specdec::session plain(vocab_size, options, specdec::coupled{});
  plain.begin(prompt);
  specdec::no_draft nothing;
  specdec::speculative_generate(plain, target, nothing);
  specdec::background_thread second;
  for (const std::size_t gamma : {1U, 4U}) {
    for (const std::size_t first : {std::size_t{0}, all}) {
      EXPECT_EQ(overlapped_text(second, options, gamma, first, specdec::coupled{}).first, ids(plain.tokens()));
    }
  }
}

/// Even tokens only; refuses to be led over others, and to be asked anything behind token 4, which ends the text.
struct strict {
  bool knows_the_end = false;
  std::vector<token_id> taken = {};

  [[nodiscard]] bool allows(token_id token) const {
    require_a_question();
    return token % 2 == 0;
  }
  void fill(std::span<std::uint32_t> words) const {
    require_a_question();
    words[0] = 0b010101;
  }
  void advance(token_id token) {
    if (!allows(token)) throw std::logic_error("led over a token that is not allowed");
    taken.push_back(token);
  }
  void rollback(std::size_t n) { taken.resize(taken.size() - n); }

 private:
  void require_a_question() const {
    if (knows_the_end && !taken.empty() && taken.back() == 4) throw std::logic_error("asked behind the end");
  }
};

/// Drafts with a model at times, and at others what comes to its mind, whatever mask and end say.
template <class Drafter>
struct careless_at_times {
  Drafter* drafter;
  std::size_t depth;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    const std::size_t size = request.context.size();
    if (size % 3 != 0) return drafter->propose(request, chance, answer);
    for (std::size_t i = 0; i < std::min({depth, request.max_depth, request.max_nodes}); ++i) {
      const auto token = static_cast<token_id>((size / 3 + i * i) % vocab_size);
      answer.extend(static_cast<specdec::node_id>(i), specdec::proposal::point_mass(vocab_size, token), chance);
    }
  }
};

TEST(overlapped, leads_a_mask_over_nothing_that_it_forbids) {
  specdec::background_thread second;
  for (const bool ends : {false, true}) {
    for (const std::size_t depth : {1U, 2U, 4U}) {
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        const specdec::generate_options options{.max_tokens = 60,
                                                .end_tokens = ends ? std::vector<token_id>{4} : std::vector<token_id>{},
                                                .seed = seed,
                                                .min_tokens = ends ? seed * 4 : 0,
                                                .mask = strict{ends}};
        auto target = target_model();
        auto draft = draft_model();
        specdec::model_drafter drafter(draft, specdec::constant{depth});
        careless_at_times<decltype(drafter)> careless{&drafter, depth};
        specdec::session plain(vocab_size, options, specdec::coupled{});
        plain.begin(prompt);
        specdec::speculative_generate(plain, target, careless);
        const auto text_by = [&](auto&& executor, std::size_t first) {
          draft_ahead ahead(careless, {.first = first});
          specdec::session text(vocab_size, options, specdec::coupled{});
          text.begin(prompt);
          target.truncate(0);
          EXPECT_EQ(message_of([&] { specdec::overlapped_generate(text, target, ahead, executor); }), "no exception");
          return ids(text.tokens());
        };
        for (const std::size_t first : {std::size_t{0}, std::size_t{1}, all}) {
          EXPECT_EQ(text_by(specdec::one_after_the_other{}, first), ids(plain.tokens())) << seed << ", first " << first;
          EXPECT_EQ(text_by(scoring_at_the_announcement{}, first), ids(plain.tokens())) << seed << ", first " << first;
          EXPECT_EQ(text_by(second, first), ids(plain.tokens())) << seed << ", first " << first;
        }
      }
    }
  }
}

// --- what is drafted ahead -------------------------------------------------------------------------------------------

/// Counts how often each round was drafted for.
template <class Drafter>
struct counting_drafter {
  Drafter* drafter;
  std::map<std::uint32_t, int>* asked;
  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    ++(*asked)[request.round];
    drafter->propose(request, chance, answer);
  }
};

TEST(overlapped, never_waits_for_a_draft_that_is_always_right) {
  for (const specdec::any_mask& mask : {specdec::any_mask(), specdec::any_mask(strict{})}) {
    const auto law = laws::hashed(vocab_size, 71);
    law_model target(vocab_size, law);
    law_model draft(vocab_size, law);
    specdec::model_drafter drafter(draft, specdec::constant{3});
    std::map<std::uint32_t, int> asked;
    counting_drafter<decltype(drafter)> counting{&drafter, &asked};
    draft_ahead ahead(counting);
    specdec::one_after_the_other executor;
    specdec::session text(vocab_size, {.max_tokens = 40, .sampling = {.temperature = 0}, .mask = mask});
    text.begin(prompt);
    std::vector<std::size_t> committed;
    specdec::overlapped_generate(text, target, ahead, executor,
                                 [&](const specdec::outcome& out) { committed.push_back(out.committed); });
    EXPECT_EQ(committed, std::vector<std::size_t>(10, 4));
    // A round's draft and its guess; the last has no guess, since the text ends with it.
    EXPECT_EQ(asked.size(), 10U);
    for (const auto& [round, times] : asked) EXPECT_EQ(times, round < 9 ? 2 : 1) << round;
  }
}

TEST(overlapped, begins_with_a_call_at_once_where_it_is_told_to) {
  auto target = target_model();
  auto draft = draft_model();
  specdec::model_drafter drafter(draft, specdec::constant{3});
  draft_ahead ahead(drafter, {.first = 0});
  specdec::one_after_the_other executor;
  specdec::session text(vocab_size, {.max_tokens = 200, .seed = 2});
  text.begin(prompt);
  bool confirmed = false;
  std::size_t used = 0;
  specdec::overlapped_generate(text, target, ahead, executor, [&](const specdec::outcome& out) {
    if (!confirmed) {
      EXPECT_TRUE(out.drafted.empty()) << out.round;
    }
    used += out.drafted.empty() ? 0 : 1;
    confirmed =
        out.end == specdec::round_end::all_accepted && !ahead.guess().empty() && out.next == ahead.guess().token(1);
  });
  EXPECT_GT(used, 10U);
}

// --- interruptions ---------------------------------------------------------------------------------------------------

/// The text, interrupted where the faults say, and how often it was.
template <class Executor>
std::pair<std::vector<token_id>, int> interrupted_text(Executor& executor, std::size_t first, bool keeps_ahead,
                                                       const testing::fault& of_target,
                                                       const testing::fault& of_draft) {
  testing::faulty_model target(target_model(), of_target);
  testing::faulty_model draft(draft_model(), of_draft);
  specdec::model_drafter drafter(draft, specdec::constant{3});
  draft_ahead kept(drafter, {.first = first});
  specdec::session text(vocab_size, {.max_tokens = 120, .seed = 4});
  text.begin(prompt);
  int interrupted = 0;
  for (int i = 0; i < 4 && text.status() != specdec::session_status::max_tokens; ++i) {
    draft_ahead fresh(drafter, {.first = first});
    try {
      specdec::overlapped_generate(text, target, keeps_ahead ? kept : fresh, executor);
    } catch (const std::exception&) {
      ++interrupted;
      text.resume();
    }
  }
  return {ids(text.tokens()), interrupted};
}

TEST(overlapped, goes_on_to_the_same_text_after_any_exception) {
  specdec::background_thread second;
  specdec::one_after_the_other alone;
  for (const bool keeps_ahead : {true, false}) {
    // What is known of the next round is in the object, unless the target always waits for a draft.
    const std::size_t first = keeps_ahead ? 0 : all;
    const auto expected = interrupted_text(alone, first, keeps_ahead, {}, {});
    EXPECT_EQ(expected.second, 0);
    for (const auto kind :
         {testing::fault_kind::throw_before, testing::fault_kind::throw_midway, testing::fault_kind::throw_after}) {
      for (std::size_t call = 1; call <= 24; ++call) {
        const testing::fault planned{kind, call};
        for (const bool of_target : {true, false}) {
          const testing::fault none;
          const auto threaded =
              interrupted_text(second, first, keeps_ahead, of_target ? planned : none, of_target ? none : planned);
          EXPECT_EQ(threaded.first, expected.first) << (of_target ? "target" : "draft") << ", call " << call;
          const auto single =
              interrupted_text(alone, first, keeps_ahead, of_target ? planned : none, of_target ? none : planned);
          EXPECT_EQ(single, std::pair(expected.first, 1)) << (of_target ? "target" : "draft") << ", call " << call;
        }
      }
    }
  }
}

struct throwing_drafter {
  void propose(const specdec::draft_request& request, auto&, specdec::draft&) {
    if (request.max_depth == 1) throw std::runtime_error("the draft's");
  }
};

TEST(overlapped, drafts_anew_where_the_prompt_has_come_to_end_elsewhere) {
  // What follows the prompt is penalised, and the mask begins behind it.
  const specdec::generate_options options{
      .max_tokens = 60,
      .sampling = {.repetition_penalty = 2, .penalize_prompt = false},
      .seed = 4,
      .mask = alternating{},
  };
  for (std::size_t call = 1; call < 12; ++call) {
    const auto text_of = [&](bool keeps_ahead) {
      testing::faulty_model target(target_model(), {.kind = testing::fault_kind::throw_before, .call = call});
      auto draft = draft_model();
      specdec::model_drafter drafter(draft, specdec::constant{3});
      draft_ahead first(drafter), second(drafter);
      specdec::one_after_the_other executor;
      specdec::session text(vocab_size, options);
      text.begin(prompt);
      EXPECT_THROW(specdec::overlapped_generate(text, target, first, executor), std::exception);
      text.append({});
      specdec::overlapped_generate(text, target, keeps_ahead ? first : second, executor);
      return ids(text.tokens());
    };
    EXPECT_EQ(text_of(true), text_of(false)) << "call " << call;
  }
}

/// Guesses one token, whatever comes.
struct guesses_zero {
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) const {
    if (request.max_depth == 0) return;
    answer.extend(specdec::root, specdec::proposal::point_mass(vocab_size, 0), chance);
  }
};

TEST(overlapped, drafts_anew_for_another_limit_whatever_was_drafted) {
  // A cascade draws the last token of a draft without a guess, so with other noise: to keep a draft where it happens
  // to fit, and to draw it anew where it does not, would favour what ends early.
  const specdec::law ending(vocab_size, {}, {{5}, 0});
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const specdec::philox chance(seed);
    auto draft = draft_model(), other_draft = draft_model();
    specdec::cascade_drafter drafter(draft, guesses_zero{}, specdec::constant{2}, {.top = 0});
    specdec::cascade_drafter other(other_draft, guesses_zero{}, specdec::constant{2}, {.top = 0});
    draft_ahead ahead(drafter);
    specdec::draft_request request{
        .context = prompt, .max_depth = 2, .max_nodes = 2, .target_law = &ending, .prompt_size = 2};
    (void)ahead.begin(request, chance);
    request.max_depth = request.max_nodes = 1;
    specdec::draft expected;
    expected.begin(request);
    other.propose(request, chance, expected);
    EXPECT_EQ(ids(ahead.begin(request, chance).tokens()), ids(expected.tokens())) << seed;
  }
}

TEST(overlapped, lets_the_target_s_exception_pass_where_both_throw) {
  testing::faulty_model target(target_model(), {testing::fault_kind::throw_before, 1});
  throwing_drafter drafter;
  draft_ahead ahead(drafter);
  specdec::background_thread second;
  specdec::session text(vocab_size, {.max_tokens = 20});
  text.begin(prompt);
  const auto message = [&]() -> std::string {
    try {
      specdec::overlapped_generate(text, target, ahead, second);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "nothing";
  };
  EXPECT_NE(message(), "the draft's");
  EXPECT_EQ(message(), "the draft's");
  EXPECT_TRUE(text.generated().empty());
  EXPECT_TRUE(text.running());
}

TEST(overlapped, stops_when_asked_to_and_goes_on) {
  struct countdown {
    mutable int left;
    [[nodiscard]] bool stop_requested() const { return left-- == 0; }
  };
  const auto expected = overlapped_text(specdec::one_after_the_other{}, {.max_tokens = 60, .seed = 4}, 3, 0).first;
  specdec::background_thread second;
  for (int questions = 0; questions < 20; ++questions) {
    auto target = target_model();
    auto draft = draft_model();
    specdec::model_drafter drafter(draft, specdec::constant{3});
    draft_ahead ahead(drafter, {.first = 0});
    specdec::session text(vocab_size, {.max_tokens = 60, .seed = 4});
    text.begin(prompt);
    const auto status =
        specdec::overlapped_generate(text, target, ahead, second, specdec::no_sink{}, countdown{questions});
    EXPECT_EQ(status, specdec::session_status::stopped);
    text.resume();
    specdec::overlapped_generate(text, target, ahead, second, [](const specdec::outcome&) { return false; });
    text.resume();
    specdec::overlapped_generate(text, target, ahead, second);
    EXPECT_EQ(ids(text.tokens()), expected) << questions;
  }
}

/// Branches where it has room, and does not say so.
struct undeclared_branches {
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    for (token_id token = 0; answer.size() < std::min(request.max_nodes, std::size_t{2}); ++token) {
      answer.extend(specdec::root, specdec::proposal::point_mass(vocab_size, token), chance);
    }
  }
};

TEST(overlapped, refuses_a_draft_that_branches) {
  auto target = target_model();
  undeclared_branches drafter;
  for (const std::size_t first : {std::size_t{0}, all}) {
    draft_ahead ahead(drafter, {.first = first});
    specdec::one_after_the_other executor;
    specdec::session text(vocab_size, {.max_tokens = 20}, specdec::naive_sampling{});
    text.begin(prompt);
    const auto message = [&] {
      return message_of([&] { specdec::overlapped_generate(text, target, ahead, executor); });
    };
    // A round that is made again is refused again.
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(message(), "specdec: expected a draft without branches, since only chains are drafted ahead");
    }
    EXPECT_TRUE(text.running());
  }
}

/// Takes the session's chance alone, as a drafter may.
struct of_one_chance {
  specdec::model_drafter<law_model<decltype(laws::hashed(vocab_size, 0, 0.0))>>* drafter;
  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    drafter->propose(request, chance, answer);
  }
};

TEST(overlapped, drafts_to_the_end_where_the_drafter_cannot_be_cancelled) {
  const specdec::generate_options options{.max_tokens = 60, .seed = 4};
  specdec::background_thread second;
  auto target = target_model();
  auto draft = draft_model();
  specdec::model_drafter drafter(draft, specdec::constant{3});
  of_one_chance narrow{&drafter};
  draft_ahead ahead(narrow);
  specdec::session text(vocab_size, options);
  text.begin(prompt);
  specdec::overlapped_generate(text, target, ahead, second);
  EXPECT_EQ(ids(text.tokens()), overlapped_text(second, options, 3, all).first);
}

TEST(overlapped, refuses_what_the_plain_loop_refuses) {
  auto target = target_model();
  law_model other(vocab_size + 1, laws::hashed(vocab_size + 1, 1));
  specdec::model_drafter drafter(other);
  draft_ahead ahead(drafter);
  specdec::one_after_the_other executor;
  specdec::session text(vocab_size, {.max_tokens = 20});
  EXPECT_THROW(specdec::overlapped_generate(text, target, ahead, executor), std::invalid_argument);
  auto draft = draft_model();
  specdec::model_drafter fitting(draft);
  draft_ahead good(fitting);
  EXPECT_THROW(specdec::overlapped_generate(text, target, good, executor), std::logic_error);
  testing::faulty_model broken(target_model(), {testing::fault_kind::nan, 2});
  text.begin(prompt);
  EXPECT_THROW(specdec::overlapped_generate(text, broken, good, executor), specdec::logits_error);
  EXPECT_EQ(text.status(), specdec::session_status::failed);
  text.resume();
  EXPECT_EQ(specdec::overlapped_generate(text, broken, good, executor), specdec::session_status::max_tokens);
}

/// Does not say over which vocabulary it proposes: from texts of some length on it is another. May throw behind its
/// proposal.
struct of_another_vocabulary {
  std::size_t from;
  token_id token;
  bool throws = false;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) const {
    if (request.max_depth == 0) return;
    const bool is_other = request.context.size() >= from;
    answer.extend(specdec::root,
                  specdec::proposal::point_mass(is_other ? 1'000'000 : vocab_size, is_other ? token : token_id{1}),
                  chance);
    if (is_other && throws) throw std::runtime_error("the draft's");
  }
};

TEST(overlapped, refuses_a_guess_over_another_vocabulary) {
  const auto expect_refused = [](auto&& executor, const of_another_vocabulary& wrong, const specdec::any_mask& mask,
                                 const std::string& message) {
    auto target = target_model();
    of_another_vocabulary drafter = wrong;
    // Where there is no draft yet, the guess is what is drafted first.
    draft_ahead ahead(drafter, {.first = wrong.from > prompt.size() ? all : 0});
    specdec::session text(vocab_size, {.max_tokens = 20, .mask = mask});
    text.begin(prompt);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(message_of([&] { specdec::overlapped_generate(text, target, ahead, executor); }), message);
    }
    EXPECT_TRUE(text.generated().empty());
    EXPECT_TRUE(text.running());
  };
  specdec::background_thread second;
  for (const specdec::any_mask& mask : {specdec::any_mask(), specdec::any_mask(alternating{})}) {
    for (const std::size_t from : {prompt.size(), prompt.size() + 1}) {
      for (const token_id token : {2, 999'999}) {
        for (const bool throws : {false, true}) {
          const of_another_vocabulary wrong{from, token, throws};
          const std::string message =
              throws ? "the draft's"
                     : "specdec: expected " + (token == 2 ? std::string("proposals over 6 tokens; the draft has one "
                                                                        "over 1000000")
                                                          : "tokens 0 to 5; the draft has token 999999");
          expect_refused(specdec::one_after_the_other{}, wrong, mask, message);
          expect_refused(scoring_at_the_announcement{}, wrong, mask, message);
          expect_refused(second, wrong, mask, message);
        }
      }
    }
  }
}

// --- time and memory -------------------------------------------------------------------------------------------------

/// A model whose calls take time, but no processor.
template <class Model>
class slow_model {
 public:
  slow_model(Model model, std::chrono::microseconds per_call) : model_(std::move(model)), per_call_(per_call) {}
  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  void truncate(std::size_t n) { model_.truncate(n); }
  auto decode(std::span<const token_id> tokens, std::size_t rows) {
    std::this_thread::sleep_for(per_call_);
    return model_.decode(tokens, rows);
  }

 private:
  Model model_;
  std::chrono::microseconds per_call_;
};

// Four drafted tokens of 1 ms and a call of 8 ms: a third of a round is drafting. The draft is right 9 times of 10.
TEST(overlapped, takes_less_time_than_its_two_sides_together) {
  using std::chrono::milliseconds;
  const auto law = laws::hashed(vocab_size, 81);
  const auto seconds = [&](auto&& generate) {
    const auto start = std::chrono::steady_clock::now();
    generate();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  slow_model target{law_model(vocab_size, law), milliseconds(8)};
  const auto wrong_at_times = [law](laws::text_view text) {
    return text.size() % 10 == 0 ? laws::probabilities{1, 0, 0, 0, 0, 0} : law(text);
  };
  slow_model draft{law_model(vocab_size, wrong_at_times), milliseconds(1)};
  const specdec::generate_options options{.max_tokens = 120, .sampling = {.temperature = 0}};
  specdec::model_drafter drafter(draft, specdec::constant{4});
  specdec::session plain(vocab_size, options), overlapped(vocab_size, options);
  plain.begin(prompt);
  overlapped.begin(prompt);
  const double plain_seconds = seconds([&] { specdec::speculative_generate(plain, target, drafter); });
  specdec::background_thread second;
  draft_ahead ahead(drafter);
  target.truncate(0);
  const double overlapped_seconds = seconds([&] { specdec::overlapped_generate(overlapped, target, ahead, second); });
  EXPECT_EQ(ids(plain.tokens()), ids(overlapped.tokens()));
  EXPECT_LT(overlapped_seconds, 0.9 * plain_seconds);
  // The parts of time add up to all of it.
  EXPECT_NEAR(overlapped.stats().seconds(), overlapped_seconds, 0.1 * overlapped_seconds);
  EXPECT_LT(overlapped.stats().draft_seconds, plain.stats().draft_seconds);
}

/// Every second token. Allocates nothing.
struct every_second {
  [[nodiscard]] bool allows(token_id token) const { return token % 2 == 0; }
  void fill(std::span<std::uint32_t> words) const { std::fill(words.begin(), words.end(), 0x55555555U); }
  void advance(token_id) const {}
  void rollback(std::size_t) const {}
};

TEST(overlapped, allocates_nothing_once_warm) {
  for (const specdec::any_mask& mask : {specdec::any_mask(), specdec::any_mask(every_second{})}) {
    for (const double temperature : {0.0, 1.0}) {
      still_model target(100, {.scale = 1.0F / 24});
      still_model draft(100, {.scale = 1.0F / 24, .noise = 0.05F});
      specdec::model_drafter drafter(draft, specdec::constant{4});
      draft_ahead ahead(drafter);
      specdec::background_thread second;
      specdec::session text(100, {.max_tokens = 600, .sampling = {temperature}, .seed = 1, .mask = mask});
      text.begin(prompt);
      // A draft that is cancelled, as happens if the second thread is late, ends by an exception.
      const std::size_t cancelling = counting_new::counts_exceptions() ? 1 : 0;
      std::size_t before = 0;
      specdec::overlapped_generate(text, target, ahead, second, [&](const specdec::outcome& out) {
        if (out.round > 30) {
          EXPECT_LE(counting_new::allocations(), before + cancelling) << out.round;
        }
        before = counting_new::allocations();
      });
      EXPECT_GT(text.stats().rounds, 60U);
    }
  }
}

}  // namespace
