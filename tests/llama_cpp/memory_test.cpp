// Models whose memory cannot be truncated, or forgets by itself, keep the contract all the same.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <string>
#include <vector>

#include "random_models.hpp"
#include "support.hpp"

namespace {

using namespace llama_test;
using llama::rollback;

constexpr double rounding = 1e-3;

std::vector<float> copied(specdec::logits_row<float> row) { return {row.data(), row.data() + row.size()}; }

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (std::size_t t = 0; t < a.size(); ++t) most = std::max<double>(most, std::abs(a[t] - b[t]));
  return most;
}

std::vector<token_id> any_tokens(std::size_t count, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<token_id> tokens(count);
  for (token_id& token : tokens) token = static_cast<token_id>(3 + random() % (random_file::vocabulary - 3));
  return tokens;
}

void expect_conforming(llama::context context, const std::string& which) {
  const auto report = specdec::testing::check_target_model(context, {.tolerance = rounding, .provoke_refusals = true});
  EXPECT_TRUE(report.conforming() && report.complete) << which << ": " << report.text();
}

/// Rounds of speculation with wild drafts have the rows of a model that only reads on.
void expect_rows_of_plain_reading(const llama::model& model, llama_context_params params,
                                  llama::context_options options) {
  const auto text = any_tokens(200, 1);
  llama_context_params plain_params = small(512);
  llama::context plain(model, plain_params, {rollback::checkpoints, 0});
  llama::context context(model, params, options);
  std::minstd_rand random(5);
  std::vector<std::vector<float>> expected;
  for (const token_id token : text) expected.push_back(copied(plain.decode({&token, 1}, 1).row(0)));
  std::size_t committed = 60;
  double most = 0;
  while (committed < text.size()) {
    const std::size_t drafted = std::min<std::size_t>(random() % 6, text.size() - committed);
    const std::size_t right = random() % (drafted + 1);
    if (context.size() >= committed) context.truncate(committed - 1);
    std::vector<token_id> fed(text.begin() + static_cast<std::ptrdiff_t>(context.size()),
                              text.begin() + static_cast<std::ptrdiff_t>(committed + right));
    for (std::size_t i = right; i < drafted; ++i) fed.push_back(3);
    const std::size_t first = committed - 1;
    const auto rows = context.decode(fed, drafted + 1);
    for (std::size_t i = 0; i <= right; ++i) {
      most = std::max(most, distance(copied(rows.row(i)), expected[first + i]));
    }
    committed += right + 1;
  }
  EXPECT_LE(most, rounding);
}

TEST(llama_cpp_memory, a_recurrent_model_goes_back_by_checkpoints) {
  const llama::model model = recurrent_model();
  ASSERT_TRUE(model.recurrent());
  for (const std::size_t checkpoints : {0U, 1U, 3U, 8U}) {
    expect_conforming(llama::context(model, small(), {rollback::checkpoints, checkpoints}),
                      "mamba, " + std::to_string(checkpoints));
    expect_rows_of_plain_reading(model, small(512), {rollback::checkpoints, checkpoints});
  }
}

TEST(llama_cpp_memory, a_hybrid_model_goes_back_by_checkpoints) {
  const llama::model model = hybrid_model();
  ASSERT_TRUE(model.hybrid());
  for (const std::size_t checkpoints : {0U, 1U, 8U}) {
    expect_conforming(llama::context(model, small(), {rollback::checkpoints, checkpoints}),
                      "lfm2, " + std::to_string(checkpoints));
    expect_rows_of_plain_reading(model, small(512), {rollback::checkpoints, checkpoints});
  }
}

TEST(llama_cpp_memory, a_hybrid_model_goes_back_within_bounds) {
  const llama::model model = hybrid_model();
  for (const std::uint32_t bound : {1U, 3U, 8U}) {
    llama_context_params params = small(512);
    params.n_rs_seq = bound;
    expect_conforming(llama::context(model, params, {.back = rollback::bounded}), "lfm2, " + std::to_string(bound));
    expect_rows_of_plain_reading(model, params, {.back = rollback::bounded});
    expect_rows_of_plain_reading(model, params, {rollback::bounded, 0});
  }
}

/// How many tokens a context reads for a prompt and rounds that each keep one of four drafted tokens.
std::size_t tokens_read(const llama::model& model, llama_context_params params, llama::context_options options) {
  params.no_perf = false;
  llama::context context(model, params, options);
  const auto text = any_tokens(260, 6);
  (void)context.decode(std::span(text).first(204), 5);
  for (std::size_t committed = 202; committed < 242; committed += 2) {
    context.truncate(committed - 1);
    (void)context.decode(std::span(text).subspan(committed - 1, 5), 5);
  }
  const llama_perf_context_data perf = llama_perf_context(context.handle());
  return static_cast<std::size_t>(perf.n_p_eval + perf.n_eval);
}

