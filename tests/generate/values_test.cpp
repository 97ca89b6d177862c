// The words of a command line.

#include <gtest/gtest.h>

#include <program/values.hpp>
#include <string>

namespace {

using program::unescaped;

TEST(values, backslashes_stand_for_what_is_awkward_to_type) {
  EXPECT_EQ(unescaped("plain"), "plain");
  EXPECT_EQ(unescaped("\\n\\n"), "\n\n");
  EXPECT_EQ(unescaped("a\\tb\\r\\\\n"), "a\tb\r\\n");
  EXPECT_EQ(unescaped("\\x41\\xe2\\x82\\xac"), "A\xe2\x82\xac");
}

TEST(values, other_backslashes_are_backslashes) {
  for (const std::string text : {"\\", "a\\", "\\q", "\\x", "\\x4", "\\xg1", "\\x4g", "\\x-1"}) {
    EXPECT_EQ(unescaped(text), text);
  }
}

}  // namespace
