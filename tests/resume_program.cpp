// Takes up snapshots of a setting of scenarios.hpp that another process wrote, and writes how each goes on:
//
//   resume_program SETTING DRAFTING SNAPSHOTS ANSWERS

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "scenarios.hpp"
#include "strings_file.hpp"

int main(int count, char** arguments) {
  if (count != 5) return EXIT_FAILURE;
  const auto chosen = static_cast<scenarios::setting>(std::atoi(arguments[1]));
  const auto kind = static_cast<scenarios::drafting>(std::atoi(arguments[2]));
  std::vector<std::string> answers;
  for (const std::string& snapshot : strings_file::read(arguments[3])) {
    specdec::session text(scenarios::vocab_size, scenarios::options_of(chosen));
    text.restore(std::as_bytes(std::span(snapshot)));
    scenarios::models with(chosen, kind);
    scenarios::heard rest;
    scenarios::run_to_the_end(text, with, std::ref(rest));
    answers.insert(answers.end(), {rest.tokens, rest.text, scenarios::state_of(text)});
  }
  strings_file::write(arguments[4], answers);
}
