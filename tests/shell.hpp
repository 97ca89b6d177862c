#ifndef SPECDEC_TESTS_SHELL_HPP
#define SPECDEC_TESTS_SHELL_HPP

/// @file
/// Runs commands by the shell.

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace shell {

/// One word of a command, whatever is in it.
[[nodiscard]] inline std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) c == '\'' ? word.append("'\\''") : word.append(1, c);
  return word += "'";
}

/// What a command did.
struct answer {
  int code = -1;  ///< the exit code; -1 if it was not run, or did not end by itself
  std::string printed;
};

/// Runs a command to its end, and keeps what it writes to standard output.
[[nodiscard]] inline answer output_of(const std::string& command) {
  std::FILE* const program = popen(command.c_str(), "r");
  if (program == nullptr) return {};
  answer made;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), program) != nullptr) made.printed += buffer.data();
  const int status = pclose(program);
  if (WIFEXITED(status)) made.code = WEXITSTATUS(status);
  return made;
}

}  // namespace shell

#endif  // SPECDEC_TESTS_SHELL_HPP
