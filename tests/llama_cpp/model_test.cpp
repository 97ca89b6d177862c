// Files, vocabularies and tokenizers.

#include <gtest/gtest.h>

#include <cstddef>
#include <gguf.hpp>
#include <specdec/specdec.hpp>
#include <string>
#include <string_view>
#include <tokenizer.hpp>
#include <vector>

#include "random_models.hpp"
#include "support.hpp"

namespace {

using namespace llama_test;

static_assert(specdec::Tokenizer<llama::tokenizer>);

const std::vector<std::string> texts = {
    "It was evening.",
    " The lamps were not yet lit,",
    "two  spaces, a tab\tand\nlines\n\nof text",
    "caf\xc3\xa9 \xe2\x82\xac 100 \xf0\x9f\x99\x82",
    "1234567890 + 17 = ?",
    "\n",
    " ",
    "</s> is no end",
};

TEST(llama_cpp_model, says_which_file_it_cannot_load) {
  start();
  EXPECT_EQ(message_of([] { (void)llama::model::load("no/such/model.gguf"); }),
            "specdec::llama_cpp: expected a GGUF file; \"no/such/model.gguf\" cannot be opened");
  const std::string words = "These are words.";
  const temporary_file file("words.gguf", std::as_bytes(std::span(words)));
  EXPECT_NE(message_of([&] { (void)llama::model::load(file.path()); }).find("expected a model that llama.cpp can load"),
            std::string::npos);
  EXPECT_NE(message_of([] { llama::model model(static_cast<llama_model*>(nullptr)); }).find("got a null pointer"),
            std::string::npos);
}

TEST(llama_cpp_model, describes_the_bundled_models) {
  EXPECT_EQ(target().vocab_size(), 4096U);
  EXPECT_EQ(target().context_length(), 512U);
  EXPECT_FALSE(target().recurrent() || target().hybrid());
  EXPECT_NE(target().description().find("llama"), std::string::npos) << target().description();
  EXPECT_GT(target().bytes(), draft().bytes());
  EXPECT_EQ(target().begin_token(), 1);
  EXPECT_EQ(target().end_tokens(), (std::vector<token_id>{2}));
  EXPECT_TRUE(target().ends_generation(2));
  EXPECT_FALSE(target().ends_generation(3));
  EXPECT_THROW((void)target().ends_generation(4096), std::invalid_argument);
  EXPECT_THROW((void)target().piece(-1), std::invalid_argument);
}

TEST(llama_cpp_model, tokenizes_as_the_toy_backend_does) {
  const toy::tokenizer toy_tokenizer(toy::gguf_file(bundled_path("target")));
  for (const std::string& text : texts) {
    EXPECT_EQ(target().tokenize(text), toy_tokenizer.encode(text)) << text;
    EXPECT_EQ(target().tokenize(text, false), toy_tokenizer.encode(text, false)) << text;
  }
  EXPECT_EQ(target().tokenize(""), toy_tokenizer.encode(""));
  // Of token 0, the unknown one, llama.cpp shows nothing, and SentencePiece a mark.
  for (token_id token = 1; token < 4096; ++token) {
    ASSERT_EQ(target().piece(token), toy_tokenizer.piece(token)) << token;
  }
}

TEST(llama_cpp_model, its_tokenizer_continues_texts) {
  for (const char* name : {"target", "draft-1k"}) {
    const llama::tokenizer tokenizer(bundled(name));
    const toy::tokenizer toy_tokenizer(toy::gguf_file(bundled_path(name)));
    EXPECT_EQ(tokenizer.vocab_size(), bundled(name).vocab_size());
    for (const std::string& text : texts) {
      std::vector<token_id> tokens{7}, expected{7};
      tokenizer.encode(text, tokens);
      toy_tokenizer.encode(text, expected);
      EXPECT_EQ(tokens, expected) << text;
      std::string bytes;
      for (std::size_t i = 1; i < tokens.size(); ++i) tokenizer.decode(tokens[i], bytes);
      EXPECT_EQ(bytes, text);
    }
  }
}

TEST(llama_cpp_model, compares_vocabularies_by_their_tokens) {
  EXPECT_EQ(llama::vocabulary_difference(target(), draft()), "");
  const std::string difference = llama::vocabulary_difference(target(), bundled("draft-1k"));
  EXPECT_TRUE(difference.starts_with("token ") && difference.ends_with(" in the other")) << difference;
}

/// A model of few tokens, and some more that are unused or not.
llama::model padded_vocabulary(std::size_t unused, std::size_t used) {
  toy_test::tiny_shape shape;
  shape.vocabulary = 267 + unused + used;
  toy_test::gguf_writer file = toy_test::tiny_model(shape);
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types{2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    const char* digits = "0123456789ABCDEF";
    tokens.push_back({'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'});
    types.push_back(6);
  }
  while (tokens.size() < 267 + unused + used) {
    const bool padding = tokens.size() >= 267 && tokens.size() < 267 + unused;
    tokens.push_back("piece" + std::to_string(tokens.size()));
    types.push_back(padding ? 5 : 1);
  }
  file.value("tokenizer.ggml.model", std::string_view("llama")).strings("tokenizer.ggml.tokens", tokens);
  file.numbers("tokenizer.ggml.scores", toy::gguf_type::float32, std::vector<float>(tokens.size()));
  file.numbers("tokenizer.ggml.token_type", toy::gguf_type::int32, types);
  file.value("tokenizer.ggml.bos_token_id", 1u).value("tokenizer.ggml.eos_token_id", 2u);
  start();
  const temporary_file saved("padded.gguf", file.bytes());
  return llama::model::load(saved.path());
}

TEST(llama_cpp_model, tolerates_padding) {
  const llama::model bare = padded_vocabulary(0, 0), padded = padded_vocabulary(5, 0), longer = padded_vocabulary(5, 1);
  ASSERT_EQ(padded.vocab_size(), 272U);
  EXPECT_EQ(llama::vocabulary_difference(bare, padded), "");
  EXPECT_EQ(llama::vocabulary_difference(padded, bare), "");
  EXPECT_EQ(llama::vocabulary_difference(bare, longer),
            "one vocabulary ends with 267 tokens, the other goes on with \"piece272\" as token 272");

  // Together they work by way of `padded`, and not by themselves.
  llama::context target_context(padded, small()), draft_context(bare, small());
  const std::vector<token_id> prompt{1, 20, 30};
  const specdec::generate_options options{.max_tokens = 8, .sampling = {0.0}};
  EXPECT_NE(message_of([&] {
              (void)specdec::speculative_generate(target_context, draft_context, prompt, options);
            }).find("wrap that model in specdec::padded"),
            std::string::npos);
  specdec::padded<llama::context&> fitted(target_context, 267);
  EXPECT_EQ(specdec::speculative_generate(fitted, draft_context, prompt, options).tokens.size(), 8U);
}

/// A vocabulary as GPT-2 has it: bytes spelled as letters, pairs that merge, and an end token.
llama::model byte_pair_vocabulary() {
  const auto utf8 = [](unsigned letter) {
    if (letter < 0x80) return std::string(1, static_cast<char>(letter));
    return std::string{static_cast<char>(0xC0 | letter >> 6), static_cast<char>(0x80 | (letter & 0x3F))};
  };
  std::vector<std::string> tokens;
  unsigned unprintable = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool itself = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    tokens.push_back(utf8(itself ? byte : unprintable++));
  }
  const std::string space = utf8(288);  // byte 32, the 33rd of those that have no letter of their own
  tokens.insert(tokens.end(), {"th", "the", space + "t", space + "the", "in", "<|endoftext|>"});
  std::vector<std::int32_t> types(tokens.size(), 1);
  types.back() = 3;
  toy_test::tiny_shape shape;
  shape.vocabulary = tokens.size();
  toy_test::gguf_writer file = toy_test::tiny_model(shape);
  file.value("tokenizer.ggml.model", std::string_view("gpt2")).value("tokenizer.ggml.pre", std::string_view("gpt-2"));
  file.strings("tokenizer.ggml.tokens", tokens);
  file.strings("tokenizer.ggml.merges", {"t h", "th e", space + " t", space + "t he", "i n"});
  file.numbers("tokenizer.ggml.token_type", toy::gguf_type::int32, types);
  file.value("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(tokens.size() - 1));
  file.value("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(tokens.size() - 1));
  start();
  const temporary_file saved("byte_pairs.gguf", file.bytes());
  return llama::model::load(saved.path());
}

TEST(llama_cpp_model, has_byte_pairs_as_its_vocabulary) {
  const llama::model model = byte_pair_vocabulary();
  ASSERT_EQ(model.vocab_size(), 262U);
  EXPECT_EQ(model.end_tokens(), (std::vector<token_id>{261}));
  const llama::tokenizer tokenizer(model);
  for (const std::string& text : texts) {
    std::vector<token_id> tokens;
    tokenizer.encode(text, tokens);
    std::string bytes;
    for (const token_id token : tokens) tokenizer.decode(token, bytes);
    EXPECT_EQ(bytes, text);
  }
  EXPECT_EQ(model.piece(261), "");
  EXPECT_EQ(model.piece(257), "the");
  // It drafts for a vocabulary of another kind.
  llama::context target_context(in_float32("draft"), small()), draft_context(model, small());
  llama::context plain(in_float32("draft"), small());
  const llama::tokenizer target_tokens(draft());
  specdec::universal_drafter drafter(draft_context, target_tokens, tokenizer, {.num_assistant_tokens = 6});
  const auto prompt = draft().tokenize("In the night the thin rain");
  const specdec::generate_options options{.max_tokens = 20, .sampling = {0.0}};
  const auto result = specdec::speculative_generate(target_context, drafter, prompt, options);
  const auto expected = specdec::autoregressive_generate(plain, prompt, options);
  ASSERT_EQ(result.tokens.size(), expected.tokens.size());
  for (std::size_t i = 0; i < result.tokens.size(); ++i) EXPECT_EQ(result.tokens[i].id, expected.tokens[i].id);
}

TEST(llama_cpp_model, says_what_it_cannot_do_without_a_vocabulary) {
  toy_test::tiny_shape shape;
  toy_test::gguf_writer file = toy_test::tiny_model(shape);
  file.value("tokenizer.ggml.model", std::string_view("no_vocab"));
  file.value("llama.vocab_size", static_cast<std::uint32_t>(shape.vocabulary));
  start();
  const temporary_file saved("no_vocabulary.gguf", file.bytes());
  const llama::model model = llama::model::load(saved.path());
  ASSERT_EQ(model.vocab_size(), shape.vocabulary);
  const std::string said = "specdec::llama_cpp: expected a model that has a vocabulary with texts; ";
  const auto refused = [&](const auto& call) { return message_of(call).substr(0, said.size()); };
  EXPECT_EQ(refused([&] { (void)model.tokenize("words"); }), said);
  EXPECT_EQ(refused([&] { (void)model.piece(3); }), said);
  EXPECT_EQ(refused([&] { (void)model.token_text(3); }), said);
  EXPECT_EQ(refused([&] { (void)llama::vocabulary_difference(model, target()); }), said);
  EXPECT_EQ(refused([&] { llama::tokenizer tokenizer(model); }), said);
  EXPECT_TRUE(model.end_tokens().empty());
  EXPECT_EQ(model.begin_token(), std::nullopt);
  // Tokens are all that generation needs.
  llama::context target_context(model, small()), draft_context(model, small());
  const std::vector<token_id> prompt{1, 20, 30};
  EXPECT_EQ(specdec::speculative_generate(target_context, draft_context, prompt, {.max_tokens = 8}).tokens.size(), 8U);
}

TEST(llama_cpp_model, a_draft_of_another_vocabulary_drafts_through_the_text) {
  llama::context target_context(in_float32("target"), small()), draft_context(in_float32("draft-1k"), small());
  llama::context plain(in_float32("target"), small());
  const llama::tokenizer target_tokens(target()), draft_tokens(bundled("draft-1k"));
  const auto prompt = target().tokenize("It was evening. The lamps were not yet lit,");
  const specdec::generate_options options{.max_tokens = 40, .sampling = {0.0}};
  EXPECT_NE(message_of([&] {
              (void)specdec::speculative_generate(target_context, draft_context, prompt, options);
            }).find("expected one vocabulary of 4096 tokens; the draft has 1024"),
            std::string::npos);
  specdec::universal_drafter drafter(draft_context, target_tokens, draft_tokens);
  const auto result = specdec::speculative_generate(target_context, drafter, prompt, options);
  const auto expected = specdec::autoregressive_generate(plain, prompt, options);
  ASSERT_EQ(result.tokens.size(), expected.tokens.size());
  for (std::size_t i = 0; i < result.tokens.size(); ++i) EXPECT_EQ(result.tokens[i].id, expected.tokens[i].id);
  EXPECT_GT(result.stats.accepted, 5U);
}

}  // namespace
