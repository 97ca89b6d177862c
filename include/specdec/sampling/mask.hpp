#ifndef SPECDEC_SAMPLING_MASK_HPP
#define SPECDEC_SAMPLING_MASK_HPP

/// @file
/// Which tokens may come next: grammars, schemas, lists of words.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../config.hpp"
#include "../owner.hpp"
#include "../types.hpp"
#include "../vectors.hpp"
#include "text_so_far.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Says which tokens may follow the text generated so far.
///
/// Role: a grammar engine's matcher. The law gives the other tokens probability 0 and renormalises, before temperature
/// and filters.
///
/// Requirements
///  1. `mask.allows(token)` is whether the token may come next.
///  2. `mask.fill(words)` says so for the whole vocabulary: it sets bit t % 32 of words[t / 32] for every allowed token
///     t. The words come with every bit cleared; bits behind the vocabulary do not matter.
///  3. `mask.advance(token)`: the token came. It is an allowed one.
///  4. `mask.rollback(n)` takes the last n tokens back; n is at most the depth of a draft, or of two where drafts
///     are made ahead (`overlapped_generate`).
///  5. A copy goes on from where the original was, and neither changes the other.
///
/// Optional: `mask.forced()`, the only token that is allowed, or -1 if there are several; without it the answer is
/// found by `fill`.
///
/// A minimal mask, which allows tokens 0 to 9:
/// @code
/// struct digits {
///   bool allows(specdec::token_id token) const { return token < 10; }
///   void fill(std::span<std::uint32_t> words) const { words[0] = 0x3ff; }
///   void advance(specdec::token_id) {}
///   void rollback(std::size_t) {}
/// };
/// @endcode
///
/// Not required: constness, knowledge of the prompt, of drafts or of end tokens (one that is allowed ends the text, and
/// nothing is asked behind it).
// That it can be copied is asked last: for a type that is made from masks, the answer depends on whether it is one.
template <class M>
concept TokenMask = requires(M& mask, token_id token, std::span<std::uint32_t> words, std::size_t n) {
  { mask.allows(token) } -> std::convertible_to<bool>;
  mask.fill(words);
  mask.advance(token);
  mask.rollback(n);
}
&&std::copy_constructible<M>;

/// Fails to compile, with a sentence for what `M` lacks to be a `TokenMask`.
template <class M>
constexpr void require_token_mask() {
  static_assert(
      requires(M & mask, token_id token) {
        { mask.allows(token) } -> std::convertible_to<bool>;
      },
      "specdec: a mask needs `bool allows(specdec::token_id token)`: whether the token may come next");
  static_assert(
      requires(M & mask, std::span<std::uint32_t> words) { mask.fill(words); },
      "specdec: a mask needs `void fill(std::span<std::uint32_t> words)`: set a bit for every allowed token");
  static_assert(
      requires(M & mask, token_id token) { mask.advance(token); },
      "specdec: a mask needs `void advance(specdec::token_id token)`: the token came");
  static_assert(
      requires(M & mask, std::size_t n) { mask.rollback(n); },
      "specdec: a mask needs `void rollback(std::size_t n)`: take the last n tokens back");
  static_assert(std::copy_constructible<M>,
                "specdec: a mask must be copyable: sessions are, and begin with a fresh one");
}

/// Any mask, as a value. Empty, it allows every token.
class any_mask {
 public:
  any_mask() noexcept = default;

  // Whether it is an any_mask comes first: whether that is a mask depends on its constructors, this one among them.
  template <class M>
  requires(!std::same_as<M, any_mask> && TokenMask<M>) any_mask(M mask)  // NOLINT: a mask is meant to become one
      : held_(new holder<M>(std::move(mask))) {}

  /// Says what a type lacks that is no mask.
  template <class M>
  requires(!std::same_as<M, any_mask> && !TokenMask<M>) any_mask(M) { require_token_mask<M>(); }  // NOLINT

  any_mask(const any_mask& other) : held_(other.held_ ? other.held_->copy() : nullptr) {}
  any_mask(any_mask&&) noexcept = default;
  any_mask& operator=(const any_mask& other) {
    if (this != &other) *this = any_mask(other);
    return *this;
  }
  any_mask& operator=(any_mask&&) noexcept = default;
  ~any_mask() = default;

  [[nodiscard]] bool empty() const noexcept { return !held_; }

  // The members of `TokenMask`. Precondition: !empty().
  [[nodiscard]] bool allows(token_id token) { return held_->allows(token); }
  void fill(std::span<std::uint32_t> words) { held_->fill(words); }
  void advance(token_id token) { held_->advance(token); }
  void rollback(std::size_t n) { held_->rollback(n); }

