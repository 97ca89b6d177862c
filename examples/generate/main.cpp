#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>

#include <program/interruption.hpp>
#include <program/terminal.hpp>

#include "options.hpp"
#include "toy_engine.hpp"
#include "writing.hpp"

namespace generate {
namespace {

using program::interruption;
using program::terminal;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) {
    terminal(stdout, false).close();
    return success;
  }
  const std::unique_ptr<engine> engine = load_toy_engine(*asked);
  const terminal out(stdout, asked->color), log(stderr, asked->color);
  interruption::listen();
  write_and_report(*asked, *engine, out, log);
  return interruption::stop_requested() ? interrupted : success;
}

/// One line on standard error. If that cannot be written either, the exit code must do: nothing throws here.
void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "generate: %s%s\n", what, advice);
}

}  // namespace
}  // namespace generate

int main(int argc, char** argv) {
  try {
    return generate::main_of(argc, argv);
  } catch (const generate::usage_error& error) {
    generate::complain(error.what(), " (--help lists the options)");
    return generate::wrong_usage;
  } catch (const std::bad_alloc&) {
    generate::complain("the models and their contexts need more memory than there is");
    return generate::failure;
  } catch (const std::exception& error) {
    generate::complain(error.what());
    return generate::failure;
  }
}
