// Every program of examples/methods runs, with the bundled models and a prompt.

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

namespace {

class method : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(methods, method, ::testing::Values(SPECDEC_METHODS),
                         [](const auto& described) { return described.param; });

/// What the program prints, error messages too; empty if it fails.
std::string output_of(const std::string& command) {
  FILE* program = popen((command + " 2>&1").c_str(), "r");
  if (program == nullptr) return {};
  std::string printed;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), program) != nullptr) printed += buffer.data();
  return pclose(program) == 0 ? printed : std::string();
}

TEST_P(method, runs_by_itself) { EXPECT_GT(output_of(SPECDEC_METHODS_DIR "/" + GetParam()).size(), 50U); }

TEST_P(method, goes_on_with_a_prompt) {
  const std::string prompt = "The old king had three daughters, and";
  EXPECT_NE(output_of(SPECDEC_METHODS_DIR "/" + GetParam() + " '" + prompt + "'").find(prompt), std::string::npos);
}

}  // namespace
