#ifndef SPECDEC_DRAFT_PROMPT_LOOKUP_HPP
#define SPECDEC_DRAFT_PROMPT_LOOKUP_HPP

/// @file
/// Drafting by looking up how the text went on last time, without a model.
///
/// Source: Saxena 2023, "Prompt lookup decoding", as Hugging Face transformers have it (prompt_lookup_num_tokens): the
/// same order of matches, the same limits, names and defaults.

#include <algorithm>
#include <cstddef>
#include <span>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/mask.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Finds where the last `max_matching_ngram_size` tokens of the text stood before, and proposes what followed there: up
/// to `num_output_tokens` tokens, each a point mass. If they stood nowhere, one token less is looked for, down to one
/// token; if that is new too, nothing is drafted. Of several places the leftmost counts.
///
/// The draft ends before an end token, and before a token that mask or least length forbid. A place where that is the
/// first token counts, if it is an end token, as found, with nothing to draft; if it is forbidden, the next place is
/// tried.
///
/// Strong where the answer repeats the prompt: summaries, edits, code. Lossless with a lossless rule, as all drafts
/// are. O(n) per round for a text of n tokens, and one question to the mask per token tried; nothing is stored.
struct prompt_lookup {
  std::size_t num_output_tokens = 10;
  std::size_t max_matching_ngram_size = 2;

  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    const std::size_t most = std::min({num_output_tokens, request.max_depth, request.max_nodes});
    if (most == 0) return;
    answer.reserve(std::min(most, reserve_at_most), 0);
    const std::span<const token_id> text = request.context;
    for (std::size_t size = std::min(max_matching_ngram_size, text.size() - 1); size > 0; --size) {
      const auto ngram = text.last(size);
      // At the end stands the n-gram itself: nothing follows it.
      for (std::size_t at = 0; at + size < text.size(); ++at) {
        const auto here = text.subspan(at, size);
        if (!std::equal(here.begin(), here.end(), ngram.begin())) continue;
        const auto behind = text.subspan(at + size);
        if (copy(request, behind.first(std::min(most, behind.size())), chance, answer)) return;
      }
    }
  }

 private:
  /// Drafts these tokens as far as they will do. False if the first is forbidden.
  template <Chance C>
  static bool copy(const draft_request& request, std::span<const token_id> tokens, C& chance, draft& answer) {
    const law& target = *request.target_law;
    const auto forbidden = [&](token_id token) {
      const text_so_far text{request.context, answer.tokens(), request.prompt_size};
      return (target.ends().ends(token) && target.ends().too_early(text)) ||
             (request.mask != nullptr && !request.mask->allows(text, token));
    };
    node_id tip = root;
    for (const token_id token : tokens) {
      if (forbidden(token)) return tip != root;
      if (target.ends().ends(token)) return true;
      tip = answer.extend(tip, proposal::point_mass(target.vocab_size(), token), chance);
    }
    return true;
  }
};

static_assert(Drafter<prompt_lookup>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_PROMPT_LOOKUP_HPP
