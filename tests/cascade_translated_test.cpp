// Cascades over a model of another vocabulary: a guess may take more of its context than is left.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <vector>

#include "laws.hpp"
#include "pieces.hpp"

namespace {

namespace testing = specdec::testing;
using specdec::token_id;

const std::vector<token_id> prompt{0, 1};

/// Draws every guess from one law.
struct drawn_guesses {
  std::vector<float> law;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) const {
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < request.max_depth; ++i) {
      tip = answer.extend(tip, specdec::proposal::dense(law), chance);
    }
  }
};

/// A cascade with a model of its own inside, which holds `capacity` tokens of the draft's vocabulary.
template <class Law>
class translated_cascade {
 public:
  using model = specdec::translated<pieces::bounded_model<Law>>;

  translated_cascade(Law law, std::size_t capacity, std::vector<float> guesses, std::size_t gamma)
      : model_(std::make_unique<model>(pieces::bounded_model(6, law, capacity), pieces::partly_shared())),
        drafter_(*model_, drawn_guesses{std::move(guesses)}, specdec::constant{gamma}, {.top = 0}) {}

  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }
  [[nodiscard]] const specdec::cascade_counts& counts() const { return drafter_.counts(); }

 private:
  std::unique_ptr<model> model_;
  specdec::cascade_drafter<model, drawn_guesses> drafter_;
};

// The prompt is three of the draft's tokens, so of a context of 4 one is left: room for the guess "a", not for "cab".
TEST(translated_cascade, draws_from_the_models_law_whatever_guesses_fit) {
  const specdec::law target(5, {});
  for (const std::size_t capacity : {3U, 4U, 5U, 6U, 7U, 12U}) {
    double zero = 0;
    double stored = 0;
    testing::outcome_tree tree;
    do {
      testing::enumerating_chance chance(tree);
      translated_cascade drafter(laws::fixed({0.25, 0.125, 0.25, 0.125, 0.125, 0.125}), capacity, {1, 0, 0, 1, 0}, 2);
      const specdec::draft_request request{
          .context = prompt, .max_depth = 2, .max_nodes = 2, .target_law = &target, .prompt_size = 2};
      specdec::draft answer;
      answer.begin(request);
      drafter.propose(request, chance, answer);
      ASSERT_GT(answer.size(), 0U) << capacity;
      stored = answer.law_of(1).probability(0);
      zero += answer.token(1) == 0 ? tree.weight() : 0;
    } while (tree.next());
    EXPECT_NEAR(stored, 0.4, 1e-7);
    EXPECT_NEAR(zero, stored, 1e-12) << capacity;
  }
}

TEST(translated_cascade, is_lossless_in_contexts_of_every_size) {
  const auto p = laws::hashed(5, 11);
  for (std::size_t capacity = 2; capacity < 10; ++capacity) {
    for (const std::size_t gamma : {2U, 3U}) {
      const auto found =
          testing::enumerate(5, prompt, p, p,
                             [&] {
                               return translated_cascade(laws::hashed(6, 12), capacity, {1, 0, 0, 2, 1}, gamma);
                             },
                             specdec::rejection{}, specdec::generate_options{}, {1, gamma + 1});
      EXPECT_LT(found.total_variation(), 1e-12) << capacity << " " << gamma;
      EXPECT_EQ(found.expected_accepted > 0, capacity > 2) << capacity << " " << gamma;
    }
  }
}

TEST(translated_cascade, drafting_ends_where_forced_tokens_fill_the_context) {
  testing::law_model target(5, laws::hashed(5, 6));
  const specdec::generate_options options{
      .gamma = 16, .max_tokens = 40, .sampling = {0}, .mask = pieces::leaves_cab{.often = true}};
  const auto alone = specdec::autoregressive_generate(target, prompt, options);
  for (std::size_t capacity = 3; capacity < 60; ++capacity) {
    specdec::translated model(pieces::bounded_model(6, laws::hashed(6, 7), capacity), pieces::partly_shared());
    specdec::cascade_drafter drafter(model, drawn_guesses{{1, 0, 0, 1, 0}}, specdec::constant{6});
    const auto both = specdec::speculative_generate(target, drafter, prompt, options);
    ASSERT_EQ(both.tokens.size(), alone.tokens.size()) << capacity;
    for (std::size_t i = 0; i < alone.tokens.size(); ++i) ASSERT_EQ(both.tokens[i].id, alone.tokens[i].id) << capacity;
    EXPECT_GT(both.stats.proposed, 0U) << capacity;
  }
}

// Whether the first drafter proposes anything depends on what it drew: "ab" is a token, so behind "a" a drafted "b" is
// none. The cascade that drafts then must not draw with the same number.
TEST(first_of, shares_no_noise_between_a_drafter_through_the_text_and_a_cascade) {
  const pieces::tokenizer target_pieces({"a", "b", "c", "ab"}), draft_pieces({"a", "b", "c"});
  const auto p = laws::fixed({0.4, 0.375, 0.125, 0.1});
  const auto q = laws::fixed({0.5, 0.5, 0, 0});
  testing::law_model<decltype(q)> model(4, q), guesser(4, q);
  const auto make = [&] {
    model.truncate(0);
    guesser.truncate(0);
    return specdec::first_of(
        pieces::universal_drafter(target_pieces, draft_pieces, laws::fixed({0, 0.5, 0.5}), specdec::constant{1},
                                  {.sampling = specdec::sampling_params{}}),
        specdec::cascade_drafter(model, specdec::model_drafter(guesser, specdec::constant{1}, {.top = 0}),
                                 specdec::constant{2}, {.top = 0}));
  };
  const auto found = testing::enumerate(4, {0}, p, p, make, specdec::rejection{}, specdec::generate_options{}, {1, 3});
  EXPECT_LT(found.total_variation(), 1e-12);
}

}  // namespace
