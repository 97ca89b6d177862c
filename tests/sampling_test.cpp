// Every sampling parameter, alone and with the others: against a plain reference on whole laws, then through the
// oracle.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <string>
#include <vector>

#include "laws.hpp"
#include "reference_law.hpp"
#include "settings.hpp"

namespace {

namespace testing = specdec::testing;
using laws::all_settings;
using laws::describe;
using laws::text_view;
using specdec::filter_order;
using specdec::law;
using specdec::logits_row;
using specdec::sampling_params;
using specdec::token_id;

constexpr double infinity = std::numeric_limits<double>::infinity();

double total_variation(const specdec::distribution<double>& got, const std::vector<double>& expected) {
  double sum = 0;
  for (std::size_t t = 0; t < expected.size(); ++t) {
    sum += std::abs(got.probability(static_cast<token_id>(t)) - expected[t]);
  }
  return sum / 2;
}

TEST(sampling, laws_are_those_of_the_reference) {
  std::mt19937 engine(1);
  for (const std::size_t size : {3U, 17U, 1000U, 2500U}) {
    const std::size_t top_k = std::max<std::size_t>(2, size / 5);
    for (const auto& settings : all_settings(top_k, 0.05)) {
      law pipeline(size, settings);
      for (int trial = 0; trial < 5; ++trial) {
        std::vector<double> logits(size);
        for (double& x : logits) x = static_cast<double>(engine() % 100000) / 10000 - 5;
        if (trial == 1) {
          for (double& x : logits) x = std::round(x);  // ties
        }
        std::vector<token_id> text(40);
        for (token_id& t : text) t = static_cast<token_id>(engine() % size);
        const std::size_t prompt_size = 38;
        const std::span<const token_id> all(text);
        const auto p = pipeline.of(logits_row<double>(logits.data(), size), {all.first(39), all.last(1), prompt_size});
        const auto expected = laws::reference_law(logits, text, prompt_size, settings);
        ASSERT_LT(total_variation(p, expected), 1e-12)
            << size << " tokens, trial " << trial << ", " << describe(settings);
        for (std::size_t t = 0; t < size; ++t) {
          const double log_probability = p.log_probability(static_cast<token_id>(t));
          if (expected[t] == 0) {
            EXPECT_EQ(log_probability, -infinity);
          } else {
            EXPECT_NEAR(log_probability, std::log(expected[t]), 1e-10);
          }
        }
        for (const double u : {0.0, 0.3, 0.7, 0x1.fffffffffffffp-1}) {
          EXPECT_GT(p.probability(p.draw(u)), 0);
        }
      }
    }
  }
}

TEST(sampling, float_laws_are_within_1e6_of_the_reference) {
  std::mt19937 engine(2);
  constexpr std::size_t size = 5000;
  for (const auto& settings : all_settings(50, 0.02)) {
    law pipeline(size, settings);
    std::vector<float> logits(size);
    for (float& x : logits) x = static_cast<float>(engine() % 100000) / 10000 - 5;
    const auto p = pipeline.of(logits_row<float>(logits.data(), size));
    const auto expected = laws::reference_law({logits.begin(), logits.end()}, {}, 0, settings);
    double sum = 0;
    for (std::size_t t = 0; t < size; ++t) sum += std::abs(p.probability(static_cast<token_id>(t)) - expected[t]);
    EXPECT_LT(sum / 2, 1e-6) << describe(settings);
  }
}

testing::exactness enumerate(std::size_t vocab_size, std::size_t gamma, const sampling_params& settings,
                             const specdec::model_drafter_options& options, std::size_t rounds = 1) {
  const std::vector<token_id> prompt{1, 0, 2};
  const auto p = laws::hashed(vocab_size, 31, 0.7);
  const auto q = laws::hashed(vocab_size, 32, 0.7);
  const auto target_law = [&](text_view text) {
    std::vector<double> logits;
    for (const double x : p(text)) logits.push_back(std::log(x));
    return laws::reference_law(logits, text, prompt.size(), settings);
  };
  return testing::enumerate(vocab_size, prompt, p, target_law,
                            [&] { return laws::drafter_over(vocab_size, q, gamma, options); }, specdec::rejection{},
                            specdec::generate_options{.sampling = settings}, {rounds, gamma + 1});
}

TEST(sampling, every_setting_is_lossless_with_the_draft_under_the_same) {
  for (const auto& settings : all_settings(2, 0.2)) {
    for (const std::size_t top : {0U, 2U}) {
      EXPECT_LT(enumerate(4, 3, settings, {.top = top}).total_variation(), 1e-12) << describe(settings);
    }
  }
}

TEST(sampling, every_setting_is_lossless_with_the_draft_under_another) {
  const auto settings = all_settings(2, 0.2);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto& others = settings[(i * 7 + 3) % settings.size()];
    EXPECT_LT(enumerate(4, 2, settings[i], {.sampling = others, .top = 64}).total_variation(), 1e-12)
        << describe(settings[i]) << " drafted under " << describe(others);
  }
}

