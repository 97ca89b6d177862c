// Two real vocabularies: the bundled target, and a draft with a tokenizer of its own.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <gguf.hpp>
#include <map>
#include <model.hpp>
#include <nlohmann/json.hpp>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <string>
#include <tokenizer.hpp>
#include <vector>

namespace {

using specdec::generate_options;
using specdec::token_id;
using ids = std::vector<token_id>;

static_assert(specdec::Tokenizer<toy::tokenizer>);

/// A bundled model and its tokenizer.
struct language {
  explicit language(const std::string& name)
      : file(std::string(SPECDEC_MODELS_DIR) + "/" + name),
        tokenizer(file),
        model(file, {.threads = 1}),
        context(model) {}

  [[nodiscard]] token_id begin() const { return tokenizer.bos().value(); }
  [[nodiscard]] token_id end() const { return tokenizer.eos().value(); }

  toy::gguf_file file;
  toy::tokenizer tokenizer;
  toy::model model;
  toy::context context;
};

/// Reads the models once, for all tests.
class two_vocabularies : public ::testing::Test {
 protected:
  two_vocabularies() {
    target.context.truncate(0);
    draft.context.truncate(0);
  }

  static const std::vector<std::string>& prompts() {
    static const std::vector<std::string> all = [] {
      std::vector<std::string> read;
      std::ifstream file(std::string(SPECDEC_MODELS_DIR) + "/prompts.jsonl");
      for (std::string line; std::getline(file, line);) read.push_back(nlohmann::json::parse(line).at("prompt"));
      return read;
    }();
    return all;
  }

  static ids generated(const specdec::generation& result) {
    ids tokens;
    for (const auto& token : result.tokens) tokens.push_back(token.id);
    return tokens;
  }

  /// Calls `use` with a drafter of each kind, and its name.
  void with_each_drafter(std::size_t gamma, auto&& use) {
    specdec::translated translated(draft.context, map);
    specdec::model_drafter by_intersection(translated, specdec::constant{gamma});
    use("translated", by_intersection);
    draft.context.truncate(0);
    specdec::universal_drafter by_text(draft.context, target.tokenizer, draft.tokenizer,
                                       {.num_assistant_tokens = gamma, .control = {pairs, {}}});
    use("universal", by_text);
    draft.context.truncate(0);
  }

  /// Greedy text with each drafter must be the target's own.
  void expect_greedy_identity(const ids& prompt, const generate_options& options,
                              const std::vector<std::size_t>& gammas) {
    const auto alone = specdec::autoregressive_generate(target.context, prompt, options);
    for (const std::size_t gamma : gammas) {
      with_each_drafter(gamma, [&](const std::string& name, auto& drafter) {
        const auto both = specdec::speculative_generate(target.context, drafter, prompt, options);
        EXPECT_EQ(generated(both), generated(alone)) << name << ", gamma " << gamma;
        EXPECT_EQ(both.status, alone.status) << name << ", gamma " << gamma;
        accepted[name] += both.stats.accepted;
      });
    }
  }

  static inline language target{"target.gguf"};
  static inline language draft{"draft-1k.gguf"};
  const std::vector<specdec::token_pair> pairs{{target.begin(), draft.begin()}, {target.end(), draft.end()}};
  const specdec::vocabulary_map map{target.tokenizer, draft.tokenizer, pairs};
  std::map<std::string, std::size_t> accepted;
};

TEST_F(two_vocabularies, overlap_in_part) {
  EXPECT_EQ(map.target_vocab_size(), 4096U);
  EXPECT_EQ(map.draft_vocab_size(), 1024U);
  // All but 48 pieces that span words, and the byte tokens of 83 characters that have a piece of their own.
  EXPECT_EQ(map.shared().size(), 1024U - 48 - 83);
  for (token_id token = 3; token < 4096; ++token) {
    std::string text;
    for (const token_id part : map.to_draft(token)) draft.tokenizer.decode(part, text);
    ASSERT_EQ(text, target.tokenizer.piece(token)) << token;
  }
  EXPECT_EQ(map.to_target(draft.end()), target.end());
}

TEST_F(two_vocabularies, a_text_is_read_as_if_it_had_been_encoded_whole) {
  std::size_t same = 0;
  for (const std::string& prompt : prompts()) {
    specdec::retokenized_text reading(target.tokenizer, draft.tokenizer, 10, {pairs, {}});
    reading.read(target.tokenizer.encode(prompt));
    const ids expected = draft.tokenizer.encode(prompt);
    same += std::equal(reading.tokens().begin(), reading.tokens().end(), expected.begin(), expected.end()) ? 1 : 0;
    std::string text;
    for (const token_id token : reading.tokens()) draft.tokenizer.decode(token, text);
    EXPECT_EQ(text, " " + prompt);
  }
  EXPECT_GE(same, prompts().size() - 1);
}

TEST_F(two_vocabularies, greedy_text_is_the_targets_own) {
  for (std::size_t i = 0; i < prompts().size(); i += 5) {
    SCOPED_TRACE(prompts()[i]);
    expect_greedy_identity(target.tokenizer.encode(prompts()[i]), {.max_tokens = 48, .sampling = {0}}, {1, 4, 20});
  }
  EXPECT_GT(accepted["translated"], 100U);
  EXPECT_GT(accepted["universal"], 100U);
}

TEST_F(two_vocabularies, texts_end_where_the_targets_context_does) {
  // The draft's context, as large in its own tokens, ends before.
  for (const std::size_t left : {1U, 9U, 150U}) {
    ids prompt;
    while (prompt.size() < target.context.capacity() - left) {
      const ids more = target.tokenizer.encode(prompts()[prompt.size() % prompts().size()]);
      prompt.insert(prompt.end(), more.begin(), more.end());
    }
    prompt.resize(target.context.capacity() - left);
    expect_greedy_identity(prompt, {.max_tokens = 1000, .sampling = {0}}, {3, 40});
  }
}

TEST_F(two_vocabularies, an_end_token_inside_the_draft_ends_the_text) {
  // Problems of one sentence, with their ends: the models learnt to stop there, and the draft says so too.
  const ids prompt =
      target.tokenizer.encode("Question: Tom has 3 apples and buys 2 more. How many apples does he have?");
  generate_options options{.max_tokens = 200, .sampling = {0}};
  const auto text = generated(specdec::autoregressive_generate(target.context, prompt, options));
  // Whichever token is the end token: the text ends with it, and drafts go on behind it.
  for (const std::size_t place : {1U, 7U, 30U}) {
    options.end_tokens = {text[place]};
    expect_greedy_identity(prompt, options, {2, 20});
  }
  options.end_tokens = {target.end()};
  expect_greedy_identity(prompt, options, {2, 20});
}

TEST_F(two_vocabularies, texts_of_all_kinds_are_drafted_for) {
  // Bytes in the middle of a character, control tokens inside the text, no text at all.
  const generate_options options{.max_tokens = 24, .sampling = {0}};
  expect_greedy_identity({target.begin()}, options, {5});
  expect_greedy_identity({target.end(), target.begin(), 0, 0}, options, {5});
  ids cut = target.tokenizer.encode("It costs 5 \xe2\x82\xac and \xf0\x9f\x99\x82");
  for (std::size_t i = 0; i < 4; ++i) {
    expect_greedy_identity(cut, options, {5});
    cut.pop_back();
  }
}

/// Draws what the bundled draft thinks least likely, so that it is always wrong.
class contrary {
 public:
  explicit contrary(toy::context& model) : model_(model) {}
  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  [[nodiscard]] std::size_t capacity() const { return model_.capacity(); }
  void truncate(std::size_t n) { model_.truncate(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    const auto view = model_.decode(tokens, rows);
    logits_.clear();
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t t = 0; t < vocab_size(); ++t) logits_.push_back(-view.row(i)[t]);
    }
    return {logits_.data(), rows, vocab_size()};
  }

