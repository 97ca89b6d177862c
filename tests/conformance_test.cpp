// The kit that users test their models with, tested on models with known mistakes: each must be found and called by its
// name.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws.hpp"

namespace {

using laws::text_view;
using specdec::logits_view;
using specdec::token_id;
using specdec::testing::check_target_model;
using specdec::testing::conformance_options;
using specdec::testing::conformance_report;
using specdec::testing::defect;
using specdec::testing::law_model;
using specdec::testing::requirement;
using tokens_view = std::span<const token_id>;

constexpr std::size_t vocab = 6;
using row_of_logits = std::vector<double>;

row_of_logits law_behind(text_view text) {
  static const auto law = laws::hashed(vocab, 31);
  row_of_logits row = law(text);
  for (double& x : row) x = std::log(x);
  return row;
}

/// A model that is right, in parts that a mutant replaces.
struct right_model {
  std::vector<token_id> context;
  row_of_logits logits;

  [[nodiscard]] std::size_t vocab_size() const { return vocab; }
  [[nodiscard]] std::size_t size() const { return context.size(); }
  void truncate(std::size_t n) { context.resize(n); }
  logits_view<double> decode(tokens_view tokens, std::size_t rows) {
    logits.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context.push_back(tokens[i]);
      if (i + rows >= tokens.size()) append(law_behind(context));
    }
    return {logits.data(), rows, vocab};
  }

  void append(const row_of_logits& row) { logits.insert(logits.end(), row.begin(), row.end()); }
  [[nodiscard]] auto row(std::size_t i) { return logits.begin() + static_cast<std::ptrdiff_t>(i * vocab); }
};

/// One whose size() is kept apart from what it holds.
struct claiming_model : right_model {
  std::size_t claimed = 0;
  [[nodiscard]] std::size_t size() const { return claimed; }
  logits_view<double> decode(tokens_view tokens, std::size_t rows) {
    claimed += tokens.size();
    return right_model::decode(tokens, rows);
  }
};

template <class Model>
void expect_found(Model model, requirement broken, defect kind, const conformance_options& options = {}) {
  const conformance_report report = check_target_model(model, options);
  ASSERT_FALSE(report.conforming());
  EXPECT_EQ(report.findings.front().broken, broken) << report.text();
  EXPECT_EQ(report.findings.front().kind, kind) << report.text();
  EXPECT_FALSE(report.complete);
  EXPECT_GE(report.findings.front().calls.size(), 2U);
}

template <class Model>
void expect_conforming(Model model, const conformance_options& options = {}) {
  const conformance_report report = check_target_model(model, options);
  EXPECT_TRUE(report.conforming()) << report.text();
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.text(), "");
}

/// A context with an end.
struct bounded_model : right_model {
  std::size_t limit = 14;
  std::size_t stated = 14;
  [[nodiscard]] std::size_t capacity() const { return stated; }
  logits_view<double> decode(tokens_view tokens, std::size_t rows) {
    if (size() + tokens.size() > limit) throw std::length_error("full");
    return right_model::decode(tokens, rows);
  }
};

/// Refuses unknown tokens, having read those before if it reads on.
struct refusing_model : bounded_model {
  bool reads_on = false;
  logits_view<double> decode(tokens_view tokens, std::size_t rows) {
    const auto unknown = std::find_if(tokens.begin(), tokens.end(), [](token_id t) { return t < 0 || t >= 6; });
    if (unknown != tokens.end()) {
      if (reads_on) context.insert(context.end(), tokens.begin(), unknown);
      throw std::invalid_argument("unknown token");
    }
    return bounded_model::decode(tokens, rows);
  }
};

