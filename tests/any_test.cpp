// Drafters and rules that are chosen at run time.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"
#include "message_of.hpp"

namespace {

using specdec::any_drafter;
using specdec::any_lossy_verifier;
using specdec::any_verifier;
using specdec::token_id;
using specdec::testing::law_model;

constexpr std::size_t vocab = 6;
const std::vector<token_id> prompt{1, 2, 0};

/// The commonest rows: a matrix of float.
class float_model {
 public:
  explicit float_model(std::uint64_t seed) : inner_(vocab, laws::hashed(vocab, seed, 0.8)) {}
  [[nodiscard]] std::size_t vocab_size() const { return vocab; }
  [[nodiscard]] std::size_t size() const { return inner_.size(); }
  void truncate(std::size_t n) { inner_.truncate(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    const auto exact = inner_.decode(tokens, rows);
    logits_.clear();
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t t = 0; t < vocab; ++t) logits_.push_back(static_cast<float>(exact.row(i)[t]));
    }
    return {logits_.data(), rows, vocab};
  }

 private:
  law_model<decltype(laws::hashed(vocab, 0, 0.0))> inner_;
  std::vector<float> logits_;
};

auto stutter() {
  const auto last = [](laws::text_view text) { return text.back(); };
  return laws::point_drafter<decltype(last)>{vocab, 3, last};
}

/// All that a run emits, bit by bit, and what it cost.
struct run {
  std::vector<token_id> tokens;
  std::vector<double> log_probabilities;
  std::uint64_t accepted = 0;
  friend bool operator==(const run&, const run&) = default;
};

template <class Rule, class Drafter>
run run_with(Rule rule, Drafter& drafter) {
  float_model target(21);
  specdec::session<Rule> text(vocab, {.max_tokens = 60, .seed = 4}, std::move(rule));
  text.begin(prompt);
  run found;
  speculative_generate(text, target, drafter, [&](const specdec::outcome& out) {
    for (const specdec::emitted_token& token : out.tokens) {
      found.tokens.push_back(token.id);
      found.log_probabilities.push_back(token.log_probability);
    }
  });
  found.accepted = text.stats().accepted;
  return found;
}

TEST(any, gives_the_text_of_the_types_it_holds) {
  float_model draft(22);
  const auto expect_same = [&](auto drafter, any_drafter erased) {
    const run sampled = run_with(specdec::rejection{}, drafter);
    const run greedy = run_with(specdec::greedy{}, drafter);
    EXPECT_NE(sampled.tokens, greedy.tokens);
    const std::vector<std::pair<any_verifier<>, run>> rules{{specdec::rejection{}, sampled},
                                                            {specdec::greedy{}, greedy}};
    for (const auto& [rule, expected] : rules) EXPECT_EQ(run_with(rule, erased), expected);
    EXPECT_EQ(run_with(any_lossy_verifier<>(specdec::greedy{}), erased), greedy);
    EXPECT_EQ(run_with(any_verifier<>(), erased), sampled) << "without a rule, rejection";
  };
  expect_same(specdec::model_drafter(draft), specdec::model_drafter(draft));
  expect_same(specdec::model_drafter(draft, specdec::constant{2}, {.top = 0}),
              specdec::model_drafter(draft, specdec::constant{2}, {.top = 0}));
  expect_same(stutter(), stutter());
  expect_same(specdec::no_draft{}, any_drafter());
  auto referred = stutter();
  expect_same(stutter(), std::ref(referred));
}

TEST(any_drafter, owns_moves_and_refers) {
  static_assert(specdec::DraftModel<any_drafter> && !specdec::CausalModel<any_drafter>);
  static_assert(std::is_nothrow_move_constructible_v<any_drafter> && !std::is_copy_constructible_v<any_drafter>);
  struct counting {
    std::unique_ptr<std::size_t> calls = std::make_unique<std::size_t>(0);
    void propose(const specdec::draft_request&, specdec::philox&, specdec::draft&) { ++*calls; }
  };
  counting drafter;
  any_drafter referring = std::ref(drafter);
  (void)run_with(specdec::rejection{}, referring);
  EXPECT_EQ(*drafter.calls, 60U);
  any_drafter owning = std::move(drafter);
  EXPECT_TRUE(owning);
  any_drafter moved = std::move(owning);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(owning);  // NOLINT: what a move leaves behind is stated
  EXPECT_FALSE(any_drafter());
}

TEST(any_drafter, knows_the_vocabulary_that_its_drafter_tells) {
  law_model target(vocab, laws::hashed(vocab, 1));
  law_model narrow(5, laws::hashed(5, 1));
  any_drafter drafter = specdec::model_drafter(narrow);
  EXPECT_EQ(drafter.vocab_size(), 5U);
  std::size_t rounds = 0;
  try {
    (void)specdec::speculative_generate(target, drafter, prompt, {}, [&](const specdec::outcome&) { ++rounds; });
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()).find("specdec: expected one vocabulary of 6 tokens; the draft has 5"), 0U);
  }
  EXPECT_EQ(rounds, 0U);
  drafter = any_drafter(std::move(drafter));
  EXPECT_EQ(drafter.vocab_size(), 5U);
  drafter = specdec::no_draft();
  EXPECT_EQ(drafter.vocab_size(), std::nullopt);
  EXPECT_EQ(specdec::speculative_generate(target, drafter, prompt, {.max_tokens = 5}).tokens.size(), 5U);
  drafter = {};
  EXPECT_EQ(drafter.vocab_size(), std::nullopt);
}

struct twins {
  static constexpr bool drafts_trees = true;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    if (request.max_depth == 0) return;
    answer.extend_independently(specdec::root, 2, specdec::proposal::point_mass(vocab, 1), chance);
  }
};

TEST(any_drafter, may_draft_trees_and_learns_at_run_time_that_nobody_scores_them) {
  static_assert(specdec::DraftsTrees<twins> && !specdec::DraftsTrees<any_drafter>);
  any_drafter drafter = twins();
  float_model chains(21);
  EXPECT_EQ(message_of([&] { (void)specdec::speculative_generate(chains, drafter, prompt, {.max_tokens = 5}); }),
            "specdec: expected a draft without branches, since this target scores no trees");
  law_model trees(vocab, laws::hashed(vocab, 21, 0.8));
  EXPECT_EQ(specdec::speculative_generate(trees, drafter, prompt, {.max_tokens = 5}).tokens.size(), 5U);
}

struct lossy : specdec::rejection {
  static constexpr bool lossless = false;
};

TEST(any_verifier, says_at_compile_time_whether_the_law_is_kept) {
  static_assert(any_verifier<>::lossless && !any_lossy_verifier<>::lossless);
  static_assert(specdec::Verifier<any_verifier<specdec::logits_view<double>>, specdec::logits_view<double>>);
  static_assert(!specdec::Verifier<any_verifier<>, specdec::logits_view<double>>);
  auto drafter = stutter();
  EXPECT_EQ(run_with(any_lossy_verifier<>(lossy{}), drafter), run_with(specdec::rejection{}, drafter));
}

TEST(any_verifier, is_never_empty) {
  any_verifier<> rule = specdec::greedy{};
  const any_verifier<> other = std::move(rule);
  auto drafter = stutter();
  EXPECT_EQ(run_with(rule, drafter), run_with(other, drafter));  // NOLINT: a move is a copy
}

}  // namespace
