// A llama.cpp context keeps the contract of a target, also where calls fail.

#include <gtest/gtest.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"

namespace {

using namespace llama_test;

// llama.cpp's sums depend on the size of a call; in float32 its logits, of up to 20, then differ by a few units of the
// last places. With weights in float16 activations are rounded to float16 in some calls.
constexpr double rounding = 1e-4;
constexpr double half_rounding = 1e-2;

static_assert(specdec::TargetModel<llama::context> && specdec::KnowsTokens<llama::context>);
static_assert(specdec::HasCapacity<llama::context> && !specdec::DecodesTrees<llama::context>);

std::vector<float> copied(specdec::logits_row<float> row) { return {row.data(), row.data() + row.size()}; }

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (std::size_t t = 0; t < a.size(); ++t) most = std::max<double>(most, std::abs(a[t] - b[t]));
  return most;
}

TEST(llama_cpp_context, keeps_its_contract) {
  for (const char* name : {"target", "draft", "draft-mini"}) {
    llama::context context(in_float32(name), small());
    const auto report =
        specdec::testing::check_target_model(context, {.tolerance = rounding, .provoke_refusals = true});
    EXPECT_TRUE(report.conforming() && report.complete) << name << ": " << report.text();
    llama_context_params usual = small();
    usual.type_k = usual.type_v = GGML_TYPE_F16;
    usual.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_AUTO;
    llama::context as_it_comes(bundled(name), usual);
    const auto loose = specdec::testing::check_target_model(as_it_comes, {.tolerance = half_rounding});
    EXPECT_TRUE(loose.conforming() && loose.complete) << name << ": " << loose.text();
  }
}

TEST(llama_cpp_context, keeps_its_contract_where_calls_are_cut) {
  for (const std::uint32_t most : {2U, 5U, 16U}) {
    llama_context_params params = small();
    params.n_batch = most;
    llama::context context(in_float32("target"), params);
    ASSERT_EQ(llama_n_batch(context.handle()), most);
    const auto report = specdec::testing::check_target_model(context, {.tolerance = rounding});
    EXPECT_TRUE(report.conforming() && report.complete) << most << ": " << report.text();
  }
}

TEST(llama_cpp_context, keeps_its_contract_with_few_rows_a_call) {
  llama_context_params params = small();
  params.n_outputs_max = 3;
  llama::context context(in_float32("target"), params);
  const auto report = specdec::testing::check_target_model(context, {.tolerance = rounding});
  EXPECT_TRUE(report.conforming() && report.complete) << report.text();
}

TEST(llama_cpp_context, refers_to_a_context_of_the_callers) {
  llama_context* const own = llama_init_from_model(in_float32("target").handle(), small());
  ASSERT_NE(own, nullptr);
  llama_token token = 5;
  ASSERT_EQ(llama_decode(own, llama_batch_get_one(&token, 1)), 0);
  {
    llama::context context(own);
    EXPECT_EQ(context.size(), 0U);
    EXPECT_EQ(context.handle(), own);
    const auto report = specdec::testing::check_target_model(context, {.tolerance = rounding});
    EXPECT_TRUE(report.conforming() && report.complete) << report.text();
  }
  llama_free(own);
}

TEST(llama_cpp_context, notices_that_somebody_else_uses_its_sequence) {
  llama_context* const own = llama_init_from_model(in_float32("draft").handle(), small());
  ASSERT_NE(own, nullptr);
  const auto text = some_text(12);
  {
    llama::context first(own);
    const auto row = copied(first.decode(text, 1).row(0));
    llama::context second(own);
    (void)second.decode(std::span(text).first(3), 1);
    first.truncate(11);
    EXPECT_EQ(message_of([&] { (void)first.decode(std::span(text).last(1), 1); }),
              "specdec::llama_cpp: expected sequence 0 to hold 11 tokens; it holds 3: somebody else has used it");
    // It takes its place again, and then the other has lost its own.
    EXPECT_TRUE(std::ranges::equal(first.tokens(), std::span(text).first(11)));
    EXPECT_LE(distance(copied(first.decode(std::span(text).last(1), 1).row(0)), row), rounding);
    EXPECT_NE(
        message_of([&] { (void)second.decode(std::span(text).last(1), 1); }).find("to hold 3 tokens; it holds 12"),
        std::string::npos);
  }
  llama_free(own);
}

