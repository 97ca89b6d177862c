#ifndef SPECDEC_DRAFT_DRAFT_LAW_HPP
#define SPECDEC_DRAFT_DRAFT_LAW_HPP

/// @file
/// From a draft model's logits to the law that its tokens are drawn from.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "../failure.hpp"
#include "../message.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/mask.hpp"
#include "../sampling/text_so_far.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How a model's logits become its draft law.
struct model_drafter_options {
  /// The draft's own parameters; by default the target's. Any choice is exact, one close to the target's is fast.
  std::optional<sampling_params> sampling = std::nullopt;
  /// Draft from the `top` most probable tokens, renormalised; 0 drafts from the whole law. A short law keeps a
  /// vocabulary-sized copy of q out of every drafted token, and out of every residual.
  std::size_t top = 64;
};

/// The law of a draft model: over the model's vocabulary, with the target's parameters or the draft's own. Where the
/// text ends is always the target's to say.
class draft_law {
 public:
  /// Throws std::invalid_argument for parameters of the draft's own that do not suit the vocabulary.
  draft_law(std::size_t vocab_size, const std::optional<sampling_params>& own) : vocab_size_(vocab_size), own_(own) {
    if (own_) own_->validate(vocab_size);
  }

  /// Follows the target's law as it is in a round. Says whether that made another law of this one; then it allocates.
  /// Throws std::invalid_argument if the target's vocabulary has another size: then neither its text nor its parameters
  /// mean anything here.
  bool follow(const law& target) {
    require_vocabulary(target.vocab_size(), vocab_size_, "the draft");
    const sampling_params& params = own_ ? *own_ : target.params();
    if (law_ && law_->params() == params && law_->ends() == target.ends()) return false;
    law_.emplace(vocab_size_, params, target.ends());
    return true;
  }

  /// The law itself. Precondition, for this and the next: `follow` was called.
  [[nodiscard]] const law& get() const noexcept { return *law_; }
  [[nodiscard]] const sampling_params& params() const noexcept { return law_->params(); }

  /// Whether nothing is to be drafted behind this token.
  [[nodiscard]] bool ends(token_id token) const noexcept { return law_->ends().ends(token); }

  /// The law of the token behind a row; valid until the next question. Throws std::runtime_error for unusable logits,
  /// unless it is only a mask that leaves nothing. As `law::of` otherwise. Precondition: `follow` was called.
  template <class T>
  [[nodiscard]] distribution<T> of(const logits_row<T>& row, const text_so_far& text, mask_follower* mask) {
    const auto q = law_->of(row, text, mask);
    if (!q.valid() && q.fault() != row_fault::nothing_allowed) {
      raise<std::runtime_error>(std::string("specdec: expected usable logits from the draft model, but a row has ") +
                                to_string(q.fault()));
    }
    return q;
  }

 private:
  std::size_t vocab_size_;
  std::optional<sampling_params> own_;
  std::optional<law> law_;
};

/// Room for one law that outlives its row: whole, or cut to the most probable tokens.
class kept_law {
 public:
  /// @param top as in `model_drafter_options`
  kept_law(std::size_t vocab_size, std::size_t top)
      : ids_(top == 0 ? 0 : std::min(top, vocab_size)), weights_(top == 0 ? vocab_size : ids_.size()) {}

  /// How many tokens it keeps.
  [[nodiscard]] std::size_t size() const noexcept { return weights_.size(); }

  /// The law as a proposal, in this room: valid until the next call. Precondition: it is valid.
  template <class T>
  [[nodiscard]] proposal keep(const distribution<T>& q) {
    return ids_.empty() ? q.propose_all(space_of(weights_)) : q.propose_top(space_of(ids_), space_of(weights_));
  }

 private:
  std::vector<token_id> ids_;  ///< none if the law is kept whole
  std::vector<float> weights_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_DRAFT_LAW_HPP
