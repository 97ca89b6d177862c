#ifndef SPECDEC_DRAFT_SUFFIX_HPP
#define SPECDEC_DRAFT_SUFFIX_HPP

/// @file
/// Drafting what most often followed, without a model.
///
/// Source: Oliaro et al. 2024, "SuffixDecoding" (arXiv:2411.04975), in the form of its authors' implementation (Arctic
/// Inference), with its parameters' names. How far a match is followed is another: the original draws a line at its
/// length, here it is doubted as much as its length leaves room for. Its own rule is
/// {.max_spec_factor = 1, .doubt = 0}.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../mathematics.hpp"
#include "../message.hpp"
#include "../proposal.hpp"
#include "../sampling/law.hpp"
#include "../sampling/mask.hpp"
#include "../vectors.hpp"
#include "suffix_automaton.hpp"
#include "suffix_corpus.hpp"

namespace specdec::inline SPECDEC_ABI {

struct suffix_options {
  /// A match of m tokens is followed for at most max_spec_factor * m + max_spec_offset tokens, rounded down, and never
  /// for more than max_spec_tokens. As they are, only doubt and the last of these tell.
  std::size_t max_spec_tokens = 64;
  double max_spec_factor = 64.0;
  double max_spec_offset = 0.0;
  /// Behind m matched tokens, drafted ones included, the next is taken to be right with probability
  /// (m + 1) / (m + 1 + doubt), times what counts say. 1 is Laplace's rule of succession for what was right m times and
  /// never wrong; 0 believes that a match goes on forever.
  double doubt = 1.0;
  /// The draft ends before the first token of less than this probability, that of all tokens before it included.
  double min_token_prob = 0.1;
  /// Nothing is drafted if less than this is expected to be accepted. For `first_of`: what comes next may know better.
  double min_score = 0.0;
  /// A match, and what follows it, is looked up by at most so many tokens at a time.
  std::size_t max_depth = 64;
};

/// Finds every end of the text that occurred before, in the text itself or in a corpus, and follows each through what
/// came behind it: always the token that came most often, of equals the one that came last. Behind a match w the token
/// x has probability count(wx) / count(w), if the match is one at all, which the longer it is the less there is to
/// doubt; and the tokens of a chain that of all before them times their own. What is expected to be accepted is the sum
/// of these, the score. The chain of highest score is drafted; of equals that of the longer match, then that in the
/// text before that in the corpus. Each token is a point mass.
///
/// count(w) leaves out the end of the text, behind which nothing stands yet, so that what followed once counts as
/// certain and not as one of two. Otherwise counts are exact, at all times; see `suffix_automaton`.
///
/// The draft ends behind an end token, and before a token that mask or least length forbid. A match whose likeliest
/// token is forbidden is passed over.
///
/// The text is indexed as it grows. A context that does not go on from the last one, another prompt's, another
/// session's or that of a text that went back, is indexed anew: give each session a drafter of its own, and all of them
/// one corpus.
///
/// Strong where requests repeat themselves or each other: edits, quotes, agents that call the same tools. Lossless with
/// a lossless rule, as all drafts are. Time: per round one comparison of the text with what is indexed, O(1) amortised
/// for every new token, and one look-up for every token of every chain that may still win. Memory: that of a
/// `suffix_automaton` for the text. Nothing is allocated once there is room for the text, which the first round makes.
class suffix_drafter {
 public:
  /// Throws std::invalid_argument for parameters that are negative, not finite or otherwise out of range.
  explicit suffix_drafter(const suffix_options& options = {}) : options_(checked(options)), own_(options.max_depth) {}

  /// Looks in the corpus, too, which is referenced, not owned. What is added to it between two rounds counts. A round
  /// that is begun again, a question with the number of the last one and the same text, is drafted as before; but below
  /// a `cascade_drafter` or a `draft_ahead`, which ask several times a round, nothing may be added before it is. Texts
  /// of the same seed and stream have no place in it; see `Drafter`.
  explicit suffix_drafter(const suffix_corpus& corpus, const suffix_options& options = {}) : suffix_drafter(options) {
    corpus_ = &corpus;
  }
  explicit suffix_drafter(const suffix_corpus&&, const suffix_options& = {}) = delete;

