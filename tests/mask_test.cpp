// Masks and least lengths: the law they make, what they save, and that nothing of a draft sticks to them.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <specdec/specdec.hpp>
#include <specdec/testing/exactness.hpp>
#include <stdexcept>
#include <vector>

#include "laws.hpp"
#include "reference_law.hpp"
#include "settings.hpp"

namespace {

namespace testing = specdec::testing;
using laws::text_view;
using specdec::any_mask;
using specdec::sampling_params;
using specdec::session_status;
using specdec::token_id;

const std::vector<token_id> prompt{1, 0, 2};

/// How often the members of a mask were called, over all its copies.
struct mask_calls {
  std::size_t allows = 0;
  std::size_t fill = 0;
  std::size_t advance = 0;
  std::size_t rollback = 0;
};

/// A mask that is a function of the generated text: Allowed maps it to one bool for every token. Insists on its
/// contract.
template <class Allowed>
class function_mask {
 public:
  function_mask(Allowed allowed, std::shared_ptr<mask_calls> calls = std::make_shared<mask_calls>())
      : allowed_(std::move(allowed)), calls_(std::move(calls)) {}

  bool allows(token_id token) const {
    ++calls_->allows;
    return allowed_(text_view(text_))[static_cast<std::size_t>(token)];
  }
  void fill(std::span<std::uint32_t> words) const {
    ++calls_->fill;
    const std::vector<bool> all = allowed_(text_view(text_));
    for (std::size_t t = 0; t < all.size(); ++t) {
      if (all[t]) words[t / 32] |= 1U << t % 32;
    }
  }
  void advance(token_id token) {
    ++calls_->advance;
    if (!allowed_(text_view(text_))[static_cast<std::size_t>(token)]) {
      throw std::logic_error("a forbidden token came");
    }
    text_.push_back(token);
  }
  void rollback(std::size_t n) {
    ++calls_->rollback;
    if (n > text_.size()) throw std::logic_error("more is taken back than came");
    text_.resize(text_.size() - n);
  }

 private:
  Allowed allowed_;
  std::shared_ptr<mask_calls> calls_;
  std::vector<token_id> text_;
};

/// About half of the tokens behind every text, at least one.
auto half_of(std::size_t vocab_size, std::uint64_t seed) {
  return [vocab_size, law = laws::hashed(vocab_size, seed)](text_view text) {
    const auto p = law(text);
    std::vector<bool> allowed(vocab_size);
    for (std::size_t t = 0; t < vocab_size; ++t) allowed[t] = p[t] > 0.6 / static_cast<double>(vocab_size);
    return allowed;
  };
}

/// The law that a mask and an end rule make of `p`, as the reference has it.
template <class Law, class Allowed>
auto masked(Law p, Allowed allowed, const sampling_params& settings, const specdec::end_rule& ends = {}) {
  return [=](text_view text) {
    std::vector<double> logits;
    for (const double x : p(text)) logits.push_back(std::log(x));
    const std::vector<bool> may_come = allowed(text.subspan(prompt.size()));
    const bool early = text.size() - prompt.size() < ends.min_tokens;
    for (std::size_t t = 0; t < logits.size(); ++t) {
      if (!may_come[t] || (early && ends.ends(static_cast<token_id>(t)))) {
        logits[t] = -std::numeric_limits<double>::infinity();
      }
    }
    return laws::reference_law(logits, text, prompt.size(), settings);
  };
}

const auto everything = [](std::size_t vocab_size) {
  return [vocab_size](text_view) { return std::vector<bool>(vocab_size, true); };
};

TEST(mask, every_setting_is_lossless_under_a_mask) {
  constexpr std::size_t vocab_size = 5;
  const auto p = laws::hashed(vocab_size, 31, 0.7);
  const auto q = laws::hashed(vocab_size, 32, 0.7);
  const auto allowed = half_of(vocab_size, 33);
  const auto settings = laws::all_settings(2, 0.2);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    for (const bool same : {true, false}) {
      specdec::model_drafter_options drafting{.top = i % 2 == 0 ? 0U : 2U};
      if (!same) drafting.sampling = settings[(i * 7 + 3) % settings.size()];
      specdec::generate_options options{.sampling = settings[i], .mask = function_mask(allowed)};
      for (const auto which : {specdec::log_probability_of::law, specdec::log_probability_of::nothing}) {
        options.log_probabilities = which;
        const auto found = testing::enumerate(vocab_size, prompt, p, masked(p, allowed, settings[i]),
                                              [&] { return laws::drafter_over(vocab_size, q, 2, drafting); },
                                              specdec::rejection{}, options, {2, 3});
        EXPECT_LT(found.total_variation(), 1e-12) << laws::describe(settings[i]) << (same ? "" : ", another for q");
      }
    }
  }
}

