#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/interruption.hpp>
#include <program/progress.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>
#include <study/bundled.hpp>

#include "blocks.hpp"
#include "options.hpp"
#include "shapes.hpp"

namespace trees {
namespace {

using program::interruption;
using specdec::tree_shape;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

std::vector<study::tokens> all_of(const study::prompts_by_task& prompts) {
  std::vector<study::tokens> all;
  for (const auto& [task, of_task] : prompts) all.insert(all.end(), of_task.begin(), of_task.end());
  return all;
}

std::string blocks_table(const options& asked, const measurement::model_pair& models,
                         const study::prompts_by_task& prompts, program::progress_bar& progress) {
  std::string table = fmt::format(
      "Tokens per call of the target, the same drafted chains verified token by token and "
      "as blocks, temperature {}\n{:<12} {:>5} {:>9} {:>9} {:>7} {:>7}\n",
      asked.temperature, "task", "gamma", "by token", "by block", "gain", "chains");
  for (const auto& [task, of_task] : prompts) {
    if (interruption::stop_requested()) break;
    const kept_of_chains found = verify_both_ways(asked, models, of_task);
    progress.step(1, fmt::format("blocks, {}", task));
    if (found.chains() == 0) continue;
    for (std::size_t gamma = 1; gamma <= asked.gamma; ++gamma) {
      const double by_token = found.by_token(gamma), by_block = found.by_block(gamma);
      table +=
          fmt::format("{:<12} {:>5} {:>9.3f} {:>9.3f} {:>+6.1f}% {:>7}\n", gamma == 1 ? task : "", gamma, by_token,
                      by_block, 100 * (by_block / by_token - 1), gamma == 1 ? fmt::format("{}", found.chains()) : "");
    }
  }
  return table;
}

std::string trees_table(const options& asked, workbench& bench, const specdec::sibling_acceptance& acceptance,
                        program::progress_bar& progress) {
  const specdec::best_trees best(acceptance, asked.nodes.back(), asked.depth);
  std::string table = fmt::format(
      "\nTokens per call of the target, temperature {}\n{:>5} {:>9} {:>6} {:>9} {:>9} {:>6} {:>9} {:>9} {:>10}\n",
      asked.temperature, "nodes", "chain", "best", "predicted", "measured", "off", "constant", "dynamic", "over chain");
  double best_chain = 0;
  std::size_t best_length = 0;
  std::uint32_t stream = 0;
  for (const std::size_t nodes : asked.nodes) {
    if (interruption::stop_requested()) break;
    const double chain = bench.try_shape(tree_shape::chain(std::min(nodes, asked.depth)), ++stream).tokens_per_call();
    if (chain > best_chain) {
      best_chain = chain;
      best_length = std::min(nodes, asked.depth);
    }
    const tree_shape shape = best.shape(nodes, asked.depth);
    const double predicted = specdec::theory::expected_tokens(shape, acceptance);
    const double measured = bench.try_shape(shape, ++stream).tokens_per_call();
    const double constant = bench.try_shape(constant_shape(nodes, 2), ++stream).tokens_per_call();
    const double dynamic = bench.try_dynamic(nodes, asked.depth, ++stream).tokens_per_call();
    progress.step(1, fmt::format("trees of {}", nodes));
    table += fmt::format("{:>5} {:>9.3f} {:>6} {:>9.3f} {:>9.3f} {:>+5.1f}% {:>9.3f} {:>9.3f} {:>+9.1f}%\n", nodes,
                         best_chain, best_length, predicted, measured, 100 * (predicted / measured - 1), constant,
                         dynamic, 100 * (std::max(measured, dynamic) / best_chain - 1));
  }
  return table;
}

/// What a call for so many tokens takes, as far as a progress bar must know: reading the weights takes as long as
/// computing for 8 tokens.
double work_of_call(std::size_t tokens) { return static_cast<double>(8 + tokens); }

std::string speed_table(const options& asked, std::span<const study::tokens> texts,
                        const specdec::sibling_acceptance& acceptance) {
  study::model_shelf shelf(toy::weight_format::float32, asked.ballast, 0);
  const auto& timed = shelf.pair_for(measurement::find_method("rejection"));
  const specdec::best_trees best(acceptance, asked.nodes.back(), asked.depth);
  const auto few = texts.first(std::min<std::size_t>(texts.size(), 6));
  const auto work_of_rounds = [&](std::size_t nodes) {
    return static_cast<double>(asked.rounds) * (work_of_call(nodes + 1) + work_of_call(1));
  };
  const std::size_t chains[] = {2, 4};
  // What is told of calls, and the chains, want the costs of 8 tokens, however small the trees.
  const std::size_t most = std::max<std::size_t>(asked.nodes.back(), 7);
  const double work_of_costs = static_cast<double>(asked.tokens) * work_of_call(3) / 2 + 50 * work_of_call(most);
  double work = work_of_costs * static_cast<double>(few.size()) + work_of_rounds(chains[0]);
  for (const std::size_t nodes : chains) work += work_of_rounds(nodes);
  for (const std::size_t nodes : asked.nodes) work += work_of_rounds(nodes);
  program::progress_bar progress(stderr, work);
  progress.show("costs");
  const auto costs = measure_costs(asked, timed, few, most, [&] { progress.step(work_of_costs, "costs"); });
  if (!costs) return {};
  const tree_shape chosen = best.fastest(costs->view());
  const double plain = 1 / specdec::theory::round_time(tree_shape(), costs->view());
  std::vector<std::size_t> sizes{1, 2, 4, 8};
  if (costs->target.size() > sizes.back()) sizes.push_back(costs->target.size());
  std::vector<double> milliseconds;
  for (const std::size_t size : sizes) milliseconds.push_back(1e3 * costs->target[size - 1]);
  std::string table = fmt::format(
      "\nSpeed over plain decoding, float32, ballast to {:.0f}M parameters; a call for {} tokens costs {:.1f} ms, "
      "a level of drafting {:.1f} ms\n{:<24} {:>9} {:>9}\n",
      static_cast<double>(asked.ballast) / 1e6, fmt::join(sizes, ", "), fmt::join(milliseconds, ", "),
      1e3 * costs->draft_level, "shape", "predicted", "measured");
  const auto line = [&](const std::string& name, const tree_shape& shape) {
    if (interruption::stop_requested()) return;
    const double predicted =
        specdec::theory::expected_tokens(shape, acceptance) / specdec::theory::round_time(shape, costs->view()) / plain;
    table += fmt::format("{:<24} {:>9.2f} {:>9.2f}\n", name, predicted,
                         measured_speedup(asked, timed, few, shape, asked.rounds));
    progress.step(work_of_rounds(shape.size()), name);
  };
  line(fmt::format("chosen: {} of {}", chosen.is_chain() ? "chain" : "tree", chosen.size()), chosen);
  for (const std::size_t nodes : chains) {
    line(fmt::format("chain of {}", nodes), tree_shape::chain(nodes));
  }
  for (const std::size_t nodes : asked.nodes) {
    line(fmt::format("best tree of {}", nodes), best.shape(nodes, asked.depth));
  }
  return table;
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) return success;
  interruption::listen();
  study::model_shelf shelf(toy::weight_format::float32, 0, 0);
  const measurement::model_pair& models = shelf.pair_for(measurement::find_method("rejection"));
  const study::prompts_by_task prompts = study::bundled_prompts(models.target.tokenizer, asked->prompts);
  const std::vector<study::tokens> texts = all_of(prompts);
  std::optional<specdec::sibling_acceptance> acceptance;
  std::string report;
  {
    program::progress_bar progress(stderr, static_cast<double>(prompts.size() + 1 + asked->nodes.size()));
    report = blocks_table(*asked, models, prompts, progress);
    workbench bench(*asked, models, texts);
    acceptance = measure_acceptance(bench, asked->nodes.back(), asked->depth);
    progress.step(1, "acceptance of siblings");
    report += trees_table(*asked, bench, *acceptance, progress);
  }
  fmt::print("{}", report);
  std::fflush(stdout);
  if (asked->rounds > 0 && !interruption::stop_requested()) fmt::print("{}", speed_table(*asked, texts, *acceptance));
  program::terminal(stdout, false).close();
  return interruption::stop_requested() ? interrupted : success;
}

}  // namespace
}  // namespace trees

int main(int argc, char** argv) {
  try {
    return trees::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    std::fprintf(stderr, "trees: %s (--help lists the options)\n", error.what());
    return trees::wrong_usage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "trees: %s\n", error.what());
    return trees::failure;
  }
}
