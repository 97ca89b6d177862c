// A chain of llama.cpp's samplers as the target's law: the rows are those of the chain itself, whatever was drafted.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/exactness.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"
#include "support.hpp"

namespace {

using namespace llama_test;
using specdec::node_id;
using chain_law = llama::sampler_law<llama::context&>;

static_assert(specdec::TargetModel<chain_law> && specdec::KnowsTokens<chain_law> && specdec::HasCapacity<chain_law>);
static_assert(!specdec::DecodesTrees<chain_law> && specdec::DecodesTrees<llama::sampler_law<llama::tree_context&>>);

/// What llama.cpp itself draws from: the chain told of the tokens, applied to the logits, its last sampler included.
std::vector<double> law_of_chain(const llama::sampler& chain, std::span<const token_id> told,
                                 const std::vector<float>& logits) {
  const llama::sampler copy = chain.clone();
  for (const token_id token : told) llama_sampler_accept(copy.handle(), token);
  std::vector<llama_token_data> candidates;
  for (std::size_t t = 0; t < logits.size(); ++t) candidates.push_back({static_cast<llama_token>(t), logits[t], 0});
  llama_token_data_array all{candidates.data(), candidates.size(), -1, false};
  llama_sampler_apply(copy.handle(), &all);
  std::vector<double> law(logits.size());
  const bool greedy =
      llama::name_of(llama_sampler_chain_get(chain.handle(), llama_sampler_chain_n(chain.handle()) - 1)) == "greedy";
  for (std::size_t i = 0; i < all.size; ++i) {
    law[static_cast<std::size_t>(all.data[i].id)] =
        greedy ? static_cast<double>(static_cast<std::int64_t>(i) == all.selected) : static_cast<double>(all.data[i].p);
  }
  return law;
}

std::vector<double> softmax(specdec::logits_row<float> row) {
  std::vector<double> law(row.size());
  double highest = -INFINITY, sum = 0;
  for (std::size_t t = 0; t < row.size(); ++t) highest = std::max<double>(highest, row[t]);
  for (std::size_t t = 0; t < row.size(); ++t) sum += law[t] = std::exp(row[t] - highest);
  for (double& p : law) p /= sum;
  return law;
}

double total_variation(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t t = 0; t < a.size(); ++t) sum += std::abs(a[t] - b[t]);
  return sum / 2;
}

std::vector<float> copied(specdec::logits_row<float> row) { return {row.data(), row.data() + row.size()}; }

token_id most_probable(const std::vector<double>& law) {
  return static_cast<token_id>(std::max_element(law.begin(), law.end()) - law.begin());
}

llama_sampler* dist() { return llama_sampler_init_dist(7); }

/// Chains of all kinds whose law follows from the text.
std::map<std::string, std::function<llama::sampler()>> chains() {
  static const char* grammar = "root ::= [ a-z,.]+";
  static const char* breakers[] = {"\n", "."};
  static const llama_logit_bias bias[] = {{300, 4.0F}, {2, -INFINITY}};
  return {
      {"dist", [] { return llama::sampler::chain({dist()}); }},
      {"temperature",
       [] {
         return llama::sampler::chain({llama_sampler_init_temp(0.7F), dist()});
       }},
      {"greedy", [] { return llama::sampler::chain({llama_sampler_init_greedy()}); }},
      {"usual",
       [] {
         return llama::sampler::chain({llama_sampler_init_penalties(4096, 32, 1.3F, 0.2F, 0.1F),
                                       llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.9F, 1),
                                       llama_sampler_init_min_p(0.02F, 1), llama_sampler_init_temp(0.8F), dist()});
       }},
      {"typical",
       [] {
         return llama::sampler::chain({llama_sampler_init_typical(0.8F, 1), dist()});
       }},
      {"sigma",
       [] {
         return llama::sampler::chain(
             {llama_sampler_init_top_n_sigma(1.5F), llama_sampler_init_temp_ext(1, 0.3F, 1), dist()});
       }},
      {"dry",
       [] {
         return llama::sampler::chain(
             {llama_sampler_init_dry(target().vocabulary(), 0.9F, 1.75F, 1, 64, breakers, 2), dist()});
       }},
      {"bias",
       [] {
         return llama::sampler::chain({llama_sampler_init_logit_bias(4096, 2, bias), dist()});
       }},
      {"grammar",
       [] {
         return llama::sampler::chain({llama_sampler_init_grammar(target().vocabulary(), grammar, "root"),
                                       llama_sampler_init_temp(0.9F), dist()});
       }},
  };
}

