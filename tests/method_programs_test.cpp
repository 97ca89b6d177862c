// Every program of examples/methods runs, with the bundled models and a prompt.

#include <gtest/gtest.h>

#include <string>

#include "shell.hpp"

namespace {

class method : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(methods, method, ::testing::Values(SPECDEC_METHODS),
                         [](const auto& described) { return described.param; });

/// What the program of a method does with these arguments; it prints error messages, too.
shell::answer run(const std::string& name, const std::string& arguments = "") {
  return shell::output_of(shell::quoted(SPECDEC_METHODS_DIR "/" + name) + arguments + " 2>&1");
}

TEST_P(method, runs_by_itself) {
  const auto [code, printed] = run(GetParam());
  EXPECT_EQ(code, 0) << printed;
  EXPECT_GT(printed.size(), 50U);
}

TEST_P(method, goes_on_with_a_prompt) {
  const std::string prompt = "The old king had three daughters, and";
  const auto [code, printed] = run(GetParam(), " " + shell::quoted(prompt));
  EXPECT_EQ(code, 0) << printed;
  EXPECT_NE(printed.find(prompt), std::string::npos) << printed;
}

}  // namespace