 private:
  toy::context& model_;
  std::vector<float> logits_;
};

TEST_F(two_vocabularies, a_draft_that_is_always_wrong_or_empty_changes_nothing) {
  const ids prompt = target.tokenizer.encode(prompts()[0]);
  const generate_options options{.max_tokens = 40, .sampling = {0}};
  const auto alone = generated(specdec::autoregressive_generate(target.context, prompt, options));
  contrary wrong(draft.context);
  specdec::translated translated(wrong, map);
  specdec::model_drafter by_intersection(translated, specdec::constant{6});
  const auto first = specdec::speculative_generate(target.context, by_intersection, prompt, options);
  EXPECT_EQ(generated(first), alone);
  EXPECT_EQ(first.stats.accepted, 0U);
  EXPECT_GT(first.stats.proposed, 100U);
  draft.context.truncate(0);
  specdec::universal_drafter by_text(wrong, target.tokenizer, draft.tokenizer,
                                     {.num_assistant_tokens = 6, .control = {pairs, {}}});
  const auto second = specdec::speculative_generate(target.context, by_text, prompt, options);
  EXPECT_EQ(generated(second), alone);
  EXPECT_EQ(second.stats.accepted, 0U);
  draft.context.truncate(0);
  expect_greedy_identity(prompt, options, {0});
}

TEST_F(two_vocabularies, models_and_drafters_keep_their_contracts) {
  specdec::translated translated(draft.context, map);
  // Tokens that are read as different ones; the byte tokens are read as their characters.
  ids tokens;
  for (token_id token = 300; token < 4096; token += 37) tokens.push_back(token);
  const auto model = specdec::testing::check_target_model(
      translated, {.tokens = tokens, .length = 20, .fill_limit = 100, .provoke_refusals = true});
  EXPECT_TRUE(model.conforming() && model.complete) << model.text();
  with_each_drafter(5, [&](const std::string& name, auto& drafter) {
    const auto report = specdec::testing::check_drafter(drafter, 4096, {.tokens = tokens});
    EXPECT_TRUE(report.conforming() && report.complete) << name << ": " << report.text();
  });
}

TEST_F(two_vocabularies, more_than_one_token_comes_of_a_call) {
  for (const double temperature : {0.0, 1.0}) {
    with_each_drafter(4, [&](const std::string& name, auto& drafter) {
      specdec::statistics all;
      for (std::size_t i = 0; i < prompts().size(); i += 4) {
        const generate_options options{.max_tokens = 64, .sampling = {temperature}, .seed = i};
        const auto prompt = target.tokenizer.encode(prompts()[i]);
        all += specdec::speculative_generate(target.context, drafter, prompt, options).stats;
      }
      std::printf("temperature %.0f, %s: %.0f %% of %zu evaluated tokens accepted, %.2f tokens per call\n", temperature,
                  name.c_str(), 100 * static_cast<double>(all.accepted) / static_cast<double>(all.evaluated),
                  static_cast<std::size_t>(all.evaluated), all.mean_acceptance_length());
      EXPECT_GT(all.mean_acceptance_length(), temperature > 0 && name == "universal" ? 1.2 : 1.5) << name;
    });
  }
}

}  // namespace