TEST(conformance, finds_nothing_in_models_that_conform) {
  expect_conforming(right_model{});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    expect_conforming(law_model(2, laws::hashed(2, seed)), {.seed = seed});
    expect_conforming(law_model(7, laws::hashed(7, seed)), {.tokens = {2, 5}, .length = 12 + seed, .seed = seed});
  }
  const auto last = [](std::size_t count) {
    return [=](text_view text) { return laws::hashed(5, 3)(text.last(std::min(text.size(), count))); };
  };
  expect_conforming(law_model(5, laws::fixed(laws::normalized({1, 2, 3, 4, 5}))));
  for (const std::size_t count : {1U, 2U, 3U}) expect_conforming(law_model(5, last(count)));
  expect_conforming(law_model(5, laws::without_parity(laws::hashed(5, 3), 1)));
  for (const std::size_t capacity : {14U, 15U, 20U, 33U, 34U, 35U, 100U}) {
    expect_conforming(bounded_model{{}, capacity, capacity});
    expect_conforming(refusing_model{{{}, capacity, capacity}}, {.provoke_refusals = true});
    expect_conforming(refusing_model{{{}, capacity, capacity}, true}, {.provoke_refusals = true});
  }
  right_model used;
  used.context = {1, 2, 3};
  expect_conforming(used);
}

TEST(conformance, needs_nothing_but_the_contract) {
  struct archetype {
    std::unique_ptr<right_model> model = std::make_unique<right_model>();
    [[nodiscard]] std::size_t vocab_size() const { return vocab; }
    [[nodiscard]] std::size_t size() const { return model->size(); }
    void truncate(std::size_t n) { model->truncate(n); }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) { return model->decode(tokens, rows); }
    void operator&() const = delete;  // NOLINT: nobody may rely on it
  };
  archetype model;
  EXPECT_TRUE(check_target_model(model).conforming());
}

TEST(conformance, refuses_options_that_cannot_be_followed) {
  const auto refused = [](const conformance_options& options) {
    right_model model;
    EXPECT_THROW((void)check_target_model(model, options), std::invalid_argument);
  };
  refused({.tokens = {6}});
  refused({.tokens = {-1, 1}});
  refused({.tokens = {3, 3}});
  refused({.tolerance = -1});
  refused({.tolerance = std::nan("")});
  refused({.length = 11});
  bounded_model small{{}, 13, 13};
  EXPECT_THROW((void)check_target_model(small), std::invalid_argument);
}

TEST(conformance, a_finding_tells_what_was_expected_and_shows_the_calls) {
  struct mutant : right_model {
    void truncate(std::size_t n) { context.resize(std::min(n + 1, size())); }
  } model;
  const auto report = check_target_model(model, {.length = 12});
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.text(),
            "truncate_keeps_too_many: expected size() 11 behind truncate(11), which was 13; got 12\n"
            "  breaks CausalModel 4: truncate(n) keeps the first n tokens and forgets the rest\n"
            "    behind 13 earlier calls, on a context of 13 tokens:\n"
            "    truncate(11)\n"
            "Further checks were left out: they build on what is broken.\n");
}

TEST(mutant_model, with_a_wrong_vocabulary) {
  struct empty : right_model {
    [[nodiscard]] std::size_t vocab_size() const { return 0; }
  } model;
  EXPECT_EQ(check_target_model(model).findings.at(0).kind, defect::vocabulary_empty);

  struct growing : right_model {
    std::size_t now = vocab;
    [[nodiscard]] std::size_t vocab_size() const { return now; }
    void truncate(std::size_t n) {
      right_model::truncate(n);
      now = vocab + 1;
    }
  };
  expect_found(growing{}, requirement::causal_model_1, defect::vocabulary_changed);
}

TEST(mutant_model, with_rows_of_the_wrong_shape) {
  struct misshapen : right_model {
    std::size_t more_rows = 0;
    std::size_t more_width = 0;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      (void)right_model::decode(tokens, rows);
      logits.resize((rows + 2) * (vocab + 1));
      return {logits.data(), rows + more_rows, vocab + more_width};
    }
  };
  constexpr std::size_t minus_one = std::numeric_limits<std::size_t>::max();
  for (const std::size_t wrong : {std::size_t{1}, minus_one}) {
    expect_found(misshapen{{}, 0, wrong}, requirement::causal_model_1, defect::row_width_wrong);
    expect_found(misshapen{{}, wrong, 0}, requirement::causal_model_3, defect::row_count_wrong);
  }
  struct always_a_row : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      return right_model::decode(tokens, std::max<std::size_t>(rows, 1));
    }
  };
  expect_found(always_a_row{}, requirement::causal_model_3, defect::row_count_wrong);
}

