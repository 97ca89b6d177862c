#ifndef SPECDEC_TESTS_FAULTS_METHODS_HPP
#define SPECDEC_TESTS_FAULTS_METHODS_HPP

/// @file
/// Every way to draft and to verify that there is, over models that fail when they are told to.

#include <cstddef>
#include <functional>
#include <limits>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>
#include <string>
#include <vector>

#include "pieces.hpp"
#include "small_model.hpp"

namespace faults {

using faulty = specdec::testing::faulty_model<small_model>;

inline constexpr std::size_t vocab_size = 16;
inline const std::vector<token_id> prompt{1, 2, 3, 4, 5};

/// What the models say. The drafts are more or less like the target.
namespace pools {
inline const small_model::pool target(vocab_size, 0), near(vocab_size, 1.5F), far(vocab_size, 4);
/// Of a vocabulary of its own.
inline const small_model::pool foreign(12, 0);
}  // namespace pools

inline const pieces::tokenizer target_pieces({"a", "b", "c", "d", "e", "f", "ab", "bc", "cd", "da", "aa", "bb", "cc",
                                              "abc", "bcd", ""});
inline const pieces::tokenizer foreign_pieces({"a", "b", "c", "d", "e", "f", "ba", "cb", "aa", "dd", "cab", "ef"});

struct method;

/// The models of one run. Who calls `recorded_target` must not call `target`.
struct cast {
  explicit cast(const method& of);
  cast(const cast&) = delete;
  cast& operator=(const cast&) = delete;

  faulty target;
  specdec::recorded<faulty&> recorded_target;
  faulty draft, draft_of_draft;
};

struct method {
  std::string name;
  specdec::any_lossy_verifier<> rule = {};
  std::function<specdec::any_drafter(cast&)> drafter = {};
  std::size_t drafts = 1;      ///< how many models draft, besides the target
  bool branches = false;       ///< drafts trees
  bool learns = false;         ///< from rounds
  bool of_itself = false;      ///< drafts with the recorded target
  bool own_choice = false;     ///< the text is the target's choice alone, whatever was drafted
  bool reads_clock = false;    ///< the length of a draft depends on measured time
  bool heeds_company = false;  ///< and on the texts that share the target's calls
  double temperature = 1;
  const small_model::pool* draft_pool = &pools::near;
  std::size_t capacity = std::numeric_limits<std::size_t>::max();  ///< of the models
};

/// All of them.
const std::vector<method>& methods();

/// What followed each token in a text that such a model wrote.
const specdec::ngram_table& bigrams();

/// One of them. Throws std::invalid_argument if there is none of that name.
const method& method_of(const std::string& name);

/// A text of 200 tokens; with mask, penalties, filters, stops and whatever else there is to ask for, if `all`.
specdec::generate_options options_of(const method& of, bool all);

}  // namespace faults

#endif  // SPECDEC_TESTS_FAULTS_METHODS_HPP
