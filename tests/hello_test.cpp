// The README's first example is examples/hello.cpp, word for word, and prints what the README says it prints.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "shell.hpp"

namespace {

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// The first fenced block of `language` in the README behind `heading`.
std::string block(const std::string& readme, const std::string& fence) {
  const auto begin = readme.find("```" + fence + "\n");
  if (begin == std::string::npos) return {};
  const auto text = begin + fence.size() + 4;
  return readme.substr(text, readme.find("```", text) - text);
}

TEST(hello, is_the_snippet_of_the_readme) {
  const std::string source = contents(SPECDEC_SOURCE_DIR "/examples/hello.cpp");
  const std::string readme = contents(SPECDEC_SOURCE_DIR "/README.md");
  ASSERT_FALSE(source.empty());
  EXPECT_EQ(block(readme, "cpp"), source);
  EXPECT_LT(std::count(source.begin(), source.end(), '\n'), 50);
}

TEST(hello, prints_what_the_readme_says) {
  const auto [code, printed] = shell::output_of(shell::quoted(SPECDEC_HELLO));
  EXPECT_EQ(code, 0);
  EXPECT_EQ(block(contents(SPECDEC_SOURCE_DIR "/README.md"), "text"), printed);
}

}  // namespace