TEST(mutant_model, with_unusable_rows) {
  struct spoiled : right_model {
    double value;
    std::size_t count;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = right_model::decode(tokens, rows);
      if (rows > 2) std::fill_n(row(1), count, value);
      return answer;
    }
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();
  expect_found(spoiled{{}, std::nan(""), 1}, requirement::logits_rows_2, defect::row_unusable);
  expect_found(spoiled{{}, infinity, 1}, requirement::logits_rows_2, defect::row_unusable);
  expect_found(spoiled{{}, -infinity, vocab}, requirement::logits_rows_2, defect::row_unusable);
}

TEST(mutant_model, whose_rows_read_differently_a_second_time) {
  struct restless_rows {
    logits_view<double> rows;
    mutable std::vector<row_of_logits> answers{};
    [[nodiscard]] std::size_t size() const { return rows.size(); }
    [[nodiscard]] specdec::logits_row<double> row(std::size_t i) const {
      const auto row = rows.row(i);
      answers.emplace_back(row.data(), row.data() + vocab);
      answers.back()[0] += static_cast<double>(answers.size());
      return {answers.back().data(), vocab};
    }
  };
  struct restless : right_model {
    restless_rows decode(tokens_view tokens, std::size_t rows) { return {right_model::decode(tokens, rows)}; }
  };
  expect_found(restless{}, requirement::logits_rows_2, defect::row_changes_when_read);
}

TEST(mutant_model, that_miscounts_its_size) {
  struct stuck : claiming_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) { return right_model::decode(tokens, rows); }
    void truncate(std::size_t n) { right_model::truncate(claimed = n); }
  };
  expect_found(stuck{}, requirement::causal_model_2, defect::size_wrong);
  struct counting_rows : claiming_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      claimed += rows;
      return right_model::decode(tokens, rows);
    }
    void truncate(std::size_t n) { right_model::truncate(claimed = n); }
  };
  expect_found(counting_rows{}, requirement::causal_model_2, defect::size_wrong);
}

TEST(mutant_model, that_refuses_legal_calls) {
  struct needs_rows : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (rows == 0) throw std::invalid_argument("no rows?");
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(needs_rows{}, requirement::causal_model_3, defect::rows_0_refused);
  struct one_by_one : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (tokens.size() > 1) throw 1;
      return right_model::decode(tokens, rows);
    }
  };
  // The first call of several tokens that is made asks for no rows.
  expect_found(one_by_one{}, requirement::causal_model_3, defect::rows_0_refused);
  struct needs_all_rows_at_most_three : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (rows > 3) throw std::length_error("room for 3 rows");
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(needs_all_rows_at_most_three{}, requirement::causal_model_3, defect::call_refused);
  struct forward_only : right_model {
    void truncate(std::size_t n) {
      if (n > 0) throw std::logic_error("only to 0");
      right_model::truncate(n);
    }
  };
  expect_found(forward_only{}, requirement::causal_model_4, defect::call_refused);
}

TEST(mutant_model, that_truncates_wrongly_and_says_so) {
  struct one_more : right_model {
    void truncate(std::size_t n) { context.resize(std::min(n + 1, size())); }
  };
  expect_found(one_more{}, requirement::causal_model_4, defect::truncate_keeps_too_many);
  struct one_fewer : right_model {
    void truncate(std::size_t n) { context.resize(n > 0 ? n - 1 : 0); }
  };
  expect_found(one_fewer{}, requirement::causal_model_4, defect::truncate_keeps_too_few);
  struct nothing : right_model {
    void truncate(std::size_t) {}
  };
  expect_found(nothing{}, requirement::causal_model_4, defect::truncate_does_nothing);
  struct all_at_the_end : right_model {
    void truncate(std::size_t n) { context.resize(n == size() ? 0 : n); }
  };
  expect_found(all_at_the_end{}, requirement::causal_model_4, defect::truncate_size_wrong);
}

