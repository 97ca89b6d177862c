#ifndef SPECDEC_TESTING_CONFORMANCE_REPORT_HPP
#define SPECDEC_TESTING_CONFORMANCE_REPORT_HPP

/// @file
/// What a conformance check answers: which requirement of a concept is broken, how, and by which calls it shows.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "../config.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// A requirement of a concept in concepts.hpp, by the number it has there.
enum class requirement : std::uint8_t {
  causal_model_1,   ///< vocab_size() is the number of tokens it knows, and never changes
  causal_model_2,   ///< size() is the number of tokens in the context
  causal_model_3,   ///< decode appends the tokens and returns the logits behind the last `rows` of them
  causal_model_4,   ///< truncate(n) keeps the first n tokens and forgets the rest
  causal_model_5,   ///< behind a decode that threw, size() says what the context is
  logits_rows_2,    ///< a row holds numbers, and asking twice gives the same ones
  has_capacity,     ///< capacity() is the greatest size() it can reach
  knows_tokens,     ///< tokens() are the tokens now in the context, in order
  decodes_trees,    ///< nodes are no part of the context, and every call that changes it forgets them
  decodes_trees_1,  ///< decode_tree scores every node behind the context and the path to it alone
  decodes_trees_2,  ///< keep appends the tokens of a path, as if decode had been fed them, and forgets all other nodes
  drafter_1,        ///< propose appends no more than was asked for, of tokens in the vocabulary
  drafter_2,        ///< all randomness comes from `chance`
  drafter_3,        ///< a proposal depends on the request and on earlier rounds alone
};

/// The requirement in words.
[[nodiscard]] constexpr const char* to_string(requirement r) noexcept {
  switch (r) {
    case requirement::causal_model_1:
      return "CausalModel 1: vocab_size() is the number of tokens the model knows, and never changes";
    case requirement::causal_model_2:
      return "CausalModel 2: size() is the number of tokens now in the context";
    case requirement::causal_model_3:
      return "CausalModel 3: decode(tokens, rows) appends the tokens and returns the logits behind the last `rows` of "
             "them, which depend on the tokens of the context alone";
    case requirement::causal_model_4:
      return "CausalModel 4: truncate(n) keeps the first n tokens and forgets the rest";
    case requirement::causal_model_5:
      return "CausalModel 5: if decode throws, the context is what it was, or that and some of the tokens, and size() "
             "says which";
    case requirement::logits_rows_2:
      return "LogitsRows 2: rows.row(i) is a row of numbers, and asking twice gives the same ones";
    case requirement::has_capacity:
      return "HasCapacity: capacity() is the greatest size() the model can reach";
    case requirement::knows_tokens:
      return "KnowsTokens: tokens() are the tokens now in the context, in order";
    case requirement::decodes_trees:
      return "DecodesTrees: nodes are no part of the context, and every call that changes it forgets them";
    case requirement::decodes_trees_1:
      return "DecodesTrees 1: decode_tree(tokens, parents, rows) scores every node behind the context and the path to "
             "it alone";
    case requirement::decodes_trees_2:
      return "DecodesTrees 2: keep(path) appends the tokens of the path, as if decode had been fed them, and forgets "
             "all other nodes";
    case requirement::drafter_1:
      return "Drafter 1: propose appends at most max_depth tokens per path and max_nodes in all, from the vocabulary";
    case requirement::drafter_2:
      return "Drafter 2: all randomness comes from `chance`, through draft.extend";
    case requirement::drafter_3:
      return "Drafter 3: a proposal depends on the request, the drafter's parameters and earlier rounds alone";
  }
  return "an unknown requirement";
}