TEST(llama_cpp_context, may_be_moved) {
  llama::context first(in_float32("target"), small());
  const auto text = some_text(12);
  const auto row = copied(first.decode(text, 1).row(0));
  llama::context second = std::move(first);
  EXPECT_TRUE(std::ranges::equal(second.tokens(), text));
  second.truncate(11);
  EXPECT_LE(distance(copied(second.decode(std::span(text).last(1), 1).row(0)), row), rounding);
}

// llama.cpp reads the model when it frees a context, and then tells its log what the context's buffers took.
TEST(llama_cpp_context, keeps_its_model_until_it_is_freed) {
  start();
  static int reports = 0;
  reports = 0;
  llama_log_set([](ggml_log_level, const char* text,
                   void*) { reports += std::string_view(text).find("~llama_context") != std::string_view::npos; },
                nullptr);
#if defined(__GLIBC__)
  mallopt(M_PERTURB, 0x5a);  // what is freed does not look as before
#endif
  const auto model = [] { return llama::model::load(bundled_path("draft")); };
  { const llama::context last_owner(model(), small()); }
  EXPECT_EQ(reports, 1);
  {
    llama::context replaced(model(), small());
    replaced = llama::context(model(), small());
    EXPECT_EQ(reports, 2);
    EXPECT_EQ(replaced.decode(some_text(3), 1).size(), 1U);
  }
  EXPECT_EQ(reports, 3);
#if defined(__GLIBC__)
  mallopt(M_PERTURB, 0);
#endif
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
}

TEST(llama_cpp_context, a_cancelled_call_is_an_error_of_its_own_and_leaves_a_text_that_goes_on) {
  llama::context context(in_float32("target"), small()), other(in_float32("target"), small());
  const auto text = some_text(40);
  const auto expected = copied(other.decode(text, 1).row(0));
  patience waits{0};
  llama_set_abort_callback(context.handle(), patience::exhausted, &waits);
  try {
    (void)context.decode(std::span(text).first(20), 1);
    ADD_FAILURE() << "expected an exception";
  } catch (const llama::cancelled& error) {
    EXPECT_EQ(error.code(), 2);
    EXPECT_NE(
        std::string(error.what()).find("expected llama_decode to read 20 tokens; it returned 2: the abort callback"),
        std::string::npos)
        << error.what();
  }
  EXPECT_EQ(context.size(), 0U);
  waits.left = patience::endless;
  EXPECT_LE(distance(copied(context.decode(text, 1).row(0)), expected), rounding);
}

TEST(llama_cpp_context, a_call_cancelled_half_way_says_what_was_read) {
  llama_context_params params = small();
  params.n_ubatch = 4;
  const auto text = some_text(40);
  llama::context other(in_float32("target"), small());
  const auto expected = copied(other.decode(text, 1).row(0));
  bool some_part = false;
  for (int patient = 1; patient < 400; patient *= 2) {
    llama::context context(in_float32("target"), params);
    (void)context.decode(std::span(text).first(8), 1);
    patience waits{patient};
    llama_set_abort_callback(context.handle(), patience::exhausted, &waits);
    try {
      (void)context.decode(std::span(text).subspan(8, 30), 1);
      break;
    } catch (const llama::cancelled&) {
    }
    ASSERT_GE(context.size(), 8U);
    ASSERT_LT(context.size(), 38U);
    some_part = some_part || context.size() > 8;
    ASSERT_TRUE(std::ranges::equal(context.tokens(), std::span(text).first(context.size())));
    waits.left = patience::endless;
    const auto row = copied(context.decode(std::span(text).subspan(context.size()), 1).row(0));
    ASSERT_LE(distance(row, expected), rounding) << patient;
  }
  EXPECT_TRUE(some_part);
}