TEST(mutant_model, that_truncates_wrongly_and_hides_it) {
  struct one_more : claiming_model {
    void truncate(std::size_t n) {
      claimed = n;
      context.resize(std::min(n + 1, context.size()));
    }
  };
  expect_found(one_more{}, requirement::causal_model_4, defect::truncate_keeps_too_many);
  struct one_fewer : claiming_model {
    void truncate(std::size_t n) {
      claimed = n;
      context.resize(std::min(n > 0 ? n - 1 : 0, context.size()));
    }
  };
  expect_found(one_fewer{}, requirement::causal_model_4, defect::truncate_keeps_too_few);
  struct size_only : claiming_model {
    void truncate(std::size_t n) { claimed = n; }
  };
  expect_found(size_only{}, requirement::causal_model_4, defect::forgotten_tokens_show);
  struct size_only_but_0 : claiming_model {
    void truncate(std::size_t n) {
      claimed = n;
      if (n == 0) context.clear();
    }
  };
  expect_found(size_only_but_0{}, requirement::causal_model_4, defect::forgotten_tokens_show);
  struct spoils_the_end : right_model {
    void truncate(std::size_t n) {
      if (n == size()) context[n / 2] = -7;
      right_model::truncate(n);
    }
  };
  expect_found(spoils_the_end{}, requirement::causal_model_4, defect::truncation_shows);
  struct not_twice : claiming_model {
    std::size_t pending = std::numeric_limits<std::size_t>::max();
    void truncate(std::size_t n) {
      claimed = n;
      pending = pending == std::numeric_limits<std::size_t>::max() ? n : pending;
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      context.resize(std::min(context.size(), pending));
      pending = std::numeric_limits<std::size_t>::max();
      return claiming_model::decode(tokens, rows);
    }
  };
  expect_found(not_twice{}, requirement::causal_model_4, defect::truncation_shows);
}

