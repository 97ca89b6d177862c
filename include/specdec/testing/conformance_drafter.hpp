#ifndef SPECDEC_TESTING_CONFORMANCE_DRAFTER_HPP
#define SPECDEC_TESTING_CONFORMANCE_DRAFTER_HPP

/// @file
/// Does a drafter keep to what it was asked for? `check_drafter` asks it as sessions would.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../sampling/law.hpp"
#include "../types.hpp"
#include "conformance_probe.hpp"
#include "conformance_report.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// How a drafter is tried.
struct drafter_conformance_options {
  /// Tokens to make texts of; none stands for the whole vocabulary.
  std::vector<token_id> tokens = {};
  /// The target's parameters.
  sampling_params sampling = {};
  /// Tokens in the longest text.
  std::size_t length = 24;
  std::uint64_t seed = 0;
  /// Whether the same request must have the same answer; false for drafters that read a clock.
  bool repeatable = true;
  /// Whether it may learn from texts it was asked about, so that the same request later has another answer.
  bool learns = false;
};

/// Asks `drafter` for drafts of growing and of changing texts, and reports every requirement of `Drafter` it breaks:
/// no more tokens than max_depth and max_nodes, all in the vocabulary; the same answer to the same request, at once
/// (a round that is made again) and behind requests for another text (a cache that is rolled back); a law of the first
/// token that does not depend on the seed.
///
/// Throws std::invalid_argument for options that cannot be followed. A std::exception from the drafter becomes a
/// finding. Cost: ten drafts for each token of `length`; comparing them reads whole laws.
template <Drafter Subject>
[[nodiscard]] conformance_report check_drafter(Subject& drafter, std::size_t vocab_size,
                                               const drafter_conformance_options& options = {}) {
  conformance_report report;
  law target(vocab_size, options.sampling);
  for (const token_id token : options.tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= vocab_size) {
      throw std::invalid_argument("specdec: to check a drafter, expected tokens of a vocabulary of " +
                                  std::to_string(vocab_size) + "; got " + std::to_string(token));
    }
  }
  std::mt19937_64 random(options.seed);
  const auto any_text = [&] {
    std::vector<token_id> text(options.length);
    for (token_id& token : text) {
      token = options.tokens.empty() ? static_cast<token_id>(random() % vocab_size)
                                     : options.tokens[random() % options.tokens.size()];
    }
    return text;
  };
  const std::vector<token_id> text = any_text();
  const std::vector<token_id> other_text = any_text();

  struct stop {};
  std::vector<std::string> calls;
  const auto fail = [&](requirement broken, defect kind, std::string message) {
    report.findings.push_back({broken, kind, std::move(message), calls});
    report.complete = false;
    throw stop{};
  };
  const auto require_answer = [&](const draft_request& request, const draft& answer) {
    if (answer.size() > request.max_nodes) {
      fail(requirement::drafter_1, defect::draft_too_large,
           "expected at most " + std::to_string(request.max_nodes) + " tokens; got " + std::to_string(answer.size()));
    }
    for (node_id node = 1; node <= answer.size(); ++node) {
      if (answer.depth(node) > request.max_depth) {
        fail(requirement::drafter_1, defect::draft_too_deep,
             "expected a depth of at most " + std::to_string(request.max_depth) + "; got " +
                 std::to_string(answer.depth(node)));
      }
      const token_id token = answer.token(node);
      const std::size_t width = answer.law_of(node).vocab_size();
      if (token < 0 || static_cast<std::size_t>(token) >= vocab_size || width != vocab_size) {
        fail(requirement::drafter_1, defect::draft_token_unknown,
             "expected tokens and laws of a vocabulary of " + std::to_string(vocab_size) + "; got token " +
                 std::to_string(token) + " from a law over " + std::to_string(width));
      }
    }
  };
  const auto ask = [&](std::span<const token_id> context, std::size_t depth, std::size_t nodes, std::uint64_t seed) {
    const draft_request request{context, depth, nodes, &target, static_cast<std::uint32_t>(context.size()), 0};
    calls.push_back("propose behind " + to_string(context) + ", max_depth " + std::to_string(depth) + ", max_nodes " +
                    std::to_string(nodes) + ", seed " + std::to_string(seed));
    if (calls.size() > 4) calls.erase(calls.begin());
    philox chance(seed);
    draft answer;
    answer.begin(request);
    try {
      drafter.propose(request, chance, answer);
    } catch (const std::exception& error) {
      fail(requirement::drafter_1, defect::call_refused,
           std::string("expected a draft, even an empty one; it threw \"") + error.what() + "\"");
    }
    require_answer(request, answer);
    return answer;
  };
  const auto same_law = [&](const draft& a, const draft& b, node_id node) {
    for (std::size_t t = 0; t < vocab_size; ++t) {
      const auto token = static_cast<token_id>(t);
      if (a.law_of(node).probability(token) != b.law_of(node).probability(token)) return false;
    }
    return true;
  };
  const auto same = [&](const draft& a, const draft& b) {
    if (!std::equal(a.tokens().begin(), a.tokens().end(), b.tokens().begin(), b.tokens().end())) return false;
    for (node_id node = 1; node <= a.size(); ++node) {
      if (a.parent(node) != b.parent(node) || !same_law(a, b, node)) return false;
    }
    return true;
  };

  try {
    for (std::size_t size = 1; size <= text.size(); ++size) {
      const std::span<const token_id> context = std::span(text).first(size);
      for (const auto& [depth, nodes] : {std::pair<std::size_t, std::size_t>{0, 0}, {0, 8}, {1, 1}, {5, 2}, {3, 64}}) {
        ask(context, depth, nodes, options.seed);
      }
      const draft first = ask(context, 4, 32, options.seed);
      if (options.repeatable && !same(first, ask(context, 4, 32, options.seed))) {
        fail(requirement::drafter_3, defect::draft_not_repeatable,
             "expected the draft of a round that is made again to be the same; it is another");
      }
      const draft reseeded = ask(context, 4, 32, options.seed + 1);
      if (options.repeatable && !first.empty() && !reseeded.empty() && !same_law(first, reseeded, 1)) {
        fail(
            requirement::drafter_2, defect::draft_depends_on_chance,
            "expected the law of the first token not to depend on the seed, since nothing is drawn before it; it does");
      }
      ask(std::span(other_text).first(options.length - size + 1), 4, 32, options.seed);
      if (options.repeatable && !options.learns && !same(first, ask(context, 4, 32, options.seed))) {
        fail(requirement::drafter_3, defect::draft_remembers_past_text,
             "expected the same draft as before another text was asked about; it is another");
      }
    }
  } catch (const stop&) {
  }
  return report;
}

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_DRAFTER_HPP