// A drafter that knows nothing of masks proposes forbidden tokens; they are refused.
TEST(mask, is_lossless_for_a_drafter_that_ignores_it) {
  constexpr std::size_t vocab_size = 4;
  const auto p = laws::hashed(vocab_size, 5, 0.5);
  const auto allowed = half_of(vocab_size, 6);
  struct blind {
    laws::drafter_over<decltype(laws::hashed(4, 7))> inner{4, laws::hashed(4, 7), 2, {}};
    void propose(specdec::draft_request request, testing::enumerating_chance& chance, specdec::draft& answer) {
      request.mask = nullptr;
      inner.propose(request, chance, answer);
    }
  };
  const auto found =
      testing::enumerate(vocab_size, prompt, p, masked(p, allowed, {}), [] { return blind{}; }, specdec::rejection{},
                         specdec::generate_options{.mask = function_mask(allowed)}, {2, 4});
  EXPECT_LT(found.total_variation(), 1e-12);
}

TEST(min_tokens, are_lossless_alone_and_with_a_mask) {
  constexpr std::size_t vocab_size = 4;
  const auto p = laws::hashed(vocab_size, 8, 0.5);
  const auto q = laws::hashed(vocab_size, 9, 0.5);
  const specdec::end_rule ends{{3, 1}, 2};
  const auto allowed = [](text_view text) {
    return std::vector<bool>{text.size() % 3 != 1, text.size() % 2 == 0, true, true};
  };
  for (const auto& settings : laws::all_settings(2, 0.2)) {
    specdec::generate_options options{.sampling = settings, .end_tokens = ends.tokens, .min_tokens = ends.min_tokens};
    const auto drafter = [&] { return laws::drafter_over(vocab_size, q, 2, {}); };
    EXPECT_LT(testing::enumerate(vocab_size, prompt, p, masked(p, everything(vocab_size), settings, ends), drafter,
                                 specdec::rejection{}, options, {2, 4})
                  .total_variation(),
              1e-12)
        << laws::describe(settings);
    options.mask = function_mask(allowed);
    EXPECT_LT(testing::enumerate(vocab_size, prompt, p, masked(p, allowed, settings, ends), drafter,
                                 specdec::rejection{}, options, {2, 4})
                  .total_variation(),
              1e-12)
        << laws::describe(settings);
  }
}

TEST(min_tokens, keep_the_text_from_ending_too_early) {
  testing::law_model target(6, laws::hashed(6, 21, 0.8));
  testing::law_model draft(6, laws::hashed(6, 22, 0.8));
  for (std::size_t least = 0; least < 12; ++least) {
    const auto result = specdec::speculative_generate(
        target, draft, prompt, {.max_tokens = 200, .end_tokens = {1, 2, 3}, .seed = 3, .min_tokens = least});
    EXPECT_EQ(result.status, session_status::end_token);
    EXPECT_GT(result.tokens.size(), least);
  }
}

// Wrong: the mask of the committed text alone judges the whole draft.
struct late_mask {
  [[maybe_unused]] static constexpr bool lossless = false;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    if (drafted.size() < 1) return specdec::rejection{}(drafted, rows, target, chance);
    const auto p = target.at(rows, 0);
    if (!chance.accept(drafted.key_of(1, specdec::purpose::accept), p.probability(drafted.token(1)),
                       drafted.law_of(1).probability(drafted.token(1)))) {
      const specdec::residual left(p, drafted.law_of(1));
      return {.kept = 0, .next = chance.draw(drafted.key_of(1, specdec::purpose::residual), left), .rejected = true};
    }
    specdec::law unaware(target.vocab_size(), target.params());
    return {.kept = 1, .next = chance.draw(drafted.key_of(2, specdec::purpose::bonus), unaware.of(rows.row(1)))};
  }
};

TEST(mask, that_does_not_follow_the_draft_is_caught) {
  const auto p = laws::hashed(4, 8, 0.5);
  const auto allowed = half_of(4, 6);
  const auto found = testing::enumerate(4, prompt, p, masked(p, allowed, {}),
                                        [] { return laws::drafter_over(4, laws::hashed(4, 9), 2, {}); }, late_mask{},
                                        specdec::generate_options{.mask = function_mask(allowed)}, {1, 2});
  EXPECT_GT(found.total_variation(), 0.01);
}