TEST(llama_cpp_memory, going_back_reads_little_again) {
  // 204 tokens, and 20 rounds of 5.
  constexpr std::size_t least = 304;
  EXPECT_LE(tokens_read(target(), small(512), {}), least + 2);
  for (const llama::model& model : {recurrent_model(), hybrid_model()}) {
    // Up to 16 tokens that were kept are read again, and no prompt is.
    EXPECT_LE(tokens_read(model, small(512), {rollback::checkpoints, 8}), least + 16 * 20);
    EXPECT_LE(tokens_read(model, small(512), {rollback::checkpoints, 1}), least + 16 * 20);
    EXPECT_GE(tokens_read(model, small(512), {rollback::checkpoints, 0}), least + 200 * 20);
  }
  llama_context_params params = small(512);
  params.n_rs_seq = 8;
  EXPECT_LE(tokens_read(hybrid_model(), params, {.back = rollback::bounded}), least + 2);
}

TEST(llama_cpp_memory, truncation_is_refused_where_it_cannot_be) {
  for (const llama::model& model : {recurrent_model(), hybrid_model()}) {
    const std::string message = message_of([&] { llama::context context(model, small()); });
    EXPECT_NE(message.find("expected rollback::checkpoints, or bounded"), std::string::npos) << message;
    const std::string trees = message_of([&] { llama::tree_context context(model, llama::for_trees(small(), 3)); });
    EXPECT_NE(trees.find("for trees expected a memory of keys and values"), std::string::npos) << trees;
  }
}

/// A token that stands for itself: greedy text of a random model.
std::vector<token_id> greedy_text(llama::context& target, llama::context* draft, std::span<const token_id> prompt) {
  const specdec::generate_options options{.max_tokens = 40, .sampling = {0.0}};
  const auto result = draft == nullptr ? specdec::autoregressive_generate(target, prompt, options)
                                       : specdec::speculative_generate(target, *draft, prompt, options);
  std::vector<token_id> tokens;
  for (const auto& token : result.tokens) tokens.push_back(token.id);
  return tokens;
}

TEST(llama_cpp_memory, recurrent_models_speculate_and_draft) {
  const auto prompt = any_tokens(50, 3);
  const llama::model recurrent = recurrent_model(), hybrid = hybrid_model();
  for (const llama::model* model : {&recurrent, &hybrid}) {
    llama::context plain(*model, small(), {rollback::checkpoints});
    llama::context target(*model, small(), {rollback::checkpoints}), draft(*model, small(), {rollback::checkpoints});
    llama::context other(model == &recurrent ? hybrid : recurrent, small(), {rollback::checkpoints});
    const auto expected = greedy_text(plain, nullptr, prompt);
    EXPECT_EQ(greedy_text(target, &draft, prompt), expected) << model->description();
    EXPECT_EQ(greedy_text(target, &other, prompt), expected) << model->description();
  }
}

TEST(llama_cpp_memory, a_cancelled_call_does_not_spoil_a_state) {
  const llama::model recurrent = recurrent_model(), hybrid = hybrid_model();
  const auto text = any_tokens(60, 9);
  for (const llama::model* model : {&recurrent, &hybrid}) {
    llama::context plain(*model, small(), {rollback::checkpoints});
    const auto expected = copied(plain.decode(text, 1).row(0));
    for (const int patient : {0, 5, 20, 60}) {
      llama_context_params params = small();
      params.n_ubatch = 8;
      llama::context context(*model, params, {rollback::checkpoints, 2});
      (void)context.decode(std::span(text).first(10), 1);
      patience waits{patient};
      llama_set_abort_callback(context.handle(), patience::exhausted, &waits);
      EXPECT_THROW((void)context.decode(std::span(text).subspan(10, 40), 1), llama::cancelled) << patient;
      EXPECT_EQ(context.size(), 10U);
      waits.left = patience::endless;
      const auto row = copied(context.decode(std::span(text).subspan(10), 1).row(0));
      EXPECT_LE(distance(row, expected), rounding) << model->description() << " " << patient;
    }
  }
}

TEST(llama_cpp_memory, a_sliding_window_that_went_on_is_read_again) {
  constexpr std::size_t window = 16;
  const llama::model model = sliding_model(window);
  ASSERT_EQ(llama_model_n_swa(model.handle()), static_cast<std::int32_t>(window));
  const auto text = any_tokens(480, 2);
  for (const rollback back : {rollback::truncation, rollback::checkpoints}) {
    llama_context_params params = small(512);
    params.n_ubatch = 32;
    params.swa_full = false;
    llama::context plain(model, params), context(model, params, {.back = back});
    (void)context.decode(text, 1);
    ASSERT_GT(llama_memory_seq_pos_min(llama_get_memory(context.handle()), 0), 100);
    for (const std::size_t kept : {470U, 300U, 100U, 30U, 5U}) {
      context.truncate(kept);
      plain.truncate(0);
      const std::vector<token_id> next{7, 8, 9};
      (void)plain.decode(std::span(text).first(kept), 0);
      const auto expected = copied(plain.decode(next, 1).row(0));
      ASSERT_EQ(context.size(), kept);
      EXPECT_LE(distance(copied(context.decode(next, 1).row(0)), expected), rounding) << kept;
      context.truncate(kept);
      (void)context.decode(std::span(text).subspan(kept), 0);
    }
    expect_conforming(llama::context(model, params, {.back = back}), "gemma2");
  }
}

}  // namespace
