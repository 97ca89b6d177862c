#ifndef SPECDEC_DRAFT_NGRAM_HPP
#define SPECDEC_DRAFT_NGRAM_HPP

/// @file
/// Drafting from counts: a unigram or bigram model, which costs next to nothing.
///
/// Source: Leviathan, Kalman and Matias 2023 (arXiv:2211.17192), section 4.2 and table 3: with c = 0 even the bigram's
/// alpha of 0.2 on English to German makes decoding 1.25 times as fast.

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../length/constant.hpp"
#include "../message.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"
#include "../sampling/law.hpp"

namespace specdec::inline SPECDEC_ABI {

/// What an `ngram_table` keeps of a text.
struct ngram_options {
  /// 1 counts tokens, 2 also what follows each of them.
  std::size_t order = 2;
  /// How many tokens to keep of every law, the most frequent ones; 0 keeps all.
  std::size_t top = 64;
};

/// Several texts: a range of what converts to a std::span<const token_id>.
template <class T>
concept TokenTexts = requires(const T& texts) {
  { *texts.begin() } -> std::convertible_to<std::span<const token_id>>;
  texts.end();
};

/// How often tokens occur in a text, and which follow which: the laws of an unsmoothed unigram and bigram model.
///
/// Immutable, and shared by every drafter that refers to it. O(n log n) to build from n tokens; afterwards 8 bytes per
/// pair that is kept and 8 per token of the vocabulary.
class ngram_table {
 public:
  /// Counts a text. Throws std::invalid_argument if it is empty or has a token outside the vocabulary, and for an order
  /// other than 1 and 2.
  template <std::convertible_to<std::span<const token_id>> Text>
  ngram_table(std::size_t vocab_size, const Text& text, const ngram_options& options = {})
      : ngram_table(vocab_size, std::array{std::span<const token_id>(text)}, options) {}

