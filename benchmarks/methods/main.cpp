#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <program/interruption.hpp>
#include <program/progress.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>

#include "comparison.hpp"
#include "options.hpp"
#include "report.hpp"

namespace methods {
namespace {

using program::interruption;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) return success;
  interruption::listen();
  std::vector<baseline> plain;
  std::vector<comparison> all;
  std::string table = head(*asked);
  {
    program::progress_bar progress(stderr, static_cast<double>(asked->weights.size() * asked->temperatures.size() *
                                                               asked->methods.size() * steps_of_a_comparison));
    for (const toy::weight_format weights : asked->weights) {
      contest contest(*asked, weights);
      for (const double temperature : asked->temperatures) {
        if (interruption::stop_requested()) break;
        plain.push_back(contest.plain(temperature));
        table += line(plain.back());
        for (const measurement::method* method : asked->methods) {
          if (interruption::stop_requested()) break;
          double done = 0;
          comparison found = contest.compare(*method, temperature, [&](const char* what) {
            progress.step(
                done, fmt::format("{}, {}, temperature {}: {}", method->name,
                                  weights == toy::weight_format::float16 ? "float16" : "float32", temperature, what));
            done = 1;
          });
          if (interruption::stop_requested()) break;
          progress.step(done, method->name);
          table += line(found);
          all.push_back(std::move(found));
        }
      }
    }
  }
  if (asked->json) {
    fmt::print("{}", to_json(*asked, plain, all));
  } else {
    fmt::print("{}{}", table, notes(all));
  }
  program::terminal(stdout, false).close();
  return interruption::stop_requested() ? interrupted : success;
}

void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "methods: %s%s\n", what, advice);
}

}  // namespace
}  // namespace methods

int main(int argc, char** argv) {
  try {
    return methods::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    methods::complain(error.what(), " (--help lists the options)");
    return methods::wrong_usage;
  } catch (const std::bad_alloc&) {
    methods::complain("the models and their contexts need more memory than there is");
    return methods::failure;
  } catch (const std::exception& error) {
    methods::complain(error.what());
    return methods::failure;
  }
}
