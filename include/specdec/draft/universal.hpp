#ifndef SPECDEC_DRAFT_UNIVERSAL_HPP
#define SPECDEC_DRAFT_UNIVERSAL_HPP

/// @file
/// Drafting with a model whose tokenizer is another: what the two have in common is the text.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../length/constant.hpp"
#include "../model/retokenized_text.hpp"
#include "../model/tokenizer.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "model.hpp"

namespace specdec::inline SPECDEC_ABI {

/// How a text goes to and fro between two tokenizers. Names and defaults are those of Hugging Face's GenerationConfig,
/// where it has them.
struct universal_options {
  /// Tokens of its own that the draft model drafts per round, where no length policy is given.
  std::size_t num_assistant_tokens = 20;
  /// How many target tokens before the new ones are encoded together with them for the draft model.
  std::size_t target_lookbehind = 10;
  /// How many draft tokens before the drafted ones are encoded together with them for the target.
  std::size_t assistant_lookbehind = 10;
  /// How the draft model chooses. A token is kept with the target's probability for it, whatever the draft's, so the
  /// most probable ones serve best.
  sampling_params sampling = {.temperature = 0};
  /// Begin and end tokens: what the tokenizers' texts leave out.
  control_tokens control = {};
};

/// Universal assisted generation: the target's text is encoded with the draft's tokenizer, the draft model goes on with
/// it, and what it drafted is encoded with the target's tokenizer and proposed. The two vocabularies need nothing in
/// common. Proposals are point masses, since nobody knows how probable a text is in all its tokenizations: a token is
/// accepted if the target chooses it, which keeps the target's law exactly.
/// Source: `AssistedCandidateGeneratorDifferentTokenizers` in Hugging Face transformers; Timor et al. 2025 (arXiv
/// 2502.05202), "string-level exact match".
///
/// The drafted text is encoded behind the last bytes of the committed one. If the last committed token does not come
/// out of that as it is, since the drafted text would go on inside it, nothing is proposed. An end token is
/// proposed if the draft's has a partner, and nothing behind it.
///
/// The model is brought up to the text at every request, as `model_drafter` does, which also tells what may be thrown;
/// besides, what the tokenizers throw passes through. Model and tokenizers are referenced, not owned. A length policy
/// counts in the draft's tokens, and is asked with a request whose context is the text in these.
template <CausalModel Model, Tokenizer TargetTokenizer, Tokenizer DraftTokenizer, LengthPolicy Policy = constant>
class universal_drafter {
 public:
  /// Throws std::invalid_argument if the model's vocabulary has not the size of its tokenizer's (a model with more rows
  /// is to be `padded` first), for a pair of control tokens outside the vocabularies and for bad sampling parameters.
  universal_drafter(Model& model, const TargetTokenizer& target, const DraftTokenizer& draft, Policy policy,
                    const universal_options& options = {})
      : target_(address_of(target)),
        draft_(address_of(draft)),
        assistant_lookbehind_(options.assistant_lookbehind),
        text_(target, draft, options.target_lookbehind, checked(options.control, model, target, draft)),
        law_(model.vocab_size(), options.sampling, end_rule{control_of_draft(options.control), 0}),
        drafter_(model, std::move(policy)) {}

  /// With options.num_assistant_tokens a round.
  universal_drafter(Model& model, const TargetTokenizer& target, const DraftTokenizer& draft,
                    const universal_options& options = {}) requires std::same_as<Policy, constant>
      : universal_drafter(model, target, draft, constant{options.num_assistant_tokens}, options) {}

  universal_drafter(Model&, const TargetTokenizer&&, const DraftTokenizer&, Policy,
                    const universal_options& = {}) = delete;
  universal_drafter(Model&, const TargetTokenizer&, const DraftTokenizer&&, Policy,
                    const universal_options& = {}) = delete;
  universal_drafter(Model&, const TargetTokenizer&&, const DraftTokenizer&&, Policy,
                    const universal_options& = {}) = delete;
  universal_drafter(Model&, const TargetTokenizer&&, const DraftTokenizer&, const universal_options& = {}) = delete;
  universal_drafter(Model&, const TargetTokenizer&, const DraftTokenizer&&, const universal_options& = {}) = delete;
  universal_drafter(Model&, const TargetTokenizer&&, const DraftTokenizer&&, const universal_options& = {}) = delete;

  [[nodiscard]] Model& model() noexcept { return drafter_.model(); }
  [[nodiscard]] Policy& policy() noexcept { return drafter_.policy(); }

