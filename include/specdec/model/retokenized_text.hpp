#ifndef SPECDEC_MODEL_RETOKENIZED_TEXT_HPP
#define SPECDEC_MODEL_RETOKENIZED_TEXT_HPP

/// @file
/// A growing text of one vocabulary, in the tokens of another.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../decode/held_tokens.hpp"
#include "../failure.hpp"
#include "../message.hpp"
#include "../owner.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "tokenizer.hpp"

namespace specdec::inline SPECDEC_ABI {

/// The control tokens of two vocabularies.
struct control_tokens {
  /// Tokens that mean the same. Those of the target's text that have no partner are not shown to the draft model.
  std::vector<token_pair> pairs = {};
  /// What the draft model's texts begin with, if the target's do not begin with its partner.
  std::optional<token_id> begin = std::nullopt;

  [[nodiscard]] std::optional<token_id> draft_of(token_id target) const noexcept {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (pairs[i].target == target) return pairs[i].draft;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<token_id> target_of(token_id draft) const noexcept {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (pairs[i].draft == draft) return pairs[i].target;
    }
    return std::nullopt;
  }
};

/// Reads the target's text in the draft's tokens, and only what has come since it was read last.
///
/// The answer depends on the text alone and not on the steps in which it came: the target's tokens are read in blocks,
/// each encoded together with the `lookbehind` tokens before it, so that a word which a block cuts in two is mended.
/// Old tokens go over into new ones behind the longest run of tokens that both have at the same place of the text
/// (Hugging Face's `AssistedCandidateGeneratorDifferentTokenizers` looks for the longest common diagonal, which takes
/// no heed of places).
///
/// Refers to the tokenizers.
template <Tokenizer Target, Tokenizer Draft>
class retokenized_text {
 public:
  retokenized_text(const Target& target, const Draft& draft, std::size_t lookbehind, control_tokens control)
      : target_(address_of(target)), draft_(address_of(draft)), lookbehind_(lookbehind), control_(std::move(control)) {}

  /// Takes up the text. Allocates, the tokenizers aside, only where the text has outgrown twice its size.
  ///
  /// Throws std::invalid_argument if the draft's tokenizer encodes to a token outside its vocabulary; what the
  /// tokenizers throw passes through. The next call is as good as if this one had not been made.
  /// Cost: copies of the text's tokens and bytes, and the encoding of what is new with a block and a lookbehind.
  void read(std::span<const token_id> text) {
    if (shared_prefix(text, settled_) < settled_.size()) forget();
    const auto read_blocks = [&] {
      for (; text.size() - settled_.size() >= block; settle(text.subspan(settled_.size(), block))) {
        read_on(blocks_, text.first(settled_.size() + block), settled_.size());
      }
    };
    cleaning_up(read_blocks, [&] { forget(); });
    whole_.copy(blocks_);
    read_on(whole_, text, settled_.size());
  }

  /// The text in the draft's tokens. Empty if it has nothing but control tokens without a partner.
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return whole_.tokens; }

  /// How many bytes of the text the last `count` draft tokens stand for, those behind the last control token at most.
  [[nodiscard]] std::size_t bytes_of_last(std::size_t count) const noexcept {
    const std::size_t behind_cut = whole_.tokens.size() - whole_.first_behind_cut;
    return whole_.bytes.size() - whole_.begin_of(whole_.tokens.size() - std::min(count, behind_cut));
  }

  /// The shortest end of `text` that has `size` bytes or more, but no control token: how many tokens it is, and its
  /// bytes, which are valid until the next call.
  [[nodiscard]] std::pair<std::size_t, std::string_view> end_of(std::span<const token_id> text, std::size_t size) {
    std::size_t count = 0;
    std::size_t found = 0;
    for (; found < size && count < text.size(); ++count) {
      const std::size_t more = bytes_in(text[text.size() - 1 - count]);
      if (more == 0) break;
      found += more;
    }
    scratch_.clear();
    for (const token_id token : text.last(count)) decode(token, scratch_);
    return {count, scratch_};
  }

  [[nodiscard]] const control_tokens& control() const noexcept { return control_; }

 private:
  /// How many target tokens are read together, for good.
  static constexpr std::size_t block = 16;

  struct reading {
    std::string bytes;                 ///< those of the target's tokens
    std::size_t encoded = 0;           ///< how many of them are in `tokens`
    std::vector<token_id> tokens;      ///< the draft's
    std::vector<std::size_t> ends;     ///< where each of these ends in `bytes`
    std::size_t cut = 0;               ///< where the last control token stands in `bytes`
    std::size_t first_behind_cut = 0;  ///< the first draft token behind it

    [[nodiscard]] std::size_t begin_of(std::size_t index) const noexcept {
      return index <= first_behind_cut ? cut : ends[index - 1];
    }
    void clear() noexcept {
      bytes.clear();
      tokens.clear();
      ends.clear();
      encoded = cut = first_behind_cut = 0;
    }
    /// Assignment, with room to grow.
    void copy(const reading& other) {
      reserve_at_least(bytes, other.bytes.size());
      reserve_at_least(tokens, other.tokens.size());
      reserve_at_least(ends, other.ends.size());
      *this = other;
    }
  };

