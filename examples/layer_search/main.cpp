// Searches what a model should skip when it drafts for itself (Draft & Verify, Zhang et al. 2024).

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <program/interruption.hpp>
#include <program/language_model.hpp>
#include <program/progress.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>
#include <specdec/specdec.hpp>

#include "bayesian_search.hpp"
#include "skip_file.hpp"
#include "speed_meter.hpp"

namespace layer_search {
namespace {

using program::interruption;
using specdec::layer_skip;

constexpr const char* description =
    "Searches which attention and feed-forward blocks a model should leave out when it drafts for itself, by Bayesian\n"
    "optimisation of its tokens per second (Draft & Verify, Zhang et al. 2024). Whatever is left out, the text stays\n"
    "the model's own. The result goes to a file that `generate --method draft_verify --skip FILE` takes.";

struct options {
  std::string model = SPECDEC_MODELS_DIR "/target.gguf";
  std::string prompts = SPECDEC_MODELS_DIR "/prompts.jsonl";
  std::string output = "skip.json";
  std::size_t evaluations = 60;
  std::size_t predict = 48;
  double temperature = 0;
  std::uint64_t seed = 0;
  unsigned threads = 0;
};

/// The options, or nothing if the command line only asks for help, which is then printed.
bool parse(int argc, char** argv, options& result) {
  std::string evaluations, predict, temperature, seed, threads;
  CLI::App app(description, "layer_search");
  app.add_option("-m,--model", result.model, "GGUF file of the model (the bundled target)")->type_name("FILE");
  app.add_option("-f,--prompts", result.prompts, "a JSON object with \"prompt\" per line (the bundled ones)")
      ->type_name("FILE");
  app.add_option("-o,--output", result.output, "file for the result (skip.json)")->type_name("FILE");
  app.add_option("-e,--evaluations", evaluations, "how many ways to skip are timed (60)")->type_name("N");
  app.add_option("-n,--predict", predict, "tokens generated behind each prompt (48)")->type_name("N");
  app.add_option("--temp", temperature, "temperature; 0 is greedy (0)")->type_name("T");
  app.add_option("-s,--seed", seed, "seed of the search and of the texts (0)")->type_name("N");
  app.add_option("-t,--threads", threads, "threads (one per hardware thread)")->type_name("N");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    app.exit(help);
    return false;
  } catch (const CLI::ParseError& error) {
    throw program::usage_error(error.what());
  }
  const auto count = [](const char* name, const std::string& text, auto& value, auto least, auto most,
                        const char* expected) {
    using number = std::remove_reference_t<decltype(value)>;
    if (!text.empty())
      value =
          program::parse_number<number>(name, text, static_cast<number>(least), static_cast<number>(most), expected);
  };
  count("--evaluations", evaluations, result.evaluations, 1, 100'000, "a number from 1 to 100000");
  count("--predict", predict, result.predict, 2, 100'000, "a number of tokens from 2 up");
  count("--temp", temperature, result.temperature, 0, 100, "a temperature from 0 to 100");
  count("--seed", seed, result.seed, 0, std::numeric_limits<std::uint64_t>::max(), "a whole number from 0 up");
  count("--threads", threads, result.threads, 1, 256, "a number of threads, 1 to 256");
  return true;
}

/// Prompts to search with, and others to compare with, so that the result is not praised for what it was made for.
struct prompt_sets {
  std::vector<prompt> search, comparison;
};

prompt_sets read_prompts(const options& asked, const toy::tokenizer& tokenizer) {
  constexpr std::size_t searched = 4, compared = 8;
  std::ifstream file(asked.prompts);
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be opened to read prompts", asked.prompts));
  std::vector<prompt> all;
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      all.push_back(tokenizer.encode(nlohmann::json::parse(line).at("prompt").get<std::string>()));
    } catch (const nlohmann::json::exception& error) {
      throw std::runtime_error(fmt::format("{}, line {}: expected an object with a text as its \"prompt\": {}",
                                           asked.prompts, number, error.what()));
    }
  }
  if (all.size() < 2) {
    throw std::runtime_error(fmt::format("{}: expected at least 2 prompts; got {}", asked.prompts, all.size()));
  }
  // Evenly over the file: its tasks follow one another.
  prompt_sets sets;
  const std::size_t wanted = std::min(searched + compared, all.size());
  for (std::size_t i = 0; i < wanted; ++i) {
    (i % 3 == 0 ? sets.search : sets.comparison).push_back(std::move(all[i * all.size() / wanted]));
  }
  return sets;
}

layer_skip skip_of(const choices& point) {
  std::vector<std::size_t> attention, feed_forward;
  for (std::size_t i = 0; i < point.size(); ++i) {
    if (point[i] != 0) (i % 2 == 0 ? attention : feed_forward).push_back(i / 2);
  }
  return {point.size() / 2, attention, feed_forward};
}

choices point_of(const layer_skip& skip) {
  choices point;
  for (std::size_t layer = 0; layer < skip.layer_count(); ++layer) {
    point.push_back(skip.skips_attention(layer) ? 1 : 0);
    point.push_back(skip.skips_feed_forward(layer) ? 1 : 0);
  }
  return point;
}

std::string described(const layer_skip& skip) {
  std::vector<std::size_t> attention, feed_forward;
  for (std::size_t layer = 0; layer < skip.layer_count(); ++layer) {
    if (skip.skips_attention(layer)) attention.push_back(layer);
    if (skip.skips_feed_forward(layer)) feed_forward.push_back(layer);
  }
  return fmt::format("attention of layers [{}], feed-forward of [{}]", fmt::join(attention, " "),
                     fmt::join(feed_forward, " "));
}

/// What the search believes best, with the speed it had, or the best so far if the user interrupts.
std::pair<layer_skip, double> search(const options& asked, std::size_t layers, std::span<const prompt> prompts,
                                     speed_meter& meter) {
  // Early exits are what one would try first, and nothing left out is what all else must beat.
  std::vector<choices> first{point_of(layer_skip(layers))};
  for (const std::size_t quarters : {1U, 2U, 3U}) {
    first.push_back(point_of(layer_skip::early_exit(layers, layers * quarters / 4)));
  }
  bayesian_search space(2 * layers, {.initial = first.size() + 12, .seed = asked.seed});
  program::progress_bar bar(stderr, static_cast<double>(asked.evaluations));
  double fastest = 0;
  for (std::size_t i = 0; i < asked.evaluations; ++i) {
    const auto best = fmt::format("best so far {:.0f} tokens/s", fastest);
    i == 0 ? bar.show(best) : bar.step(1, best);
    const choices point = i < first.size() ? first[i] : space.propose();
    const double speed = meter.tokens_per_second(prompts, skip_of(point));
    if (interruption::stop_requested()) break;
    space.observe(point, speed);
    if (speed <= fastest) continue;
    fastest = speed;
    bar.write_line(fmt::format("{:>4}  {:6.0f} tokens/s  {}", i + 1, speed, described(skip_of(point))));
  }
  if (space.observations().empty()) throw std::runtime_error("interrupted before anything was timed");
  const auto& [point, speed] = space.best();
  return {skip_of(point), speed};
}

void run(const options& asked) {
  constexpr std::size_t repetitions = 7;
  const auto loaded = program::load_model(asked.model, {.threads = asked.threads});
  const prompt_sets prompts = read_prompts(asked, loaded.tokenizer);
  speed_meter meter(loaded.model, {.max_tokens = asked.predict, .sampling = {asked.temperature}, .seed = asked.seed});
  interruption::listen();
  const auto [skip, speed] = search(asked, loaded.model.layer_count(), prompts.search, meter);
  finding result{std::filesystem::path(asked.model).filename().string(), skip, speed};
  fmt::print("{} leaves out {} of {} blocks: {}\n", result.model, skip.skipped_blocks(), 2 * skip.layer_count(),
             described(skip));
  const comparison found = meter.compare(prompts.comparison, skip, repetitions);
  if (interruption::stop_requested()) {
    fmt::print("interrupted: the best so far, not compared with plain generation\n");
  } else {
    result.tokens_per_second = found.tokens_per_second;
    result.speedup = found.speedup;
    fmt::print("on {} other prompts, {} times by turns: plain {:.0f} tokens/s, drafting for itself {:.0f}\n",
               prompts.comparison.size(), repetitions, found.plain_tokens_per_second, found.tokens_per_second);
    fmt::print("speed-up {:.2f} ({:.2f} to {:.2f}); acceptance rate {:.2f}, {:.2f} tokens per call\n", found.speedup,
               found.least, found.most, found.stats.alpha(), found.stats.mean_acceptance_length());
    if (found.speedup < 1) fmt::print("this model is faster without\n");
  }
  save(result, asked.output);
  fmt::print("written to {}\n", asked.output);
}

}  // namespace
}  // namespace layer_search

int main(int argc, char** argv) {
  try {
    layer_search::options asked;
    if (layer_search::parse(argc, argv, asked)) layer_search::run(asked);
    program::terminal(stdout, false).close();
    return layer_search::interruption::stop_requested() ? 130 : 0;
  } catch (const program::usage_error& error) {
    fmt::print(stderr, "layer_search: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "layer_search: {}\n", error.what());
    return 1;
  }
}