TEST(llama_cpp_context, a_session_goes_on_behind_a_cancelled_round) {
  const auto prompt = some_text(10);
  const specdec::generate_options options{.max_tokens = 24, .sampling = {0.8}, .seed = 3};
  const auto generate = [&](int rounds_before_it_is_cancelled) {
    llama::context target_context(target(), small()), draft_context(draft(), small());
    specdec::session text(target().vocab_size(), options);
    text.begin(prompt);
    int rounds = 0;
    patience waits{patience::endless};
    llama_set_abort_callback(target_context.handle(), patience::exhausted, &waits);
    const auto sink = [&](const specdec::outcome&) {
      if (++rounds == rounds_before_it_is_cancelled) waits.left = 3;
    };
    specdec::model_drafter drafter(draft_context, specdec::constant{4});
    try {
      (void)specdec::speculative_generate(text, target_context, drafter, sink);
    } catch (const llama::cancelled&) {
      waits.left = patience::endless;
      (void)specdec::speculative_generate(text, target_context, drafter, sink);
    }
    EXPECT_EQ(waits.left < (1 << 29), false);
    const auto tokens = text.tokens();
    return std::vector<token_id>(tokens.begin(), tokens.end());
  };
  const auto undisturbed = generate(-1);
  EXPECT_EQ(undisturbed.size(), prompt.size() + 24);
  EXPECT_EQ(generate(1), undisturbed);
  EXPECT_EQ(generate(3), undisturbed);
}

TEST(llama_cpp_context, refuses_calls_that_cannot_be) {
  llama::context context(target(), small(256));
  const auto text = some_text(256);
  EXPECT_EQ(context.capacity(), 256U);
  EXPECT_EQ(message_of([&] { (void)context.decode(text, 257); }),
            "specdec::llama_cpp: expected at most as many rows as tokens (256); got 257");
  const std::vector<token_id> unknown{4096};
  EXPECT_EQ(message_of([&] { (void)context.decode(unknown, 1); }),
            "specdec: expected tokens 0 to 4095; a call of decode has token 4096");
  (void)context.decode(text, 0);
  EXPECT_EQ(message_of([&] { (void)context.decode(std::span(text).first(2), 1); }),
            "specdec::llama_cpp: expected at most 0 tokens, the room that is left in the context; got 2");
  EXPECT_EQ(message_of([&] { context.truncate(257); }),
            "specdec::llama_cpp: expected at most the 256 tokens of the context to be kept; got 257");
  EXPECT_EQ(context.size(), 256U);
  context.truncate(255);
  EXPECT_EQ(context.decode(std::span(text).last(1), 1).size(), 1U);
}

TEST(llama_cpp_context, a_context_too_small_for_prompt_and_draft_ends_the_text_in_time) {
  llama::context target_context(target(), small(256)), draft_context(draft(), small(256));
  const auto prompt = some_text(250);
  const auto result =
      specdec::speculative_generate(target_context, draft_context, prompt, {.max_tokens = 50, .sampling = {0.0}});
  EXPECT_EQ(result.status, specdec::session_status::context_full);
  EXPECT_GE(result.tokens.size(), 6U);
  EXPECT_LE(result.tokens.size(), 7U);
}

TEST(llama_cpp_context, refuses_contexts_that_are_not_for_generation) {
  llama_context_params params = small();
  params.embeddings = true;
  EXPECT_EQ(message_of([&] { llama::context context(target(), params); }),
            "specdec::llama_cpp: expected a context for logits; it is for embeddings");
  params = small();
  params.n_seq_max = 300;
  EXPECT_NE(message_of([&] { llama::context context(target(), params); }).find("at least n_seq_max, 300"),
            std::string::npos);
  EXPECT_EQ(message_of([&] { llama::context context(static_cast<llama_context*>(nullptr)); }),
            "specdec::llama_cpp: expected a context; got a null pointer");
  EXPECT_NE(message_of([&] {
              llama::context context(target(), small(), {.back = llama::rollback::bounded});
            }).find("for rollback::bounded expected a context with n_rs_seq > 0"),
            std::string::npos);
}

// rollback::checkpoints is for models that cannot be truncated, but true of every model.
TEST(llama_cpp_context, keeps_its_contract_by_checkpoints) {
  for (const std::size_t checkpoints : {0U, 1U, 4U}) {
    llama::context context(in_float32("target"), small(), {llama::rollback::checkpoints, checkpoints});
    const auto report =
        specdec::testing::check_target_model(context, {.tolerance = rounding, .provoke_refusals = true});
    EXPECT_TRUE(report.conforming() && report.complete) << checkpoints << ": " << report.text();
  }
}

}  // namespace
