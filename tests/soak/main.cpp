// An hour of generation with random options, methods, stops, cancels, resumes, forks and batches on the bundled models:
// every text must be what it is without all that, and memory must not grow.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <program/interruption.hpp>
#include <program/progress.hpp>
#include <program/values.hpp>
#include <study/bundled.hpp>
#include <study/command_line.hpp>

#include "ledger.hpp"

namespace soak {
namespace {

using program::interruption;
using clock = std::chrono::steady_clock;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

constexpr std::string_view help_text = R"(Generates in every way and through every mishap, and compares the texts.

  soak [options]

Every episode draws prompt, method, rule, sampling, stops, turns, driver and mishaps by chance, plays the texts calmly
and through the mishaps, and where the rule does not ask the draft plainly, too; all must be the same token for token,
and no memory may be left behind. Exit code 1 if something is not; what it prints then plays that episode alone.

  --minutes N          how long [{minutes}]
  --episodes N         no more than so many episodes
  --episode K          only that one, which says what it does
  --seed N             the same seed draws the same episodes [{seed}]
  -h, --help           print this
)";

struct options {
  std::size_t minutes = 60;
  std::size_t episodes = std::numeric_limits<std::uint32_t>::max();
  std::optional<std::size_t> episode;
  std::uint64_t seed = 1;
};

std::optional<options> parse(int argc, const char* const* argv) {
  options result;
  std::size_t seed = result.seed;
  study::command_line line;
  line.number("--minutes", result.minutes, 1, 100'000);
  line.number("--episodes", result.episodes, 1, result.episodes);
  line.option("--episode", [&](std::string_view text) {
    result.episode = program::parse_number<std::size_t>("--episode", text, 0, std::numeric_limits<std::uint32_t>::max(),
                                                        "the number of an episode");
  });
  line.number("--seed", seed, 0);
  if (line.parse(argc, argv)) {
    result.seed = seed;
    return result;
  }
  const options defaults;
  fmt::print(help_text, fmt::arg("minutes", defaults.minutes), fmt::arg("seed", defaults.seed));
  return std::nullopt;
}

int play_one(ledger& account, const workplace& models, std::span<const method> methods, const options& asked) {
  const auto number = static_cast<std::uint32_t>(*asked.episode);
  dice chance(asked.seed, number);
  fmt::print("episode {} of seed {}: {}\n", number, asked.seed, draw_plan(chance, models, methods).describe());
  std::fflush(stdout);
  const auto wrong = account.play(number);
  fmt::print("{}\n", wrong ? *wrong : fmt::format("{} tokens compared, no divergence", account.compared()));
  return wrong ? failure : success;
}

int play_all(ledger& account, const options& asked) {
  constexpr std::uint32_t episodes_between_samples = 8;
  constexpr std::size_t most_failures = 20;
  const auto start = clock::now();
  const double seconds = 60 * static_cast<double>(asked.minutes);
  const auto spent = [&] { return std::chrono::duration<double>(clock::now() - start).count(); };
  // What ends first is what the bar shows.
  const auto share = [&](std::size_t done) {
    return std::max(spent() / seconds, static_cast<double>(done) / static_cast<double>(asked.episodes));
  };
  {
    program::progress_bar progress(stderr, 1);
    double shown = 0;
    for (std::uint32_t number = 0; number < asked.episodes && spent() < seconds; ++number) {
      if (interruption::stop_requested() || account.failures() >= most_failures) break;
      if (const auto wrong = account.play(number)) progress.write_line(*wrong);
      if (number % episodes_between_samples == 0) account.sample_memory();
      const double now = std::min(1.0, share(number + 1));
      progress.step(now - shown, fmt::format("{} episodes, {} tokens compared, {} divergences", account.episodes(),
                                             account.compared(), account.failures()));
      shown = now;
    }
  }
  fmt::print("soak, seed {}, {}\n\n{}", asked.seed, program::duration(spent()), account.table());
  if (account.failures() > 0 || account.grows()) return failure;
  return interruption::stop_requested() ? interrupted : success;
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) return success;
  interruption::listen();
  const workplace models(study::models_folder());
  const std::vector<method> methods = all_methods();
  ledger account(models, methods, asked->seed);
  return asked->episode ? play_one(account, models, methods, *asked) : play_all(account, *asked);
}

void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "soak: %s%s\n", what, advice);
}

}  // namespace
}  // namespace soak

int main(int argc, char** argv) {
  try {
    return soak::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    soak::complain(error.what(), " (--help lists the options)");
    return soak::wrong_usage;
  } catch (const std::exception& error) {
    soak::complain(error.what());
    return soak::failure;
  }
}