  /// Counts several texts, any range of them; none follows another.
  template <TokenTexts Texts>
  ngram_table(std::size_t vocab_size, const Texts& texts, const ngram_options& options = {}) : vocab_size_(vocab_size) {
    if (options.order != 1 && options.order != 2) {
      raise<std::invalid_argument>("specdec: n-grams are counted of order 1 or 2; got " +
                                   std::to_string(options.order));
    }
    for (const std::span<const token_id> text : texts) {
      for (const token_id token : text) require_token(token, vocab_size, "the text that n-grams are counted in");
    }
    // One list of all n-grams, those of single tokens under a context of their own behind the vocabulary.
    std::vector<ngram> found;
    for (const std::span<const token_id> text : texts) {
      for (std::size_t i = 0; i < text.size(); ++i) {
        found.push_back({static_cast<token_id>(vocab_size), text[i]});
        if (options.order == 2 && i > 0) found.push_back({text[i - 1], text[i]});
      }
    }
    if (found.empty())
      raise<std::invalid_argument>("specdec: n-grams need a text of at least one token to be counted in");
    std::sort(found.begin(), found.end());
    begins_.reserve(vocab_size + 2);
    likeliest_.reserve(vocab_size + 1);
    std::vector<counted> row;
    auto at = found.begin();
    for (std::size_t context = 0; context <= vocab_size; ++context) {
      begins_.push_back(ids_.size());
      row.clear();
      while (at != found.end() && at->first == static_cast<token_id>(context)) {
        const auto end = std::upper_bound(at, found.end(), *at);
        row.push_back({at->second, static_cast<std::size_t>(end - at)});
        at = end;
      }
      keep(row, options.top);
    }
    begins_.push_back(ids_.size());
    ids_.shrink_to_fit();
    counts_.shrink_to_fit();
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  /// The most tokens that one of its laws has.
  [[nodiscard]] std::size_t width() const noexcept { return width_; }

  /// The law behind `token`: of what followed it in the text; where nothing did, of all tokens. O(k) for k kept tokens.
  /// The view lives as long as the table. Precondition, for this and the next: the token is in the vocabulary.
  [[nodiscard]] proposal law_behind(token_id token) const {
    const std::size_t context = context_of(token);
    const std::size_t size = begins_[context + 1] - begins_[context];
    return proposal::sparse(vocab_size_, {ids_.data() + begins_[context], size},
                            {counts_.data() + begins_[context], size});
  }

  /// The most frequent token of that law; the lowest of equals. O(1).
  [[nodiscard]] token_id likeliest_behind(token_id token) const noexcept { return likeliest_[context_of(token)]; }

 private:
  using ngram = std::pair<token_id, token_id>;
  struct counted {
    token_id token;
    std::size_t count;
  };

  [[nodiscard]] std::size_t context_of(token_id token) const noexcept {
    const auto context = static_cast<std::size_t>(token);
    return begins_[context] < begins_[context + 1] ? context : vocab_size_;
  }

  /// Adds a row, which is ascending by token, cut to its `top` most frequent tokens.
  // A template, so that nobody compiles its sorting who counts no n-grams.
  template <std::same_as<counted> Counted>
  void keep(std::vector<Counted>& row, std::size_t top) {
    const auto more_frequent = [](const Counted& a, const Counted& b) {
      return a.count != b.count ? a.count > b.count : a.token < b.token;
    };
    const auto likeliest = std::min_element(row.begin(), row.end(), more_frequent);
    likeliest_.push_back(likeliest == row.end() ? -1 : likeliest->token);
    if (top > 0 && row.size() > top) {
      std::nth_element(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(top), row.end(), more_frequent);
      row.resize(top);
      std::sort(row.begin(), row.end(), [](const Counted& a, const Counted& b) { return a.token < b.token; });
    }
    width_ = std::max(width_, row.size());
    for (const Counted& c : row) {
      ids_.push_back(c.token);
      counts_.push_back(static_cast<float>(c.count));
    }
  }

  std::size_t vocab_size_;
  std::size_t width_ = 0;
  std::vector<std::size_t> begins_;  ///< where each context's row begins; that behind the vocabulary is the unigram's
  std::vector<token_id> ids_;
  std::vector<float> counts_;
  std::vector<token_id> likeliest_;
};

/// Drafts a chain of tokens from counts, each from the law behind the one before: sampled, whatever the target's
/// temperature, or the most frequent token where the target is greedy (temperature 0, as in table 3). Nothing is
/// drafted behind an end token.
///
/// The table is referenced, not owned. The policy is asked as by `model_drafter`, with the probabilities of the law in
/// the table. O(k) per token for laws of k tokens; nothing is allocated once drafts have reached their size.
template <class Policy = constant>
class ngram_drafter {
 public:
  explicit ngram_drafter(const ngram_table& table, Policy policy = {}) : table_(&table), policy_(std::move(policy)) {
    require_length_policy<Policy>();
  }
  explicit ngram_drafter(const ngram_table&& table, Policy policy = {}) = delete;

  [[nodiscard]] std::size_t vocab_size() const noexcept { return table_->vocab_size(); }
  [[nodiscard]] Policy& policy() noexcept { return policy_; }

  /// Hands what became of a round to the policy. See `Observes`.
  void observe(const outcome& out) requires Observes<Policy> { policy_.observe(out); }

  /// See `Drafter`. Throws std::invalid_argument if the target's vocabulary has another size than the table's.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    static_assert(!EndsBeforeEntropy<Policy>, "specdec: nobody computes the entropy of n-gram counts for a policy");
    const law& target = *request.target_law;
    require_vocabulary(target.vocab_size(), vocab_size(), "the table of n-grams");
    const bool greedy = target.params().temperature == 0;
    const std::size_t goal = std::min({policy_.depth(request), request.max_depth, request.max_nodes});
    const std::size_t room = std::min(goal, laws_reserved_at_most);
    answer.reserve(room, greedy ? 0 : room * table_->width());
    token_id last = request.context.back();
    for (node_id tip = root; answer.depth(tip) < goal && (tip == root || !target.ends().ends(last));) {
      const proposal q = table_->law_behind(last);
      if constexpr (EndsBeforeToken<Policy>) {
        if (!policy_.draws(q.probability(table_->likeliest_behind(last)))) return;
      }
      tip = answer.extend(tip, greedy ? proposal::point_mass(vocab_size(), table_->likeliest_behind(last)) : q, chance);
      last = answer.token(tip);
      if constexpr (EndsBehindToken<Policy>) {
        if (!policy_.goes_on(q.probability(last))) return;
      }
    }
  }

 private:
  const ngram_table* table_;
  Policy policy_;
};

static_assert(Drafter<ngram_drafter<>>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_NGRAM_HPP