/// How a requirement is broken: the mistake that explains what was seen.
enum class defect : std::uint8_t {
  vocabulary_empty,           ///< vocab_size() is 0
  vocabulary_changed,         ///< vocab_size() is not what it was
  size_wrong,                 ///< size() behind a decode is not the tokens that were there and those that came
  call_refused,               ///< a legal call threw
  rows_0_refused,             ///< a decode with rows = 0 threw, others do not
  row_count_wrong,            ///< decode returned more or fewer rows than asked for
  row_width_wrong,            ///< a row has more or fewer logits than the vocabulary has tokens
  row_unusable,               ///< a row has NaN, +inf, or nothing but -inf
  row_changes_when_read,      ///< asking for a row again gives other numbers
  rows_stale,                 ///< decode returns the rows of the call before
  rows_shifted,               ///< each row is behind the token before its own
  rows_of_first_tokens,       ///< the rows are behind the first tokens of the call, not the last
  rows_alias,                 ///< all rows of a call are one of them, such as the last
  rows_out_of_order,          ///< the right rows in another order
  last_token_twice,           ///< the last token of a call is read twice
  call_size_shows,            ///< a row depends on how many tokens or rows shared its call
  tokens_lost,                ///< behind a decode of several tokens the context is another than it should be
  tokens_ignored,             ///< other tokens, same logits: they are not read, or old rows come back
  truncate_does_nothing,      ///< size() is the same behind truncate
  truncate_keeps_too_many,    ///< truncate(n) keeps n+1 tokens
  truncate_keeps_too_few,     ///< truncate(n) keeps n-1 tokens
  truncate_size_wrong,        ///< size() behind truncate(n) is something else again
  forgotten_tokens_show,      ///< logits depend on which tokens were truncated: a cache that was not rolled back
  truncation_shows,           ///< logits depend on a truncation, not on what it took away: positions miscounted
  calls_interact,             ///< rows go wrong only in a session's mixture of drafts, rollbacks and re-feeding
  refused_call_miscounted,    ///< behind a decode that threw, the context is not what size() says
  capacity_too_large,         ///< the context ends, or loses its beginning, before capacity() tokens
  tokens_miscounted,          ///< tokens() has more or fewer than size() tokens
  tokens_misremembered,       ///< tokens() are not those that were fed and not truncated
  nodes_counted,              ///< size() or tokens() count the nodes of a tree
  other_branches_show,        ///< a node's row depends on nodes that are not on its path: a mask that lets them through
  tree_shape_shows,           ///< it depends on how many there are: positions by number, not by depth
  node_row_wrong,             ///< it is not the row of the context and the path to it
  tree_calls_interact,        ///< it goes wrong when the tree comes in several calls
  kept_path_miscounted,       ///< size() behind keep is not the context and the path
  kept_path_wrong,            ///< behind keep the context is another than it should be: nodes that were not moved
  nodes_not_forgotten,        ///< nodes are still there behind a call that forgets them
  draft_too_deep,             ///< a path holds more tokens than max_depth
  draft_too_large,            ///< the draft holds more tokens than max_nodes
  draft_token_unknown,        ///< a drafted token or its law is outside the vocabulary
  draft_not_repeatable,       ///< the same request and the same chance gave another draft
  draft_depends_on_chance,    ///< the law of a path's first token changes with the seed
  draft_remembers_past_text,  ///< the same request gave another draft behind a request for another text
};

/// The defect's name, as it is spelt in the enumeration.
[[nodiscard]] constexpr const char* to_string(defect d) noexcept {
  constexpr const char* names[] = {"vocabulary_empty",
                                   "vocabulary_changed",
                                   "size_wrong",
                                   "call_refused",
                                   "rows_0_refused",
                                   "row_count_wrong",
                                   "row_width_wrong",
                                   "row_unusable",
                                   "row_changes_when_read",
                                   "rows_stale",
                                   "rows_shifted",
                                   "rows_of_first_tokens",
                                   "rows_alias",
                                   "rows_out_of_order",
                                   "last_token_twice",
                                   "call_size_shows",
                                   "tokens_lost",
                                   "tokens_ignored",
                                   "truncate_does_nothing",
                                   "truncate_keeps_too_many",
                                   "truncate_keeps_too_few",
                                   "truncate_size_wrong",
                                   "forgotten_tokens_show",
                                   "truncation_shows",
                                   "calls_interact",
                                   "refused_call_miscounted",
                                   "capacity_too_large",
                                   "tokens_miscounted",
                                   "tokens_misremembered",
                                   "nodes_counted",
                                   "other_branches_show",
                                   "tree_shape_shows",
                                   "node_row_wrong",
                                   "tree_calls_interact",
                                   "kept_path_miscounted",
                                   "kept_path_wrong",
                                   "nodes_not_forgotten",
                                   "draft_too_deep",
                                   "draft_too_large",
                                   "draft_token_unknown",
                                   "draft_not_repeatable",
                                   "draft_depends_on_chance",
                                   "draft_remembers_past_text"};
  static_assert(std::size(names) == static_cast<std::size_t>(defect::draft_remembers_past_text) + 1);
  return names[static_cast<std::size_t>(d)];
}

/// One broken requirement, and the calls that show it.
struct finding {
  requirement broken;
  defect kind;
  std::string message;             ///< what was expected and what came
  std::vector<std::string> calls;  ///< the calls, in order, the last of which gave it away

  /// All of it, in lines, for a test's output.
  [[nodiscard]] std::string text() const {
    std::string lines = std::string(to_string(kind)) + ": " + message + "\n  breaks " + to_string(broken);
    for (const std::string& call : calls) lines += "\n    " + call;
    return lines;
  }
};

/// What a check found. Nothing: the subject conforms as far as it was tried.
struct conformance_report {
  std::vector<finding> findings;  ///< the most specific first
  /// False if checks were left out because what they build on is broken: repair the findings and run again.
  bool complete = true;

  [[nodiscard]] bool conforming() const noexcept { return findings.empty(); }

  /// All findings, in lines; empty if there are none.
  [[nodiscard]] std::string text() const {
    std::string lines;
    for (const finding& f : findings) lines += f.text() + "\n";
    if (!complete) lines += "Further checks were left out: they build on what is broken.\n";
    return lines;
  }
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_REPORT_HPP
