// Trees in the toy transformer: every node's row has the bits of a chain, whatever the tree looks like.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "counting_new.hpp"
#include "gguf.hpp"
#include "message_of.hpp"
#include "model.hpp"
#include "transformer_gguf_writer.hpp"
#include "transformer_support.hpp"
#include "trees.hpp"

namespace {

using specdec::node_id;
using specdec::token_id;
using toy::context;
using toy::weight_format;
using toy_test::bits_of;
using toy_test::joined;
using toy_test::random_tokens;
using toy_test::row_bits;
using toy_test::tiny_model;
using tokens = std::vector<token_id>;
using nodes = std::vector<node_id>;

static_assert(specdec::DecodesTrees<context> && specdec::DecodesTrees<specdec::recorded<context&>> &&
              specdec::DecodesTrees<specdec::padded<context&>>);

constexpr std::size_t vocabulary = 37;

const toy::model& odd_model() {
  static const toy::model model(toy_test::odd_file(vocabulary, 200));
  return model;
}

/// The rows behind all of `fed`, from a context that is a copy of `text` and reads them as a chain.
std::vector<row_bits> chain_rows(const context& text, std::span<const token_id> fed) {
  context chain = text;
  return bits_of(chain.decode(fed, fed.size()));
}

/// Feeds a tree to `scoring`, the text with it that `missing` has, in calls of at most `at_once` nodes.
std::vector<row_bits> tree_rows(context& scoring, std::span<const token_id> missing, const trees::tree& tree,
                                std::size_t at_once) {
  std::vector<row_bits> rows;
  for (std::size_t done = 0; done < tree.size();) {
    const std::size_t count = std::min(at_once, tree.size() - done);
    const auto some = std::span(tree.tokens).subspan(done, count);
    const tokens fed = joined(done == 0 ? missing : std::span<const token_id>(), some);
    for (auto& row : bits_of(scoring.decode_tree(fed, std::span(tree.parents).subspan(done, count), count)))
      rows.push_back(std::move(row));
    done += count;
  }
  return rows;
}

void expect_rows_of_chains(const toy::model& model, std::size_t vocab_size, unsigned seed, const std::string& what) {
  std::minstd_rand random(seed);
  for (const std::size_t size : {1U, 2U, 9U, 33U, 70U}) {
    for (const std::size_t depth_bias : {0U, 3U}) {
      const tokens text = random_tokens(1 + random() % 80, vocab_size, random);
      const trees::tree tree = trees::random_tree(size, vocab_size, depth_bias, random);
      context base(model, 160);
      static_cast<void>(base.decode(text, 0));
      for (const std::size_t at_once : {size, std::size_t{1} + random() % 5}) {
        // What the text lacks comes with the tree; the end of a pass through the layers may be in either.
        const std::size_t known = random() % (text.size() + 1);
        context scoring(model, 160);
        static_cast<void>(scoring.decode(std::span(text).first(known), 0));
        const auto rows = tree_rows(scoring, std::span(text).subspan(known), tree, at_once);
        ASSERT_EQ(scoring.size(), text.size()) << what;
        for (node_id node = 1; node <= tree.size(); ++node)
          ASSERT_EQ(rows[node - 1], chain_rows(base, tree.tokens_to(node)).back())
              << what << ": node " << node << " of " << size << ", " << at_once << " at once";
      }
    }
  }
}

TEST(tree, rows_have_the_bits_of_chains_on_every_instruction_set) {
  const toy::gguf_file file = toy_test::odd_file(vocabulary, 200);
  for (const char* tier : toy_test::tiers()) {
    const toy_test::forced_tier forced(tier);
    for (const weight_format format : {weight_format::float32, weight_format::float16})
      expect_rows_of_chains(toy::model(file, {format}), vocabulary, 1, tier);
  }
}

TEST(tree, rows_have_the_bits_of_chains_on_any_number_of_threads) {
  for (const unsigned threads : {1U, 2U, 5U}) {
    const toy::model model(std::filesystem::path(SPECDEC_MODELS_DIR) / "draft.gguf",
                           {weight_format::float32, 0, threads});
    std::minstd_rand random(2);
    const tokens text = random_tokens(100, 4096, random);
    const trees::tree tree = trees::random_tree(50, 4096, 1, random);
    context base(model, 200);
    static_cast<void>(base.decode(text, 0));
    context scoring(model, 200);
    const auto rows = tree_rows(scoring, text, tree, tree.size());
    for (node_id node = 1; node <= tree.size(); ++node)
      ASSERT_EQ(rows[node - 1], chain_rows(base, tree.tokens_to(node)).back()) << threads << " threads, node " << node;
  }
}

TEST(tree, a_chain_is_a_tree) {
  std::minstd_rand random(3);
  const tokens text = random_tokens(20, vocabulary, random), drafted = random_tokens(9, vocabulary, random);
  context chain(odd_model()), scoring(odd_model());
  static_cast<void>(chain.decode(text, 0));
  const nodes parents{0, 1, 2, 3, 4, 5, 6, 7, 8};
  const auto rows = bits_of(scoring.decode_tree(joined(text, drafted), parents, drafted.size() + 1));
  chain.truncate(text.size() - 1);
  EXPECT_EQ(rows, bits_of(chain.decode(joined(std::span(text).last(1), drafted), drafted.size() + 1)));
}

TEST(tree, text_has_rows_too) {
  std::minstd_rand random(4);
  const tokens text = random_tokens(80, vocabulary, random);
  const trees::tree tree = trees::random_tree(10, vocabulary, 0, random);
  context chain(odd_model()), scoring(odd_model());
  auto expected = bits_of(chain.decode(text, 70));
  const auto rows = bits_of(scoring.decode_tree(joined(text, tree.tokens), tree.parents, 80));
  EXPECT_EQ(std::vector(rows.begin(), rows.begin() + 70), expected);
  EXPECT_EQ(bits_of(scoring.decode_tree({}, {}, 0)).size(), 0U);
}

TEST(tree, a_kept_path_is_text) {
  std::minstd_rand random(5);
  const tokens text = random_tokens(30, vocabulary, random), further = random_tokens(6, vocabulary, random);
  const trees::tree tree = trees::random_tree(24, vocabulary, 1, random);
  const trees::tree next = trees::random_tree(12, vocabulary, 0, random);
  context base(odd_model());
  static_cast<void>(base.decode(text, 0));
  context scoring = base;
  static_cast<void>(scoring.decode_tree(tree.tokens, tree.parents, 0));
  for (node_id node = 0; node <= tree.size(); ++node) {
    // A copy of a context has its tree, too.
    context kept = scoring;
    kept.keep(tree.path_to(node));
    const tokens whole = joined(text, tree.tokens_to(node));
    EXPECT_EQ(tokens(kept.tokens().begin(), kept.tokens().end()), whole);
    context chain(odd_model());
    static_cast<void>(chain.decode(whole, 0));

    context branching = kept;
    const auto rows = bits_of(branching.decode_tree(next.tokens, next.parents, next.size()));
    for (node_id below = 1; below <= next.size(); ++below)
      ASSERT_EQ(rows[below - 1], chain_rows(chain, next.tokens_to(below)).back()) << node << ", " << below;
    EXPECT_EQ(bits_of(kept.decode(further, further.size())), chain_rows(chain, further)) << node;
  }
}

TEST(tree, rounds_of_trees_are_one_chain) {
  // Every round keeps part of a path, as sessions do.
  std::minstd_rand random(6);
  tokens text = random_tokens(3, vocabulary, random);
  context scoring(odd_model(), 120);
  static_cast<void>(scoring.decode(std::span(text).first(2), 0));
  while (text.size() < 90) {
    const trees::tree tree = trees::random_tree(1 + random() % 20, vocabulary, 2, random);
    const auto missing = std::span(text).subspan(scoring.size());
    const auto rows = bits_of(scoring.decode_tree(joined(missing, tree.tokens), tree.parents, tree.size() + 1));
    context chain(odd_model());
    static_cast<void>(chain.decode(std::span(text).first(text.size() - 1), 0));
    const auto node = static_cast<node_id>(random() % (tree.size() + 1));
    EXPECT_EQ(rows[node], chain_rows(chain, joined(std::span(text).last(1), tree.tokens_to(node))).back());
    scoring.keep(tree.path_to(node));
    text = joined(joined(text, tree.tokens_to(node)), random_tokens(1, vocabulary, random));
  }
}

TEST(tree, assignment_copies_the_nodes) {
  std::minstd_rand random(7);
  const tokens text = random_tokens(12, vocabulary, random);
  const trees::tree tree = trees::random_tree(90, vocabulary, 2, random);
  context one(odd_model()), other(odd_model());
  static_cast<void>(one.decode_tree(joined(text, tree.tokens), tree.parents, 0));
  static_cast<void>(other.decode_tree(joined(std::span(text).first(5), tokens{1, 2}), nodes{0, 0}, 0));
  other = one;
  const auto path = tree.path_to(90);
  other.keep(path);
  EXPECT_EQ(one.size(), text.size());
  one.keep(path);
  EXPECT_EQ(bits_of(one.decode(text, 3)), bits_of(other.decode(text, 3)));
}

TEST(tree, whatever_changes_the_text_forgets_the_nodes) {
  const tokens text{1, 2, 3, 4};
  const auto forgotten_by = [&](const auto& call) {
    context scoring(odd_model());
    static_cast<void>(scoring.decode_tree(joined(text, tokens{5, 6}), nodes{0, 1}, 0));
    call(scoring);
    return message_of([&] { scoring.keep(nodes{1}); });
  };
  const std::string gone = "specdec: expected an empty path, since no tree is open; got node 1";
  EXPECT_EQ(forgotten_by([](context& c) { static_cast<void>(c.decode(tokens{7}, 1)); }), gone);
  EXPECT_EQ(forgotten_by([](context& c) { c.truncate(3); }), gone);
  EXPECT_EQ(forgotten_by([](context& c) { c.keep({}); }), gone);
  EXPECT_EQ(forgotten_by([](context& c) { c.keep(nodes{1}); }), gone);
  const specdec::layer_skip first = specdec::layer_skip::early_exit(2, 1);
  EXPECT_EQ(forgotten_by([&](context& c) { static_cast<void>(c.decode(tokens{7}, 0, first)); }), gone);
  EXPECT_EQ(forgotten_by([](context& c) { static_cast<void>(c.decode_tree(tokens{7}, {}, 0)); }), gone);
  EXPECT_EQ(forgotten_by([](context& c) { static_cast<void>(c.decode_tree({}, {}, 0)); }), "no exception");
  EXPECT_EQ(forgotten_by([](context& c) {
              static_cast<void>(c.decode_tree(tokens{7, 8}, nodes{0}, 0));
            }),
            "no exception");
}

TEST(tree, calls_that_are_refused_change_nothing) {
  context scoring(odd_model(), 10);
  const auto refusal = [&](const tokens& fed, const nodes& parents, std::size_t rows) {
    return message_of([&] { static_cast<void>(scoring.decode_tree(fed, parents, rows)); });
  };
  EXPECT_EQ(refusal({1}, {0}, 1), "specdec: expected a text for the tree to hang below; the context is empty");
  const tokens text{1, 2, 3};
  static_cast<void>(scoring.decode_tree(joined(text, tokens{4, 5}), nodes{0, 0}, 2));
  EXPECT_EQ(refusal({6}, {3}, 1), "specdec: expected the parent of node 3 to be a node from 0 to 2; got 3");
  EXPECT_EQ(refusal({9, 6}, {1, 9}, 1), "specdec: expected the parent of node 4 to be a node from 0 to 3; got 9");
  EXPECT_EQ(refusal({6, 7}, {1}, 1), "specdec: expected the parent of node 1 to be a node from 0 to 0; got 1");
  EXPECT_EQ(refusal({6}, {0, 0}, 1), "specdec: expected at most as many parents as tokens (1); got 2");
  EXPECT_EQ(refusal({6}, {0}, 2), "specdec: expected at most as many rows as tokens (1); got 2");
  EXPECT_EQ(refusal({37}, {0}, 1), "toy::context::decode_tree: expected tokens in 0..36, got 37 at index 0");
  EXPECT_EQ(refusal({1, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0}, 1),
            "toy::context::decode_tree: expected at most 5 tokens, the room left of 10, got 6");
  const auto no_path = [&](const nodes& path) { return message_of([&] { scoring.keep(path); }); };
  EXPECT_EQ(no_path({3}), "specdec: expected a path of nodes from 1 to 2; got node 3");
  EXPECT_EQ(no_path({0}), "specdec: expected a path of nodes from 1 to 2; got node 0");
  EXPECT_EQ(no_path({1, 2}),
            "specdec: expected a path of which each node is the child of the one before; node 2 is the child of 0, not "
            "of 1");

  EXPECT_EQ(scoring.size(), 3U);
  context expected(odd_model(), 10);
  const auto rows = bits_of(expected.decode(tokens{1, 2, 3, 5, 6}, 1));
  EXPECT_EQ(bits_of(scoring.decode_tree(tokens{6}, nodes{2}, 1)), rows);
  scoring.keep(nodes{2, 3});
  EXPECT_EQ(bits_of(scoring.decode(tokens{7}, 1)), bits_of(expected.decode(tokens{7}, 1)));
}

TEST(tree, nodes_take_up_capacity_until_they_are_forgotten) {
  context scoring(odd_model(), 10);
  static_cast<void>(scoring.decode(tokens{1, 2, 3, 4}, 0));
  const tokens six(6, 5);
  const nodes flat(6, 0), chain{0, 1, 2, 3, 4, 5};
  static_cast<void>(scoring.decode_tree(six, flat, 6));
  EXPECT_THROW(static_cast<void>(scoring.decode_tree(tokens{1}, nodes{0}, 1)), std::length_error);
  // Text in the call makes room: it forgets the nodes.
  static_cast<void>(scoring.decode_tree(tokens{1, 1, 1, 1, 1, 1}, nodes{0, 1, 1, 1, 1}, 5));
  EXPECT_EQ(scoring.size(), 5U);
  scoring.truncate(4);
  static_cast<void>(scoring.decode_tree(six, chain, 6));
  scoring.keep(nodes{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(scoring.size(), 10U);
  EXPECT_THROW(static_cast<void>(scoring.decode(tokens{1}, 0)), std::length_error);
}

TEST(tree, hangs_below_text_that_all_layers_have_read) {
  const specdec::layer_skip first = specdec::layer_skip::early_exit(2, 1);
  context scoring(odd_model());
  static_cast<void>(scoring.decode(tokens{1, 2, 3}, 0));
  static_cast<void>(scoring.decode(tokens{4}, 1, first));
  EXPECT_EQ(message_of([&] { static_cast<void>(scoring.decode_tree(tokens{5}, nodes{0}, 1)); }),
            "toy::context::decode_tree: expected the last 1 tokens, which were read with other layers left out, to be "
            "truncated first");
  scoring.truncate(3);
  static_cast<void>(scoring.decode_tree(tokens{5, 6}, nodes{0, 1}, 1));
  scoring.keep(nodes{1, 2});
  EXPECT_EQ(message_of([&] { static_cast<void>(scoring.decode(tokens{4}, 1, first)); }), "no exception");
}

TEST(tree, greedy_text_with_trees_is_greedy_text) {
  const std::filesystem::path models = SPECDEC_MODELS_DIR;
  const toy::model target_model(models / "draft.gguf"), draft_model(models / "draft-mini.gguf");
  std::minstd_rand random(8);
  const tokens prompt = random_tokens(20, 4096, random);
  const specdec::generate_options options{.max_tokens = 60, .sampling = {.temperature = 0}};
  context alone(target_model);
  const auto expected = specdec::autoregressive_generate(alone, prompt, options);

  context target(target_model), draft(draft_model);
  specdec::tree_drafter drafter(draft, specdec::tree_shape::uniform(std::vector<std::size_t>{4, 2, 1, 1}));
  specdec::session text(4096, options, specdec::recursive_rejection{});
  text.begin(prompt);
  specdec::speculative_generate(text, target, drafter);
  ASSERT_EQ(text.generated().size(), expected.tokens.size());
  for (std::size_t i = 0; i < expected.tokens.size(); ++i) EXPECT_EQ(text.generated()[i], expected.tokens[i].id) << i;
  EXPECT_GT(text.stats().accepted, 5U);
}

TEST(tree, rounds_allocate_nothing_once_warm) {
  context scoring(odd_model(), 150);
  std::minstd_rand random(9);
  static_cast<void>(scoring.decode(random_tokens(4, vocabulary, random), 0));
  const trees::tree tree = trees::random_tree(30, vocabulary, 1, random);
  const auto path = tree.path_to(30);
  tokens fed = joined(tokens{1}, tree.tokens);
  static_cast<void>(scoring.decode_tree(fed, tree.parents, tree.size() + 1));
  scoring.keep(path);
  const std::size_t before = counting_new::allocations();
  for (int round = 0; round < 5; ++round) {
    static_cast<void>(scoring.decode_tree(fed, tree.parents, tree.size() + 1));
    scoring.keep(path);
  }
  EXPECT_EQ(counting_new::allocations(), before);
}

TEST(tree, recorded_contexts_write_down_what_is_kept) {
  context inner(odd_model());
  specdec::recorded<context&> scoring(inner);
  static_cast<void>(scoring.decode_tree(tokens{1, 2, 11, 12}, nodes{0, 1}, 2));
  static_cast<void>(scoring.decode_tree(tokens{13}, nodes{1}, 1));
  EXPECT_THROW(scoring.keep(nodes{2, 3}), std::invalid_argument);
  EXPECT_EQ(tokens(scoring.tokens().begin(), scoring.tokens().end()), (tokens{1, 2}));
  EXPECT_THROW(static_cast<void>(scoring.decode_tree(tokens{13}, nodes{9}, 1)), std::invalid_argument);
  scoring.keep(nodes{1, 3});
  EXPECT_EQ(tokens(scoring.tokens().begin(), scoring.tokens().end()), (tokens{1, 2, 11, 13}));
  EXPECT_EQ(tokens(inner.tokens().begin(), inner.tokens().end()), (tokens{1, 2, 11, 13}));
}

TEST(tree, padded_contexts_show_narrow_rows) {
  context inner(odd_model()), chain(odd_model());
  specdec::padded<context&> scoring(inner, 30);
  const auto rows = scoring.decode_tree(tokens{1, 2, 3}, nodes{0, 0}, 2);
  ASSERT_EQ(rows.row(0).size(), 30U);
  auto expected = bits_of(chain.decode(tokens{1, 2}, 1)).front();
  expected.resize(30);
  EXPECT_EQ(bits_of(rows).front(), expected);
  scoring.keep(nodes{2});
  EXPECT_EQ(inner.tokens()[1], 3);
}

}  // namespace
