#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include <program/interruption.hpp>
#include <program/terminal.hpp>

#include "advice.hpp"
#include "allotted_time.hpp"
#include "check.hpp"
#include "examination.hpp"
#include "options.hpp"
#include "patient.hpp"
#include "report.hpp"

namespace doctor {
namespace {

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

/// One line on standard error. If that cannot be written either, the exit code must do: nothing throws here.
void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "doctor: %s%s\n", what, advice);
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) {
    program::terminal(stdout, false).close();
    return success;
  }
  patient pair(*asked);
  const program::terminal out(stdout, asked->color);
  program::interruption::listen();
  findings found;
  found.target = &pair.target();
  found.draft = &pair.draft();
  found.prompts_without_room = pair.prompts_without_room();
  {
    allotted_time time(asked->seconds);
    found.measured = examine(pair, time);
  }
  if (program::interruption::stop_requested()) {
    complain("interrupted before there was an answer");
    return interrupted;
  }
  found.given = advise(found.measured, asked->seed);
  if (asked->check_seconds) {
    allotted_time time(*asked->check_seconds);
    check_result checked = check(pair, found.given, time, asked->seed);
    if (checked.texts > 0) found.checked = std::move(checked);
  }
  out.write_styled(asked->json ? to_json(*asked, found) : to_text(*asked, found, out));
  out.close();
  return program::interruption::stop_requested() ? interrupted : success;
}

}  // namespace
}  // namespace doctor

int main(int argc, char** argv) {
  try {
    return doctor::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    doctor::complain(error.what(), " (--help lists the options)");
    return doctor::wrong_usage;
  } catch (const std::bad_alloc&) {
    doctor::complain("the models and their contexts need more memory than there is");
    return doctor::failure;
  } catch (const std::exception& error) {
    doctor::complain(error.what());
    return doctor::failure;
  }
}
