// Counts what the lossless rules emit, by the hundred million tokens, and holds it against the exact law.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <program/interruption.hpp>
#include <program/progress.hpp>
#include <program/values.hpp>
#include <study/command_line.hpp>

#include "cases.hpp"
#include "counting.hpp"
#include "page.hpp"
#include "tally.hpp"

namespace frequencies {
namespace {

using program::interruption;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

constexpr std::string_view help_text = R"(What the lossless rules emit, counted and held against the exact law.

  frequencies [options]

Generates texts of {length} tokens with every lossless rule, over several kinds of drafts and sampling settings, and tests the
counts (G-test) for the exact joint law. Exit code 1 if a rule is off, or a known mistake is not found. The counts lie
in a file: the same command goes on where it was interrupted, and with more --tokens from where it ended.

  --tokens N           tokens of each rule, over all its drafts and settings [{tokens}]
  --mistakes           count known mistakes too, each until it must show or a quarter of that
  --output FILE        where the counts lie [{output}]
  --threads N          [one per processor]
  --seed N             the same seed gives the same counts [{seed}]
  -h, --help           print this
)";

struct options {
  std::size_t tokens = 1'000'000;
  bool mistakes = false;
  std::string output = "frequencies.json";
  std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t seed = 1;
};

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  study::command_line line;
  line.number("--tokens", result.tokens, 1, 1'000'000'000'000);
  line.flag("--mistakes", result.mistakes);
  line.text("--output", result.output);
  line.number("--threads", result.threads, 1, 1024);
  line.option("--seed", [&](std::string_view text) {
    result.seed = program::parse_number<std::uint64_t>("--seed", text, 0, std::numeric_limits<std::uint32_t>::max(),
                                                       "a whole number from 0 to 4294967295");
  });
  if (line.parse(argc, argv)) return result;
  const options defaults;
  fmt::print(help_text, fmt::arg("length", text_length), fmt::arg("tokens", defaults.tokens),
             fmt::arg("output", defaults.output), fmt::arg("seed", defaults.seed));
  return std::nullopt;
}

tallies counted(const options& asked, std::span<const generation_case> cases) {
  constexpr double seconds_between_writes = 10;
  const sole_use of_the_file(asked.output);
  tallies before = read_tallies(asked.output, asked.seed);
  // Whether it can be written is better known before the work than behind it.
  write_tallies(asked.output, asked.seed, before);
  const std::vector<std::size_t> blocks = blocks_for(cases, asked.tokens);
  const std::size_t left = blocks_left(cases, blocks, before);
  const auto total = static_cast<double>(std::accumulate(blocks.begin(), blocks.end(), std::size_t{0}));
  program::progress_bar progress(stderr, total, total - static_cast<double>(left));
  const auto start = std::chrono::steady_clock::now();
  double next_write = 0;
  std::size_t done = 0;
  counting how{.seed = asked.seed, .blocks = blocks, .threads = asked.threads};
  how.stops = interruption::stop_requested;
  how.report = [&](const std::string& at_work, std::size_t now, const tallies& so_far) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double rate = static_cast<double>(now * tokens_per_block) / seconds;
    progress.step(static_cast<double>(now - done), fmt::format("{:.2f} M tokens/s  {}", rate / 1e6, at_work));
    done = now;
    if (now == 0 || seconds < next_write) return;
    write_tallies(asked.output, asked.seed, so_far);
    next_write = seconds + seconds_between_writes;
  };
  tallies result = count(cases, how, std::move(before));
  write_tallies(asked.output, asked.seed, result);
  return result;
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) return success;
  interruption::listen();
  std::vector<generation_case> cases = lossless_cases();
  if (asked->mistakes) {
    for (generation_case& one : mistaken_cases()) cases.push_back(std::move(one));
  }
  const tallies found = counted(*asked, cases);
  if (interruption::stop_requested()) {
    fmt::print(stderr, "interrupted; the same command goes on from here\n");
    return interrupted;
  }
  const findings page = examine(cases, found);
  fmt::print("{}", page_of(page));
  return page.are_as_they_should() ? success : failure;
}

void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "frequencies: %s%s\n", what, advice);
}

}  // namespace
}  // namespace frequencies

int main(int argc, char** argv) {
  try {
    return frequencies::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    frequencies::complain(error.what(), " (--help lists the options)");
    return frequencies::wrong_usage;
  } catch (const std::exception& error) {
    frequencies::complain(error.what());
    return frequencies::failure;
  }
}