TEST(llama_cpp_sampler_law, rows_are_what_the_chain_draws_from_whatever_was_drafted) {
  const auto prompt = target().tokenize("It was evening. The lamps were not yet lit,");
  for (const auto& [name, make] : chains()) {
    SCOPED_TRACE(name);
    const llama::sampler chain = make();
    llama::context context(in_float32("target"), small()), plain(in_float32("target"), small());
    chain_law law(context, chain.handle(), prompt.size());
    // The text is one that the chain may draw.
    std::vector<token_id> text = prompt;
    std::vector<std::vector<double>> expected;
    (void)plain.decode(std::span(prompt).first(prompt.size() - 1), 0);
    for (std::size_t i = 0; i < 30; ++i) {
      const auto logits = copied(plain.decode(std::span(text).last(1), 1).row(0));
      expected.push_back(law_of_chain(chain, std::span(text).subspan(prompt.size()), logits));
      text.push_back(most_probable(expected.back()));
    }
    std::minstd_rand random(4);
    std::size_t committed = prompt.size();
    double worst = 0;
    while (committed + 6 < text.size()) {
      if (law.size() >= committed) law.truncate(committed - 1);
      const std::size_t right = random() % 4, wrong = random() % 3;
      std::vector<token_id> fed(text.begin() + static_cast<std::ptrdiff_t>(law.size()),
                                text.begin() + static_cast<std::ptrdiff_t>(committed + right));
      // Some of these the chain forbids.
      for (std::size_t i = 0; i < wrong; ++i) fed.push_back(static_cast<token_id>(random() % 4096));
      const auto rows = law.decode(fed, right + wrong + 1);
      ASSERT_EQ(rows.size(), right + wrong + 1);
      for (std::size_t i = rows.size(); i-- > 0;) {
        const auto row = softmax(rows.row(i));
        if (i <= right) worst = std::max(worst, total_variation(row, expected[committed - prompt.size() + i]));
      }
      committed += right + 1;
    }
    EXPECT_LT(worst, 1e-4);
  }
}

TEST(llama_cpp_sampler_law, greedy_speculation_with_penalties_is_what_llama_cpp_samples) {
  const auto prompt = target().tokenize("The church stood alone upon the moor, and on Sundays");
  for (const char* name : {"usual", "dry", "grammar"}) {
    const llama::sampler chain = chains().at(name)();
    // The same chain, but greedy at its end.
    llama_sampler_free(llama_sampler_chain_remove(chain.handle(), llama_sampler_chain_n(chain.handle()) - 1));
    llama_sampler_chain_add(chain.handle(), llama_sampler_init_greedy());

    std::vector<token_id> expected;
    llama::context plain(in_float32("target"), small());
    const llama::sampler own = chain.clone();
    std::vector<token_id> next = prompt;
    for (std::size_t i = 0; i < 50; ++i) {
      (void)plain.decode(next, 1);
      next = {llama_sampler_sample(own.handle(), plain.handle(), -1)};
      expected.push_back(next.front());
    }
    llama::context context(in_float32("target"), small()), draft_context(in_float32("draft"), small());
    chain_law law(context, chain.handle(), prompt.size());
    const auto result = specdec::speculative_generate(law, draft_context, prompt, {.gamma = 4, .max_tokens = 50});
    ASSERT_EQ(result.tokens.size(), 50U);
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(result.tokens[i].id, expected[i]) << name << " " << i;
    EXPECT_GT(result.stats.accepted, 3U) << name;
  }
}

