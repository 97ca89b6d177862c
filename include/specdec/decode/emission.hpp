#ifndef SPECDEC_DECODE_EMISSION_HPP
#define SPECDEC_DECODE_EMISSION_HPP

/// @file
/// What a verdict emits: its tokens, with all that is to be said of them.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../concepts.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../vectors.hpp"
#include "../verify/verdict.hpp"
#include "detokenizer.hpp"
#include "options.hpp"
#include "outcome.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The tokens of one round, before it is known how many of them are committed: the drafted ones that are kept, then the
/// target's own. Allocates only when rounds grow.
class emission {
 public:
  /// @param candidates how many of the most probable tokens to find in place of each
  explicit emission(std::size_t candidates) : ids_(candidates) {}

  /// Makes room for `size` tokens.
  void reserve(std::size_t size) {
    path_.reserve(size);
    tokens_.reserve(size);
    candidates_.reserve(size * ids_.size());
    byte_ends_.reserve(size);
  }

  /// Forgets the last verdict.
  void clear() noexcept {
    path_.clear();
    tokens_.clear();
    candidates_.clear();
    bytes_.clear();
    byte_ends_.clear();
  }

  /// Collects the tokens of a verdict on `drafted`, and their bytes if there is a hook that tells them; what it throws
  /// passes through. Precondition: the verdict has no fault.
  void collect(const draft& drafted, const verdict& v, const any_detokenizer& detokenize) {
    path_.resize(drafted.depth(v.kept) + 1);
    path_.back() = v.kept;
    for (std::size_t i = path_.size() - 1; i > 0; --i) path_[i - 1] = drafted.parent(path_[i]);
    tokens_.clear();
    tokens_.resize(path_.size());
    for (std::size_t i = 1; i < path_.size(); ++i) tokens_[i - 1] = {drafted.token(path_[i]), provenance::drafted};
    tokens_.back() = {v.next, provenance::target};
    candidates_.clear();
    candidates_.resize(tokens_.size() * ids_.size());
    bytes_.clear();
    byte_ends_.clear();
    for (const emitted_token& token : tokens_) {
      // The hook is given no text that it might replace.
      piece_.clear();
      if (detokenize) detokenize(token.id, piece_);
      bytes_ += piece_;
      byte_ends_.push_back(bytes_.size());
    }
  }

  /// Finds the log-probability of every token, and the candidates in its place. O(V) for each row with candidates, and
  /// for each whose law was not known yet. Precondition: collected from a verdict on these rows.
  template <LogitsRows Rows>
  void score(const Rows& rows, law& target, log_probability_of which) {
    if (which == log_probability_of::nothing) return;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const auto p = which == log_probability_of::law ? target.at(rows, path_[i]) : target.model_at(rows, path_[i]);
      // The law that the token was drawn from is usable; the model's own need not be, behind a mask.
      if (!p.valid()) continue;
      tokens_[i].log_probability = p.log_probability(tokens_[i].id);
      const std::size_t count = p.most_probable(ids_);
      for (std::size_t k = 0; k < count; ++k) {
        candidates_[i * ids_.size() + k] = {ids_[k], p.log_probability(ids_[k])};
      }
    }
  }

  /// The drafted nodes that are kept, from below the root down.
  [[nodiscard]] std::span<const node_id> path() const noexcept { return view_of(path_).subspan(path_.empty() ? 0 : 1); }
  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
  [[nodiscard]] const emitted_token& token(std::size_t i) const noexcept { return tokens_[i]; }
  /// The token's bytes; none without a hook.
  [[nodiscard]] std::string_view bytes(std::size_t i) const noexcept {
    const std::size_t begin = i == 0 ? 0 : byte_ends_[i - 1];
    return std::string_view(bytes_).substr(begin, byte_ends_[i] - begin);
  }
  /// All tokens' bytes together.
  [[nodiscard]] std::size_t byte_count() const noexcept { return bytes_.size(); }
  /// The candidates in place of the token, padded to as many as were asked for.
  [[nodiscard]] std::span<const candidate> top(std::size_t i) const noexcept {
    return candidate_table(view_of(candidates_), ids_.size()).place(i);
  }

 private:
  std::vector<node_id> path_;  ///< path_[i]: the node behind which token i stands
  std::vector<emitted_token> tokens_;
  std::vector<candidate> candidates_;
  std::string piece_;  ///< the bytes of one token
  std::string bytes_;
  std::vector<std::size_t> byte_ends_;
  std::vector<token_id> ids_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_EMISSION_HPP
