// What a race derives from the times it took, and that its twin does what it stands for.

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include <measurement/race.hpp>
#include <study/bundled.hpp>
#include <study/work.hpp>

namespace {

using measurement::cost_by_length;
using measurement::race_record;
using measurement::tally;
using measurement::timed_parts;
using measurement::timed_round;

TEST(CostByLength, InterpolatesBetweenLengthsAndGoesOnBeyondThem) {
  cost_by_length costs;
  for (const double seconds : {4.0, 2.0, 3.0}) costs.add(2, seconds);
  EXPECT_DOUBLE_EQ(costs.at(0), 3) << "one length tells nothing of others";
  EXPECT_DOUBLE_EQ(costs.at(9), 3);
  costs.add(6, 5.0);
  EXPECT_DOUBLE_EQ(costs.at(2), 3);
  EXPECT_DOUBLE_EQ(costs.at(3), 3.5);
  EXPECT_DOUBLE_EQ(costs.at(5), 4.5);
  EXPECT_DOUBLE_EQ(costs.at(0), 2);
  EXPECT_DOUBLE_EQ(costs.at(9), 6.5);
  tally counts;
  counts.drafted = {0, 0, 3, 0, 0, 0, 1};
  EXPECT_DOUBLE_EQ(costs.mean_over(counts), (3 * 3 + 5) / 4.0);
}

TEST(CostByLength, TakesNoDraftToCostLessThanItsShareOfALongerOneOrMore) {
  cost_by_length steep, falling;
  steep.add(4, 2.0);
  steep.add(6, 6.0);
  EXPECT_DOUBLE_EQ(steep.at(2), 1);
  EXPECT_DOUBLE_EQ(steep.at(0), 0);
  EXPECT_DOUBLE_EQ(steep.at(7), 8);
  falling.add(4, 6.0);
  falling.add(6, 2.0);
  EXPECT_DOUBLE_EQ(falling.at(1), 6);
  EXPECT_DOUBLE_EQ(falling.at(8), 2);
}

// Drafting a token takes 2, scoring n tokens 10 + n / 2, verifying 1 + n / 4.
timed_round round_of(std::size_t drafted) {
  const auto n = static_cast<double>(drafted);
  return {drafted, 2 * n, 10.5 + n / 2, 1.25 + n / 4, 10.5 + 1.25, 1.25};
}
timed_parts parts_of(std::size_t drafted) {
  const auto n = static_cast<double>(drafted);
  return {drafted, 2 * n, 10.5 + n / 2, 10.5};
}

TEST(Speedup, IsWhatTheoryHasWhereEveryRoundDraftsAsMuch) {
  constexpr std::size_t gamma = 4;
  std::vector<timed_round> rounds(5, round_of(gamma));
  std::vector<timed_parts> parts(5, parts_of(gamma));
  specdec::statistics stats;
  stats.reserve(gamma);
  for (const std::size_t kept : {0U, 1U, 4U, 2U, 4U}) stats.add_round(gamma, kept, kept < gamma, false, kept + 1);
  const tally counts = study::shortened(stats, gamma);
  std::vector<double> survival, target;
  for (std::size_t i = 1; i <= gamma; ++i) survival.push_back(stats.survival(i));
  for (std::size_t n = 0; n <= gamma; ++n) target.push_back(round_of(n).target + round_of(n).verify);
  const double expected = specdec::theory::speedup(survival, gamma, {.draft = 2, .target = target});
  EXPECT_NEAR(predicted_speedup(counts, parts, rounds), expected, 1e-6);
  EXPECT_NEAR(speedup_by_medians(counts, rounds), expected, 1e-6);
}

TEST(Speedup, WeighsRoundsOfSeveralLengthsAndBearsABurst) {
  tally counts;
  counts.drafted = {2, 0, 0, 6};
  counts.delivered = 24;
  std::vector<timed_round> rounds;
  std::vector<timed_parts> parts;
  for (const std::size_t drafted : {0U, 3U}) {
    for (int i = 0; i < 5; ++i) {
      rounds.push_back(round_of(drafted));
      parts.push_back(parts_of(drafted));
    }
  }
  const double mean = (2 * round_of(0).seconds() + 6 * round_of(3).seconds()) / 8;
  const double expected = 3 * 11.75 / mean;
  EXPECT_NEAR(speedup_by_medians(counts, rounds), expected, 1e-12);
  EXPECT_NEAR(predicted_speedup(counts, parts, rounds), expected, 1e-12);
  rounds[1].target *= 50;
  rounds[7].plain *= 50;
  parts[2].single *= 50;
  EXPECT_NEAR(speedup_by_medians(counts, rounds), expected, 1e-12);
  EXPECT_NEAR(predicted_speedup(counts, parts, rounds), expected, 1e-12);
}

TEST(Shortened, IsTheMeanOfTheShorterDrafts) {
  specdec::statistics stats;
  stats.reserve(3);
  for (const std::size_t kept : {0U, 3U, 1U, 3U}) stats.add_round(3, kept, kept < 3, false, kept + 1);
  const tally two = study::shortened(stats, 2);
  EXPECT_EQ(two.rounds(), two.drafted.at(2));
  EXPECT_NEAR(static_cast<double>(two.delivered) / static_cast<double>(two.rounds()), 1 + 0.75 + 0.5, 1e-6);
}

class Race : public testing::TestWithParam<const char*> {
 protected:
  static study::model_shelf& shelf() {
    static study::model_shelf models(toy::weight_format::float32, 0, 1);
    return models;
  }
};

/// Whether the twin, timed in every second round, drafted what the method did.
void expect_the_same_drafts(const race_record& record) {
  ASSERT_EQ(record.parts.size(), record.rounds.size() / 2);
  for (std::size_t i = 0; i < record.parts.size(); ++i) {
    EXPECT_EQ(record.parts[i].drafted, record.rounds[1 + 2 * i].drafted) << "probe " << i;
  }
}

TEST_P(Race, WritesTheMethodsTextAndItsTwinDraftsWithIt) {
  const measurement::method& method = measurement::find_method(GetParam());
  const measurement::model_pair& models = shelf().pair_for(method);
  const study::prompts_by_task prompts = study::bundled_prompts(models.target.tokenizer, 1);
  const study::tokens& prompt = prompts.at("novel").front();
  for (const double temperature : {0.0, 1.0}) {
    const study::setting how{&method, 4, temperature, 40, 3};
    measurement::race race(method, models, how.method_settings(), how.gamma, how.options(), 2);
    const race_record record = race.run(prompt);
    const study::counted alone = study::count(how, models, {&prompt, 1});
    EXPECT_EQ(record.counts.delivered, 40U);
    EXPECT_EQ(record.counts.drafted, alone.counts.drafted);
    EXPECT_EQ(record.speculative.accepted_at, alone.stats.accepted_at);
    EXPECT_EQ(record.text.log_probability, alone.text.log_probability);
    EXPECT_EQ(record.plain.delivered, record.rounds.size());
    expect_the_same_drafts(record);
    EXPECT_GT(speedup_by_sums(record), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, Race,
                         testing::Values("rejection", "prompt_lookup", "big_little", "early_exit", "assisted", "adaedl",
                                         "draft_verify", "tree", "coupled", "suffix", "cascade"));

// What a method learnt behind one prompt it knows behind the next, and so does its twin. This one learns from times.
TEST(Race, LearnsFromPromptToPromptWithItsTwin) {
  study::model_shelf models(toy::weight_format::float32, 0, 1);
  for (const char* name : {"assisted", "cost_model"}) {
    const measurement::method& method = measurement::find_method(name);
    const measurement::model_pair& pair = models.pair_for(method);
    const study::prompts_by_task prompts = study::bundled_prompts(pair.target.tokenizer, 2);
    const study::setting how{&method, 8, 1, 48, 5};
    measurement::race race(method, pair, how.method_settings(), how.gamma, how.options(), 2);
    for (const study::tokens& prompt : prompts.at("tale")) expect_the_same_drafts(race.run(prompt));
  }
}

double mean_drafted(const race_record& record) {
  double sum = 0;
  for (const timed_round& round : record.rounds) sum += static_cast<double>(round.drafted);
  return sum / static_cast<double>(record.rounds.size());
}

// `assisted` begins too careful for this draft: its first rounds would be timed as if they were all.
TEST(Race, TimesAMethodAsItIsOnceItHasLearnt) {
  const measurement::method& method = measurement::find_method("assisted");
  study::model_shelf models(toy::weight_format::float32, 0, 1);
  const auto& pair = models.pair_for(method);
  const study::prompts_by_task by_task = study::bundled_prompts(pair.target.tokenizer, 4);
  const study::tokens& prompt = by_task.at("tale").front();
  const study::setting how{&method, 8, 1, 64, 1};
  measurement::race fresh(method, pair, how.method_settings(), how.gamma, how.options(), 2);
  measurement::race seasoned(method, pair, how.method_settings(), how.gamma, how.options(), 2);
  toy::context stand_in(pair.target.model);
  for (const study::tokens& other : by_task.at("tale")) seasoned.rehearse(other, &stand_in);
  const race_record early = fresh.run(prompt, 0, 6);
  const race_record later = seasoned.run(prompt, 0, 6);
  expect_the_same_drafts(later);
  EXPECT_GT(mean_drafted(later), 2 * mean_drafted(early));
  EXPECT_EQ(mean_drafted(study::time(how, pair, pair, by_task.at("tale"), 6)), mean_drafted(later));
}

TEST(Race, EndsAfterAsManyRoundsAsAsked) {
  const measurement::method& method = measurement::find_method("rejection");
  study::model_shelf models(toy::weight_format::float16, 0, 1);
  const auto& pair = models.pair_for(method);
  const study::prompts_by_task by_task = study::bundled_prompts(pair.target.tokenizer, 3);
  const race_record record = study::time({&method, 3, 1, 64, 1}, pair, pair, by_task.at("tale"), 13);
  EXPECT_EQ(record.rounds.size(), 13U);
  EXPECT_EQ(record.counts.rounds(), 13U);
  EXPECT_FALSE(record.parts.empty());
}

}  // namespace
