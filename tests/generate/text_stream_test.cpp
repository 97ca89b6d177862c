// From rounds to text.

#include "text_stream.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include <tokenizer.hpp>

namespace {

using generate::text_stream;

class text_of_rounds : public testing::Test {
 protected:
  void take(const std::vector<specdec::token_id>& tokens, std::string_view cut = "") {
    std::vector<specdec::emitted_token> emitted;
    std::string bytes;
    for (const specdec::token_id token : tokens) {
      emitted.push_back({.id = token});
      bytes += tokenizer.piece(token);
    }
    bytes += cut;
    specdec::outcome round;
    round.tokens = emitted;
    round.text = bytes;
    stream(round);
  }

  [[nodiscard]] std::vector<specdec::token_id> encode(std::string_view text) const {
    return tokenizer.encode(text, false);
  }

  const toy::tokenizer tokenizer{toy::gguf_file(std::string(SPECDEC_MODELS_DIR) + "/target.gguf")};
  text_stream stream{[this](specdec::token_id token) { return tokenizer.piece(token); }, nullptr,
                     text_stream::showing::as_it_comes};
};

TEST_F(text_of_rounds, gives_every_token_the_text_it_completed) {
  const auto tokens = encode("Once \xf0\x9f\x8c\x8d");
  ASSERT_GT(tokens.size(), 4U) << "the character has no token of its own";
  take({tokens.begin(), tokens.end() - 2});
  take({tokens.end() - 2, tokens.end()});
  const auto text = stream.finish();
  EXPECT_EQ(text.whole,
            tokenizer.piece(tokens[0]).substr(0, 1) == " " ? " Once \xf0\x9f\x8c\x8d" : "Once \xf0\x9f\x8c\x8d");
  ASSERT_EQ(text.pieces.size(), tokens.size());
  EXPECT_EQ(text.pieces.back(), "\xf0\x9f\x8c\x8d");
  EXPECT_EQ(text.pieces[tokens.size() - 2], "");
}

TEST_F(text_of_rounds, keeps_what_a_stop_text_leaves_of_a_token) {
  take(encode("a"), "bc");
  const auto cut = stream.finish();
  EXPECT_EQ(cut.whole.substr(cut.whole.size() - 3), "abc");
  EXPECT_EQ(cut.pieces.size(), encode("a").size()) << "the token that was cut is none of the text's";

  take({}, "no token at all");
  const auto alone = stream.finish();
  EXPECT_EQ(alone.whole, "no token at all");
  EXPECT_TRUE(alone.pieces.empty());
}

TEST_F(text_of_rounds, shows_a_character_that_a_stop_text_cut) {
  take(encode("a"), "\xf0\x9f");
  const auto text = stream.finish();
  EXPECT_EQ(text.whole.substr(text.whole.size() - 4), "a\xef\xbf\xbd");
  EXPECT_EQ(text.pieces.back().find("\xef\xbf\xbd"), std::string::npos);

  const auto tokens = encode("\xf0\x9f\x8c\x8d");
  take({tokens.begin(), tokens.end() - 1});
  EXPECT_EQ(stream.finish().pieces.back(), "\xef\xbf\xbd") << "the last token's, if none was cut";
}

}  // namespace
