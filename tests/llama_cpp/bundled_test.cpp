// The bundled pair in llama.cpp: as the toy backend computes it, and with speculation as without.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <gguf.hpp>
#include <map>
#include <model.hpp>
#include <nlohmann/json.hpp>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <vector>

#include "support.hpp"

namespace {

using namespace llama_test;
using tokens = std::vector<token_id>;

constexpr std::size_t generated = 48;
// Half of what two logits may differ by between two ways to compute them, or more: with weights in float32, and in
// float16, where llama.cpp rounds activations to float16 too.
constexpr double rounding_float32 = 1e-3, rounding_float16 = 3e-2;

const std::vector<tokens>& prompts() {
  static const std::vector<tokens> all = [] {
    std::vector<tokens> read;
    std::ifstream file(std::string(SPECDEC_MODELS_DIR) + "/prompts.jsonl");
    for (std::string line; std::getline(file, line);) {
      read.push_back(target().tokenize(nlohmann::json::parse(line).at("prompt").get<std::string>()));
    }
    return read;
  }();
  return all;
}

/// As llama.cpp's contexts are by default, but with one thread.
llama_context_params usual() {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 512;
  params.n_threads = params.n_threads_batch = 1;
  params.no_perf = true;
  return params;
}

/// Greedy text by llama.h alone.
tokens greedy_alone(const llama::model& model, llama_context_params params, const tokens& prompt) {
  llama_context* const context = llama_init_from_model(model.handle(), params);
  const llama::sampler greedy(llama_sampler_init_greedy());
  tokens next = prompt, text;
  for (std::size_t i = 0; i < generated; ++i) {
    if (llama_decode(context, llama_batch_get_one(next.data(), static_cast<std::int32_t>(next.size()))) != 0) break;
    next = {llama_sampler_sample(greedy.handle(), context, -1)};
    text.push_back(next.front());
  }
  llama_free(context);
  return text;
}

/// The toy backend's greedy texts behind all prompts.
const std::vector<tokens>& toy_texts(const std::string& path) {
  static std::map<std::string, std::vector<tokens>> known;
  std::vector<tokens>& texts = known[path];
  if (!texts.empty()) return texts;
  const toy::model model(path);
  toy::context context(model);
  for (const tokens& prompt : prompts()) {
    const auto result = specdec::autoregressive_generate(context, prompt, {.max_tokens = generated, .sampling = {0.0}});
    texts.emplace_back();
    for (const auto& token : result.tokens) texts.back().push_back(token.id);
  }
  return texts;
}

/// Where two greedy texts of the same prompt part, the two tokens must be almost equal in the first one's logits: `row`
/// gives those behind a text. Returns whether they part.
template <class Row>
bool expect_equal_but_for_ties(const tokens& prompt, const tokens& text, const tokens& other, double rounding,
                               Row&& row) {
  EXPECT_EQ(text.size(), other.size());
  const auto parting = std::ranges::mismatch(text, other);
  if (parting.in1 == text.end()) return false;
  tokens before = prompt;
  before.insert(before.end(), text.begin(), parting.in1);
  const auto logits = row(before);
  const double gap =
      std::abs(logits[static_cast<std::size_t>(*parting.in1)] - logits[static_cast<std::size_t>(*parting.in2)]);
  EXPECT_LE(gap, 2 * rounding) << "behind " << before.size() - prompt.size() << " tokens";
  return true;
}

std::vector<float> copied(specdec::logits_row<float> row) { return {row.data(), row.data() + row.size()}; }

double total_variation(specdec::logits_row<float> a, specdec::logits_row<float> b) {
  const auto sum_of = [](specdec::logits_row<float> row, double highest) {
    double sum = 0;
    for (std::size_t t = 0; t < row.size(); ++t) sum += std::exp(row[t] - highest);
    return sum;
  };
  const double high_a = *std::max_element(a.data(), a.data() + a.size());
  const double high_b = *std::max_element(b.data(), b.data() + b.size());
  const double sum_a = sum_of(a, high_a), sum_b = sum_of(b, high_b);
  double distance = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    distance += std::abs(std::exp(a[t] - high_a) / sum_a - std::exp(b[t] - high_b) / sum_b);
  }
  return distance / 2;
}

/// Reads every prompt, and the greedy text behind it, with both backends, and hands over the rows of each two.
template <class Compare>
void compare_rows(const std::string& path, const llama::model& model, llama_context_params params, Compare&& compare) {
  const toy::model toy_model(path);
  toy::context toy_context(toy_model);
  llama::context context(model, params);
  for (std::size_t i = 0; i < prompts().size(); ++i) {
    tokens text = prompts()[i];
    text.insert(text.end(), toy_texts(path)[i].begin(), toy_texts(path)[i].end());
    toy_context.truncate(0);
    context.truncate(0);
    const auto expected = toy_context.decode(text, text.size());
    const auto rows = context.decode(text, text.size());
    for (std::size_t row = 0; row < rows.size(); ++row) compare(expected.row(row), rows.row(row));
  }
}

