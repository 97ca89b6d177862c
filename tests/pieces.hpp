#ifndef SPECDEC_TESTS_PIECES_HPP
#define SPECDEC_TESTS_PIECES_HPP

/// @file
/// A tokenizer to test with, and drafters that own what they draft with.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/law_model.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pieces {

using specdec::token_id;

/// Takes the longest piece that fits, from left to right; of equal ones the last. Bytes that begin no piece are left
/// out. A piece without bytes is a control token.
class tokenizer {
 public:
  explicit tokenizer(std::vector<std::string> list) : pieces_(std::move(list)) {}

  [[nodiscard]] std::size_t vocab_size() const { return pieces_.size(); }
  void decode(token_id token, std::string& bytes) const { bytes += pieces_.at(static_cast<std::size_t>(token)); }
  void encode(std::string_view text, std::vector<token_id>& tokens) const {
    while (!text.empty()) {
      std::size_t best = pieces_.size();
      for (std::size_t i = 0; i < pieces_.size(); ++i) {
        const bool longer = best == pieces_.size() || pieces_[i].size() >= pieces_[best].size();
        if (!pieces_[i].empty() && text.starts_with(pieces_[i]) && longer) best = i;
      }
      if (best < pieces_.size()) tokens.push_back(static_cast<token_id>(best));
      text.remove_prefix(best < pieces_.size() ? pieces_[best].size() : 1);
    }
  }

  [[nodiscard]] std::vector<token_id> encoded(std::string_view text) const {
    std::vector<token_id> tokens;
    encode(text, tokens);
    return tokens;
  }
  [[nodiscard]] std::string decoded(std::span<const token_id> tokens) const {
    std::string text;
    for (const token_id token : tokens) decode(token, text);
    return text;
  }

 private:
  std::vector<std::string> pieces_;
};

static_assert(specdec::Tokenizer<tokenizer>);

/// "a", "b", "c" are in both; "ab" is two tokens of the draft's, "cab" three.
inline const tokenizer target_pieces({"a", "ab", "b", "cab", "c"});
inline const tokenizer draft_pieces({"c", "bb", "a", "aa", "b", "cc"});

inline const specdec::vocabulary_map& partly_shared() {
  static const specdec::vocabulary_map map(target_pieces, draft_pieces);
  return map;
}

/// Leaves only "cab" of `target_pieces` at two places out of three, or at one: no row of a draft over `draft_pieces`
/// chooses it, and it takes three of the draft's tokens.
struct leaves_cab {
  bool often;
  std::size_t place = 0;

  [[nodiscard]] bool all() const { return (place % 3 == 0) == often; }
  [[nodiscard]] bool allows(token_id token) const { return all() || token == 3; }
  void fill(std::span<std::uint32_t> words) const { words[0] = all() ? 0x1f : 0x8; }
  void advance(token_id) { ++place; }
  void rollback(std::size_t count) { place -= count; }
  [[nodiscard]] token_id forced() const { return all() ? -1 : 3; }
};

/// A model whose law is written down, which holds so many tokens, and refuses more.
template <class Law>
struct bounded_model : specdec::testing::law_model<Law> {
  bounded_model(std::size_t vocab_size, Law law, std::size_t tokens)
      : specdec::testing::law_model<Law>(vocab_size, law), most(tokens) {}
  [[nodiscard]] std::size_t capacity() const { return most; }
  auto decode(std::span<const token_id> tokens, std::size_t rows) {
    if (this->size() + tokens.size() > most) throw std::length_error("full");
    return specdec::testing::law_model<Law>::decode(tokens, rows);
  }
  std::size_t most;
};

/// Drafts by the intersection of two vocabularies, from a model whose law is written down.
template <class Law>
class translated_drafter {
 public:
  using model = specdec::translated<specdec::testing::law_model<Law>>;

  translated_drafter(const specdec::vocabulary_map& map, Law law, std::size_t gamma,
                     const specdec::model_drafter_options& options)
      : model_(std::make_unique<model>(specdec::testing::law_model<Law>(map.draft_vocab_size(), law), map)),
        drafter_(*model_, specdec::constant{gamma}, options) {}

  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }

 private:
  std::unique_ptr<model> model_;
  specdec::model_drafter<model> drafter_;
};

/// Drafts through the text.
template <class Law, class Policy = specdec::constant>
class universal_drafter {
 public:
  using model = specdec::testing::law_model<Law>;

  universal_drafter(const tokenizer& target, const tokenizer& draft, Law law, Policy policy,
                    const specdec::universal_options& options)
      : model_(std::make_unique<model>(draft.vocab_size(), law)), drafter_(*model_, target, draft, policy, options) {}

  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }

 private:
  std::unique_ptr<model> model_;
  specdec::universal_drafter<model, tokenizer, tokenizer, Policy> drafter_;
};

}  // namespace pieces

#endif  // SPECDEC_TESTS_PIECES_HPP
