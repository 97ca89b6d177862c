#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_SAMPLER_LAW_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_SAMPLER_LAW_HPP

/// @file
/// A chain of llama.cpp's samplers as the law of a target.

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <llama.h>

#include "../../concepts.hpp"
#include "../../model/tree_nodes.hpp"
#include "../../proposal.hpp"
#include "../../requirements.hpp"
#include "../../types.hpp"
#include "../../vectors.hpp"
#include "error.hpp"
#include "sampler.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// A target whose law is what a chain of samplers makes of the logits: softmax of its rows is the law that the chain
/// would draw from, and tokens that the chain removed have logit -inf. Sampled at temperature 1 without filters, the
/// text has the law of the chain, and any lossless rule keeps it; greedily, it is the chain's most probable text.
///
/// The chain's memory follows the text: a row is what the chain leaves behind the tokens before it, drafted ones
/// included, and goes back with a truncation. Supported is every sampler that changes logits or removes tokens, by the
/// text so far and by nothing else: penalties, DRY, grammars, logit bias, temperatures, top-k, top-p, min-p, typical,
/// top-n-sigma, infill, and a program's own. The last may draw, `dist`, whose law is what it is given, or take the most
/// probable, `greedy`. XTC tosses a coin for each token: here the coin for a place in the text is that many tosses from
/// the state it came with, whatever is drafted, so that it is tossed as often and as independently as by sampling. Who
/// goes back in a text (`rewind`), or forks it, meets the coins of the first text again; another chain has others.
/// Refused are mirostat and adaptive-p, whose state follows what they draw themselves.
///
/// A row of the target's that is unusable, of another width or with NaN or +inf, is handed on as it is, and the chain
/// is told of nothing behind it: what the chain would make of it may look like a law.
///
/// Owns the target; `sampler_law<M&>` refers to it, and then all calls must go through this. Models `TargetModel` and
/// `KnowsTokens`, and `HasCapacity` and `DecodesTrees` where the target does. Rows are computed when they are asked
/// for. Not movable while its rows are in use. A chain is applied to all tokens: at the cost of llama.cpp's sampling,
/// where specdec's own (`sampling_params`) has what is needed it is many times faster.
template <class Target>
requires CausalModel<std::remove_reference_t<Target>> && KnowsTokens<std::remove_reference_t<Target>>
class sampler_law {
 public:
  using wrapped = std::remove_reference_t<Target>;

  /// The rows of one call.
  class rows {
   public:
    rows() noexcept = default;
    rows(sampler_law& law, std::size_t count) noexcept : law_(&law), count_(count) {}

    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    /// O(vocabulary) and the chain, when it is asked for first. Throws what the chain throws, and `error` for a sampler
    /// that draws though it is not `dist`.
    [[nodiscard]] logits_row<float> row(std::size_t i) const { return law_->row(i); }

   private:
    sampler_law* law_ = nullptr;
    std::size_t count_ = 0;
  };

  /// `chain` is copied as it is when the text has its first `from` tokens, mostly those of the prompt; tokens from
  /// there on are told to it. A grammar must not see the prompt; what penalties should see of it, they are told before
  /// they join the chain (llama_sampler_accept). The chain's temperature is the law's: sample with sampling_params{}.
  /// Throws `error` if the chain has a sampler that is not supported, or that cannot be copied. A text that a grammar
  /// forbids is an `error` where the chain is told of it: when the text is truncated, or a row is asked for.
  sampler_law(Target target, const llama_sampler* chain, std::size_t from)
      : target_(std::forward<Target>(target)),
        first_(copy(chain)),
        from_(from),
        base_(first_.clone()),
        base_size_(from),
        ahead_(first_.clone()) {
    inspect();
  }

  /// Takes another chain, or the same from the start, for a text that begins anew: as the constructor.
  void restart(const llama_sampler* chain, std::size_t from) {
    sampler first = copy(chain);
    std::swap(first_, first);
    try {
      inspect();
    } catch (...) {
      std::swap(first_, first);
      inspect();
      throw;
    }
    from_ = from;
    go_to_start();
  }

  [[nodiscard]] std::size_t vocab_size() const { return target_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return target_.size(); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return target_.capacity(); }
  [[nodiscard]] std::span<const token_id> tokens() const { return target_.tokens(); }
  [[nodiscard]] wrapped& model() noexcept { return target_; }

