// The README's example of llama.cpp is examples/llama_cpp/hello.cpp, word for word, and that is built.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace {

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(llama_hello, is_the_snippet_of_the_readme) {
  const std::string source = contents(SPECDEC_SOURCE_DIR "/examples/llama_cpp/hello.cpp");
  const std::string readme = contents(SPECDEC_SOURCE_DIR "/README.md");
  ASSERT_FALSE(source.empty());
  EXPECT_NE(readme.find("```cpp\n" + source + "```\n"), std::string::npos);
}

}  // namespace
