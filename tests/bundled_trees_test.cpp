// Trees and shared noise on real models.

#include <gtest/gtest.h>

#include <gguf.hpp>
#include <model.hpp>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>
#include <vector>

namespace {

using specdec::token_id;
using specdec::tree_shape;

const std::string models = SPECDEC_MODELS_DIR;

class bundled_trees : public ::testing::Test {
 protected:
  template <class Rule, class Drafter>
  std::vector<token_id> text(const Rule& rule, Drafter&& drafter, const std::string& prompt, double temperature) {
    specdec::session session(target.vocab_size(),
                             {.max_tokens = 64, .sampling = {.temperature = temperature}, .seed = 3}, rule);
    session.begin(tokenizer.encode(prompt));
    specdec::speculative_generate(session, target, drafter);
    accepted = session.stats().accepted;
    return {session.tokens().begin(), session.tokens().end()};
  }

  template <class Rule>
  void expect_greedy_text(const Rule& rule) {
    for (const char* prompt : {"It was evening.", "Once upon a time", "The king said to the old woman:"}) {
      const auto expected = text(specdec::rejection{}, specdec::no_draft{}, prompt, 0);
      const std::vector<std::size_t> branching{3, 2, 1, 1};
      EXPECT_EQ(text(rule, specdec::tree_drafter(draft, tree_shape::uniform(branching)), prompt, 0), expected);
      EXPECT_GT(accepted, 10U);
      EXPECT_EQ(text(rule, specdec::dynamic_tree_drafter(draft, {.nodes = 24, .depth = 5}), prompt, 0), expected);
      EXPECT_GT(accepted, 10U);
    }
  }

  const toy::gguf_file file{models + "/target.gguf"};
  const toy::tokenizer tokenizer{file};
  const toy::model target_model{file};
  const toy::model draft_model{models + "/draft.gguf"};
  toy::context target{target_model};
  toy::context draft{draft_model};
  std::uint64_t accepted = 0;
};

TEST_F(bundled_trees, greedy_text_is_greedy_text) {
  expect_greedy_text(specdec::recursive_rejection{});
  expect_greedy_text(specdec::naive_sampling{});
  expect_greedy_text(specdec::traversal{});
  expect_greedy_text(specdec::k_seq{});
  expect_greedy_text(specdec::coupled{});
}

TEST_F(bundled_trees, coupled_text_depends_on_the_seed_alone) {
  for (const char* prompt : {"It was evening.", "Once upon a time", "The king said to the old woman:"}) {
    const auto expected = text(specdec::coupled{}, specdec::no_draft{}, prompt, 1);
    EXPECT_NE(expected, text(specdec::coupled{}, specdec::no_draft{}, prompt, 0.2));
    for (std::size_t gamma = 1; gamma <= 8; ++gamma) {
      EXPECT_EQ(text(specdec::coupled{}, specdec::model_drafter(draft, specdec::constant{gamma}), prompt, 1), expected);
      EXPECT_GT(accepted, 5U);
    }
    EXPECT_EQ(text(specdec::coupled{}, specdec::prompt_lookup{}, prompt, 1), expected);
    EXPECT_EQ(text(specdec::coupled{}, specdec::suffix_drafter{}, prompt, 1), expected);
    const std::vector<std::size_t> branching{3, 2, 1};
    EXPECT_EQ(text(specdec::coupled{}, specdec::tree_drafter(draft, tree_shape::uniform(branching)), prompt, 1),
              expected);
    EXPECT_EQ(text(specdec::coupled{}, specdec::dynamic_tree_drafter(draft), prompt, 1), expected);
  }
}

}  // namespace