TEST(llama_cpp_bundled, logits_are_those_of_the_toy_backend) {
  for (const char* name : {"target", "draft"}) {
    double most = 0;
    std::size_t count = 0;
    compare_rows(converted_path(name, LLAMA_FTYPE_ALL_F32), in_float32(name), small(512), [&](auto expected, auto row) {
      for (std::size_t t = 0; t < row.size(); ++t) most = std::max<double>(most, std::abs(row[t] - expected[t]));
      ++count;
    });
    EXPECT_GT(count, 44 * generated);
    EXPECT_LE(most, rounding_float32) << name;
    std::printf("%s, float32: logits differ by at most %.2g over %zu rows\n", name, most, count);
  }
}

TEST(llama_cpp_bundled, laws_are_those_of_the_toy_backend_in_float16) {
  for (const char* name : {"target", "draft"}) {
    std::vector<double> distances;
    compare_rows(bundled_path(name), bundled(name), usual(),
                 [&](auto expected, auto row) { distances.push_back(total_variation(expected, row)); });
    std::ranges::sort(distances);
    const double nearly_all = distances[distances.size() * 99 / 100];
    EXPECT_LE(nearly_all, 2e-3) << name;
    std::printf("%s, float16: total variation at most %.2g on 99%% of %zu rows, %.2g on all\n", name, nearly_all,
                distances.size(), distances.back());
  }
}

TEST(llama_cpp_bundled, greedy_texts_are_those_of_the_toy_backend) {
  const auto compare = [](const std::string& path, const llama::model& model, llama_context_params params,
                          double rounding, const char* format) {
    const toy::model toy_model(path);
    toy::context toy_context(toy_model);
    std::size_t parted = 0;
    for (std::size_t i = 0; i < prompts().size(); ++i) {
      parted += expect_equal_but_for_ties(prompts()[i], toy_texts(path)[i], greedy_alone(model, params, prompts()[i]),
                                          rounding, [&](const tokens& before) {
                                            toy_context.truncate(0);
                                            return copied(toy_context.decode(before, 1).row(0));
                                          });
    }
    std::printf("%s: %zu of %zu greedy texts part from the toy backend's, at a tie\n", format, parted,
                prompts().size());
    return parted;
  };
  EXPECT_EQ(compare(converted_path("target", LLAMA_FTYPE_ALL_F32), in_float32("target"), small(512), rounding_float32,
                    "float32"),
            0U);
  EXPECT_LE(compare(bundled_path("target"), target(), usual(), rounding_float16, "float16"), 4U);
}

TEST(llama_cpp_bundled, greedy_speculation_is_greedy_decoding_by_llama_cpp_alone) {
  const auto compare = [](const llama::model& model, const llama::model& draft_model, llama_context_params params,
                          double rounding, const char* format) {
    llama::context context(model, params), draft_context(draft_model, params), rows(model, params);
    std::size_t parted = 0, texts = 0, accepted = 0;
    for (const tokens& prompt : prompts()) {
      const tokens expected = greedy_alone(model, params, prompt);
      const auto result = specdec::speculative_generate(context, draft_context, prompt,
                                                        {.gamma = 4, .max_tokens = generated, .sampling = {0.0}});
      accepted += result.stats.accepted;
      tokens text;
      for (const auto& token : result.tokens) text.push_back(token.id);
      ++texts;
      parted += expect_equal_but_for_ties(prompt, expected, text, rounding, [&](const tokens& before) {
        rows.truncate(0);
        (void)rows.decode(prompt, 0);
        std::vector<float> row;
        for (std::size_t i = prompt.size() - 1; i < before.size(); ++i) {
          rows.truncate(i);
          row = copied(rows.decode(std::span(before).subspan(i, 1), 1).row(0));
        }
        return row;
      });
    }
    std::printf("%s: %zu of %zu greedy texts of %zu tokens part from llama.cpp's, at a tie: divergence rate %.3f\n",
                format, parted, texts, generated, static_cast<double>(parted) / static_cast<double>(texts));
    EXPECT_EQ(texts, 44U);
    EXPECT_GT(accepted, texts * generated / 3);
    return parted;
  };
  EXPECT_EQ(compare(in_float32("target"), in_float32("draft"), small(512), rounding_float32, "float32"), 0U);
  EXPECT_LE(compare(target(), draft(), usual(), rounding_float16, "float16"), 4U);
}

}  // namespace
