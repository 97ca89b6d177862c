// Vocabularies, texts and tokens of any bytes. Text becomes tokens of the vocabulary and, where that has every byte,
// comes back; tokens in any order become text piece by piece as they do at once.

#include <gguf.hpp>
#include <gguf_writer.hpp>
#include <optional>
#include <stdexcept>
#include <tokenizer.hpp>
#include <utf8.hpp>

#include "../transformer_gguf_writer.hpp"
#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using specdec::token_id;
using toy::gguf_file;
using toy::gguf_type;
using toy::gguf_writer;

/// Numbers as types in the file.
enum kind : std::int32_t { normal = 1, unknown, control, user_defined, unused, byte };

struct vocabulary {
  gguf_writer file;
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  std::optional<token_id> unknown_token;

  void add(std::string text, float score, std::int32_t type) {
    texts.push_back(std::move(text));
    scores.push_back(score);
    types.push_back(type);
  }
  void add_bytes() {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t b = 0; b < 256; ++b) add({'<', '0', 'x', digits[b / 16], digits[b % 16], '>'}, 0, byte);
  }
  [[nodiscard]] bool is(token_id token, kind type) const { return types[static_cast<std::size_t>(token)] == type; }
};

/// Spaces, as a text and as a vocabulary write them, as one of them.
std::string with_spaces(std::string_view text) {
  constexpr std::string_view meta = "\xe2\x96\x81";
  std::string result;
  while (!text.empty()) {
    const bool is_meta = text.starts_with(meta);
    result += is_meta ? ' ' : text.front();
    text.remove_prefix(is_meta ? meta.size() : 1);
  }
  return result;
}

/// A vocabulary that tells words, spaces and every byte.
vocabulary usual(bool with_bytes) {
  vocabulary v;
  v.add("<unk>", 0, unknown);
  v.unknown_token = 0;
  v.add("<s>", 0, control);
  for (const char* text : {"\xe2\x96\x81", "a", "b", "ab",
                           "\xe2\x96\x81"
                           "ab",
                           "aba", "\xc3\xa9", "\xf0\x9f\x90\x88"}) {
    v.add(text, -static_cast<float>(v.texts.size()), normal);
  }
  v.add("<tool>", 0, user_defined);
  v.add("abab", 0, unused);
  if (with_bytes) v.add_bytes();
  return v;
}

