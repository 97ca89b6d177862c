#ifndef PROGRAM_TEXT_FILE_HPP
#define PROGRAM_TEXT_FILE_HPP

/// @file
/// Files with prompts.

#include <string>

namespace program {

/// A file's bytes. Throws std::runtime_error naming the file if it cannot be read.
[[nodiscard]] std::string read_file(const std::string& path);

/// The prompt in a file, or for '-' on standard input, without its last line's end: the text that continues it should
/// go on in that line. Throws as `read_file`.
[[nodiscard]] std::string read_prompt(const std::string& path);

}  // namespace program

#endif  // PROGRAM_TEXT_FILE_HPP
