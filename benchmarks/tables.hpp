#ifndef SPECDEC_BENCHMARKS_TABLES_HPP
#define SPECDEC_BENCHMARKS_TABLES_HPP

/// @file
/// Google Benchmark's times as tables, each beside one of its own rows: the reading of the same memory, say. Times are
/// the processor's, not the clock's: a machine shared with others adds to the clock what is not ours.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tables {

/// A name of a benchmark: table, then row, then "cold" or "hot".
inline std::string name_of(const char* table, const std::string& what, bool cold) {
  return std::string(table) + "|" + what + "|" + (cold ? "cold" : "hot");
}

/// The names in the order of the tables; the runs come in random order.
inline std::vector<std::string>& order() {
  static std::vector<std::string> names;
  return names;
}

/// Tells Google Benchmark the command line and, where that does not say, to make short runs, often repeated, in random
/// order. False, behind a message, for an argument that it does not know.
[[nodiscard]] inline bool initialize(int argc, char** argv) {
  std::string defaults[] = {"--benchmark_repetitions=15", "--benchmark_min_time=0.03",
                            "--benchmark_enable_random_interleaving=true"};
  std::vector<char*> arguments{argv[0]};
  for (std::string& argument : defaults) arguments.push_back(argument.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  return !benchmark::ReportUnrecognizedArguments(count, arguments.data());
}

/// Collects times and prints them as tables.
class reporter : public benchmark::BenchmarkReporter {
 public:
  /// @param reference the row of every table that the others are divided by
  explicit reporter(std::string reference = "read") : reference_(std::move(reference)) {}

  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const std::string name = run.run_name.function_name;
      times_[name].push_back(run.cpu_accumulated_time / static_cast<double>(run.iterations) * 1e6);
    }
  }

  void Finalize() override {
    std::string table;
    for (const std::string& name : order()) {
      if (times_.count(name) == 0) continue;
      const std::size_t first = name.find('|');
      const std::size_t second = name.rfind('|');
      const std::string place = name.substr(second + 1);
      if (name.substr(0, first) != table) {
        table = name.substr(0, first);
        std::printf("\n%s\n%-36s %-5s %10s %10s %12s %12s\n", table.c_str(), "", "", "best us", "median us",
                    ("best/" + reference_).c_str(), ("med./" + reference_).c_str());
      }
      const auto reference = times_.find(table + "|" + reference_ + "|" + place);
      std::printf("%-36s %-5s %10.2f %10.2f", name.substr(first + 1, second - first - 1).c_str(), place.c_str(),
                  best(times_[name]), median(times_[name]));
      if (reference == times_.end()) {
        std::printf("\n");
      } else {
        std::printf(" %12.2f %12.2f\n", best(times_[name]) / best(reference->second),
                    median(times_[name]) / median(reference->second));
      }
    }
    print_fit();
  }

 private:
  static double best(const std::vector<double>& times) { return *std::min_element(times.begin(), times.end()); }
  static double median(std::vector<double> times) {
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  /// Least squares of relative errors: time = a + b V over the sizes.
  void print_fit() {
    double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    std::vector<std::pair<double, double>> points;
    for (const auto& [name, times] : times_) {
      const std::size_t at = name.find("|law of ");
      if (at == std::string::npos) continue;
      const double size = std::stod(name.substr(at + 8));
      const double time = best(times);
      const double w = 1 / (time * time);
      sw += w;
      sx += w * size;
      sy += w * time;
      sxx += w * size * size;
      sxy += w * size * time;
      points.emplace_back(size, time);
    }
    if (points.size() < 3) return;
    const double slope = (sw * sxy - sx * sy) / (sw * sxx - sx * sx);
    const double offset = (sy - slope * sx) / sw;
    double worst = 0;
    for (const auto& [size, time] : points) worst = std::max(worst, std::abs((offset + slope * size) / time - 1));
    std::printf("fit: %.3f us + %.3f ns per logit; the worst point is %.0f %% off\n", offset, slope * 1000,
                worst * 100);
  }

  std::string reference_;
  std::map<std::string, std::vector<double>> times_;
};

}  // namespace tables

#endif  // SPECDEC_BENCHMARKS_TABLES_HPP