/// Any vocabulary at all.
vocabulary composed(input& in) {
  vocabulary v;
  const std::size_t size = in.below(24);
  for (std::size_t i = 0; i < size; ++i) {
    const auto type = static_cast<std::int32_t>(in.below(16) == 15 ? in.below(256) : 1 + in.below(6));
    const float score = in.below(8) == 7 ? in.bits<float>() : static_cast<float>(in.below(16));
    std::string text = in.text(in.below(7));
    if (type == byte && in.below(8) != 7) text = "<0x4" + std::string(1, "0123456789ABCDEF"[in.below(16)]) + ">";
    v.add(text, score, type);
  }
  if (in.below(2) == 1) v.add_bytes();
  if (in.below(2) == 1) v.unknown_token = static_cast<token_id>(in.below(v.texts.size() + 1));
  if (in.below(2) == 1) v.file.value("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(in.below(32)));
  if (in.below(2) == 1) v.file.value("tokenizer.ggml.add_bos_token", gguf_type::boolean, std::uint8_t{0});
  return v;
}

/// Text to tokens. @param usual whether the vocabulary has a token for the space
void encode(const toy::tokenizer& tokenizer, const vocabulary& v, bool usual, std::string_view text,
            std::string_view behind) {
  std::vector<token_id> tokens;
  tokenizer.encode(text, tokens);
  const std::vector<token_id> first = tokens;
  tokenizer.encode(behind, tokens);
  require(std::equal(first.begin(), first.end(), tokens.begin()), "a text that goes on leaves what was there");
  std::string joined;
  bool complete = true;
  for (const token_id token : tokens) {
    require(token >= 0 && static_cast<std::size_t>(token) < tokenizer.vocab_size(), "tokens are of the vocabulary");
    require(!v.is(token, control) || token == v.unknown_token, "text becomes no control token");
    complete = complete && token != v.unknown_token;
    joined += tokenizer.piece(token);
  }
  // Without an unknown token, what the vocabulary lacks leaves no trace.
  std::size_t byte_tokens = 0;
  for (const auto type : v.types) byte_tokens += type == byte ? 1U : 0U;
  if (byte_tokens < 256 && !(v.unknown_token && complete)) return;
  require(with_spaces(joined) == with_spaces(std::string(text) + std::string(behind)), "text comes back");

  const std::vector<token_id> whole = tokenizer.encode(text);
  const bool begun = tokenizer.add_bos();
  require(whole.empty() ? !begun : !begun || whole.front() == tokenizer.bos(),
          "a text begins as the model was trained");
  const std::span<const token_id> words = std::span(whole).subspan(begun ? 1 : 0);
  require(!usual || tokenizer.decode(words) == with_spaces(text), "decoding is the inverse of encoding");
}

// --- An account of UTF-8 that shares nothing with the one under test but the standard it follows ---------------------

/// Whether these bytes are a beginning of some well-formed character, `size` bytes long in all: whether a code point
/// lies between the least and the greatest that could still come of them.
bool begins_character(std::string_view bytes, std::size_t size) {
  constexpr std::uint32_t lead_bits[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
  constexpr std::uint32_t lead_mask[] = {0, 0x80, 0xE0, 0xF0, 0xF8};
  constexpr std::uint32_t least_of[] = {0, 0, 0x80, 0x800, 0x10000};
  constexpr std::uint32_t most_of[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  std::uint32_t least = 0, most = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const auto b = i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U;
    if (i == 0) {
      if ((b & lead_mask[size]) != lead_bits[size]) return false;
      least = most = b & ~lead_mask[size] & 0xFF;
    } else if (i < bytes.size()) {
      if ((b & 0xC0) != 0x80) return false;
      least = least << 6 | (b & 0x3F);
      most = most << 6 | (b & 0x3F);
    } else {
      least <<= 6;
      most = most << 6 | 0x3F;
    }
  }
  least = std::max(least, least_of[size]);
  most = std::min(most, most_of[size]);
  return least <= most && !(least >= 0xD800 && most <= 0xDFFF);
}

/// The longest beginning of `bytes` that begins a character, at least 1; and whether it is a whole one.
std::pair<std::size_t, bool> next_part(std::string_view bytes) {
  for (std::size_t length = std::min<std::size_t>(bytes.size(), 4); length > 0; --length) {
    for (std::size_t size = length; size <= 4; ++size) {
      if (begins_character(bytes.substr(0, length), size)) return {length, size == length};
    }
  }
  return {1, false};
}

std::string mended(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto [length, whole] = next_part(bytes);
    text += whole ? bytes.substr(0, length) : "\xef\xbf\xbd";
    bytes.remove_prefix(length);
  }
  return text;
}

/// Tokens to text: any numbers, in any order.
void decode(const toy::tokenizer& tokenizer, input& in) {
  std::string bytes, streamed;
  generate::utf8_stream stream;
  for (std::size_t count = 0; count < 64 && !in.empty(); ++count) {
    const token_id token =
        in.one_in(16) ? in.bits<token_id>() : static_cast<token_id>(in.below(tokenizer.vocab_size()));
    const bool inside = token >= 0 && static_cast<std::size_t>(token) < tokenizer.vocab_size();
    std::string piece;
    const bool thrown = refused<std::out_of_range>([&] { tokenizer.decode(token, piece); });
    require(thrown != inside, "a token outside the vocabulary is refused, no other is");
    bytes += piece;
    streamed += stream.push(piece);
  }
  streamed += stream.finish();
  generate::utf8_stream at_once;
  std::string whole = at_once.push(bytes);
  whole += at_once.finish();
  require(streamed == whole, "how bytes are cut into pieces does not show");
  require(whole == mended(bytes), "what is no character becomes U+FFFD, one for each maximal part");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const std::size_t which = in.below(8);
  const bool is_usual = which < 2;
  vocabulary v = is_usual ? usual(which == 0) : composed(in);
  v.file.value("tokenizer.ggml.model", std::string_view("llama")).strings("tokenizer.ggml.tokens", v.texts);
  v.file.numbers("tokenizer.ggml.scores", gguf_type::float32, v.scores);
  v.file.numbers("tokenizer.ggml.token_type", gguf_type::int32, v.types);
  if (v.unknown_token) v.file.value("tokenizer.ggml.unknown_token_id", static_cast<std::uint32_t>(*v.unknown_token));
  const auto tokenizer =
      fuzz::made<std::runtime_error>([&] { return toy::tokenizer(gguf_file(v.file.bytes(), "fuzz.gguf")); });
  if (!tokenizer) return 0;
  const std::string behind = in.text(in.below(8));
  const std::string ids = in.text(in.below(64));
  const std::string text = in.rest();
  encode(*tokenizer, v, is_usual, text, behind);
  input numbers({reinterpret_cast<const std::uint8_t*>(ids.data()), ids.size()});
  decode(*tokenizer, numbers);
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() {
  std::vector<bytes> made = noises(12, 240);
  const auto text = [&](char vocabulary, std::string_view ids, std::string_view words) {
    std::string all{vocabulary, 0, static_cast<char>(ids.size())};
    made.push_back(bytes_of(all.append(ids).append(words)));
  };
  for (const char vocabulary : {'\0', '\1'}) {
    text(vocabulary, "", "ab abab  aba");
    text(vocabulary, "", "caf\xc3\xa9 <tool><s></s> \xf0\x9f\x90\x88\xe2\x96\x81z");
    text(vocabulary, "", "\xff\xfe\xe2\x96 \xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80");
    text(vocabulary, "abcdefgh\x0f\xff\xff\xff\x7f", "");
  }
  return made;
}
