#include "tokenizer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <queue>
#include <stdexcept>
#include <unordered_map>

namespace toy {

using specdec::token_id;

namespace {

constexpr std::string_view meta_space = "\xe2\x96\x81";
constexpr std::string_view unknown_text = " \xe2\x81\x87 ";

enum class kind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = std::min(text.find(from, at), text.size());
    result.append(text.substr(at, next - at));
    if (next < text.size()) result.append(to);
    at = next + from.size();
  }
  return result;
}

// The length of the UTF-8 character that starts `text`, or 1 if none does.
std::size_t character_length(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (length > text.size()) return 1;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0u) != 0x80u) return 1;
  }
  return length;
}

// The text being merged: a linked list of spans. A symbol that was swallowed has size 0.
struct symbol {
  std::size_t first = 0;
  std::size_t size = 0;
  std::ptrdiff_t previous = -1;
  std::ptrdiff_t next = -1;
  bool frozen = false;
};

struct candidate {
  float score = 0;
  std::ptrdiff_t left = 0;
  std::ptrdiff_t right = 0;
  std::size_t size = 0;

  // The heap's top is its greatest: the best score, then the leftmost pair.
  bool operator<(const candidate& other) const noexcept {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

struct tokenizer::vocabulary {
  struct entry {
    std::string piece;
    float score = 0;
    kind type = kind::normal;
  };

  std::vector<std::string> texts;
  std::vector<entry> entries;
  std::unordered_map<std::string_view, token_id> mergeable;
  std::unordered_map<std::string_view, token_id> user_defined;
  std::size_t longest_user_defined = 0;
  std::array<token_id, 256> bytes{};
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  std::optional<token_id> unknown;
  bool add_bos = true;
  bool add_space_prefix = true;

  const token_id* find(std::string_view text) const {
    const auto found = mergeable.find(text);
    return found == mergeable.end() ? nullptr : &found->second;
  }

  // The length of the longest user-defined token that starts `text`, or 0.
  std::size_t user_defined_length(std::string_view text) const {
    for (std::size_t length = std::min(longest_user_defined, text.size()); length > 0; --length) {
      if (user_defined.contains(text.substr(0, length))) return length;
    }
    return 0;
  }

  std::vector<symbol> split(std::string_view text) const {
    std::vector<symbol> symbols;
    symbols.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      symbol next;
      next.first = at;
      next.size = user_defined_length(text.substr(at));
      next.frozen = next.size > 0;
      if (!next.frozen) next.size = character_length(text.substr(at));
      at += next.size;
      next.previous = static_cast<std::ptrdiff_t>(symbols.size()) - 1;
      next.next = at < text.size() ? static_cast<std::ptrdiff_t>(symbols.size()) + 1 : -1;
      symbols.push_back(next);
    }
    return symbols;
  }

  void merge(std::string_view text, std::vector<symbol>& symbols) const {
    const auto at = [&](std::ptrdiff_t index) -> symbol& { return symbols[static_cast<std::size_t>(index)]; };
    std::priority_queue<candidate> heap;
    const auto propose = [&](std::ptrdiff_t left, std::ptrdiff_t right) {
      if (left < 0 || right < 0 || at(left).frozen || at(right).frozen) return;
      const std::size_t size = at(left).size + at(right).size;
      if (const token_id* token = find(text.substr(at(left).first, size)))
        heap.push({entries[static_cast<std::size_t>(*token)].score, left, right, size});
    };
    for (std::size_t i = 1; i < symbols.size(); ++i)
      propose(static_cast<std::ptrdiff_t>(i) - 1, static_cast<std::ptrdiff_t>(i));
    while (!heap.empty()) {
      const candidate best = heap.top();
      heap.pop();
      symbol& left = at(best.left);
      symbol& right = at(best.right);
      // A candidate is stale once either side was merged since.
      if (left.size == 0 || right.size == 0 || left.size + right.size != best.size) continue;
      left.size = best.size;
      right.size = 0;
      left.next = right.next;
      if (left.next >= 0) at(left.next).previous = best.left;
      propose(left.previous, best.left);
      propose(best.left, left.next);
    }
  }

  void append(std::string_view text, bool frozen, std::vector<token_id>& out) const {
    if (frozen) {
      out.push_back(user_defined.at(text));
    } else if (const token_id* token = find(text)) {
      out.push_back(*token);
    } else {
      for (const char c : text) {
        const token_id token_of_byte = bytes[static_cast<unsigned char>(c)];
        if (token_of_byte >= 0) {
          out.push_back(token_of_byte);
        } else if (unknown) {
          out.push_back(*unknown);
          return;
        }
      }
    }
  }

  // Appends the tokens of a text with its spaces written as pieces have them.
  void encode(std::string_view escaped, std::vector<token_id>& out) const {
    if (escaped.empty()) return;
    auto symbols = split(escaped);
    merge(escaped, symbols);
    for (std::ptrdiff_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
      const symbol& s = symbols[static_cast<std::size_t>(i)];
      append(escaped.substr(s.first, s.size), s.frozen, out);
    }
  }
};

namespace {

std::optional<token_id> special_token(const gguf_file& file, std::string_view key, std::size_t size) {
  const auto id = file.find<std::uint64_t>(key);
  if (id && *id >= size)
    throw std::runtime_error(file.name() + ": expected '" + std::string(key) + "' below the vocabulary size " +
                             std::to_string(size) + ", got " + std::to_string(*id));
  return id ? std::optional(static_cast<token_id>(*id)) : std::nullopt;
}

// The byte that a token written <0xNN> stands for, or -1.
int byte_value(std::string_view text) noexcept {
  unsigned value = 0;
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const auto parsed = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  return parsed.ptr == text.data() + 5 && parsed.ec == std::errc() ? static_cast<int>(value) : -1;
}

}  // namespace

tokenizer::tokenizer(const gguf_file& file) {
  const auto fail = [&](const std::string& what) -> void { throw std::runtime_error(file.name() + ": " + what); };
  if (const auto model = file.get<std::string_view>("tokenizer.ggml.model"); model != "llama")
    fail("expected tokenizer.ggml.model 'llama', got '" + std::string(model.substr(0, 40)) + "'");

  auto built = std::make_shared<vocabulary>();
  vocabulary& v = *built;
  const auto texts = file.get<gguf_array>("tokenizer.ggml.tokens").strings();
  const auto scores = file.get<gguf_array>("tokenizer.ggml.scores").numbers();
  const auto types_array = file.find<gguf_array>("tokenizer.ggml.token_type");
  const auto types = types_array ? types_array->numbers() : std::vector<double>(texts.size(), 1.0);
  if (texts.empty() || texts.size() > static_cast<std::size_t>(std::numeric_limits<token_id>::max()))
    fail("expected between 1 and 2^31 - 1 tokens, got " + std::to_string(texts.size()));
  if (scores.size() != texts.size() || types.size() != texts.size())
    fail("expected as many scores and types as tokens (" + std::to_string(texts.size()) + "), got " +
         std::to_string(scores.size()) + " and " + std::to_string(types.size()));

  // The maps' keys point into `texts`, which is complete before the first of them is made.
  v.texts.assign(texts.begin(), texts.end());
  v.entries.resize(texts.size());
  v.bytes.fill(-1);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string& text = v.texts[i];
    vocabulary::entry& entry = v.entries[i];
    const auto id = static_cast<token_id>(i);
    if (!(types[i] >= 1 && types[i] <= 6))
      fail("expected the type of token " + std::to_string(i) + " to be 1..6, got " + std::to_string(types[i]));
    if (std::isnan(scores[i])) fail("expected the score of token " + std::to_string(i) + " to be a number, got NaN");
    entry.type = static_cast<kind>(static_cast<int>(types[i]));
    entry.score = static_cast<float>(scores[i]);
    switch (entry.type) {
      case kind::normal:
        v.mergeable.emplace(text, id);
        entry.piece = replaced(text, meta_space, " ");
        break;
      case kind::user_defined:
        if (!text.empty()) v.user_defined.emplace(text, id);
        v.longest_user_defined = std::max(v.longest_user_defined, text.size());
        entry.piece = replaced(text, meta_space, " ");
        break;
      case kind::byte: {
        const int value = byte_value(text);
        if (value < 0) fail("expected byte token " + std::to_string(i) + " to be written <0xNN>");
        v.bytes[static_cast<std::size_t>(value)] = id;
        entry.piece = static_cast<char>(value);
        break;
      }
      case kind::unused:
        entry.piece = replaced(text, meta_space, " ");
        break;
      case kind::unknown:
        entry.piece = unknown_text;
        break;
      case kind::control:
        break;
    }
  }
  v.bos = special_token(file, "tokenizer.ggml.bos_token_id", texts.size());
  v.eos = special_token(file, "tokenizer.ggml.eos_token_id", texts.size());
  v.unknown = special_token(file, "tokenizer.ggml.unknown_token_id", texts.size());
  v.add_bos = file.find<bool>("tokenizer.ggml.add_bos_token").value_or(true);
  v.add_space_prefix = file.find<bool>("tokenizer.ggml.add_space_prefix").value_or(true);
  vocabulary_ = std::move(built);
}

