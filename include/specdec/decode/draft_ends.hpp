#ifndef SPECDEC_DECODE_DRAFT_ENDS_HPP
#define SPECDEC_DECODE_DRAFT_ENDS_HPP

/// @file
/// Where the text ends within a draft.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "../config.hpp"
#include "../proposal.hpp"
#include "../sampling/text_so_far.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "detokenizer.hpp"
#include "stop.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The drafted tokens with which, or before which, the text ends: what the models say behind them does not matter, and
/// may be unusable. Allocates only when drafts grow.
class draft_ends {
 public:
  /// @param watch watches for the stops of the text, wherever it stands
  explicit draft_ends(const stop_watch& watch) : probe_(watch) {}

  /// Finds them. `watch` stands where the draft begins; `detokenize` tells the tokens' bytes, and what it throws passes
  /// through. O(nodes), for stops O(sum of the depths of the leaves).
  void find(const draft& drafted, const end_rule& ends, const stop_watch& watch, const any_detokenizer& detokenize) {
    ended_.assign(drafted.size() + 1, 0);
    for (node_id node = 1; node <= drafted.size(); ++node) {
      ended_[node] = ended_[drafted.parent(node)] != 0 || ends.ends(drafted.token(node)) ? 1 : 0;
    }
    if (!watch.watches()) return;
    for (node_id node = 1; node <= drafted.size(); ++node) {
      if (drafted.first_child(node) == no_node) find_stops(drafted, node, watch, detokenize);
    }
  }

  /// Whether the text has ended at each node of the draft, 1 or 0, the root's first.
  [[nodiscard]] std::span<const std::uint8_t> nodes() const noexcept { return view_of(ended_); }

 private:
  /// Follows one path of the draft to its end.
  void find_stops(const draft& drafted, node_id last, const stop_watch& watch, const any_detokenizer& detokenize) {
    path_.resize(drafted.depth(last));
    for (node_id node = last; node != root; node = drafted.parent(node)) path_[drafted.depth(node) - 1] = node;
    probe_ = watch;
    bool stopped = false;
    for (const node_id node : path_) {
      bytes_.clear();
      if (detokenize) detokenize(drafted.token(node), bytes_);
      stopped = stopped || probe_.push(drafted.token(node), bytes_).has_value();
      if (stopped) ended_[node] = 1;
    }
  }

  std::vector<std::uint8_t> ended_;
  std::vector<node_id> path_;
  std::string bytes_;
  stop_watch probe_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_DRAFT_ENDS_HPP