TEST(mutant_model, whose_cache_is_not_rolled_back) {
  /// Also attends to what lies in the cache behind the context.
  struct sees_beyond : right_model {
    std::vector<token_id> cache;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        cache.resize(std::max(cache.size(), size() + 1));
        cache[size()] = tokens[i];
        context.push_back(tokens[i]);
        if (i + rows >= tokens.size()) append(law_behind(cache));
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(sees_beyond{}, requirement::causal_model_4, defect::forgotten_tokens_show);
  /// Does not compute again what was computed for a place before.
  struct keeps_places : right_model {
    bool reset_clears = false;
    std::vector<token_id> cache{};
    void truncate(std::size_t n) {
      right_model::truncate(n);
      if (n == 0 && reset_clears) cache.clear();
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        context.push_back(tokens[i]);
        if (cache.size() < size()) cache.push_back(tokens[i]);
        if (i + rows >= tokens.size()) append(law_behind(std::span(cache).first(size())));
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(keeps_places{}, requirement::causal_model_3, defect::tokens_ignored);
  expect_found(keeps_places{{}, true}, requirement::causal_model_3, defect::tokens_ignored);
  /// The same, but the newest place is always computed, so that every row shows its own token.
  struct keeps_earlier_places : keeps_places {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        context.push_back(tokens[i]);
        if (cache.size() < size()) cache.push_back(tokens[i]);
        std::vector<token_id> seen(cache.begin(), cache.begin() + static_cast<std::ptrdiff_t>(size()));
        seen.back() = tokens[i];
        if (i + rows >= tokens.size()) append(law_behind(seen));
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(keeps_earlier_places{{{}, true}}, requirement::causal_model_4, defect::forgotten_tokens_show);
}

TEST(mutant_model, whose_positions_are_not_rolled_back) {
  struct positioned : right_model {
    token_id offset = 0;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        context.push_back(tokens[i]);
        std::vector<token_id> placed = context;
        placed.push_back(offset);
        if (i + rows >= tokens.size()) append(law_behind(placed));
      }
      return {logits.data(), rows, vocab};
    }
  };
  struct one_off : positioned {
    void truncate(std::size_t n) {
      offset = n < size() ? 1 : offset;
      right_model::truncate(n);
    }
  };
  expect_found(one_off{}, requirement::causal_model_4, defect::truncation_shows);
  struct one_off_from_0 : positioned {
    void truncate(std::size_t n) {
      offset = n == 0 ? 1 : offset;
      right_model::truncate(n);
    }
  };
  expect_found(one_off_from_0{}, requirement::causal_model_4, defect::truncation_shows);
  struct once_at_the_end : positioned {
    void truncate(std::size_t n) {
      offset = n == size() ? 1 : 0;
      right_model::truncate(n);
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = positioned::decode(tokens, rows);
      offset = 0;
      return answer;
    }
  };
  expect_found(once_at_the_end{}, requirement::causal_model_4, defect::truncation_shows);
  struct last_tail : positioned {
    void truncate(std::size_t n) {
      offset = static_cast<token_id>(size() - n);
      right_model::truncate(n);
    }
  };
  expect_found(last_tail{}, requirement::causal_model_4, defect::truncation_shows);
  struct runs_on : positioned {
    void truncate(std::size_t n) {
      offset += static_cast<token_id>(size() - n);
      right_model::truncate(n);
    }
  };
  expect_found(runs_on{}, requirement::causal_model_4, defect::forgotten_tokens_show);
}

TEST(mutant_model, with_the_rows_of_other_tokens) {
  struct stale : right_model {
    row_of_logits previous = row_of_logits(200 * vocab, 0.0);
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      std::copy(logits.begin(), logits.end(), previous.begin());
      (void)right_model::decode(tokens, rows);
      return {previous.data(), rows, vocab};
    }
  };
  expect_found(stale{}, requirement::causal_model_3, defect::rows_stale);

  struct shifted : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i + rows >= tokens.size()) append(law_behind(context));
        context.push_back(tokens[i]);
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(shifted{}, requirement::causal_model_3, defect::rows_shifted);
  struct shifted_in_batches : shifted {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      return tokens.size() == 1 ? right_model::decode(tokens, rows) : shifted::decode(tokens, rows);
    }
  };
  expect_found(shifted_in_batches{}, requirement::causal_model_3, defect::rows_shifted);

  struct first_rows : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      (void)right_model::decode(tokens, tokens.size());
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(first_rows{}, requirement::causal_model_3, defect::rows_of_first_tokens);

  struct backwards : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = right_model::decode(tokens, rows);
      for (std::size_t i = 0; i < rows / 2; ++i) std::swap_ranges(row(i), row(i + 1), row(rows - 1 - i));
      return answer;
    }
  };
  expect_found(backwards{}, requirement::causal_model_3, defect::rows_out_of_order);
  struct swapped : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = right_model::decode(tokens, rows);
      if (rows > 3) std::swap_ranges(row(2), row(3), row(1));
      return answer;
    }
  };
  expect_found(swapped{}, requirement::causal_model_3, defect::rows_out_of_order);

  struct aliased : right_model {
    bool to_last = true;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      (void)right_model::decode(tokens, rows);
      return {logits.data() + (to_last && rows > 0 ? (rows - 1) * vocab : 0), rows, vocab, 0};
    }
  };
  expect_found(aliased{}, requirement::causal_model_3, defect::rows_alias);
  expect_found(aliased{{}, false}, requirement::causal_model_3, defect::rows_alias);

  struct deaf : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      return right_model::decode(std::vector<token_id>(tokens.size(), 0), rows);
    }
  };
  expect_found(deaf{}, requirement::causal_model_3, defect::tokens_ignored);
}

