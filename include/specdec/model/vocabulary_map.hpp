#ifndef SPECDEC_MODEL_VOCABULARY_MAP_HPP
#define SPECDEC_MODEL_VOCABULARY_MAP_HPP

/// @file
/// How the tokens of two vocabularies correspond.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../failure.hpp"
#include "../message.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "tokenizer.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Every target token in the draft's tokens, and the tokens that both vocabularies share. Built once for a pair of
/// tokenizers; immutable, so that any number of models and threads may use it.
///
/// Tokens are shared if they have the same bytes, or are paired by the caller: control tokens have none, so a begin or
/// end token is shared only if it is paired. Where several tokens of one vocabulary have the same bytes (a character
/// and its byte-fallback token, say) the shared one is the token that encoding these bytes gives, or the lowest if it
/// gives none of them. So sharing is one to one.
///
/// A target token that is not shared is read as what its bytes are encoded to; the token `unknown` stands in for one
/// that has no bytes, or that the draft's tokenizer encodes to nothing. Every target token has at least one.
///
/// Cost: O(V log V), and one encode for each target token whose bytes are no token of the draft's.
class vocabulary_map {
 public:
  /// @param special what the caller pairs: begin and end tokens, as a rule; shared, whatever their bytes
  /// @param unknown the draft's stand-in for target tokens without a text
  /// Throws std::invalid_argument if a vocabulary is empty, a token named here or by a tokenizer is outside its
  /// vocabulary, a token is paired twice, or no token is shared; what the tokenizers throw passes through.
  template <Tokenizer Target, Tokenizer Draft>
  vocabulary_map(const Target& target, const Draft& draft, const std::vector<token_pair>& special = {},
                 token_id unknown = 0)
      : target_size_(target.vocab_size()), draft_size_(draft.vocab_size()) {
    if (target_size_ == 0 || draft_size_ == 0) {
      raise<std::invalid_argument>("specdec: expected two vocabularies that are not empty; the target's has " +
                                   std::to_string(target_size_) + " tokens, the draft's " +
                                   std::to_string(draft_size_));
    }
    require_token(unknown, draft_size_, "the stand-in for tokens without a text");
    const text_table target_texts(target);
    const text_table draft_texts(draft);
    to_target_.assign(draft_size_, none);
    std::vector<token_id> shared_draft(target_size_, none);
    const auto share = [&](token_id in_target, token_id in_draft) {
      shared_draft[static_cast<std::size_t>(in_target)] = in_draft;
      to_target_[static_cast<std::size_t>(in_draft)] = in_target;
    };
    for (const token_pair& both : special) {
      require_token(both.target, target_size_, "the list of special tokens, for the target,");
      require_token(both.draft, draft_size_, "the list of special tokens, for the draft,");
      if (shared_draft[static_cast<std::size_t>(both.target)] != none || to_target(both.draft)) {
        raise<std::invalid_argument>("specdec: expected every special token in one pair; the pair of target token " +
                                     std::to_string(both.target) + " and draft token " + std::to_string(both.draft) +
                                     " has one that is in another");
      }
      share(both.target, both.draft);
    }

    std::vector<token_id> encoded;
    ends_.reserve(target_size_);
    for (token_id token = 0; static_cast<std::size_t>(token) < target_size_; ++token) {
      const std::string_view text = target_texts.text(token);
      encoded.clear();
      if (const token_id paired = shared_draft[static_cast<std::size_t>(token)]; paired != none) {
        encoded.push_back(paired);
      } else if (const token_id same = draft_texts.find(text, draft, encoded_by_draft); same != none) {
        encoded.push_back(same);
        if (!to_target(same) && target_texts.find(text, target, encoded_by_target) == token) share(token, same);
      } else if (!text.empty()) {
        draft.encode(text, encoded);
      }
      for (const token_id part : encoded) require_token(part, draft_size_, encoded_by_draft);
      if (encoded.empty()) encoded.push_back(unknown);
      append_to(tokens_, view_of(encoded));
      ends_.push_back(tokens_.size());
      longest_ = std::max(longest_, encoded.size());
    }
    for (token_id token = 0; static_cast<std::size_t>(token) < draft_size_; ++token) {
      if (const auto in_target = to_target(token)) shared_.push_back({*in_target, token});
    }
    if (shared_.empty()) {
      raise<std::invalid_argument>(
          "specdec: expected two vocabularies with tokens in common, so that the draft can propose some; of " +
          std::to_string(target_size_) + " and " + std::to_string(draft_size_) + " tokens, none is in both");
    }
  }