  /// The target's decode, with the chain's rows. Throws what that throws, and std::invalid_argument for a row before
  /// the chain's beginning, and if the target returns another number of rows than asked for.
  rows decode(std::span<const token_id> tokens, std::size_t count) {
    require_rows(target_.size() + tokens.size(), count);
    nodes_.clear();
    forget_lost_text();
    source_.emplace(target_.decode(tokens, count));
    require_source(count);
    return begin_rows(0, count);
  }

  /// The target's decode_tree, with the chain's rows. Throws as `decode`.
  rows decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                   std::size_t count) requires DecodesTrees<wrapped> {
    const std::size_t text = tokens.size() - std::min(parents.size(), tokens.size());
    require_rows(target_.size() + text, count - std::min(count, parents.size()));
    forget_lost_text();
    try {
      source_.emplace(target_.decode_tree(tokens, parents, count));
      require_source(count);
    } catch (...) {
      // The target may have forgotten its tree, or not.
      nodes_.clear();
      target_.keep({});
      throw;
    }
    if (text > 0) nodes_.clear();
    nodes_.append(tokens.subspan(text), parents);
    return begin_rows(parents.size(), count);
  }
  /// The target's keep.
  void keep(std::span<const node_id> path) requires DecodesTrees<wrapped> {
    target_.keep(path);
    nodes_.clear();
    advance_base(target_.size());
  }

  /// The target's truncate.
  void truncate(std::size_t n) {
    target_.truncate(n);
    nodes_.clear();
    // What a driver keeps is committed. What it has fed since may still be taken back.
    advance_base(n);
  }

 private:
  using source_rows = std::remove_cvref_t<rows_of<wrapped>>;

  enum class row_state : unsigned char {
    unknown,
    computed,
    as_it_came,  ///< without the chain: unusable, or behind such a row, or behind a token that the chain forbids
  };

  static sampler copy(const llama_sampler* chain) {
    if (chain == nullptr) throw error("specdec::llama_cpp: expected a chain of samplers; got a null pointer");
    require_copies(chain);
    sampler copied(llama_sampler_clone(chain));
    // A sampler alone becomes a chain of one.
    if (llama_sampler_chain_get(copied.handle(), -1) != nullptr) return copied;
    sampler made(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    llama_sampler_chain_add(made.handle(), llama_sampler_clone(chain));
    return made;
  }

  /// llama.cpp ends the program where a sampler with a state of its own cannot be copied.
  static void require_copies(const llama_sampler* chain) {
    // To ask a chain for its parts changes nothing.
    auto* const asked = const_cast<llama_sampler*>(chain);
    const bool one = llama_sampler_chain_get(asked, -1) == nullptr;
    for (int i = 0, all = one ? 1 : llama_sampler_chain_n(chain); i < all; ++i) {
      const llama_sampler* const each = one ? chain : llama_sampler_chain_get(asked, i);
      if (!one && llama_sampler_chain_get(const_cast<llama_sampler*>(each), -1) != nullptr) {
        throw error("specdec::llama_cpp: expected samplers in a chain; one is a chain itself");
      }
      if (each->ctx != nullptr && (each->iface == nullptr || each->iface->clone == nullptr)) {
        const std::string name = name_of(each);
        throw error("specdec::llama_cpp: expected samplers that can be copied; " +
                    (name.empty() ? std::string("one without a name") : name) + " has a state and no clone()");
      }
    }
  }

  [[nodiscard]] static llama_sampler* part(const sampler& chain, int i) {
    return llama_sampler_chain_get(chain.handle(), i);
  }

  void inspect() {
    tosses_.clear();
    grammars_.clear();
    parts_ = llama_sampler_chain_n(first_.handle());
    greedy_ = false;
    const int all = parts_;
    for (int i = 0; i < all; ++i) {
      const std::string name = name_of(part(first_, i));
      const bool draws = name == "dist" || name == "greedy";
      if (name == "mirostat" || name == "mirostat-v2" || name == "adaptive-p") {
        throw error("specdec::llama_cpp: expected samplers that change logits by the text alone; the state of " + name +
                    " follows what it draws itself");
      }
      if (draws && i + 1 < all) {
        throw error("specdec::llama_cpp: expected " + name + " at the end of its chain; others follow it");
      }
      if (draws) --parts_;
      greedy_ = greedy_ || name == "greedy";
      if (name == "xtc") tosses_.push_back(i);
      if (name == "grammar") grammars_.push_back(i);
    }
  }

  void require_rows(std::size_t size, std::size_t count) const {
    if (count == 0 || size + 1 >= from_ + count) return;
    throw std::invalid_argument("specdec::llama_cpp: expected rows behind at least the first " + std::to_string(from_) +
                                " tokens, where the chain begins; got " + std::to_string(count) +
                                " rows of a text of " + std::to_string(size));
  }

  void require_source(std::size_t count) const {
    if (const std::size_t came = source_->size(); came != count) {
      throw std::invalid_argument("specdec::llama_cpp: expected " + std::to_string(count) +
                                  " rows of logits from the target; got " + std::to_string(came));
    }
  }

  rows begin_rows(std::size_t nodes, std::size_t count) {
    text_rows_ = count - std::min(count, nodes);
    first_node_ = nodes_.size() - std::min(count, nodes);
    states_.assign(count, row_state::unknown);
    values_.resize(std::max(values_.size(), count));
    return rows(*this, count);
  }

  logits_row<float> row(std::size_t i) {
    if (states_[i] == row_state::unknown) compute(i);
    return {values_[i].data(), values_[i].size()};
  }

  /// Copies a row, whatever its width, and says whether it is usable.
  bool copy_source(std::size_t i) {
    const auto from = source_->row(i);
    std::vector<float>& to = values_[i];
    to.resize(from.size());
    bool usable = from.size() == vocab_size();
    for (std::size_t t = 0; t < to.size(); ++t) {
      to[t] = static_cast<float>(from[t]);
      usable = usable && to[t] < std::numeric_limits<float>::infinity();
    }
    return usable;
  }

  /// The row before this one on its path, if it is of the same call.
  [[nodiscard]] std::optional<std::size_t> row_above(std::size_t i) const noexcept {
    if (i < text_rows_) return i == 0 ? std::nullopt : std::optional(i - 1);
    const node_id above = nodes_.parent(static_cast<node_id>(first_node_ + (i - text_rows_) + 1));
    if (above > first_node_) return text_rows_ + above - first_node_ - 1;
    if (above == root && text_rows_ > 0) return text_rows_ - 1;
    return std::nullopt;
  }

  /// Appends the text before a row to `wanted_`, from where the base ends.
  void list_text(std::size_t i) {
    const std::span<const token_id> text = target_.tokens();
    const std::size_t end = i < text_rows_ ? text.size() - (text_rows_ - i) + 1 : text.size();
    wanted_.clear();
    if (end > base_size_) append_to(wanted_, text.subspan(base_size_, end - base_size_));
    if (i < text_rows_) return;
    path_.clear();
    nodes_.append_path(static_cast<node_id>(first_node_ + (i - text_rows_) + 1), path_);
    for (const node_id node : path_) wanted_.push_back(nodes_.token(node));
  }

  void compute(std::size_t i) {
    const std::optional<std::size_t> above = row_above(i);
    if (above) (void)row(*above);
    list_text(i);
    // The law behind a token that the chain forbids, or behind an unusable row, does not matter, for no rule keeps what
    // comes there; but the chain must not be told of it, since a grammar would end the program.
    const bool reachable = !above || (states_[*above] == row_state::computed &&
                                      values_[*above][static_cast<std::size_t>(wanted_.back())] !=
                                          -std::numeric_limits<float>::infinity());
    if (!copy_source(i) || !reachable) {
      states_[i] = row_state::as_it_came;
      return;
    }
    go_ahead();
    apply(i);
    states_[i] = row_state::computed;
  }

  /// Brings `ahead_` to the state behind `wanted_`.
  void go_ahead() {
    const bool goes_on = ahead_tokens_.size() <= wanted_.size() &&
                         std::equal(ahead_tokens_.begin(), ahead_tokens_.end(), wanted_.begin());
    if (!goes_on) {
      ahead_ = base_.clone();
      ahead_tokens_.clear();
    }
    try {
      while (ahead_tokens_.size() < wanted_.size()) {
        const token_id token = wanted_[ahead_tokens_.size()];
        tell(ahead_, token, base_size_ + ahead_tokens_.size());
        ahead_tokens_.push_back(token);
      }
    } catch (...) {
      // Some of the chain may have been told.
      ahead_ = base_.clone();
      ahead_tokens_.clear();
      throw;
    }
  }

  void tell(sampler& chain, token_id token, std::size_t place) {
    for (const int i : grammars_) require_allowed(part(chain, i), token, place);
    llama_sampler_accept(chain.handle(), token);
    for (const int i : tosses_) {
      // One toss for each token, as sampling makes it. Two candidates are the least that it tosses for.
      std::array<llama_token_data, 2> two{{{0, 0, 0}, {1, 0, 0}}};
      llama_token_data_array candidates{two.data(), two.size(), -1, false};
      llama_sampler_apply(part(chain, i), &candidates);
    }
  }

  /// A grammar would end the program.
  static void require_allowed(llama_sampler* grammar, token_id token, std::size_t place) {
    llama_token_data alone{token, 0, 0};
    llama_token_data_array candidates{&alone, 1, -1, false};
    llama_sampler_apply(grammar, &candidates);
    if (alone.logit == 0) return;
    throw error("specdec::llama_cpp: expected a text that the chain's grammar allows from where it begins; token " +
                std::to_string(token) + " at place " + std::to_string(place) +
                " is not: for another prompt or more of it, call restart");
  }

  /// Makes of a row, copied as it came, what the chain makes of it.
  void apply(std::size_t i) {
    std::vector<float>& row = values_[i];
    candidates_.resize(row.size());
    for (std::size_t t = 0; t < row.size(); ++t) candidates_[t] = {static_cast<llama_token>(t), row[t], 0};
    llama_token_data_array left{candidates_.data(), candidates_.size(), -1, false};
    std::optional<sampler> tossing;
    // The toss for this place must be there to be made again.
    if (!tosses_.empty()) tossing.emplace(ahead_.clone());
    const sampler& chain = tossing ? *tossing : ahead_;
    for (int p = 0; p < parts_; ++p) llama_sampler_apply(part(chain, p), &left);
    if (left.selected >= 0) {
      throw error(
          "specdec::llama_cpp: expected samplers that change logits; one of the chain draws a token, and is not "
          "dist or greedy at its end");
    }
    if (greedy_) keep_greatest(left);

    std::fill(row.begin(), row.end(), -std::numeric_limits<float>::infinity());
    for (std::size_t k = 0; k < left.size; ++k) row[static_cast<std::size_t>(left.data[k].id)] = left.data[k].logit;
  }

  static void keep_greatest(llama_token_data_array& left) {
    const auto below = [](const llama_token_data& a, const llama_token_data& b) { return a.logit < b.logit; };
    left.data = std::max_element(left.data, left.data + left.size, below);
    left.size = std::min<std::size_t>(left.size, 1);
  }

  void go_to_start() {
    base_ = first_.clone();
    base_size_ = from_;
    ahead_ = base_.clone();
    ahead_tokens_.clear();
  }

  /// A truncation that threw may have been made all the same; then the base is of a text that is gone.
  void forget_lost_text() {
    if (base_size_ > std::max(target_.size(), from_)) go_to_start();
  }

  /// Takes the committed text's first n tokens into the base, so that going back to them does not begin with the
  /// prompt.
  void advance_base(std::size_t n) {
    if (n < base_size_) return go_to_start();
    const std::span<const token_id> text = target_.tokens();
    if (n == base_size_) return;
    try {
      for (std::size_t i = base_size_; i < n; ++i) tell(base_, text[i], i);
    } catch (...) {
      // Some of the chain may have been told.
      go_to_start();
      throw;
    }
    ahead_ = base_.clone();
    ahead_tokens_.clear();
    base_size_ = n;
  }

  Target target_;
  sampler first_;  ///< as it came
  std::size_t from_;
  int parts_ = 0;  ///< samplers to be applied, which all but the one that draws are
  bool greedy_ = false;
  std::vector<int> tosses_;    ///< which samplers toss a coin
  std::vector<int> grammars_;  ///< and which end the program for a text that they forbid
  sampler base_;               ///< behind the first `base_size_` tokens
  std::size_t base_size_;
  sampler ahead_;  ///< behind those and `ahead_tokens_`
  std::vector<token_id> ahead_tokens_;

  // Of the last call.
  std::optional<source_rows> source_;
  tree_nodes nodes_;
  std::size_t text_rows_ = 0;   ///< the first rows are behind so many tokens of text
  std::size_t first_node_ = 0;  ///< and the others behind the nodes that follow this
  std::vector<row_state> states_;
  std::vector<std::vector<float>> values_;  ///< of each row
  std::vector<llama_token_data> candidates_;
  std::vector<token_id> wanted_;
  std::vector<node_id> path_;
};

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_SAMPLER_LAW_HPP