TEST(llama_cpp_sampler_law, needs_no_dist_at_the_end_of_its_chain) {
  const auto prompt = some_text(12);
  llama::context context(in_float32("draft"), small());
  for (const auto& [name, make] : chains()) {
    if (name == "greedy") continue;
    const llama::sampler chain = make(), shorter = make();
    llama_sampler_free(llama_sampler_chain_remove(shorter.handle(), llama_sampler_chain_n(shorter.handle()) - 1));
    const auto row_of = [&](const llama::sampler& of) {
      chain_law law(context, of.handle(), prompt.size());
      law.truncate(0);
      return copied(law.decode(prompt, 1).row(0));
    };
    EXPECT_EQ(row_of(shorter), row_of(chain)) << name;
  }
}

TEST(llama_cpp_sampler_law, at_temperature_0_is_greedy) {
  const auto prompt = some_text(12);
  const specdec::generate_options options{.gamma = 4, .max_tokens = 30, .seed = 2};
  specdec::generate_options greedy = options;
  greedy.sampling.temperature = 0;
  llama::context plain(in_float32("target"), small());
  const auto expected = specdec::autoregressive_generate(plain, prompt, greedy);
  std::vector<llama::sampler> cold;
  cold.push_back(llama::sampler(llama_sampler_init_temp(0)));
  cold.push_back(llama::sampler::chain({llama_sampler_init_temp(0), dist()}));
  cold.push_back(llama::sampler::chain(
      {llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.9F, 1), llama_sampler_init_temp(0), dist()}));
  cold.push_back(llama::sampler::chain({llama_sampler_init_temp_ext(0, 0, 1), llama_sampler_init_min_p(0.1F, 1)}));
  for (const llama::sampler& chain : cold) {
    llama::context context(in_float32("target"), small()), draft_context(in_float32("draft"), small());
    chain_law law(context, chain.handle(), prompt.size());
    const auto result = specdec::speculative_generate(law, draft_context, prompt, options);
    ASSERT_EQ(result.tokens.size(), expected.tokens.size());
    for (std::size_t i = 0; i < result.tokens.size(); ++i) ASSERT_EQ(result.tokens[i].id, expected.tokens[i].id) << i;
  }
}

TEST(llama_cpp_sampler_law, goes_on_behind_any_call_of_its_target_that_failed) {
  using specdec::testing::fault_kind;
  using faulty = specdec::testing::faulty_model<llama::context&>;
  const auto prompt = some_text(12);
  const llama::sampler chain = chains().at("usual")();
  const auto generate = [&](const specdec::testing::fault& planned, std::size_t& faults) {
    llama::context context(in_float32("draft"), small()), draft_context(in_float32("draft-mini"), small());
    faulty target(context, planned);
    llama::sampler_law<faulty&> law(target, chain.handle(), prompt.size());
    specdec::session text(law.vocab_size(), {.max_tokens = 24, .seed = 11});
    text.begin(prompt);
    specdec::model_drafter drafter(draft_context, specdec::constant{4});
    while (text.running()) {
      try {
        specdec::speculative_generate(text, law, drafter);
      } catch (const specdec::testing::injected_fault&) {
      }
    }
    faults = target.faults();
    return std::vector<token_id>(text.tokens().begin(), text.tokens().end());
  };
  std::size_t faults = 0;
  const auto expected = generate({}, faults);
  for (const auto kind : {fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after}) {
    std::size_t call = 1;
    do {
      ASSERT_EQ(generate({kind, call++}, faults), expected) << to_string(kind) << " in call " << call - 1;
    } while (faults > 0);
    EXPECT_GT(call, 15U);
  }
}

