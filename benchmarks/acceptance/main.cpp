#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <program/interruption.hpp>
#include <program/progress.hpp>
#include <program/terminal.hpp>
#include <program/values.hpp>

#include "options.hpp"
#include "plots.hpp"
#include "store.hpp"
#include "study.hpp"
#include "tables.hpp"

namespace acceptance {
namespace {

using program::interruption;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

// A round costs about as much as two calls of the target, and two tokens of a draft as much as ten of it.
double work_of(const cell_name& name) { return 10 + static_cast<double>(name.gamma); }

void measure(const options& asked, store& kept) {
  study at_work(asked);
  std::vector<cell_name> todo;
  double all = 0, done = 0;
  std::size_t count = 0;
  for (cell_name& name : at_work.names()) {
    ++count;
    all += work_of(name);
    if (kept.finished().count(name) > 0) {
      done += work_of(name);
    } else {
      todo.push_back(std::move(name));
    }
  }
  if (todo.size() < count && !todo.empty()) {
    fmt::print(stderr, "{} of {} cells are there already\n", count - todo.size(), count);
  }
  program::progress_bar progress(stderr, all, done);
  for (const cell_name& name : todo) {
    progress.show(to_string(name));
    const std::optional<findings> found = at_work.measure(name);
    if (!found) return;
    kept.append({name, *found});
    progress.step(work_of(name), to_string(name));
  }
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be written", path.string()));
}

// Tasks that were asked for, or all there are.
std::vector<std::string> tasks_of(const options& asked, const cells& all) {
  if (!asked.tasks.empty()) return asked.tasks;
  std::vector<std::string> tasks;
  for (const auto& [name, found] : all) {
    if (std::find(tasks.begin(), tasks.end(), name.task) == tasks.end()) tasks.push_back(name.task);
  }
  std::sort(tasks.begin(), tasks.end());
  return tasks;
}

std::string target_size(const nlohmann::ordered_json& settings) {
  const double ballast = settings.value("ballast", 0.0);
  return ballast > 0 ? fmt::format("{:.0f}M", ballast / 1e6) : "4.3M";
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) return success;
  const std::filesystem::path file = asked->output / "acceptance.jsonl";
  interruption::listen();
  if (!asked->plot_only) {
    std::filesystem::create_directories(asked->output);
    store kept(file, settings_of(*asked));
    measure(*asked, kept);
  }
  const contents all = read(file);
  if (all.found.empty()) {
    fmt::print(stderr, "no cell is finished yet\n");
    return interruption::stop_requested() ? interrupted : success;
  }
  write(asked->output / "cells.csv", cells_csv(all.found));
  write(asked->output / "positions.csv", positions_csv(all.found));
  fmt::print("{}: {} cells\n", file.string(), all.found.size());
  if (interruption::stop_requested()) {
    fmt::print(stderr, "interrupted; the same command goes on from here\n");
    return interrupted;
  }
  const std::string weights = all.settings.value("weights", "") == "f16" ? "float16" : "float32";
  const std::vector<picture> pictures =
      pictures_of(all.found, *asked, tasks_of(*asked, all.found), weights, target_size(all.settings));
  const std::string missing = draw(pictures, asked->output);
  fmt::print("{}\n", pictures.empty()  ? "tables lie beside it; of what was asked for there is nothing to draw"
                     : missing.empty() ? "tables and pictures lie beside it"
                                       : missing);
  program::terminal(stdout, false).close();
  return success;
}

void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "acceptance: %s%s\n", what, advice);
}

}  // namespace
}  // namespace acceptance

int main(int argc, char** argv) {
  try {
    return acceptance::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    acceptance::complain(error.what(), " (--help lists the options)");
    return acceptance::wrong_usage;
  } catch (const std::bad_alloc&) {
    acceptance::complain("the models and their contexts need more memory than there is");
    return acceptance::failure;
  } catch (const std::exception& error) {
    acceptance::complain(error.what());
    return acceptance::failure;
  }
}
