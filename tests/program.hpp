#ifndef SPECDEC_TESTS_PROGRAM_HPP
#define SPECDEC_TESTS_PROGRAM_HPP

/// @file
/// Runs the program SPECDEC_PROGRAM.

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "shell.hpp"

namespace program_test {

namespace fs = std::filesystem;
using arguments = std::vector<std::string>;

inline const fs::path models = SPECDEC_MODELS_DIR;

inline std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// What the program did.
struct answer {
  int code = -1;
  std::string out, err;
};

class program : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "program_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path file(const std::string& name) const { return folder_ / name; }

  [[nodiscard]] answer run(const arguments& given, const std::string& input = "") const {
    write(file("in"), input);
    using shell::quoted;
    std::string command = quoted(SPECDEC_PROGRAM);
    for (const std::string& argument : given) command.append(" ").append(quoted(argument));
    command.append(" <").append(quoted(file("in").string()));
    command.append(" >").append(quoted(file("out").string())).append(" 2>").append(quoted(file("err").string()));
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents(file("out")), contents(file("err"))};
  }

  /// Becomes the program.
  [[noreturn]] static void execute(const arguments& given) {
    std::vector<char*> argv{const_cast<char*>(SPECDEC_PROGRAM)};
    for (const std::string& argument : given) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(SPECDEC_PROGRAM, argv.data());
    _exit(127);
  }

  /// What the program writes to a terminal.
  [[nodiscard]] static std::string run_on_terminal(const arguments& given, const char* no_color) {
    int master = -1;
    const pid_t child = forkpty(&master, nullptr, nullptr, nullptr);
    if (child == 0) {
      if (no_color != nullptr) setenv("NO_COLOR", no_color, 1);
      setenv("TERM", "xterm", 1);
      execute(given);
    }
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(master, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
    close(master);
    waitpid(child, nullptr, 0);
    return text;
  }

  /// A run that must fail with this code and one line that contains all the words.
  void expect_failure(const arguments& given, int code, const std::vector<std::string>& words,
                      const std::string& input = "") const {
    const answer got = run(given, input);
    EXPECT_EQ(got.code, code) << got.err;
    EXPECT_EQ(got.out, "");
    EXPECT_EQ(got.err.rfind(fs::path(SPECDEC_PROGRAM).filename().string() + ": ", 0), 0U) << got.err;
    EXPECT_EQ(std::count(got.err.begin(), got.err.end(), '\n'), 1) << got.err;
    for (const std::string& word : words) EXPECT_NE(got.err.find(word), std::string::npos) << word << " in " << got.err;
  }

 private:
  fs::path folder_;
};

inline arguments with(arguments given, const arguments& more) {
  given.insert(given.end(), more.begin(), more.end());
  return given;
}

}  // namespace program_test

#endif  // SPECDEC_TESTS_PROGRAM_HPP