TEST(llama_cpp_sampler_law, forgets_a_text_that_was_taken_back_by_a_call_that_failed) {
  using faulty = specdec::testing::faulty_model<llama::context&>;
  const auto text = some_text(24);
  auto other = text;
  std::fill(other.begin() + 12, other.end(), token_id{77});
  const llama::sampler chain = llama::sampler::chain({llama_sampler_init_penalties(4096, 64, 1.5F, 0.5F, 0), dist()});
  llama::context plain(in_float32("draft"), small()), context(in_float32("draft"), small());
  chain_law right(plain, chain.handle(), 2);
  const auto expected = copied(right.decode(other, 1).row(0));
  faulty target(context);
  llama::sampler_law<faulty&> law(target, chain.handle(), 2);
  (void)law.decode(text, 0);
  law.truncate(20);
  target.arm({specdec::testing::fault_kind::throw_after, 1});
  EXPECT_THROW(law.truncate(12), specdec::testing::injected_fault);
  ASSERT_EQ(law.size(), 12U);
  const auto row = copied(law.decode(std::span(other).last(12), 1).row(0));
  for (std::size_t t = 0; t < row.size(); ++t) ASSERT_NEAR(row[t], expected[t], 1e-3) << t;
}

TEST(llama_cpp_sampler_law, texts_of_a_grammar_are_texts_of_the_grammar) {
  const char* rules = "root ::= \" one\" | \" two\" (\" three\" | \" four\")+ \".\"";
  const auto prompt = target().tokenize("Count:");
  const llama::sampler chain =
      llama::sampler::chain({llama_sampler_init_grammar(target().vocabulary(), rules, "root"), dist()});
  llama::context context(target(), small()), draft_context(draft(), small());
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    chain_law law(context, chain.handle(), prompt.size());
    const auto result = specdec::speculative_generate(
        law, draft_context, prompt, {.gamma = 3, .max_tokens = 30, .end_tokens = target().end_tokens(), .seed = seed});
    std::string text;
    for (const auto& token : result.tokens) text += target().piece(token.id);
    if (result.status != specdec::session_status::end_token) continue;
    const bool counts = text == " one" || (text.starts_with(" two") && text.ends_with("."));
    EXPECT_TRUE(counts) << text;
  }
}

TEST(llama_cpp_sampler_law, with_shared_noise_speculation_changes_no_token) {
  const auto prompt = target().tokenize("It was evening. The lamps were not yet lit,");
  const llama::sampler chain = chains().at("usual")();
  const auto generate = [&](auto&& drafter) {
    llama::context context(in_float32("target"), small());
    chain_law law(context, chain.handle(), prompt.size());
    specdec::session text(law.vocab_size(), {.max_tokens = 60, .seed = 11}, specdec::coupled{});
    text.begin(prompt);
    specdec::speculative_generate(text, law, drafter);
    return std::vector<token_id>(text.tokens().begin(), text.tokens().end());
  };
  llama::context draft_context(in_float32("draft"), small());
  EXPECT_EQ(generate(specdec::model_drafter(draft_context, specdec::constant{4})), generate(specdec::prompt_lookup()));
}

