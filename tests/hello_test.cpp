// The README's first example is examples/hello.cpp, word for word, and prints what the README says it prints.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

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
  const std::unique_ptr<FILE, int (*)(FILE*)> program(popen(SPECDEC_HELLO, "r"), pclose);
  ASSERT_TRUE(program);
  std::string printed;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), program.get()) != nullptr) printed += buffer.data();
  EXPECT_EQ(block(contents(SPECDEC_SOURCE_DIR "/README.md"), "text"), printed);
}

}  // namespace