TEST(mask, is_never_broken_and_says_so_where_nothing_is_left) {
  const auto allowed = half_of(6, 34);
  testing::law_model target(6, laws::hashed(6, 21, 0.8));
  testing::law_model draft(6, laws::hashed(6, 22, 0.8));
  const auto result =
      specdec::speculative_generate(target, draft, prompt, {.max_tokens = 300, .mask = function_mask(allowed)});
  std::vector<token_id> text;
  for (const auto& token : result.tokens) {
    ASSERT_TRUE(allowed(text)[static_cast<std::size_t>(token.id)]);
    text.push_back(token.id);
  }
  EXPECT_EQ(text.size(), 300U);
  EXPECT_GT(result.stats.accepted, 50U);

  const auto dead_end = [&](text_view so_far) {
    return so_far.size() < 7 ? allowed(so_far) : std::vector<bool>(6, false);
  };
  specdec::session cut(6, {.mask = function_mask(dead_end)});
  cut.begin(prompt);
  try {
    speculative_generate(cut, target, draft);
    FAIL();
  } catch (const specdec::logits_error& error) {
    EXPECT_STREQ(error.what(),
                 "specdec: expected usable logits from the target for token 10 of the text; its row has no possible "
                 "token that is allowed");
  }
  EXPECT_LE(cut.generated().size(), 7U);
}

// The rejection rule needs the whole mask only where the unmasked law does not settle it.
TEST(mask, that_leaves_nothing_of_a_row_says_what_is_wrong_with_the_row) {
  constexpr float nothing = -std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  specdec::law pipeline(3, {});
  const auto fault = [&](const std::vector<float>& logits) {
    const any_mask mask = function_mask([](text_view) { return std::vector<bool>{false, true, false}; });
    specdec::mask_follower follower(mask);
    return pipeline.of(specdec::logits_row<float>(logits.data(), 3), {}, &follower).fault();
  };
  EXPECT_EQ(fault({nan, 0, 0}), specdec::row_fault::none);
  EXPECT_EQ(fault({nan, nothing, 0}), specdec::row_fault::nothing_allowed);
  EXPECT_EQ(fault({nan, nothing, nothing}), specdec::row_fault::nan);
  EXPECT_EQ(fault({nothing, nothing, nothing}), specdec::row_fault::all_negative_infinity);
}

TEST(mask, need_not_be_filled_where_a_drafted_token_is_accepted) {
  const auto law = laws::hashed(6, 21, 0.8);
  testing::law_model target(6, law);
  // All but one token, which is not the one that the drafter names.
  const auto likeliest = [&](text_view text) {
    const auto p = law(text);
    return static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
  };
  const auto allowed = [&](text_view generated) {
    std::vector<token_id> text = prompt;
    text.insert(text.end(), generated.begin(), generated.end());
    std::vector<bool> all(6, true);
    all[(likeliest(text) + 1) % 6] = false;
    return all;
  };
  const auto calls = std::make_shared<mask_calls>();
  const auto choose = [&](text_view text) { return static_cast<token_id>(likeliest(text)); };
  laws::point_drafter<decltype(choose)> drafter{6, 5, choose};
  specdec::generate_options options{.max_tokens = 200, .seed = 5, .mask = function_mask(allowed, calls)};
  const auto filled = specdec::speculative_generate(target, drafter, prompt, options);
  const std::size_t with_log_probabilities = calls->fill;
  EXPECT_GE(with_log_probabilities, 200U);

  *calls = {};
  options.log_probabilities = specdec::log_probability_of::nothing;
  const auto lazy = specdec::speculative_generate(target, drafter, prompt, options);
  EXPECT_LE(calls->fill, lazy.stats.rounds + lazy.stats.accepted / 4);
  EXPECT_GT(lazy.stats.accepted, 60U);
  ASSERT_EQ(lazy.tokens.size(), filled.tokens.size());
  for (std::size_t i = 0; i < lazy.tokens.size(); ++i) {
    EXPECT_EQ(lazy.tokens[i].id, filled.tokens[i].id);
    EXPECT_TRUE(std::isnan(lazy.tokens[i].log_probability));
  }
}

/// Lets the text repeat 0 1 2 3 4, with a choice between 4 and 5 at its end.
const auto ring = [](text_view text) {
  std::vector<bool> allowed(6, false);
  allowed[text.size() % 5] = true;
  if (text.size() % 5 == 4) allowed[5] = true;
  return allowed;
};