TEST(llama_cpp_sampler_law, what_is_emitted_has_the_law_of_the_chain) {
  constexpr std::size_t vocab = 4, length = 3;
  const std::vector<token_id> prompt{0, 1, 1};
  const auto p = laws::hashed(vocab, 3), q = laws::hashed(vocab, 3, 0.7);
  const llama::sampler chain =
      llama::sampler::chain({llama_sampler_init_penalties(vocab, 4, 1.6F, 0.4F, 0.2F), llama_sampler_init_top_k(3),
                             llama_sampler_init_temp(0.8F), dist()});
  const auto reference = [&](std::span<const token_id> text) {
    std::vector<float> logits;
    for (const double x : p(text)) logits.push_back(static_cast<float>(std::log(x)));
    return laws::normalized(law_of_chain(chain, text.subspan(prompt.size()), logits));
  };
  const auto expected = specdec::testing::joint_law_of(vocab, length, prompt, reference);
  for (const std::size_t gamma : {1U, 2U}) {
    std::map<std::vector<token_id>, double> texts;
    specdec::testing::outcome_tree tree;
    std::size_t runs = 0;
    do {
      specdec::session text(vocab, {.max_tokens = 50}, specdec::rejection{},
                            specdec::testing::enumerating_chance(tree));
      specdec::recorded model(specdec::testing::law_model(vocab, p));
      llama::sampler_law<decltype(model)&> target_law(model, chain.handle(), prompt.size());
      auto drafter = laws::drafter_over(vocab, q, gamma, {specdec::sampling_params{1.0}, 0});
      specdec::draft drafted;
      text.begin(prompt);
      while (text.generated().size() < length) {
        const auto request = text.request();
        drafted.begin(request);
        drafter.propose(request, text.chance(), drafted);
        const auto plan = specdec::plan_for(text, drafted, target_law);
        if (target_law.size() > plan.held) target_law.truncate(plan.held);
        (void)text.commit(text.verify(target_law.decode(plan.tokens, plan.rows)));
      }
      const auto first = text.generated().first(length);
      texts[{first.begin(), first.end()}] += tree.weight();
      ++runs;
    } while (tree.next());
    double distance = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::vector<token_id> key{static_cast<token_id>(i / 16), static_cast<token_id>(i / 4 % 4),
                                      static_cast<token_id>(i % 4)};
      distance += std::abs(expected[i] - (texts.count(key) != 0 ? texts[key] : 0.0)) / 2;
    }
    EXPECT_LT(distance, 1e-6) << runs << " runs";
    EXPECT_GT(runs, 100U);
  }
}

TEST(llama_cpp_sampler_law, keeps_the_contract_of_a_target) {
  const llama::sampler chain = llama::sampler::chain(
      {llama_sampler_init_penalties(4096, 64, 1.2F, 0.3F, 0), llama_sampler_init_temp(0.9F), dist()});
  llama::tree_context context(in_float32("target"), llama::for_trees(small(), 31));
  llama::sampler_law<llama::tree_context&> law(context, chain.handle(), 0);
  const auto report = specdec::testing::check_target_model(law, {.tolerance = 2e-4});
  EXPECT_TRUE(report.conforming() && report.complete) << report.text();
}

TEST(llama_cpp_sampler_law, a_coin_of_xtc_belongs_to_its_place) {
  const auto text = some_text(200);
  const std::vector<token_id> prompt(text.begin(), text.begin() + 8);
  const llama::sampler chain = llama::sampler::chain({llama_sampler_init_xtc(0.3F, 0.01F, 1, 5), dist()});
  llama::context context(in_float32("target"), small()), plain(in_float32("target"), small());
  chain_law law(context, chain.handle(), prompt.size());
  const auto plain_rows = plain.decode(text, text.size() - prompt.size() + 1);
  const auto tossed_at = [&](std::size_t size, specdec::logits_row<float> row) {
    const auto logits = copied(plain_rows.row(size - prompt.size()));
    return row[static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())] == -INFINITY;
  };
  std::vector<bool> tossed;
  (void)law.decode(prompt, 0);
  for (std::size_t size = prompt.size() + 1; size <= text.size(); ++size) {
    tossed.push_back(tossed_at(size, law.decode(std::span(text).subspan(size - 1, 1), 1).row(0)));
  }
  // 192 tosses of probability 0.3: 5 standard deviations are 32.
  EXPECT_NEAR(static_cast<double>(std::ranges::count(tossed, true)), 0.3 * 192, 32);
  // The same coins behind truncations, backwards, with other tokens fed in between.
  std::minstd_rand random(1);
  for (std::size_t size = text.size(); size > prompt.size(); --size) {
    law.truncate(size - 1 - random() % 2);
    const std::vector<token_id> guesses(random() % 4, 77);
    std::vector<token_id> fed(text.begin() + static_cast<std::ptrdiff_t>(law.size()),
                              text.begin() + static_cast<std::ptrdiff_t>(size));
    fed.insert(fed.end(), guesses.begin(), guesses.end());
    const auto rows = law.decode(fed, guesses.size() + 1);
    for (std::size_t i = rows.size(); i-- > 1;) (void)rows.row(i);
    EXPECT_EQ(tossed_at(size, rows.row(0)), tossed[size - prompt.size() - 1]) << size;
  }
}

