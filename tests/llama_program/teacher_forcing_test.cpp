// Acceptance of both rules at the positions of a text, against sums over the vocabulary.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <llama_cpp/teacher_forcing.hpp>
#include <measurement/any_context.hpp>

#include "chain_context.hpp"

namespace {

using llama_test::chain_context;
using llama_test::logits_behind;
using specdec::token_id;

constexpr std::size_t vocabulary = 23;

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(static_cast<double>(x) / temperature));
  for (double& value : p) value /= sum;
  return p;
}

std::vector<token_id> some_text(std::size_t size) {
  std::vector<token_id> text;
  for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<token_id>((i * i * 5 + 3 * i + 1) % vocabulary));
  return text;
}

TEST(teacher_forcing, sums_what_the_laws_say) {
  constexpr double temperature = 0.8, noise = 3;
  constexpr std::size_t prompt_size = 4;
  // Positions of more than two calls.
  const std::vector<token_id> text = some_text(90);
  for (const std::size_t top : {0U, 6U}) {
    double overlap = 0, likeliest = 0;
    for (std::size_t at = prompt_size; at < text.size(); ++at) {
      const std::span<const token_id> before = std::span(text).first(at);
      const std::vector<double> p = softmax(logits_behind(before, vocabulary, 0), temperature);
      std::vector<double> q = softmax(logits_behind(before, vocabulary, noise), temperature);
      likeliest += p[static_cast<std::size_t>(std::max_element(q.begin(), q.end()) - q.begin())];
      if (top > 0) {
        std::vector<double> sorted = q;
        std::sort(sorted.rbegin(), sorted.rend());
        double kept = 0;
        for (double& value : q) {
          if (value < sorted[top - 1]) value = 0;
          kept += value;
        }
        for (double& value : q) value /= kept;
      }
      for (std::size_t t = 0; t < vocabulary; ++t) overlap += std::min(p[t], q[t]);
    }
    measurement::any_context target = chain_context(vocabulary), draft = chain_context(vocabulary, noise);
    const llama::forced_text found = llama::force(target, draft, text, prompt_size, {.sampling = {temperature}}, top);
    EXPECT_EQ(found.positions, text.size() - prompt_size);
    EXPECT_NEAR(found.overlap, overlap, 1e-4) << top;
    EXPECT_NEAR(found.likeliest, likeliest, 1e-4) << top;
  }
}

TEST(teacher_forcing, asks_under_the_penalties_and_end_tokens_of_the_text) {
  const std::vector<token_id> text = some_text(30);
  constexpr std::size_t prompt_size = 3;
  const specdec::generate_options how{
      .sampling = {.frequency_penalty = 0.7, .penalty_window = 8}, .end_tokens = {5}, .min_tokens = 100};
  const auto law_behind = [&](std::span<const token_id> before, double noise) {
    std::vector<float> logits = logits_behind(before, vocabulary, noise);
    for (const token_id token : before.last(std::min<std::size_t>(before.size(), 8))) {
      logits[static_cast<std::size_t>(token)] -= 0.7F;
    }
    logits[5] = -std::numeric_limits<float>::infinity();
    return softmax(logits, 1);
  };
  double overlap = 0;
  for (std::size_t at = prompt_size; at < text.size(); ++at) {
    const std::vector<double> p = law_behind(std::span(text).first(at), 0),
                              q = law_behind(std::span(text).first(at), 3);
    for (std::size_t t = 0; t < vocabulary; ++t) overlap += std::min(p[t], q[t]);
  }
  measurement::any_context target = chain_context(vocabulary), draft = chain_context(vocabulary, 3);
  EXPECT_NEAR(llama::force(target, draft, text, prompt_size, how, 0).overlap, overlap, 1e-4);
}

TEST(teacher_forcing, equal_models_accept_everything_by_one_rule_only) {
  const std::vector<token_id> text = some_text(40);
  measurement::any_context target = chain_context(vocabulary), draft = chain_context(vocabulary);
  const llama::forced_text found = llama::force(target, draft, text, 1, {}, 0);
  EXPECT_NEAR(found.overlap, 39, 1e-4);
  EXPECT_LT(found.likeliest, 30);
  const llama::forced_text greedy = llama::force(target, draft, text, 1, {.sampling = {0}}, 64);
  EXPECT_EQ(greedy.overlap, 39);
  EXPECT_EQ(greedy.likeliest, 39);
}

}  // namespace
