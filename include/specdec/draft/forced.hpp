#ifndef SPECDEC_DRAFT_FORCED_HPP
#define SPECDEC_DRAFT_FORCED_HPP

/// @file
/// Drafting what a mask forces.

#include <algorithm>
#include <cstddef>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/mask.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Proposes tokens as long as the mask leaves no choice, without a model: a grammar's brackets and keywords cost one
/// call of the target together. They are certain to be accepted. `model_drafter` does so by itself.
struct forced_tokens {
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    if (request.mask == nullptr) return;
    const law& target = *request.target_law;
    const std::size_t goal = std::min(request.max_depth, request.max_nodes);
    node_id tip = root;
    while (answer.depth(tip) < goal && (tip == root || !target.ends().ends(answer.token(tip)))) {
      const text_so_far text{request.context, answer.tokens(), request.prompt_size};
      const token_id forced = request.mask->forced(text, target.vocab_size());
      if (forced < 0) return;
      tip = answer.extend(tip, proposal::point_mass(target.vocab_size(), forced), chance);
    }
  }
};

static_assert(Drafter<forced_tokens>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_FORCED_HPP