  /// The only allowed token of the vocabulary, or -1 if there is none or more than one. @param words scratch for `fill`
  [[nodiscard]] token_id forced(std::span<std::uint32_t> words, std::size_t vocab_size) {
    return held_->forced(words, vocab_size);
  }

 private:
  struct interface {
    virtual ~interface() = default;
    [[nodiscard]] virtual interface* copy() const = 0;
    virtual bool allows(token_id token) = 0;
    virtual void fill(std::span<std::uint32_t> words) = 0;
    virtual void advance(token_id token) = 0;
    virtual void rollback(std::size_t n) = 0;
    virtual token_id forced(std::span<std::uint32_t> words, std::size_t vocab_size) = 0;
  };

  template <class M>
  struct holder final : interface {
    explicit holder(M m) : mask(std::move(m)) {}
    [[nodiscard]] interface* copy() const override { return new holder(mask); }
    bool allows(token_id token) override { return static_cast<bool>(mask.allows(token)); }
    void fill(std::span<std::uint32_t> words) override {
      std::fill(words.begin(), words.end(), 0U);
      mask.fill(words);
    }
    void advance(token_id token) override { mask.advance(token); }
    void rollback(std::size_t n) override { mask.rollback(n); }
    token_id forced(std::span<std::uint32_t> words, std::size_t vocab_size) override {
      if constexpr (requires {
                      { mask.forced() } -> std::convertible_to<token_id>;
                    }) {
        return mask.forced();
      } else {
        fill(words);
        token_id only = -1;
        for (std::size_t t = 0; t < vocab_size; ++t) {
          if ((words[t / 32] >> t % 32 & 1U) == 0) continue;
          if (only >= 0) return -1;
          only = static_cast<token_id>(t);
        }
        return only;
      }
    }
    M mask;
  };

  owner<interface> held_;
};

/// A mask that is led along a text: asked about any text, it takes back and advances what separates that text from the
/// one before. So nobody has to pair an advance with a rollback, and a draft that is rejected leaves nothing behind.
///
/// Exceptions of the mask pass through; the next question then starts from a fresh copy.
class mask_follower {
 public:
  explicit mask_follower(any_mask mask = {}) : initial_(std::move(mask)), mask_(initial_) {}

  /// Whether there is a mask at all.
  [[nodiscard]] bool restricts() const noexcept { return !initial_.empty(); }

  /// Starts anew, at the beginning of a generated text of about `expected` tokens.
  void restart(std::size_t expected) {
    if (!restricts()) return;
    broken_ = true;
    taken_.clear();
    taken_.reserve(expected);
    mask_ = initial_;
    broken_ = false;
  }

  // What the mask says behind what was generated of `text`. O(n), and the mask's own cost for the question and for the
  // tokens that are new or taken back.

  /// Whether the token may come. Precondition: restricts().
  [[nodiscard]] bool allows(const text_so_far& text, token_id token) {
    return ask(text, [token](any_mask& mask) { return mask.allows(token); });
  }

  /// Sets the bit of every token that may come, and clears the others. Precondition: restricts().
  void fill(const text_so_far& text, std::span<std::uint32_t> words) {
    ask(text, [words](any_mask& mask) { return mask.fill(words), true; });
  }

  /// The token that must come: the only allowed one, or -1 if there is none, or several, or no mask.
  [[nodiscard]] token_id forced(const text_so_far& text, std::size_t vocab_size) {
    if (!restricts()) return -1;
    words_.resize((vocab_size + 31) / 32);
    return ask(text, [&](any_mask& mask) { return mask.forced(space_of(words_), vocab_size); });
  }

 private:
  /// Leads the mask to the text, and asks it there.
  template <class Question>
  std::invoke_result_t<Question, any_mask&> ask(const text_so_far& text, Question question) {
    if (broken_) restart(taken_.capacity());
    broken_ = true;
    go_to(text);
    const auto answer = question(mask_);
    broken_ = false;
    return answer;
  }

  void go_to(const text_so_far& text) {
    const std::size_t total = text.generated();
    const auto token = [&text](std::size_t i) { return text[text.prompt_size + i]; };
    std::size_t shared = 0;
    while (shared < std::min(taken_.size(), total) && taken_[shared] == token(shared)) ++shared;
    if (shared < taken_.size()) {
      mask_.rollback(taken_.size() - shared);
      taken_.resize(shared);
    }
    for (; shared < total; ++shared) {
      taken_.push_back(token(shared));
      mask_.advance(taken_.back());
    }
  }

  any_mask initial_;
  any_mask mask_;
  std::vector<token_id> taken_;
  std::vector<std::uint32_t> words_;
  bool broken_ = false;  ///< a call threw: the mask may be anywhere
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_SAMPLING_MASK_HPP
