// What every method must bear: a draft that reaches beyond the context, an end token inside it, no draft at all, and
// one that is always wrong. Greedy text is then plain text, for lossless methods.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <ostream>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance_drafter.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace {

using specdec::token_id;
using tokens = std::vector<token_id>;

constexpr std::size_t vocab_size = 8;
constexpr std::size_t text_size = 60;
const tokens prompt{1, 2, 3, 1, 2};

/// A model with an end to its context.
template <class Law>
class bounded_model : public specdec::testing::law_model<Law> {
 public:
  bounded_model(Law law, std::size_t capacity)
      : specdec::testing::law_model<Law>(vocab_size, std::move(law)), capacity_(capacity) {}
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  specdec::logits_view<double> decode(std::span<const token_id> fed, std::size_t rows) {
    if (this->size() + fed.size() > capacity_) throw std::length_error("the context is full");
    return specdec::testing::law_model<Law>::decode(fed, rows);
  }

 private:
  std::size_t capacity_;
};

/// Depends on the last two tokens only, so that its text repeats itself and lookups find something.
auto law_of_pairs(std::uint64_t seed) {
  return [law = laws::hashed(vocab_size, seed)](laws::text_view text) {
    return law(text.last(std::min<std::size_t>(2, text.size())));
  };
}
token_id mode_of(const laws::probabilities& p) {
  return static_cast<token_id>(std::max_element(p.begin(), p.end()) - p.begin());
}

/// Drafts what the target certainly does not choose.
struct contrary {
  std::size_t gamma;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    tokens text(request.context.begin(), request.context.end());
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(gamma, request.max_depth); ++i) {
      const token_id wrong = (mode_of(law_of_pairs(1)(text)) + 1) % static_cast<token_id>(vocab_size);
      tip = answer.extend(tip, specdec::proposal::point_mass(vocab_size, wrong), chance);
      text.push_back(wrong);
    }
  }
};

const specdec::ngram_table& table() {
  static const specdec::ngram_table counted(vocab_size, [] {
    tokens text = prompt;
    for (int i = 0; i < 200; ++i) text.push_back(mode_of(law_of_pairs(1)(text)));
    return text;
  }());
  return counted;
}

/// A way to draft, with a model of its own if it needs one.
struct method {
  std::string name;
  std::function<specdec::any_drafter(bounded_model<decltype(law_of_pairs(0))>&)> drafter;
};

const std::vector<method>& methods() {
  static const std::vector<method> all{
      {"constant", [](auto& m) { return specdec::model_drafter(m, specdec::constant{200}); }},
      {"heuristic", [](auto& m) { return specdec::model_drafter(m, specdec::heuristic{}); }},
      {"confidence", [](auto& m) { return specdec::model_drafter(m, specdec::confidence(specdec::heuristic{})); }},
      {"adaptive_exit", [](auto& m) { return specdec::model_drafter(m, specdec::adaptive_exit{}); }},
      {"fallback", [](auto& m) { return specdec::model_drafter(m, specdec::fallback{}); }},
      {"hesitant", [](auto& m) { return specdec::model_drafter(m, specdec::fallback{.fallback_threshold = 1.1}); }},
      {"prompt_lookup",
       [](auto&) {
         return specdec::prompt_lookup{200, 2};
       }},
      {"suffix", [](auto&) { return specdec::suffix_drafter({.max_spec_tokens = 200, .max_spec_factor = 100}); }},
      {"cascade",
       [](auto& m) {
         return specdec::cascade_drafter(m, specdec::suffix_drafter({.max_spec_factor = 100}), specdec::constant{200});
       }},
      {"cascade with a contrary guesser",
       [](auto& m) { return specdec::cascade_drafter(m, contrary{200}, specdec::constant{200}); }},
      {"first_of",
       [](auto& m) {
         return specdec::first_of(specdec::no_draft(), specdec::suffix_drafter({.min_score = 2}),
                                  specdec::model_drafter(m, specdec::heuristic{}));
       }},
      {"bigram", [](auto&) { return specdec::ngram_drafter(table(), specdec::confidence(specdec::constant{200})); }},
      {"empty", [](auto&) { return specdec::no_draft{}; }},
      {"contrary", [](auto&) { return contrary{200}; }}};
  return all;
}

struct limits {
  std::size_t capacity = 1000;
  std::size_t draft_capacity = 1000;
  std::size_t max_tokens = text_size;
  tokens ends = {};
  double temperature = 0;
};

struct finished {
  tokens text;
  specdec::session_status status;
  friend bool operator==(const finished&, const finished&) = default;
  friend std::ostream& operator<<(std::ostream& out, const finished& f) {
    for (const token_id token : f.text) out << token << ' ';
    return out << to_string(f.status);
  }
};