std::size_t tokenizer::vocab_size() const noexcept { return vocabulary_->entries.size(); }
std::optional<token_id> tokenizer::bos() const noexcept { return vocabulary_->bos; }
std::optional<token_id> tokenizer::eos() const noexcept { return vocabulary_->eos; }
bool tokenizer::add_bos() const noexcept { return vocabulary_->add_bos && vocabulary_->bos; }

std::vector<token_id> tokenizer::encode(std::string_view text, bool add_bos) const {
  const vocabulary& v = *vocabulary_;
  std::vector<token_id> tokens;
  if (add_bos && v.bos) tokens.push_back(*v.bos);
  if (!text.empty())
    v.encode((v.add_space_prefix ? std::string(meta_space) : "") + replaced(text, " ", meta_space), tokens);
  return tokens;
}

void tokenizer::encode(std::string_view text, std::vector<token_id>& tokens) const {
  vocabulary_->encode(replaced(text, " ", meta_space), tokens);
}

std::string_view tokenizer::piece(token_id token) const {
  if (token < 0 || static_cast<std::size_t>(token) >= vocab_size())
    throw std::out_of_range("tokenizer::piece: expected a token below " + std::to_string(vocab_size()) + ", got " +
                            std::to_string(token));
  return vocabulary_->entries[static_cast<std::size_t>(token)].piece;
}

std::string tokenizer::decode(std::span<const token_id> tokens) const {
  std::string text;
  for (const token_id token : tokens) text += piece(token);
  if (vocabulary_->add_space_prefix && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

}  // namespace toy
