#ifndef SPECDEC_TESTS_CONFORMANCE_MODELS_HPP
#define SPECDEC_TESTS_CONFORMANCE_MODELS_HPP

/// @file
/// Models that keep the contract, to be broken in one place each, and what the kit must say of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <specdec/testing/conformance.hpp>
#include <specdec/types.hpp>
#include <stdexcept>
#include <vector>

#include "laws.hpp"

namespace conformance_models {

using laws::text_view;
using specdec::logits_view;
using specdec::token_id;
using specdec::testing::check_target_model;
using specdec::testing::conformance_options;
using specdec::testing::conformance_report;
using specdec::testing::defect;
using specdec::testing::requirement;
using tokens_view = std::span<const token_id>;

inline constexpr std::size_t vocab = 6;
using row_of_logits = std::vector<double>;

inline row_of_logits law_behind(text_view text) {
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

}  // namespace conformance_models

#endif  // SPECDEC_TESTS_CONFORMANCE_MODELS_HPP