  void forget() noexcept {
    settled_.clear();
    blocks_.clear();
  }

  void settle(std::span<const token_id> tokens) { append_to(settled_, tokens); }

  /// Appends the bytes of a target token: none of one that has a partner, or that its tokenizer does not know.
  void decode(token_id token, std::string& bytes) const {
    const bool known = static_cast<std::size_t>(token) < target_->vocab_size();
    if (known && !control_.draft_of(token)) target_->decode(token, bytes);
  }

  [[nodiscard]] std::size_t bytes_in(token_id token) {
    scratch_.clear();
    decode(token, scratch_);
    return scratch_.size();
  }

  /// Reads text[first] and all behind it; `r` has what stands before.
  void read_on(reading& r, std::span<const token_id> text, std::size_t first) {
    if (first == 0 && control_.begin && control_.draft_of(text[0]) != control_.begin) mark(r, control_.begin);
    std::size_t window = window_of(r, text.first(first));
    for (const token_id token : text.subspan(first)) {
      const std::size_t before = r.bytes.size();
      decode(token, r.bytes);
      if (r.bytes.size() > before) continue;
      encode(r, window);
      mark(r, control_.draft_of(token));
      window = r.tokens.size();
    }
    encode(r, window);
  }

  /// Nothing is encoded across a control token. One without a partner leaves no other trace.
  void mark(reading& r, std::optional<token_id> token) {
    if (token) {
      r.tokens.push_back(*token);
      r.ends.push_back(r.bytes.size());
    }
    r.cut = r.bytes.size();
    r.first_behind_cut = r.tokens.size();
  }

  /// The draft token at which the last `lookbehind_` tokens of `text` begin, or that they begin in.
  [[nodiscard]] std::size_t window_of(const reading& r, std::span<const token_id> text) {
    std::size_t begin = r.bytes.size();
    for (std::size_t i = 0; i < std::min(lookbehind_, text.size()) && begin > r.cut; ++i) {
      begin -= bytes_in(text[text.size() - 1 - i]);
    }
    std::size_t index = r.tokens.size();
    while (index > r.first_behind_cut && r.begin_of(index) > begin) --index;
    return index;
  }

  /// Encodes what is new together with the draft tokens from `window` on.
  void encode(reading& r, std::size_t window) {
    if (r.encoded == r.bytes.size()) return;
    const std::size_t from = r.begin_of(window);
    fresh_.clear();
    draft_->encode(std::string_view(r.bytes).substr(from), fresh_);
    fresh_ends_.clear();
    std::size_t end = from;
    for (const token_id token : fresh_) {
      require_token(token, draft_->vocab_size(), "what the draft's tokenizer encodes");
      scratch_.clear();
      draft_->decode(token, scratch_);
      // A tokenizer that changes its texts may be off, but never beyond the end.
      end = std::min(end + scratch_.size(), r.bytes.size());
      fresh_ends_.push_back(end);
    }
    const auto [keep, take] = transition(r, window, from);
    r.tokens.resize(keep);
    append_to(r.tokens, view_of(fresh_).subspan(take));
    r.ends.resize(keep);
    append_to(r.ends, view_of(fresh_ends_).subspan(take));
    r.encoded = r.bytes.size();
  }

  /// How many old tokens to keep, and how many new ones are then to be left out: both end with the longest run of
  /// tokens that the two have in common, the first of several. Without any, all behind the window are new.
  [[nodiscard]] std::pair<std::size_t, std::size_t> transition(const reading& r, std::size_t window,
                                                               std::size_t from) const {
    std::pair<std::size_t, std::size_t> best{window, 0};
    std::size_t longest = 0;
    std::size_t run = 0;
    for (std::size_t i = window, j = 0; i < r.tokens.size() && j < fresh_.size();) {
      const bool same = r.tokens[i] == fresh_[j] && r.begin_of(i) == (j == 0 ? from : fresh_ends_[j - 1]);
      run = same ? run + 1 : 0;
      if (run > longest) {
        longest = run;
        best = {i + 1, j + 1};
      }
      const std::size_t old_end = r.ends[i];
      const std::size_t new_end = fresh_ends_[j];
      i += old_end <= new_end ? 1 : 0;
      j += new_end <= old_end ? 1 : 0;
    }
    return best;
  }

  const Target* target_;
  const Draft* draft_;
  std::size_t lookbehind_;
  control_tokens control_;

  std::vector<token_id> settled_;  ///< the target's tokens in whole blocks
  reading blocks_;                 ///< what these are read as
  reading whole_;
  std::vector<token_id> fresh_;
  std::vector<std::size_t> fresh_ends_;
  std::string scratch_;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_RETOKENIZED_TEXT_HPP