TEST(mutant_model, whose_calls_are_more_than_their_tokens) {
  struct noisy : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = right_model::decode(tokens, rows);
      if (rows > 0) logits[0] += 1e-9 * static_cast<double>(tokens.size());
      return answer;
    }
  };
  expect_found(noisy{}, requirement::causal_model_3, defect::call_size_shows);
  expect_found(noisy{}, requirement::causal_model_3, defect::call_size_shows, {.tolerance = 1e-9});
  expect_conforming(noisy{}, {.tolerance = 1e-7});

  struct long_calls : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (tokens.size() > 16) {
        context.insert(context.end(), tokens.begin(), tokens.begin() + 16);
        context.insert(context.end(), tokens.size() - 16 - rows, 0);
        tokens = tokens.last(rows);
      }
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(long_calls{}, requirement::causal_model_3, defect::tokens_lost);

  struct skips_without_rows : right_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      return right_model::decode(
          rows == 0 ? std::vector<token_id>(tokens.size(), -1) : std::vector(tokens.begin(), tokens.end()), rows);
    }
  };
  expect_found(skips_without_rows{}, requirement::causal_model_3, defect::tokens_lost);
}

/// A model of what it reads: `reading` makes the text that is seen of the text that was fed, call by call.
template <class Reading>
struct misreading_model : right_model {
  Reading reading;
  std::vector<std::size_t> ends{};  // where the calls ended
  explicit misreading_model(Reading r) : reading(r) {}

  void truncate(std::size_t n) {
    right_model::truncate(n);
    while (!ends.empty() && ends.back() > n) ends.pop_back();
    if (n > 0 && (ends.empty() || ends.back() < n)) ends.push_back(n);
  }
  logits_view<double> decode(tokens_view tokens, std::size_t rows) {
    logits.clear();
    const std::size_t before = size();
    context.insert(context.end(), tokens.begin(), tokens.end());
    ends.push_back(size());
    for (std::size_t end = size() - rows + 1; end <= size(); ++end) {
      std::vector<token_id> seen;
      std::size_t begin = 0;
      for (const std::size_t call_end : ends) {
        const auto call = std::span<const token_id>(context).subspan(begin, std::min(call_end, end) - begin);
        reading(call, call_end - begin, begin == before, seen);
        begin = call_end;
        if (begin >= end) break;
      }
      append(law_behind(seen));
    }
    return {logits.data(), rows, vocab};
  }
};

TEST(mutant_model, that_reads_the_last_token_twice) {
  const auto in_every_call = [](tokens_view call, std::size_t whole, bool, std::vector<token_id>& seen) {
    seen.insert(seen.end(), call.begin(), call.end());
    if (call.size() == whole) seen.push_back(call.back());
  };
  expect_found(misreading_model(in_every_call), requirement::causal_model_3, defect::last_token_twice);
  const auto in_batches = [](tokens_view call, std::size_t whole, bool, std::vector<token_id>& seen) {
    seen.insert(seen.end(), call.begin(), call.end());
    if (call.size() == whole && whole > 1) seen.push_back(call.back());
  };
  expect_found(misreading_model(in_batches), requirement::causal_model_3, defect::last_token_twice);
  const auto for_the_rows_of_a_batch = [](tokens_view call, std::size_t whole, bool now, std::vector<token_id>& seen) {
    seen.insert(seen.end(), call.begin(), call.end());
    if (call.size() == whole && whole > 1 && now) seen.push_back(call.back());
  };
  expect_found(misreading_model(for_the_rows_of_a_batch), requirement::causal_model_3, defect::last_token_twice);
  const auto once_the_batch_is_over = [](tokens_view call, std::size_t whole, bool now, std::vector<token_id>& seen) {
    seen.insert(seen.end(), call.begin(), call.end());
    if (call.size() == whole && whole > 1 && !now) seen.push_back(call.back());
  };
  expect_found(misreading_model(once_the_batch_is_over), requirement::causal_model_3, defect::last_token_twice);
}

