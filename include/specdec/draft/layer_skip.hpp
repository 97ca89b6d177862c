#ifndef SPECDEC_DRAFT_LAYER_SKIP_HPP
#define SPECDEC_DRAFT_LAYER_SKIP_HPP

/// @file
/// Self-speculation: the target drafts for itself, with layers left out.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../layer_skip.hpp"
#include "../length/constant.hpp"
#include "../model/skipping_layers.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"
#include "model.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Says what a model or a policy lacks that cannot draft for itself; the one below drafts.
template <class Model, class Policy = constant>
class layer_skip_drafter {
 public:
  explicit layer_skip_drafter(Model&, layer_skip, Policy = {}, const model_drafter_options& = {}) {
    require_skips_layers<Model>();
    require_knows_tokens<Model>();
    require_length_policy<Policy>();
  }

  void propose(const draft_request&, auto&, draft&) {}
};

/// Drafts with the target itself, some of its layers left out, on the target's own keys and values (Draft & Verify,
/// Zhang et al. 2024; early exit, where all but the first layers are left out). It needs no second model, no memory and
/// no training. `model` must be the very object that is the target.
///
/// Drafts like a `model_drafter`, with the same policies and options; see there for what is drafted, what it costs and
/// what it throws. Besides:
///  - What the target lacks of the committed text, but for the last token, it reads in full before it drafts. It stays,
///    so nothing is read twice; the statistics count a prompt's time as drafting, though.
///  - Whatever ends the drafting, an exception too, the target is then truncated to what it read in full. Should that
///    throw, it is made up for before the next draft; nobody else may use the target until then.
///
/// Movable.
template <SkipsLayers Model, LengthPolicy Policy>
requires KnowsTokens<Model>
class layer_skip_drafter<Model, Policy> {
 public:
  /// Throws std::invalid_argument if `skipped` is for another number of layers.
  explicit layer_skip_drafter(Model& model, layer_skip skipped, Policy policy = {},
                              const model_drafter_options& options = {})
      : shortened_(new shortened(model, std::move(skipped))), drafter_(*shortened_, std::move(policy), options) {}

  [[nodiscard]] std::size_t vocab_size() const { return drafter_.vocab_size(); }
  [[nodiscard]] Model& model() noexcept { return shortened_->model(); }
  [[nodiscard]] const layer_skip& skipped() const noexcept { return shortened_->skipped(); }
  [[nodiscard]] Policy& policy() noexcept { return drafter_.policy(); }

  /// Hands what became of a round to the policy. See `Observes`.
  void observe(const outcome& out) requires Observes<Policy> { drafter_.observe(out); }

  /// See `Drafter`.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    forget_draft();
    if (request.max_depth == 0) return;
    // The last committed token is the target's to read, with the draft behind it; here it is the draft's.
    const auto settled = request.context.first(request.context.size() - 1);
    const std::size_t held = shared_prefix(settled, model().tokens());
    if (model().size() > held) model().truncate(held);
    if (held < settled.size()) (void)model().decode(settled.subspan(held), 0);

    in_full_ = settled.size();
    // What went wrong first is what the caller must learn; the next request tries again.
    cleaning_up([&] { drafter_.propose(request, chance, answer); }, [&] { (void)thrown_by([&] { forget_draft(); }); });
    forget_draft();
  }

 private:
  using shortened = skipping_layers<Model&>;

  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

  void forget_draft() {
    if (model().size() > in_full_) model().truncate(in_full_);
    in_full_ = all;
  }

  // On the heap, so that the drafter's reference to it survives a move.
  owner<shortened> shortened_;
  model_drafter<shortened, Policy> drafter_;
  std::size_t in_full_ = all;  ///< how many of the target's tokens were read by all layers
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_LAYER_SKIP_HPP