  [[nodiscard]] std::size_t target_vocab_size() const noexcept { return target_size_; }
  [[nodiscard]] std::size_t draft_vocab_size() const noexcept { return draft_size_; }

  /// A target token in the draft's tokens; never empty. Precondition: the token is in the target's vocabulary.
  [[nodiscard]] std::span<const token_id> to_draft(token_id token) const noexcept {
    const auto index = static_cast<std::size_t>(token);
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return {tokens_.data() + begin, ends_[index] - begin};
  }

  /// The target's token of the same meaning, if the token is shared. Precondition: it is in the draft's vocabulary.
  [[nodiscard]] std::optional<token_id> to_target(token_id token) const noexcept {
    const token_id found = to_target_[static_cast<std::size_t>(token)];
    return found == none ? std::nullopt : std::optional(found);
  }

  /// The shared tokens, in the order of the draft's.
  [[nodiscard]] std::span<const token_pair> shared() const noexcept { return view_of(shared_); }

  /// The most draft tokens that one target token is read as.
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }

 private:
  static constexpr token_id none = -1;
  // Where a token came from, for messages.
  static constexpr const char* encoded_by_target = "what the target's tokenizer encodes";
  static constexpr const char* encoded_by_draft = "what the draft's tokenizer encodes";

  /// The tokens of one vocabulary by their bytes.
  class text_table {
   public:
    template <class T>
    explicit text_table(const T& tokenizer) {
      const auto size = static_cast<std::size_t>(tokenizer.vocab_size());
      ends_.reserve(size);
      by_text_.reserve(size);
      for (token_id token = 0; static_cast<std::size_t>(token) < size; ++token) {
        tokenizer.decode(token, bytes_);
        ends_.push_back(bytes_.size());
        by_text_.push_back(token);
      }
      std::sort(by_text_.begin(), by_text_.end(), [this](token_id a, token_id b) {
        const int order = text(a).compare(text(b));
        return order != 0 ? order < 0 : a < b;
      });
    }

    [[nodiscard]] std::string_view text(token_id token) const noexcept {
      const auto index = static_cast<std::size_t>(token);
      const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
      return std::string_view(bytes_).substr(begin, ends_[index] - begin);
    }

    /// The token of these bytes, or `none`. Of several, the one that `tokenizer` encodes the bytes to; else the lowest.
    /// Throws std::invalid_argument, saying what encoded it, for a token outside the vocabulary.
    template <class T>
    [[nodiscard]] token_id find(std::string_view bytes, const T& tokenizer, const char* encoder) const {
      if (bytes.empty()) return none;
      const auto first =
          std::lower_bound(by_text_.begin(), by_text_.end(), bytes,
                           [this](token_id token, std::string_view wanted) { return text(token) < wanted; });
      if (first == by_text_.end() || text(*first) != bytes) return none;
      if (first + 1 == by_text_.end() || text(first[1]) != bytes) return *first;
      std::vector<token_id> encoded;
      tokenizer.encode(bytes, encoded);
      for (const token_id part : encoded) require_token(part, ends_.size(), encoder);
      const bool is_one = encoded.size() == 1 && text(encoded[0]) == bytes;
      return is_one ? encoded[0] : *first;
    }

   private:
    std::string bytes_;
    std::vector<std::size_t> ends_;
    std::vector<token_id> by_text_;
  };

  std::size_t target_size_;
  std::size_t draft_size_;
  std::vector<token_id> tokens_;  ///< every target token in the draft's tokens, one behind the other
  std::vector<std::size_t> ends_;
  std::vector<token_id> to_target_;
  std::vector<token_pair> shared_;
  std::size_t longest_ = 0;
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_MODEL_VOCABULARY_MAP_HPP