TEST(mask, forced_tokens_cost_no_call_of_the_draft_model_and_are_accepted) {
  testing::law_model target(6, laws::hashed(6, 21, 0.8));
  struct counted : testing::law_model<decltype(laws::hashed(6, 1))> {
    std::size_t calls = 0;
    counted() : law_model(6, laws::hashed(6, 22, 0.8)) {}
    specdec::logits_view<double> decode(std::span<const token_id> tokens, std::size_t rows) {
      calls += rows > 0 ? 1 : 0;
      return law_model::decode(tokens, rows);
    }
  } draft;
  const specdec::generate_options options{.gamma = 9, .max_tokens = 100, .seed = 2, .mask = function_mask(ring)};
  const auto result = specdec::speculative_generate(target, draft, prompt, options);
  EXPECT_EQ(result.tokens.size(), 100U);
  EXPECT_LT(draft.calls, 2 * result.stats.rounds + 3);
  EXPECT_GT(result.stats.draft_acceptance_rate(), 0.75);

  specdec::forced_tokens forced;
  const auto without = specdec::speculative_generate(target, forced, prompt, options);
  EXPECT_EQ(without.stats.draft_acceptance_rate(), 1);
  // Four forced tokens and the choice behind them make a round.
  EXPECT_EQ(without.stats.rounds, 20U);
}

TEST(mask, forced_tokens_are_found_with_and_without_help) {
  struct helpful {
    std::size_t length = 0;
    bool allows(token_id t) const { return t == forced(); }
    void fill(std::span<std::uint32_t> words) const { words[0] |= 1U << forced(); }
    void advance(token_id) { ++length; }
    void rollback(std::size_t n) { length -= n; }
    token_id forced() const { return static_cast<token_id>(length % 3); }
  };
  struct silent {
    helpful inner;
    bool allows(token_id t) const { return inner.allows(t); }
    void fill(std::span<std::uint32_t> words) const { inner.fill(words); }
    void advance(token_id t) { inner.advance(t); }
    void rollback(std::size_t n) { inner.rollback(n); }
  };
  testing::law_model target(40, laws::hashed(40, 21));
  for (const any_mask& mask : {any_mask(helpful{}), any_mask(silent{})}) {
    specdec::forced_tokens forced;
    const auto result = specdec::speculative_generate(target, forced, prompt, {.max_tokens = 12, .mask = mask});
    EXPECT_EQ(result.stats.rounds, 1U);
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(result.tokens[i].id, static_cast<token_id>(i % 3));
  }
}

TEST(mask, is_not_asked_behind_an_end_token) {
  // A grammar that knows nothing of what follows its end, and objects to being asked.
  const auto ends_at_five = [](text_view text) {
    if (!text.empty() && text.back() == 5) throw std::logic_error("asked behind the end");
    return ring(text);
  };
  testing::law_model target(6, laws::hashed(6, 21, 0.8));
  // Drafts on behind the end token.
  const auto choose = [](text_view text) {
    return static_cast<token_id>((text.size() - prompt.size()) % 5 == 4 ? 5 : (text.size() - prompt.size()) % 5);
  };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    laws::point_drafter<decltype(choose)> drafter{6, 9, choose};
    const auto result = specdec::speculative_generate(
        target, drafter, prompt,
        {.max_tokens = 100, .end_tokens = {5}, .seed = seed, .mask = function_mask(ends_at_five)});
    EXPECT_EQ(result.tokens.back().id, 5);
  }
}

TEST(mask, begins_anew_with_the_next_text_and_the_next_turn) {
  testing::law_model target(6, laws::hashed(6, 21, 0.8));
  specdec::no_draft nothing;
  specdec::session text(6, {.max_tokens = 7, .mask = function_mask(ring)});
  const auto obeys = [&] {
    for (std::size_t i = 0; i < 7; ++i) {
      if (!ring(text_view(text.generated().first(i)))[static_cast<std::size_t>(text.generated()[i])]) return false;
    }
    return true;
  };
  text.begin(prompt);
  speculative_generate(text, target, nothing);
  EXPECT_TRUE(obeys());
  text.append(prompt);
  speculative_generate(text, target, nothing);
  EXPECT_TRUE(obeys());
  text.begin(prompt);
  speculative_generate(text, target, nothing);
  EXPECT_TRUE(obeys());
}

TEST(mask, advances_over_each_committed_token_once_and_takes_back_only_drafts) {
  testing::law_model target(6, laws::hashed(6, 21, 0.8));
  const auto calls = std::make_shared<mask_calls>();
  const auto result = specdec::autoregressive_generate(
      target, prompt, {.max_tokens = 50, .mask = function_mask(half_of(6, 34), calls)});
  EXPECT_EQ(result.tokens.size(), 50U);
  EXPECT_EQ(calls->advance, 49U);
  EXPECT_EQ(calls->rollback, 0U);
}

TEST(any_mask, copies_are_independent) {
  any_mask first = function_mask(ring);
  first.advance(0);
  any_mask second = first;
  second.advance(1);
  EXPECT_TRUE(first.allows(1));
  EXPECT_FALSE(second.allows(1));
  EXPECT_TRUE(second.allows(2));
  first = second;
  EXPECT_TRUE(first.allows(2));
  EXPECT_TRUE(any_mask().empty());
}

}  // namespace