  /// Hands what became of a round to the policy. See `Observes`.
  void observe(const outcome& out) requires Observes<Policy> { policy().observe(out); }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    const std::size_t goal = std::min(request.max_depth, request.max_nodes);
    if (goal == 0) return;
    text_.read(request.context);
    if (text_.tokens().empty()) return;
    const draft_request asked = request_of_draft(request, goal);
    drafted_.begin(asked);
    drafter_.propose(asked, chance, drafted_);

    encode_drafted(request.context);
    answer.reserve(proposed_.size(), 0);
    const std::size_t vocab_size = request.target_law->vocab_size();
    node_id tip = root;
    for (const token_id token : proposed_) {
      if (answer.size() == goal) return;
      tip = answer.extend(tip, proposal::point_mass(vocab_size, token), chance);
    }
  }

 private:
  static const control_tokens& checked(const control_tokens& control, const Model& model, const TargetTokenizer& target,
                                       const DraftTokenizer& draft) {
    const std::size_t size = draft.vocab_size();
    if (const std::size_t known = model.vocab_size(); known != size) {
      raise<std::invalid_argument>("specdec: expected a draft model of its tokenizer's vocabulary, " +
                                   std::to_string(size) + " tokens; it has " + std::to_string(known));
    }
    for (const token_pair& both : control.pairs) {
      require_token(both.target, target.vocab_size(), "the list of control tokens, for the target,");
      require_token(both.draft, size, "the list of control tokens, for the draft,");
    }
    if (control.begin) require_token(*control.begin, size, "the option for the begin token");
    return control;
  }

  /// Levels from here on are no session's and no cascade's.
  static constexpr std::uint8_t own_levels = 0x80;

  static std::vector<token_id> control_of_draft(const control_tokens& control) {
    std::vector<token_id> tokens;
    for (const token_pair& both : control.pairs) tokens.push_back(both.draft);
    return tokens;
  }

  /// The round as the draft model sees it: at a level of its own, since its tokens have other places than the target's.
  /// What it draws decides whether there is a draft at all; so nobody else's draws may share its noise, nor those of a
  /// cascade that drafts when it does not (`first_of`).
  [[nodiscard]] draft_request request_of_draft(const draft_request& request, std::size_t goal) const noexcept {
    // A target token seldom has more bytes than four draft tokens: at the end of a text more are drafted in vain.
    constexpr std::size_t tokens_per_token = 4;
    const std::size_t depth = std::min(goal, reserve_at_most) * tokens_per_token;
    return {.context = text_.tokens(),
            .max_depth = depth,
            .max_nodes = depth,
            .target_law = &law_,
            .prompt_size = text_.tokens().size(),
            .round = request.round,
            .level = static_cast<std::uint8_t>(own_levels + request.level)};
  }

  /// Writes what was drafted in the target's tokens into proposed_: none if the last committed token would become
  /// another.
  void encode_drafted(std::span<const token_id> context) {
    proposed_.clear();
    const auto [tokens_before, before] = text_.end_of(context, text_.bytes_of_last(assistant_lookbehind_));
    bytes_.assign(before);
    const std::size_t known = bytes_.size();
    std::optional<token_id> end_token;
    for (const token_id token : drafted_.tokens()) {
      const std::size_t size = bytes_.size();
      end_token = text_.control().target_of(token);
      if (!end_token) draft_->decode(token, bytes_);
      if (bytes_.size() == size) break;
    }
    if (bytes_.size() > known) {
      target_->encode(std::string_view(bytes_), proposed_);
      std::size_t old = 0;
      std::size_t end = 0;
      for (; old < proposed_.size() && end < known; ++old) {
        token_bytes_.clear();
        target_->decode(proposed_[old], token_bytes_);
        end += token_bytes_.size();
      }
      const bool same_last = tokens_before == 0 || (old > 0 && proposed_[old - 1] == context.back());
      if (end != known || !same_last) return proposed_.clear();
      proposed_.erase(proposed_.begin(), proposed_.begin() + static_cast<std::ptrdiff_t>(old));
    }
    if (end_token) proposed_.push_back(*end_token);
  }

  const TargetTokenizer* target_;
  const DraftTokenizer* draft_;
  std::size_t assistant_lookbehind_;
  retokenized_text<TargetTokenizer, DraftTokenizer> text_;
  law law_;
  model_drafter<Model, Policy> drafter_;
  specdec::draft drafted_;
  std::vector<token_id> proposed_;
  std::string bytes_;
  std::string token_bytes_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_UNIVERSAL_HPP
