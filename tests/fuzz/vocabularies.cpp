// Two vocabularies of any pieces: a text of one in the tokens of the other, however it grows, and the map between them.

#include <specdec/model/retokenized_text.hpp>
#include <specdec/model/vocabulary_map.hpp>
#include <stdexcept>

#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using specdec::token_id;

/// A vocabulary of pieces over few letters. Encodes by the longest piece that fits; what none fits is left out, so that
/// there are tokenizers that change texts.
class pieces {
 public:
  pieces(input& in, bool complete) {
    const std::size_t count = in.between(complete ? 0 : 1, 10);
    for (std::size_t i = 0; i < count; ++i) {
      std::string piece(in.below(5), 'a');
      for (char& letter : piece) letter = static_cast<char>('a' + in.below(3));
      texts_.push_back(piece);
    }
    if (complete) texts_.insert(texts_.end(), {"a", "b", "c"});
    // One that names a token it does not have.
    liar_ = !complete && in.one_in(16);
  }

  [[nodiscard]] std::size_t vocab_size() const { return texts_.size(); }
  void decode(token_id token, std::string& bytes) const {
    require(token >= 0 && static_cast<std::size_t>(token) < texts_.size(), "only tokens of the vocabulary are decoded");
    bytes += texts_[static_cast<std::size_t>(token)];
  }
  void encode(std::string_view text, std::vector<token_id>& tokens) const {
    while (!text.empty()) {
      std::size_t longest = 0, best = 0;
      for (std::size_t i = 0; i < texts_.size(); ++i) {
        if (texts_[i].size() <= longest || !text.starts_with(texts_[i])) continue;
        longest = texts_[i].size();
        best = i;
      }
      if (longest > 0) tokens.push_back(static_cast<token_id>(best));
      if (longest == 0 && liar_) tokens.push_back(static_cast<token_id>(texts_.size()));
      text.remove_prefix(std::max<std::size_t>(longest, 1));
    }
  }

  [[nodiscard]] std::string text_of(std::span<const token_id> tokens) const {
    std::string text;
    for (const token_id token : tokens) decode(token, text);
    return text;
  }

 private:
  std::vector<std::string> texts_;
  bool liar_ = false;
};

void map(const pieces& target, const pieces& draft, bool complete, input& in) {
  std::vector<specdec::token_pair> special(in.below(3));
  for (auto& pair : special) {
    pair.target = static_cast<token_id>(in.below(target.vocab_size() + 1));
    pair.draft = static_cast<token_id>(in.below(draft.vocab_size() + 1));
  }
  const auto made = fuzz::made<std::invalid_argument>([&] { return specdec::vocabulary_map(target, draft, special); });
  if (!made) return;
  for (token_id token = 0; static_cast<std::size_t>(token) < target.vocab_size(); ++token) {
    const auto parts = made->to_draft(token);
    require(!parts.empty() && parts.size() <= made->longest(), "every target token is some draft tokens");
    for (const token_id part : parts) {
      require(part >= 0 && static_cast<std::size_t>(part) < draft.vocab_size(), "of the draft's vocabulary");
    }
    const std::string text = target.text_of({&token, 1});
    bool paired = false;
    for (const auto& pair : special) paired = paired || pair.target == token;
    if (!paired && !text.empty() && complete) require(draft.text_of(parts) == text, "with the same text");
  }
  std::size_t shared = 0;
  for (token_id token = 0; static_cast<std::size_t>(token) < draft.vocab_size(); ++token) {
    const auto back = made->to_target(token);
    if (!back) continue;
    require(shared < made->shared().size() && made->shared()[shared++] == specdec::token_pair{*back, token},
            "shared tokens are listed in order");
    const auto there = made->to_draft(*back);
    require(there.size() == 1 && there[0] == token, "sharing is one to one");
  }
  require(shared == made->shared().size() && shared > 0, "and no other is");
}

void retokenize(const pieces& target, const pieces& draft, bool complete, input& in) {
  specdec::control_tokens control;
  for (std::size_t i = in.below(2); i > 0; --i) {
    control.pairs.push_back(
        {static_cast<token_id>(in.below(target.vocab_size())), static_cast<token_id>(in.below(draft.vocab_size()))});
  }
  if (in.one_in(4)) control.begin = static_cast<token_id>(in.below(draft.vocab_size()));
  const std::size_t lookbehind = in.below(6);
  specdec::retokenized_text grown(target, draft, lookbehind, control);
  std::vector<token_id> text{static_cast<token_id>(in.below(target.vocab_size()))};
  for (std::size_t steps = 0; steps < 12 && !in.empty(); ++steps) {
    // It grows, and now and then goes back and on otherwise.
    if (in.one_in(8)) text.resize(1 + in.below(text.size()));
    for (std::size_t more = in.below(12); more > 0; --more) {
      // A token that the tokenizer does not know, of a vocabulary with padding, say.
      text.push_back(static_cast<token_id>(in.below(target.vocab_size() + (in.one_in(16) ? 3 : 0))));
    }
    specdec::retokenized_text at_once(target, draft, lookbehind, control);
    const bool lied = refused<std::invalid_argument>([&] { grown.read(text); });
    require(refused<std::invalid_argument>([&] { at_once.read(text); }) == lied, "how a text grows does not show");
    if (lied) continue;
    require(std::equal(grown.tokens().begin(), grown.tokens().end(), at_once.tokens().begin(), at_once.tokens().end()),
            "nor in what it is read as");

    std::string known;
    for (const token_id token : text) {
      const bool is_known = static_cast<std::size_t>(token) < target.vocab_size();
      if (is_known && !control.draft_of(token)) target.decode(token, known);
    }
    std::string came;
    for (const token_id token : grown.tokens()) {
      require(token >= 0 && static_cast<std::size_t>(token) < draft.vocab_size(),
              "tokens are of the draft's vocabulary");
      bool is_control = control.begin == token;
      for (const auto& pair : control.pairs) is_control = is_control || pair.draft == token;
      if (!is_control) draft.decode(token, came);
    }
    // A control token has no text of its own, but here one may be a word, too.
    if (complete && control.pairs.empty() && !control.begin) require(came == known, "the text is the same");
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, grown.tokens().size()}) {
      require(grown.bytes_of_last(count) <= known.size(), "the last tokens stand for no more than there is");
    }
    const auto [count, end] = grown.end_of(text, in.below(8));
    require(count <= text.size() && end.size() <= known.size(), "the end of a text is part of it");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const bool complete = in.below(4) != 3;
  const pieces target(in, false);
  const pieces draft(in, complete);
  map(target, draft, complete, in);
  retokenize(target, draft, complete, in);
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(24, 160); }