// llama.cpp itself would end the program for some of these texts.
TEST(llama_cpp_sampler_law, a_text_that_the_grammar_forbids_is_an_error) {
  const auto prompt = target().tokenize("Yes or no?");
  const llama::sampler chain = llama::sampler::chain(
      {llama_sampler_init_grammar(target().vocabulary(), "root ::= (\" yes\" | \" no\") \".\"", "root"), dist()});
  llama::context context(target(), small());
  chain_law law(context, chain.handle(), prompt.size());
  const std::span<const token_id> prompt_end = std::span(prompt).last(1);
  for (const token_id forbidden : {target().end_tokens().at(0), prompt.back()}) {
    const std::string expected = "token " + std::to_string(forbidden) + " at place " + std::to_string(prompt.size());
    auto longer = prompt;
    longer.push_back(forbidden);
    law.truncate(0);
    const auto rows = law.decode(longer, 1);
    EXPECT_NE(message_of([&] { (void)rows.row(0); }).find(expected), std::string::npos);
    longer.push_back(forbidden);
    (void)law.decode(std::span(longer).last(1), 0);
    EXPECT_NE(message_of([&] { law.truncate(longer.size() - 1); }).find(expected), std::string::npos);
    // The text may go on behind it, with a chain that begins there.
    law.restart(chain.handle(), law.size() + 1);
    const auto row = copied(law.decode(prompt_end, 1).row(0));
    EXPECT_GT(std::ranges::count_if(row, [](float x) { return x > -INFINITY; }), 0);
    law.restart(chain.handle(), prompt.size());
  }
}

// A sampler that a program brings, which throws once behind so many tokens.
struct unreliable {
  inline static int told_until_failure = -1;
  static llama_sampler_i* interface() {
    static llama_sampler_i made = [] {
      llama_sampler_i i{};
      i.name = [](const llama_sampler*) { return "unreliable"; };
      i.accept = [](llama_sampler*, llama_token) {
        if (told_until_failure-- == 0) throw std::runtime_error("unreliable");
      };
      i.apply = [](llama_sampler*, llama_token_data_array*) {};
      return i;
    }();
    return &made;
  }
};

TEST(llama_cpp_sampler_law, a_sampler_that_throws_does_not_spoil_the_chain) {
  const auto text = some_text(24);
  const llama::sampler chain = llama::sampler::chain({llama_sampler_init_penalties(4096, 64, 1.5F, 0.5F, 0),
                                                      llama_sampler_init(unreliable::interface(), nullptr), dist()});
  llama::context context(in_float32("target"), small()), other(in_float32("target"), small());
  chain_law law(context, chain.handle(), 0), whole(other, chain.handle(), 0);
  const auto expected = copied(whole.decode(text, 1).row(0));
  for (const int failure : {0, 1, 5, 19}) {
    law.restart(chain.handle(), 0);
    law.truncate(0);
    (void)law.decode(std::span(text).first(22), 0);
    unreliable::told_until_failure = failure;
    EXPECT_EQ(message_of([&] { law.truncate(20); }), "unreliable");
    EXPECT_EQ(law.size(), 20U);
    const auto rows = law.decode(std::span(text).last(4), 1);
    unreliable::told_until_failure = failure;
    EXPECT_EQ(message_of([&] { (void)rows.row(0); }), "unreliable");
    const auto row = copied(rows.row(0));
    for (std::size_t t = 0; t < row.size(); ++t) ASSERT_NEAR(row[t], expected[t], 1e-3) << failure << " " << t;
  }
}

template <class Law>
auto faulty_model(std::size_t vocab_size, Law law, const specdec::testing::fault& planned = {}) {
  return specdec::testing::faulty_model(specdec::recorded(specdec::testing::law_model(vocab_size, law)), planned);
}