  /// The vocabulary of the corpus; nothing without one.
  [[nodiscard]] std::optional<std::size_t> vocab_size() const noexcept {
    if (corpus_ == nullptr) return std::nullopt;
    return corpus_->vocab_size();
  }
  [[nodiscard]] const suffix_options& options() const noexcept { return options_; }
  /// How many tokens are drafted at most, to be changed at any time.
  [[nodiscard]] std::size_t& max_spec_tokens() noexcept { return options_.max_spec_tokens; }

  /// See `Drafter`. Throws std::length_error for a text that no automaton holds, of 16 million tokens.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    const std::size_t most = std::min({options_.max_spec_tokens, request.max_depth, request.max_nodes});
    if (most == 0) return;
    answer.reserve(std::min(most, reserve_at_most), 0);
    const bool again = has_read(request.context) && request.round == round_ && most == most_;
    if (!again) {
      read(request);
      choose(request, most);
    }

    const law& target = *request.target_law;
    node_id tip = root;
    for (const token_id token : chosen_) {
      if (forbidden(request, answer.tokens(), token)) return;
      tip = answer.extend(tip, proposal::point_mass(target.vocab_size(), token), chance);
      if (target.ends().ends(token)) return;
    }
  }

 private:
  /// What may be drafted: so many tokens behind a match.
  struct chain {
    const suffix_automaton* texts = nullptr;
    suffix_automaton::match begin;
    std::size_t size = 0;
    double score = 0;

    /// Whether a chain of this score behind a match of this length is to be drafted instead.
    [[nodiscard]] bool loses_to(double other, std::size_t length) const noexcept {
      return other > score || (other == score && size > 0 && length > begin.length);
    }
  };

  static const suffix_options& checked(const suffix_options& options) {
    const auto require = [](bool holds, const char* name, double got) {
      if (holds) return;
      raise<std::invalid_argument>("specdec: expected a finite " + std::string(name) + " of at least 0; got " +
                                   number_text(got));
    };
    require(is_finite(options.max_spec_factor) && options.max_spec_factor >= 0, "max_spec_factor",
            options.max_spec_factor);
    require(is_finite(options.max_spec_offset) && options.max_spec_offset >= 0, "max_spec_offset",
            options.max_spec_offset);
    require(is_finite(options.doubt) && options.doubt >= 0, "doubt", options.doubt);
    require(is_finite(options.min_token_prob) && options.min_token_prob >= 0, "min_token_prob", options.min_token_prob);
    require(is_finite(options.min_score) && options.min_score >= 0, "min_score", options.min_score);
    return options;
  }

  /// Whether the index is that of this text, and the tokens that were chosen are those behind it.
  [[nodiscard]] bool has_read(std::span<const token_id> text) const noexcept {
    return settled_ && text.size() == text_.size() && shared_prefix(view_of(text_), text) == text.size();
  }

  /// Chooses what to draft behind the text that was read.
  void choose(const draft_request& request, std::size_t most) {
    settled_ = false;
    chosen_.clear();
    reserve_at_least(chosen_, std::min({options_.max_spec_tokens, request.max_depth, reserve_at_most}));
    chain best;
    look(own_, own_.end(), most, request, best);
    if (corpus_ != nullptr) {
      for (std::size_t i = 0; i < matches_.size(); ++i) {
        look(corpus_->generation(i), matches_[i], most, request, best);
      }
    }
    if (best.size > 0 && best.score >= options_.min_score) {
      suffix_automaton::match at = best.begin;
      for (std::size_t i = 0; i < best.size; ++i) {
        chosen_.push_back(best.texts->likeliest(at));
        at = best.texts->follow(at, chosen_.back());
      }
    }
    round_ = request.round;
    most_ = most;
    settled_ = true;
  }

  /// Makes the index that of the request's text.
  void read(const draft_request& request) {
    const std::span<const token_id> text = request.context;
    if (!settled_ || shared_prefix(view_of(text_), text) < text_.size()) {
      own_.clear();
      text_.clear();
      matches_.fill({});
      read_of_corpus_ = 0;
    }
    settled_ = false;
    // What may still be drafted bounds what is left of the text: one reservation lasts.
    const std::size_t room = text.size() + std::min(request.max_depth, reserve_at_most);
    if (room > text_.capacity()) {
      reserve_at_least(text_, room);
      own_.reserve(text_.capacity());
    }
    for (const token_id token : text.subspan(text_.size())) own_.append(token);
    append_to(text_, text.subspan(text_.size()));
    settled_ = true;
    if (corpus_ != nullptr) match_with_corpus();
  }