TEST(sampling, penalties_follow_the_text_from_round_to_round) {
  const sampling_params settings{.repetition_penalty = 1.4, .frequency_penalty = 0.3, .penalty_window = 4};
  EXPECT_LT(enumerate(3, 2, settings, {}, 3).total_variation(), 1e-12);
}

// vLLM #6718 and others: every position of a draft is penalised by the committed text alone.
struct blind {
  [[maybe_unused]] static constexpr bool lossless = false;

  sampling_params settings;
  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, law& target, Chance& chance) const {
    if (drafted.size() < 2) return specdec::rejection{}(drafted, rows, target, chance);
    // The law behind the first drafted token, as if that token were not there.
    const std::vector<token_id> committed{1, 0, 2};
    law forgetful(target.vocab_size(), settings);
    const auto p0 = target.at(rows, 0);
    if (!chance.accept(drafted.key_of(1, specdec::purpose::accept), p0.probability(drafted.token(1)),
                       drafted.law_of(1).probability(drafted.token(1)))) {
      const specdec::residual left(p0, drafted.law_of(1));
      return {.kept = 0, .next = chance.draw(drafted.key_of(1, specdec::purpose::residual), left), .rejected = true};
    }
    const auto p1 = forgetful.of(rows.row(1), {committed, {}, 3});
    return {.kept = 1, .next = chance.draw(drafted.key_of(2, specdec::purpose::bonus), p1)};
  }
};

TEST(sampling, a_penalty_blind_to_the_draft_is_caught) {
  const std::vector<token_id> prompt{1, 0, 2};
  const sampling_params settings{.frequency_penalty = 0.8};
  const auto p = laws::hashed(3, 31, 0.7);
  const auto target_law = [&](text_view text) {
    std::vector<double> logits;
    for (const double x : p(text)) logits.push_back(std::log(x));
    return laws::reference_law(logits, text, prompt.size(), settings);
  };
  const auto found =
      testing::enumerate(3, prompt, p, target_law, [&] { return laws::drafter_over(3, laws::hashed(3, 32), 2, {}); },
                         blind{settings}, specdec::generate_options{.sampling = settings}, {1, 3});
  EXPECT_GT(found.total_variation(), 0.01);
}