TEST(llama_cpp_sampler_law, counts_the_rows_of_its_target) {
  using specdec::testing::fault_kind;
  const llama::sampler chain = llama::sampler::chain({llama_sampler_init_temp(0.8F)});
  const std::vector<token_id> text{0, 1, 2, 3};
  const std::vector<node_id> tree{0, 0};
  for (const auto& [kind, came] :
       {std::pair(fault_kind::too_few_rows, "2"), std::pair(fault_kind::too_many_rows, "4")}) {
    llama::sampler_law law(faulty_model(6, laws::hashed(6, 1), {kind, 1}), chain.handle(), 1);
    const std::string refusal =
        std::string("specdec::llama_cpp: expected 3 rows of logits from the target; got ") + came;
    EXPECT_EQ(message_of([&] { (void)law.decode(text, 3); }), refusal);
    ASSERT_EQ(law.size(), 4U);
    law.truncate(1);
    law.model().arm({kind, 1});
    EXPECT_EQ(message_of([&] { (void)law.decode_tree(std::span(text).subspan(1), tree, 3); }), refusal);
    ASSERT_EQ(law.size(), 2U);
    // The tree is forgotten.
    EXPECT_EQ(law.decode_tree(std::span(text).last(2), tree, 2).size(), 2U);
    law.keep(std::vector<node_id>{2});
    ASSERT_EQ(law.tokens().back(), 3);
  }
}

TEST(llama_cpp_sampler_law, hands_on_rows_of_another_width) {
  using specdec::testing::fault_kind;
  const llama::sampler chain = llama::sampler::chain({llama_sampler_init_top_k(2)});
  const std::vector<token_id> text{0, 1, 5, 2};
  for (const auto& [kind, width] : {std::pair(fault_kind::narrow_rows, 5U), std::pair(fault_kind::wide_rows, 7U)}) {
    llama::sampler_law law(faulty_model(6, laws::hashed(6, 1), {kind, 1}), chain.handle(), 1);
    auto right = faulty_model(6, laws::hashed(6, 1));
    const auto expected = right.decode(text, 4);
    const auto rows = law.decode(text, 4);
    // From behind, so that every row is asked for by the one behind it, of which one is the token that is lacking.
    for (std::size_t i = 4; i-- > 0;) {
      const auto row = rows.row(i);
      ASSERT_EQ(row.size(), width);
      for (std::size_t t = 0; t < 5; ++t) EXPECT_EQ(row[t], static_cast<float>(expected.row(i)[t]));
    }
  }
}

// What the chain would make of such a row is a law in which the fault does not show.
TEST(llama_cpp_sampler_law, hides_no_fault_of_a_row) {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinite = std::numeric_limits<double>::infinity();
  const auto right = laws::hashed(40, 3);
  const std::vector<token_id> prompt{0, 1};
  llama_sampler* const samplers[] = {llama_sampler_init_top_k(5), llama_sampler_init_min_p(0.1F, 1),
                                     llama_sampler_init_top_p(0.9F, 1), llama_sampler_init_temp(0.8F),
                                     llama_sampler_init_greedy()};
  for (llama_sampler* const one : samplers) {
    const llama::sampler chain = llama::sampler::chain({one});
    SCOPED_TRACE(llama::name_of(one));
    const auto text_of = [&](double spoilt, specdec::row_fault expected) {
      bool broken = spoilt != 0;
      const auto law_of = [&](std::span<const token_id> text) {
        auto law = right(text);
        if (broken && text.size() == 7) law[7] = spoilt;
        return law;
      };
      specdec::recorded model(specdec::testing::law_model(40, law_of));
      llama::sampler_law<decltype(model)&> law(model, chain.handle(), prompt.size());
      specdec::testing::law_model draft(40, right);
      specdec::session text(40, {.gamma = 4, .max_tokens = 12, .seed = 5});
      text.begin(prompt);
      if (broken) {
        EXPECT_THROW(specdec::speculative_generate(text, law, draft), specdec::logits_error);
        EXPECT_EQ(text.fault(), expected);
        EXPECT_EQ(text.faulty_position(), 7U);
        broken = false;
        text.resume();
      }
      specdec::speculative_generate(text, law, draft);
      return std::vector<token_id>(text.tokens().begin(), text.tokens().end());
    };
    const auto expected = text_of(0, specdec::row_fault::none);
    EXPECT_EQ(text_of(not_a_number, specdec::row_fault::nan), expected);
    EXPECT_EQ(text_of(infinite, specdec::row_fault::positive_infinity), expected);
  }
}