template <class Rule>
finished run(specdec::any_drafter& drafter, const Rule& rule, const limits& with) {
  bounded_model target(law_of_pairs(1), with.capacity);
  specdec::session text(vocab_size,
                        {.max_tokens = with.max_tokens, .sampling = {with.temperature}, .end_tokens = with.ends}, rule);
  text.begin(prompt);
  const auto status = specdec::speculative_generate(text, target, drafter);
  return {{text.generated().begin(), text.generated().end()}, status};
}

finished plain(const limits& with) {
  specdec::any_drafter nothing;
  return run(nothing, specdec::rejection{}, with);
}

void expect_plain_text(const limits& with, std::uint64_t draft_seed) {
  const finished expected = plain(with);
  for (const method& m : methods()) {
    bounded_model draft(law_of_pairs(draft_seed), with.draft_capacity);
    specdec::any_drafter drafter = m.drafter(draft);
    EXPECT_EQ(run(drafter, specdec::rejection{}, with), expected) << m.name;
    specdec::any_drafter again = m.drafter(draft);
    EXPECT_EQ(run(again, specdec::lenient(1), with), expected) << m.name;
  }
}

TEST(survival, drafts_beyond_what_is_left_of_the_text) {
  for (const std::size_t max_tokens : {1U, 2U, 7U, 60U}) {
    expect_plain_text({.max_tokens = max_tokens}, 1);
    expect_plain_text({.max_tokens = max_tokens}, 2);
  }
}

TEST(survival, drafts_beyond_what_is_left_of_the_context) {
  for (const std::size_t capacity : {5U, 6U, 9U, 40U}) {
    const auto full = plain({.capacity = capacity});
    EXPECT_EQ(full.status, specdec::session_status::context_full);
    EXPECT_EQ(full.text.size(), capacity - prompt.size() + 1);
    expect_plain_text({.capacity = capacity}, 1);
    expect_plain_text({.capacity = capacity}, 2);
  }
}

TEST(survival, drafts_with_a_draft_model_whose_context_is_full) {
  for (const std::size_t capacity : {5U, 6U, 9U, 40U}) expect_plain_text({.draft_capacity = capacity}, 1);
}

TEST(survival, drafts_with_an_end_token_inside) {
  std::size_t inside = 0;
  for (token_id end = 0; end < static_cast<token_id>(vocab_size); ++end) {
    const auto ended = plain({.ends = {end}});
    if (ended.status == specdec::session_status::end_token && ended.text.size() > 1) ++inside;
    expect_plain_text({.ends = {end}}, 1);
    expect_plain_text({.ends = {end}}, 2);
  }
  EXPECT_GT(inside, 1U);
}

TEST(survival, comes_to_the_end_whatever_is_drafted) {
  for (const method& m : methods()) {
    for (const double lenience : {1.0, 0.2}) {
      bounded_model draft(law_of_pairs(2), 50);
      specdec::any_drafter drafter = m.drafter(draft);
      const auto out = run(drafter, specdec::lenient(lenience), {.capacity = 40, .temperature = 1});
      EXPECT_EQ(out.text.size(), 36U) << m.name;
      EXPECT_EQ(out.status, specdec::session_status::context_full);
    }
    for (const double rollback_threshold : {0.0, 1.0, 100.0}) {
      bounded_model draft(law_of_pairs(2), 50);
      specdec::any_drafter drafter = m.drafter(draft);
      const auto out = run(drafter, specdec::big_little(rollback_threshold), {.max_tokens = 33});
      EXPECT_EQ(out.text.size(), 33U) << m.name;
      EXPECT_EQ(out.status, specdec::session_status::max_tokens);
    }
  }
}

TEST(survival, every_drafter_keeps_to_what_it_was_asked_for) {
  for (const method& m : methods()) {
    if (m.name == "contrary") continue;
    bounded_model draft(law_of_pairs(2), 1000);
    specdec::any_drafter drafter = m.drafter(draft);
    const auto report = specdec::testing::check_drafter(drafter, vocab_size);
    EXPECT_TRUE(report.conforming()) << m.name << ": " << report.text();
  }
}

// The contrary draft is right about nothing; a lossy rule that trusts it writes its text.
TEST(survival, lossy_rules_take_what_they_are_given) {
  specdec::any_drafter wrong = contrary{3};
  const limits with{.max_tokens = 20};
  EXPECT_EQ(run(wrong, specdec::lenient(0.9), with).text.size(), 20U);
  EXPECT_NE(run(wrong, specdec::big_little(100), with), plain(with));
  EXPECT_EQ(run(wrong, specdec::big_little(100), with).text.size(), 20U);
}

}  // namespace