template <class Params>
std::string refusal(const Params& params) {
  try {
    law(10, params);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(sampling, bad_parameters_are_refused_in_words) {
  EXPECT_EQ(refusal(sampling_params{.top_p = 0}), "specdec: top_p must be above 0 and at most 1; got 0");
  EXPECT_EQ(refusal(sampling_params{.top_p = 1.5}), "specdec: top_p must be above 0 and at most 1; got 1.5");
  EXPECT_EQ(refusal(sampling_params{.min_p = -1}), "specdec: min_p must be from 0 to 1; got -1");
  EXPECT_EQ(refusal(sampling_params{.repetition_penalty = 0}),
            "specdec: the repetition penalty must be a finite number above 0; "
            "got 0");
  EXPECT_EQ(refusal(sampling_params{.frequency_penalty = infinity}),
            "specdec: the frequency penalty must be a finite number; got inf");
  EXPECT_EQ(refusal(sampling_params{.bias = {{10, 1.0}}}),
            "specdec: a bias must be on one of the vocabulary's 10 tokens; got "
            "token 10");
  EXPECT_EQ(refusal(sampling_params{.bias = {{1, infinity}}}),
            "specdec: a bias must be a finite number or -inf; got inf");
}

TEST(sampling, a_bias_beyond_float_forces_its_token) {
  law pipeline(4, {.bias = {{3, 1e39}, {0, -1e39}}});
  const std::vector<float> logits{1, 2, 3, 0};
  const auto p = pipeline.of(logits_row<float>(logits.data(), 4));
  ASSERT_TRUE(p.valid());
  EXPECT_EQ(p.probability(3), 1.0);
  EXPECT_EQ(p.probability(0), 0.0);
}

TEST(sampling, penalties_beyond_any_number_are_no_fault_of_the_row) {
  const std::vector<float> logits{5, 1, 0};
  const std::vector<token_id> text{0, 0};
  const auto probability_of_0 = [&](const sampling_params& params) {
    law pipeline(3, params);
    const auto p = pipeline.of(logits_row<float>(logits.data(), 3), {text, {}, 0});
    EXPECT_EQ(p.fault(), specdec::row_fault::none) << describe(params);
    return p.valid() ? p.probability(0) : -1;
  };
  EXPECT_EQ(probability_of_0({.repetition_penalty = 1e-308, .bias = {{0, -infinity}}}), 0);
  EXPECT_EQ(probability_of_0({.frequency_penalty = -1e308, .bias = {{0, -infinity}}}), 0);
  EXPECT_EQ(probability_of_0({.bias = {{0, 1e308}, {0, -infinity}, {0, 1e308}}}), 0);
  for (const sampling_params& params : std::vector<sampling_params>{
           {.repetition_penalty = 1e-308, .frequency_penalty = 1e308},
           {.frequency_penalty = 1e308, .bias = {{0, 1e308}, {0, 1e308}}},
           {.frequency_penalty = 1e308, .presence_penalty = -1.7e308, .bias = {{0, -3e307}}}}) {
    EXPECT_GE(probability_of_0(params), 0);
  }
}

TEST(sampling, extremes_of_temperature_and_min_p_hold_in_float) {
  const std::vector<float> logits{0, -95, -1, 0};
  // 1e-300 is below the smallest float, but the law it cuts is not.
  law wide(4, {.temperature = 1000, .min_p = 1e-300, .order = filter_order::llama_cpp});
  EXPECT_GT(wide.of(logits_row<float>(logits.data(), 4)).probability(1), 0.2);
  // The ratio to the maximum rounds to 1 in float, but is not 1.
  law narrow(4, {.temperature = 1e9, .min_p = 1});
  EXPECT_EQ(narrow.of(logits_row<float>(logits.data(), 4)).probability(2), 0);
  EXPECT_EQ(narrow.of(logits_row<float>(logits.data(), 4)).probability(3), 0.5);
  law hot(4, {.temperature = 1e30});
  for (token_id t = 0; t < 4; ++t) EXPECT_EQ(hot.of(logits_row<float>(logits.data(), 4)).probability(t), 0.25);
}

/// Whether min-p keeps the first of two tokens, whose logits are so; the second is the more probable.
template <class T>
bool keeps(const sampling_params& params, T logit, T maximum) {
  const std::vector<T> logits{logit, maximum};
  law pipeline(2, params);
  return pipeline.of(logits_row<T>(logits.data(), 2)).probability(0) > 0;
}

TEST(sampling, min_p_cuts_between_neighbouring_logits) {
  for (const double temperature : {1.0, 0.7, 3.0}) {
    for (int i = 1; i < 200; ++i) {
      const sampling_params params{.temperature = temperature, .min_p = i / 200.0};
      // A probability of min_p times the greatest.
      const double bound = 2 + temperature * std::log(params.min_p);
      const double less = bound - 1e-12, more = bound + 1e-12;
      auto below = static_cast<float>(less), above = static_cast<float>(more);
      if (static_cast<double>(below) > less) below = std::nextafter(below, -20.0F);
      if (static_cast<double>(above) < more) above = std::nextafter(above, 20.0F);
      EXPECT_FALSE(keeps(params, below, 2.0F)) << params.min_p << " at " << temperature;
      EXPECT_TRUE(keeps(params, above, 2.0F)) << params.min_p << " at " << temperature;
      EXPECT_FALSE(keeps(params, less, 2.0)) << params.min_p << " at " << temperature;
      EXPECT_TRUE(keeps(params, more, 2.0)) << params.min_p << " at " << temperature;
    }
  }
}

TEST(sampling, forbidding_every_token_is_a_fault_not_a_crash) {
  law pipeline(2, {.bias = {{0, -infinity}, {1, -infinity}}});
  const std::vector<float> logits{1, 2};
  EXPECT_EQ(pipeline.of(logits_row<float>(logits.data(), 2)).fault(), specdec::row_fault::nothing_allowed);
}

}  // namespace