  /// Finds the longest ends of the text that the corpus has.
  void match_with_corpus() {
    const std::size_t depth = corpus_->generation(0).max_depth();
    const bool changed = corpus_->version() != corpus_version_;
    if (changed || text_.size() - read_of_corpus_ >= depth) {
      // Nothing before the last tokens can matter.
      read_of_corpus_ = text_.size() - std::min(text_.size(), depth - 1);
      matches_.fill({});
      corpus_version_ = corpus_->version();
    }
    for (; read_of_corpus_ < text_.size(); ++read_of_corpus_) {
      for (std::size_t i = 0; i < matches_.size(); ++i) {
        matches_[i] = corpus_->generation(i).follow(matches_[i], text_[read_of_corpus_]);
      }
    }
  }

  /// Follows a match, and all that it ends with, through what came behind; keeps the best of what it finds.
  void look(const suffix_automaton& texts, suffix_automaton::match from, std::size_t most, const draft_request& request,
            chain& best) const {
    for (; from.length > 0; from = texts.shorter(from)) {
      // No chain has a higher score than tokens, and shorter matches are followed for fewer.
      const std::size_t limit = std::min(most, limit_of(from.length));
      if (limit == 0 || !best.loses_to(static_cast<double>(limit), from.length)) return;
      const token_id first = texts.likeliest(from);
      if (first < 0 || forbidden(request, {}, first)) continue;
      const chain found = follow(texts, from, limit, best.score);
      if (best.loses_to(found.score, from.length)) best = found;
    }
  }

  /// Follows a match for at most `limit` tokens; gives up where the score cannot reach `least`.
  [[nodiscard]] chain follow(const suffix_automaton& texts, const suffix_automaton::match& from, std::size_t limit,
                             double least) const noexcept {
    chain found{&texts, from};
    suffix_automaton::match at = from;
    for (double probability = 1; found.size < limit; ++found.size) {
      const token_id token = texts.likeliest(at);
      if (token < 0) break;
      const double counted =
          static_cast<double>(texts.occurrences_of_likeliest(at)) / static_cast<double>(texts.continuations(at));
      const auto right = static_cast<double>(from.length + found.size + 1);
      // Rounded for itself: fused into the sum, which some compilers do under some flags, it would win elsewhere.
      const volatile double product = probability * counted * (right / (right + options_.doubt));
      probability = product;
      if (probability < options_.min_token_prob) break;
      // Even if all that is left is as probable. What rounding may change is left a chance.
      const double most = found.score + probability * static_cast<double>(limit - found.size);
      if (most < least * (1 - 1e-9)) break;
      found.score += probability;
      at = texts.follow(at, token);
    }
    return found;
  }

  [[nodiscard]] std::size_t limit_of(std::size_t length) const noexcept {
    const volatile double product = options_.max_spec_factor * static_cast<double>(length);
    const double limit = product + options_.max_spec_offset;
    return limit < static_cast<double>(options_.max_spec_tokens) ? static_cast<std::size_t>(limit)
                                                                 : options_.max_spec_tokens;
  }

  [[nodiscard]] static bool forbidden(const draft_request& request, std::span<const token_id> drafted, token_id token) {
    const end_rule& ends = request.target_law->ends();
    const text_so_far text{request.context, drafted, request.prompt_size};
    return (ends.ends(token) && ends.too_early(text)) ||
           (request.mask != nullptr && !request.mask->allows(text, token));
  }

  suffix_options options_;
  suffix_automaton own_;
  std::vector<token_id> text_;  ///< what is indexed
  bool settled_ = false;        ///< whether it is, and what follows was chosen: an exception leaves that in between
  std::vector<token_id> chosen_;
  std::uint32_t round_ = 0;  ///< of the round that it was chosen for, at most so many tokens
  std::size_t most_ = 0;
  const suffix_corpus* corpus_ = nullptr;
  std::uint64_t corpus_version_ = 0;
  std::size_t read_of_corpus_ = 0;  ///< how much of the text the matches are behind
  std::array<suffix_automaton::match, suffix_corpus::generation_count> matches_ = {};
};

static_assert(Drafter<suffix_drafter>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_SUFFIX_HPP
