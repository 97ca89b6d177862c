// Models whose rows are not what was asked for: the kit must find each mistake and call it by its name.

#include "conformance_models.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace conformance_models;

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

TEST(mutant_model, is_shown_by_the_calls_that_gave_it_away) {
  /// Answers one kind of call with its rows backwards, and misreads another: both are found among calls that are right.
  struct wrong_at_times : right_model {
    bool misreads = false;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = right_model::decode(tokens, rows);
      if (!misreads && tokens.size() == 5 && rows == 3) std::swap_ranges(row(0), row(1), row(2));
      if (misreads && tokens.size() == 5 && rows == 0) {
        context[size() - 2] = static_cast<token_id>((context[size() - 2] + 1) % static_cast<token_id>(vocab));
      }
      return answer;
    }
  };
  const auto expect_shown = [](bool misreads, defect kind, const std::vector<std::pair<std::size_t, char>>& calls) {
    wrong_at_times model{{}, misreads};
    const conformance_report report = check_target_model(model);
    ASSERT_FALSE(report.conforming());
    const auto& found = report.findings.front();
    EXPECT_EQ(found.kind, kind) << report.text();
    // Where they begin, and a truncation, come first.
    ASSERT_EQ(found.calls.size(), 2 + calls.size()) << report.text();
    EXPECT_EQ(found.calls[1], "truncate(3)");
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const std::string& call = found.calls[2 + i];
      const std::string in_braces = call.substr(0, call.find('}'));
      EXPECT_EQ(std::count(in_braces.begin(), in_braces.end(), ',') + 1, static_cast<std::ptrdiff_t>(calls[i].first));
      EXPECT_EQ(call.substr(call.find('}')), std::string("}, ") + calls[i].second + ")");
    }
  };
  expect_shown(false, defect::rows_out_of_order, {{5, '3'}});
  expect_shown(true, defect::tokens_lost, {{5, '0'}, {1, '1'}});
}

}  // namespace