TEST(llama_cpp_sampler_law, tells_its_chain_of_nothing_behind_a_row_that_is_unusable) {
  using faulty = specdec::testing::faulty_model<llama::context&>;
  const auto prompt = target().tokenize("Count:");
  const auto forbidden = target().tokenize(" five");
  const llama::sampler chain = llama::sampler::chain(
      {llama_sampler_init_grammar(target().vocabulary(), "root ::= \" one\" | \" two\"", "root"), dist()});
  llama::context context(in_float32("target"), small());
  faulty model(context, {specdec::testing::fault_kind::nan, 1});
  llama::sampler_law<faulty&> law(model, chain.handle(), prompt.size());
  auto text = prompt;
  text.insert(text.end(), forbidden.begin(), forbidden.end());
  const auto rows = law.decode(text, forbidden.size() + 1);
  for (std::size_t i = rows.size(); i-- > 0;) EXPECT_EQ(std::isnan(rows.row(i)[0]), i == 0);
}

TEST(llama_cpp_sampler_law, refuses_chains_whose_law_does_not_follow_from_the_text) {
  llama::context context(target(), small());
  const auto message = [&](const llama::sampler& chain) {
    return message_of([&] { chain_law law(context, chain.handle(), 0); });
  };
  EXPECT_NE(
      message(llama::sampler::chain({llama_sampler_init_mirostat_v2(1, 5, 0.1F)})).find("the state of mirostat-v2"),
      std::string::npos);
  EXPECT_NE(message(llama::sampler::chain({llama_sampler_init_mirostat(4096, 1, 5, 0.1F, 100)})).find("of mirostat"),
            std::string::npos);
  EXPECT_NE(message(llama::sampler::chain({llama_sampler_init_adaptive_p(0.5F, 0.9F, 1)})).find("of adaptive-p"),
            std::string::npos);
  EXPECT_NE(message(llama::sampler::chain({dist(), llama_sampler_init_temp(1)})).find("expected dist at the end"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              (void)llama::sampler::chain({llama_sampler_init_temp(1), nullptr});
            }).find("one is a null pointer"),
            std::string::npos);
  // What cannot be copied, or is not looked into.
  static llama_sampler_i no_clone = [] {
    llama_sampler_i made{};
    made.name = [](const llama_sampler*) { return "mine"; };
    made.apply = [](llama_sampler*, llama_token_data_array*) {};
    return made;
  }();
  int state = 0;
  EXPECT_NE(message(llama::sampler(llama_sampler_init(&no_clone, &state))).find("mine has a state and no clone()"),
            std::string::npos);
  EXPECT_NE(message(llama::sampler::chain({llama_sampler_init_temp(1), llama_sampler_init(&no_clone, &state)}))
                .find("mine has a state and no clone()"),
            std::string::npos);
  llama_sampler* const inner = llama_sampler_chain_init(llama_sampler_chain_default_params());
  EXPECT_NE(message(llama::sampler::chain({inner, dist()})).find("one is a chain itself"), std::string::npos);
  // One sampler is a chain of one; and a row before the chain begins has no law.
  const llama::sampler alone(llama_sampler_init_top_k(2));
  chain_law law(context, alone.handle(), 5);
  EXPECT_NE(message_of([&] { (void)law.decode(some_text(4), 1); }).find("behind at least the first 5 tokens"),
            std::string::npos);
  (void)law.decode(some_text(4), 0);
  const auto rows = law.decode(some_text(2), 2);
  EXPECT_EQ(std::ranges::count_if(copied(rows.row(0)), [](float x) { return x > -INFINITY; }), 2);
}

}  // namespace
