// Text made of pieces that are cut anywhere.

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "utf8.hpp"

namespace {

const std::string bad = "\xef\xbf\xbd";

std::string whole(std::string_view bytes) {
  generate::utf8_stream stream;
  std::string text = stream.push(bytes);
  return text += stream.finish();
}

TEST(utf8, passes_text_through) {
  const std::string text = "a \xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8d\n";
  EXPECT_EQ(whole(text), text);
  EXPECT_EQ(whole(""), "");
}

TEST(utf8, holds_a_character_back_until_it_is_complete) {
  generate::utf8_stream stream;
  EXPECT_EQ(stream.push("x\xf0"), "x");
  EXPECT_EQ(stream.push("\x9f"), "");
  EXPECT_EQ(stream.push("\x8c"), "");
  EXPECT_EQ(stream.push("\x8dy"), "\xf0\x9f\x8c\x8dy");
  EXPECT_EQ(stream.finish(), "");
}

TEST(utf8, shows_a_character_that_never_ends) {
  generate::utf8_stream stream;
  EXPECT_EQ(stream.push("\xe2\x82"), "");
  EXPECT_EQ(stream.finish(), bad);
  EXPECT_EQ(stream.push("z"), "z") << "finishing leaves nothing behind";
}

// The cases of table 3-8 and the borders around them.
TEST(utf8, replaces_what_can_be_no_character) {
  const auto times = [](std::size_t n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += bad;
    return text;
  };
  EXPECT_EQ(whole("\x80"), times(1)) << "a continuation of nothing";
  EXPECT_EQ(whole("\xc0\xaf"), times(2)) << "an overlong form";
  EXPECT_EQ(whole("\xe0\x80\xaf"), times(3)) << "an overlong form";
  EXPECT_EQ(whole("\xf0\x8f\xbf\xbf"), times(4)) << "an overlong form";
  EXPECT_EQ(whole("\xed\xa0\x80"), times(3)) << "a surrogate";
  EXPECT_EQ(whole("\xf4\x90\x80\x80"), times(4)) << "beyond U+10FFFF";
  EXPECT_EQ(whole("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf") << "U+10FFFF";
  EXPECT_EQ(whole("\xfe\xff"), times(2));
  EXPECT_EQ(whole("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"), times(4)) << "maximal parts";
  EXPECT_EQ(whole("\xc3"
                  "A"),
            bad + "A")
      << "a character cut short by another";
}

TEST(utf8, does_not_depend_on_the_cuts) {
  const std::vector<std::string> texts{"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8d", "\xe2\x82\xc3\xa9\x80\xf0\x9f\x8c",
                                       "\xed\xa0\x80z\xf4\x8f\xbf\xbf\xff"};
  for (const std::string& text : texts) {
    const std::string expected = whole(text);
    for (std::size_t cuts = 0; cuts < std::size_t{1} << (text.size() - 1); ++cuts) {
      generate::utf8_stream stream;
      std::string result, piece;
      for (std::size_t i = 0; i < text.size(); ++i) {
        piece += text[i];
        if ((cuts >> i & 1) != 0 || i + 1 == text.size()) {
          result += stream.push(piece);
          piece.clear();
        }
      }
      result += stream.finish();
      ASSERT_EQ(result, expected) << "cuts " << cuts;
    }
  }
}

}  // namespace
