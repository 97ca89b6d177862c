#include <cstdio>
#include <exception>
#include <new>
#include <optional>

#include <generate/writing.hpp>
#include <program/interruption.hpp>
#include <program/json.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>
#include <specdec/adapters/llama_cpp.hpp>

#include "comparison.hpp"
#include "comparison_report.hpp"
#include "consultation.hpp"
#include "engine.hpp"
#include "options.hpp"

namespace llama {
namespace {

using program::interruption;
using program::terminal;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

/// One line on standard error. If that cannot be written either, the exit code must do: nothing throws here.
void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "specdec_llama: %s%s\n", what, advice);
}

/// Compares, and says what came of it. False if there is nothing to say.
bool compare_and_report(const engine& models, const options& asked, const terminal& out) {
  const comparison found = compare(models, asked);
  if (found.runs.empty()) return false;
  out.write_styled(asked.json ? program::on_one_line(to_json(asked, models, found))
                              : to_table(asked, models, found, out));
  return true;
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) {
    terminal(stdout, false).close();
    return success;
  }
  specdec::llama_cpp::log_errors_only();
  specdec::llama_cpp::load_backends();
  const engine models(*asked);
  const terminal out(stdout, asked->color), log(stderr, asked->color);
  interruption::listen();
  if (asked->what == task::generate) {
    generate::write_and_report(*asked, models, out, log);
  } else {
    const bool told =
        asked->what == task::examine ? consult(models, *asked, out) : compare_and_report(models, *asked, out);
    if (!told) {
      complain("interrupted before there was an answer");
      return interrupted;
    }
    out.close();
  }
  return interruption::stop_requested() ? interrupted : success;
}

}  // namespace
}  // namespace llama

int main(int argc, char** argv) {
  try {
    return llama::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    llama::complain(error.what(), " (--help lists the options)");
    return llama::wrong_usage;
  } catch (const std::bad_alloc&) {
    llama::complain("the models and their contexts need more memory than there is");
    return llama::failure;
  } catch (const std::exception& error) {
    llama::complain(error.what());
    return llama::failure;
  }
}