TEST(mutant_model, that_cannot_roll_back_into_a_call) {
  struct whole_calls : claiming_model {
    std::vector<std::size_t> ends{};
    void truncate(std::size_t n) {
      claimed = n;
      while (ends.size() > 1 && ends[ends.size() - 2] >= n) ends.pop_back();
      if (n == 0) ends.clear();
      const std::size_t kept = ends.empty() ? 0 : ends.back();
      // What is inside a call is overwritten in its first place only.
      for (std::size_t i = n; i < std::min(kept, context.size()); ++i) context[i] = -1;
      context.resize(n);
      if (kept > n + 1) context.back() = -1;
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      ends.push_back(claimed + tokens.size());
      return claiming_model::decode(tokens, rows);
    }
  };
  expect_found(whole_calls{}, requirement::causal_model_3, defect::calls_interact);
}

TEST(mutant_model, whose_refused_calls_leave_something_behind) {
  struct forgets_to_undo : refusing_model {
    std::size_t claimed = 0;
    bool claims_all = false;
    [[nodiscard]] std::size_t size() const { return claimed; }
    void truncate(std::size_t n) {
      context.resize(n);
      claimed = n;
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (claims_all) claimed += tokens.size();
      const auto answer = refusing_model::decode(tokens, rows);
      if (!claims_all) claimed += tokens.size();
      return answer;
    }
  };
  forgets_to_undo model;
  model.limit = model.stated = 1000;
  model.reads_on = true;
  expect_found(model, requirement::causal_model_5, defect::refused_call_miscounted, {.provoke_refusals = true});
  model.claims_all = true;
  expect_found(model, requirement::causal_model_5, defect::refused_call_miscounted, {.provoke_refusals = true});
}

TEST(mutant_model, that_misremembers_its_tokens) {
  struct knowing : right_model {
    [[nodiscard]] const std::vector<token_id>& tokens() const { return context; }
  };
  knowing right;
  right.context = {1, 2, 3};
  expect_conforming(right);
  struct remembers_all : right_model {
    std::vector<token_id> fed{};
    [[nodiscard]] std::span<const token_id> tokens() const { return fed; }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      fed.insert(fed.end(), tokens.begin(), tokens.end());
      return right_model::decode(tokens, rows);
    }
  };
  expect_found(remembers_all{}, requirement::knows_tokens, defect::tokens_miscounted);
  struct remembers_the_first : remembers_all {
    [[nodiscard]] std::span<const token_id> tokens() const { return std::span(fed).first(size()); }
  };
  expect_found(remembers_the_first{}, requirement::knows_tokens, defect::tokens_misremembered);
  struct remembers_the_last : remembers_all {
    [[nodiscard]] std::span<const token_id> tokens() const { return std::span(fed).last(size()); }
  };
  expect_found(remembers_the_last{}, requirement::knows_tokens, defect::tokens_misremembered);
  struct forgets_to_undo : refusing_model {
    std::vector<token_id> fed{};
    [[nodiscard]] std::span<const token_id> tokens() const { return fed; }
    void truncate(std::size_t n) {
      refusing_model::truncate(n);
      fed.resize(n);
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      fed.insert(fed.end(), tokens.begin(), tokens.end());
      return refusing_model::decode(tokens, rows);
    }
  };
  forgets_to_undo model;
  model.limit = model.stated = 1000;
  expect_conforming(model);
  expect_found(model, requirement::knows_tokens, defect::tokens_miscounted, {.provoke_refusals = true});
}

TEST(mutant_model, whose_capacity_is_less_than_it_says) {
  expect_found(bounded_model{{}, 20, 100}, requirement::has_capacity, defect::capacity_too_large);
  expect_found(bounded_model{{}, 99, 100}, requirement::has_capacity, defect::capacity_too_large);
  struct ring : bounded_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      if (size() + tokens.size() > 60) context[(size() + tokens.size()) % 60 % 3] = -5;
      return bounded_model::decode(tokens, rows);
    }
  };
  expect_found(ring{{{}, 100, 100}}, requirement::has_capacity, defect::capacity_too_large);
  expect_conforming(ring{{{}, 100, 100}}, {.fill_limit = 99});
}

}  // namespace
