// Nothing in the library needs more of a type than its concept says.

#include "archetypes.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <utility>
#include <vector>

namespace {

using archetypes::vocab;
using specdec::token_id;
using tokens = std::vector<token_id>;

const tokens prompt{1, 2, 0};
const specdec::generate_options options{.gamma = 3, .max_tokens = 20, .seed = 2};

tokens ids(const specdec::generation& result) {
  tokens all;
  for (const specdec::emitted_token& token : result.tokens) all.push_back(token.id);
  return all;
}

/// The text of the same target, with a draft of the same kind, from types that have everything.
tokens expected(auto&& draft) {
  specdec::testing::law_model target(vocab, laws::hashed(vocab, 1, 0.8));
  return ids(specdec::speculative_generate(target, draft, prompt, options));
}
tokens expected_with_drafter() {
  const auto last = [](laws::text_view text) { return text.back(); };
  return expected(laws::point_drafter<decltype(last)>{vocab, 3, last});
}
tokens expected_with_model() { return expected(specdec::testing::law_model(vocab, laws::hashed(vocab, 2, 0.8))); }

TEST(archetypes, generate_from_a_prompt) {
  archetypes::model target(1);
  archetypes::model draft(2);
  archetypes::drafter drafter(0);
  tokens seen;
  EXPECT_EQ(ids(specdec::speculative_generate(target, draft, prompt, options)), expected_with_model());
  EXPECT_EQ(ids(specdec::speculative_generate(target, drafter, prompt, options, archetypes::sink(seen))),
            expected_with_drafter());
  EXPECT_EQ(seen, expected_with_drafter());
  EXPECT_EQ(ids(specdec::autoregressive_generate(target, prompt, options, archetypes::sink(seen))),
            expected(specdec::no_draft()));
}

TEST(archetypes, generate_with_a_session) {
  archetypes::model target(1);
  archetypes::model draft(2);
  archetypes::drafter drafter(0);
  tokens seen;
  archetypes::sink sink(seen);
  specdec::session text(vocab, options, archetypes::rule(0));
  text.begin(prompt);
  EXPECT_EQ(speculative_generate(text, target, drafter, sink), specdec::session_status::max_tokens);
  EXPECT_EQ(seen, expected_with_drafter());
  text.begin(prompt);
  EXPECT_EQ(speculative_generate(text, target, draft), specdec::session_status::max_tokens);
  EXPECT_EQ(tokens(text.generated().begin(), text.generated().end()), expected_with_model());
}

TEST(archetypes, are_driven_by_hand) {
  archetypes::model target(1);
  archetypes::drafter drafter(0);
  specdec::session text(vocab, options, archetypes::rule(0));
  text.begin(prompt);
  specdec::draft drafted;
  while (text.running()) {
    const specdec::draft_request request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    const specdec::decode_plan plan = text.plan(drafted, target.size());
    target.truncate(plan.held);
    (void)text.commit(text.verify(target.decode(plan.tokens, plan.rows)));
  }
  EXPECT_EQ(tokens(text.generated().begin(), text.generated().end()), expected_with_drafter());
}

TEST(archetypes, are_lifted_and_erased) {
  archetypes::model target(1);
  archetypes::model draft(2);
  specdec::model_drafter lifted(draft, archetypes::policy(0));
  EXPECT_EQ(ids(specdec::speculative_generate(target, lifted, prompt, options)).size(), 20U);

  specdec::any_drafter erased(archetypes::drafter(0));
  EXPECT_EQ(ids(specdec::speculative_generate(target, erased, prompt, options)), expected_with_drafter());
  archetypes::drafter drafter(0);
  erased = std::ref(drafter);
  specdec::any_verifier<archetypes::rows> rule(archetypes::rule(0));
  specdec::session text(vocab, options, rule);
  text.begin(prompt);
  EXPECT_EQ(speculative_generate(text, target, erased), specdec::session_status::max_tokens);
  EXPECT_EQ(tokens(text.generated().begin(), text.generated().end()), expected_with_drafter());
}

TEST(archetypes, are_wrapped) {
  specdec::recorded target{archetypes::model(1)};
  specdec::padded draft{archetypes::model(2), vocab};
  EXPECT_EQ(ids(specdec::speculative_generate(target, draft, prompt, options)), expected_with_model());
  archetypes::model inner(1);
  specdec::padded<specdec::recorded<archetypes::model&>> wrapped(specdec::recorded<archetypes::model&>(inner), vocab);
  EXPECT_EQ(ids(specdec::speculative_generate(wrapped, draft, prompt, options)), expected_with_model());
  specdec::testing::faulty_model faulty(archetypes::model(1));
  EXPECT_EQ(ids(specdec::speculative_generate(faulty, draft, prompt, options)), expected_with_model());
}

TEST(archetypes, draft_and_score_trees) {
  archetypes::tree_model target(1);
  archetypes::tree_model draft(2);
  specdec::testing::law_model same_draft(vocab, laws::hashed(vocab, 2, 0.8));
  const specdec::tree_shape shape = specdec::tree_shape::uniform(std::vector<std::size_t>{2, 2});
  specdec::tree_drafter of_a_shape(draft, shape);
  EXPECT_EQ(ids(specdec::speculative_generate(target, of_a_shape, prompt, options)),
            expected(specdec::tree_drafter(same_draft, shape)));
  specdec::dynamic_tree_drafter growing(draft);
  EXPECT_EQ(ids(specdec::speculative_generate(target, growing, prompt, options)),
            expected(specdec::dynamic_tree_drafter(same_draft)));
}

/// The texts of a target of two sequences, each with the options and the prompt that all have.
std::vector<tokens> in_a_batch(auto& target, auto& draft) {
  specdec::batch_model_drafter drafter(draft, archetypes::copied_policy(3));
  specdec::session_batch batch(target, drafter);
  std::vector<specdec::session<>> texts(3, specdec::session<>(vocab, options));
  for (auto& text : texts) text.begin(prompt);
  batch.join(texts[0]);
  batch.join(texts[1]);
  batch.round();
  batch.leave(texts[1]);
  batch.join(texts[2]);
  while (batch.running()) batch.round();
  return {tokens(texts[0].generated().begin(), texts[0].generated().end()),
          tokens(texts[2].generated().begin(), texts[2].generated().end())};
}

template <class Model>
specdec::separate_sequences<Model> two_of(std::uint64_t seed) {
  std::vector<Model> models;
  for (int i = 0; i < 2; ++i) models.emplace_back(seed);
  return specdec::separate_sequences<Model>(std::move(models));
}

TEST(archetypes, share_a_batch) {
  const std::vector<tokens> both(2, expected_with_model());
  archetypes::batch_model target(1, 2);
  archetypes::batch_model draft(2, 2);
  EXPECT_EQ(in_a_batch(target, draft), both);
  auto separate = two_of<archetypes::model>(1);
  auto lending = two_of<archetypes::lending_model>(2);
  EXPECT_EQ(in_a_batch(separate, lending), both);
}

TEST(archetypes, lend_their_rows) {
  archetypes::lending_model target(1);
  archetypes::lending_model draft(2);
  EXPECT_EQ(ids(specdec::speculative_generate(target, draft, prompt, options)), expected_with_model());
  specdec::recorded recorded{archetypes::lending_model(1)};
  specdec::padded padded{archetypes::lending_model(2), vocab};
  EXPECT_EQ(ids(specdec::speculative_generate(recorded, padded, prompt, options)), expected_with_model());
  specdec::cascade_drafter cascade(draft, specdec::prompt_lookup{}, specdec::constant{3});
  specdec::testing::law_model same_draft(vocab, laws::hashed(vocab, 2, 0.8));
  EXPECT_EQ(ids(specdec::speculative_generate(target, cascade, prompt, options)),
            expected(specdec::cascade_drafter(same_draft, specdec::prompt_lookup{}, specdec::constant{3})));

  specdec::session text(vocab, options);
  specdec::model_drafter drafter(draft, specdec::constant{3});
  specdec::draft_ahead ahead(drafter);
  specdec::one_after_the_other executor;
  text.begin(prompt);
  EXPECT_EQ(overlapped_generate(text, target, ahead, executor), specdec::session_status::max_tokens);
}

TEST(archetypes, conform) {
  archetypes::model model(1);
  EXPECT_TRUE(specdec::testing::check_target_model(model).conforming());
  specdec::recorded recorded{archetypes::model(1)};
  EXPECT_TRUE(specdec::testing::check_target_model(recorded).conforming());
  archetypes::drafter drafter(0);
  EXPECT_TRUE(specdec::testing::check_drafter(drafter, vocab).conforming());
}

TEST(archetypes, are_exact) {
  using specdec::testing::enumerating_chance;
  const auto law = laws::hashed(vocab, 1);
  // The oracle copies rules; an any_verifier can be copied whatever it holds.
  const specdec::any_verifier<specdec::logits_view<double>, enumerating_chance> rule(archetypes::rule(0));
  const auto found = specdec::testing::enumerate(vocab, prompt, law, law, [] { return archetypes::drafter(0); }, rule,
                                                 {}, {.rounds = 1, .length = 4});
  EXPECT_LT(found.total_variation(), 1e-12);
  const auto erased = specdec::testing::enumerate(
      vocab, prompt, law, law, [] { return specdec::basic_any_drafter<enumerating_chance>(archetypes::drafter(0)); },
      specdec::rejection{}, {}, {.rounds = 1, .length = 4});
  EXPECT_LT(erased.total_variation(), 1e-12);
  EXPECT_EQ(erased.runs, found.runs);
}

}  // namespace
