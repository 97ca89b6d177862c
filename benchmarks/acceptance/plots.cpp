#include "plots.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <specdec/specdec.hpp>
#include <study/work.hpp>

namespace acceptance {
namespace {

using measurement::method;

// Okabe and Ito's colours, told apart by every kind of colour vision; their yellow is too pale for lines on white.
constexpr std::array<std::string_view, 7> colors{"0072B2", "D55E00", "009E73", "CC79A7", "E69F00", "56B4E9", "000000"};
constexpr std::array<int, 4> points{7, 5, 9, 13};

// A method looks the same in every picture, whichever others there are.
struct look {
  std::string_view color;
  int point;
};
look look_of(std::string_view name) {
  const auto all = measurement::methods();
  const auto found = std::find_if(all.begin(), all.end(), [&](const method& m) { return m.name == name; });
  const auto index = static_cast<std::size_t>(found - all.begin()) + all.size() - 1;
  const std::size_t place = index % all.size();
  return {colors[place % colors.size()], points[place / colors.size() % points.size()]};
}

std::string shown(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

// One method at one temperature, over all tasks asked for.
struct series {
  const method* how = nullptr;
  double temperature = 0;
  std::map<std::size_t, findings> by_gamma;

  [[nodiscard]] const findings& longest() const { return by_gamma.rbegin()->second; }
};

std::vector<series> series_of(const cells& all, const options& asked, const std::vector<std::string>& tasks) {
  std::vector<series> result;
  for (const double temperature : asked.temperatures) {
    for (const method* how : asked.methods) {
      series one{how, temperature, {}};
      for (const std::size_t gamma : asked.gammas) {
        findings sum;
        bool complete = true;
        for (const std::string& task : tasks) {
          const auto found = all.find({std::string(how->name), temperature, gamma, task});
          if (found == all.end()) {
            complete = false;
            break;
          }
          sum += found->second;
        }
        if (complete) one.by_gamma.emplace(gamma, std::move(sum));
      }
      if (!one.by_gamma.empty()) result.push_back(std::move(one));
    }
  }
  return result;
}

// What the longest run says of a smaller gamma, where it says anything.
std::optional<measurement::tally> told_by_longest(const series& one, std::size_t gamma) {
  if (!one.how->fixed_depth) return std::nullopt;
  return study::shortened(one.longest().stats, gamma);
}

std::string temperature_title(double temperature) {
  return fmt::format("temperature {}{}", temperature, temperature == 0 ? " (greedy)" : "");
}

picture acceptance_picture(const cells& all, const options& asked, const std::vector<std::string>& tasks) {
  // With fewer, the interval is as wide as the panel.
  constexpr std::uint64_t fewest_evaluated = 12;
  const grid panels(tasks.size(), asked.temperatures.size(), 190, 150, {78, 16, 58, 50}, 16, 20);
  std::string blocks, plots;
  std::size_t longest = 1;
  std::map<std::pair<double, std::string>, std::vector<std::pair<const method*, std::string>>> drawn;
  for (const double temperature : asked.temperatures) {
    for (const std::string& task : tasks) {
      for (const method* how : asked.methods) {
        for (auto gamma = asked.gammas.rbegin(); gamma != asked.gammas.rend(); ++gamma) {
          const auto found = all.find({std::string(how->name), temperature, *gamma, task});
          if (found == all.end()) continue;
          const specdec::statistics& stats = found->second.stats;
          std::string lines;
          for (std::size_t i = 0; i < stats.evaluated_at.size(); ++i) {
            if (stats.evaluated_at[i] < fewest_evaluated) break;
            const share rate = share_of(stats.accepted_at[i], stats.evaluated_at[i]);
            lines += fmt::format("{} {:.4f} {:.4f} {:.4f}\n", i + 1, rate.value, rate.low, rate.high);
            longest = std::max(longest, i + 1);
          }
          if (lines.empty()) break;
          const std::string name = fmt::format("p{}", blocks.size());
          blocks += data_block(name, lines);
          drawn[{temperature, task}].emplace_back(how, name);
          break;
        }
      }
    }
  }
  if (drawn.empty()) return {};
  std::vector<legend_entry> shown_methods;
  for (const method* how : asked.methods) {
    const look as = look_of(how->name);
    shown_methods.push_back({shown(how->name), std::string(as.color), as.point, "dt 1"});
  }
  const legend methods(panels, shown_methods);
  std::string commands = blocks + std::string(plain_axes);
  commands += "set multiplot\n";
  commands += fmt::format("set xrange [0.4:{}]; set yrange [0:1]\n", static_cast<double>(longest) + 0.6);
  commands += longest <= 8 ? "set xtics 1\n" : "set xtics 1,2\n";
  commands += fmt::format(
      "set label 99 \"share of drafted tokens accepted, of those evaluated\" at screen {:.4f},0.5 "
      "center rotate by 90\n",
      panels.screen_x(16));
  for (std::size_t row = 0; row < asked.temperatures.size(); ++row) {
    for (std::size_t column = 0; column < tasks.size(); ++column) {
      const bool first = row == 0 && column == 0, last_row = row + 1 == asked.temperatures.size();
      commands += panels.place(column, row);
      commands += column == 0 ? "set ytics 0.25 format \"%.2f\"\n" : "set ytics 0.25 format \"\"\n";
      commands += last_row ? "set format x \"%g\"\nset xlabel \"position in the draft\" offset 0,0.2\n"
                           : "set format x \"\"\nunset xlabel\n";
      commands += row == 0 ? fmt::format("set label 1 {} at graph 0.5, graph 1.08 center\n",
                                         literal(fmt::format("{{/:Bold {}}}", tasks[column])))
                           : "unset label 1\n";
      commands += fmt::format("set label 2 \"{}\" at graph 0.97, graph 0.06 right textcolor rgb \"#505050\"\n",
                              temperature_title(asked.temperatures[row]));
      if (first) commands += methods.set();
      // Side by side: intervals on top of each other could not be told apart.
      constexpr double step = 0.16;
      std::vector<std::string> curves;
      const auto& here = drawn[{asked.temperatures[row], tasks[column]}];
      for (std::size_t i = 0; i < here.size(); ++i) {
        const auto& [how, name] = here[i];
        const look as = look_of(how->name);
        const std::string x =
            fmt::format("($1{:+.2f})", step * (static_cast<double>(i) - static_cast<double>(here.size() - 1) / 2));
        curves.push_back(fmt::format("${} using {}:2 with lines lc rgb \"#{}\" lw 1.5", name, x, as.color));
        curves.push_back(fmt::format("${} using {}:2:3:4 with yerrorbars lc rgb \"#{}\" lw 1 pt {} ps 0.6", name, x,
                                     as.color, as.point));
      }
      if (curves.empty()) curves.emplace_back("NaN");
      commands += "plot ";
      for (std::size_t i = 0; i < curves.size(); ++i) commands += (i > 0 ? ", \\\n  " : "") + curves[i];
      commands += '\n';
      if (first) commands += "unset label 99\n" + methods.unset();
    }
  }
  return {"acceptance", panels.width(), panels.height(), commands + "unset multiplot\n"};
}

// A line of values against gamma, and how to draw it.
struct curve {
  std::string lines;
  std::string style;
};

// A panel for each temperature with all methods, each named at its end.
class gamma_picture {
 public:
  gamma_picture(const options& asked, std::string name, std::string y_label)
      : asked_(&asked),
        panels_(asked.temperatures.size(), 1, 330, 260, {64, 118, 62, 50}, 168, 0),
        name_(std::move(name)),
        y_label_(std::move(y_label)) {}

  struct entry {
    const method* how;
    double temperature;
    std::vector<curve> curves;
    double end;  ///< the last value of the curve that the name stands behind
    double highest;
  };
  void add(entry one) { entries_.push_back(std::move(one)); }

  [[nodiscard]] picture drawn(const std::vector<legend_entry>& kinds, const std::string& extra) const {
    if (entries_.empty()) return {};
    const legend above(panels_, kinds);
    double highest = 0;
    for (const entry& one : entries_) highest = std::max(highest, one.highest);
    // The next round number above.
    const double step = highest > 6 ? 1 : highest > 3 ? 0.5 : 0.25;
    const double top = std::ceil(highest * 1.02 / step) * step;
    std::string blocks, commands(plain_axes);
    commands += "set multiplot\n";
    commands += fmt::format("set xrange [0:{}]; set yrange [0:{}]; set ytics {}\n",
                            static_cast<double>(asked_->gammas.back()) * 1.03, top, step * 2);
    commands += "set xtics (";
    std::size_t last = 0;
    for (const std::size_t gamma : asked_->gammas) {
      // Numbers need room of their own.
      if (gamma != asked_->gammas.front() && (gamma - last) * 28 < asked_->gammas.back()) continue;
      commands += fmt::format("{}{}", gamma == asked_->gammas.front() ? "" : ", ", gamma);
      last = gamma;
    }
    commands += ")\nset xlabel \"tokens drafted a round at most (γ)\" offset 0,0.2\n";
    commands += extra;
    for (std::size_t column = 0; column < asked_->temperatures.size(); ++column) {
      const double temperature = asked_->temperatures[column];
      commands += panels_.place(column, 0);
      commands += fmt::format("set label 1 \"{{/:Bold {}}}\" at graph 0.5, graph 1.06 center\n",
                              temperature_title(temperature));
      commands += column == 0 ? fmt::format("set ylabel \"{}\" offset 0.5,0\n", y_label_) : "unset ylabel\n";
      std::vector<const entry*> here;
      std::vector<double> ends;
      for (const entry& one : entries_) {
        if (one.temperature != temperature) continue;
        here.push_back(&one);
        ends.push_back(one.end);
      }
      const std::vector<double> places = spread(ends, top * 0.062);
      std::string curves;
      for (std::size_t i = 0; i < here.size(); ++i) {
        const look as = look_of(here[i]->how->name);
        commands += fmt::format("set label {} \"{}\" at graph 1.02, first {:.4f} left textcolor rgb \"#{}\"\n", 10 + i,
                                shown(here[i]->how->name), places[i], as.color);
        for (const curve& one : here[i]->curves) {
          const std::string block = fmt::format("g{}", blocks.size());
          blocks += data_block(block, one.lines);
          curves += fmt::format("{}${} using {} lc rgb \"#{}\"", curves.empty() ? "" : ", \\\n  ", block,
                                fmt::format(fmt::runtime(one.style), fmt::arg("point", as.point)), as.color);
        }
      }
      if (column == 0) commands += above.set();
      commands += "plot " + (curves.empty() ? "NaN" : curves) + '\n';
      if (column == 0) commands += above.unset();
      for (std::size_t i = 0; i < here.size(); ++i) commands += fmt::format("unset label {}\n", 10 + i);
    }
    return {name_, panels_.width(), panels_.height(), blocks + commands + "unset multiplot\n"};
  }

 private:
  const options* asked_;
  grid panels_;
  std::string name_, y_label_;
  std::vector<entry> entries_;
};

constexpr const char* grey = "505050";
constexpr std::string_view counted_style = "1:2 with points pt {point} ps 0.8";
constexpr std::string_view told_style = "1:2 with lines lw 2 dt 1";
constexpr std::string_view formula_style = "1:2 with lines lw 1.5 dt (3,3)";

// The standard error of the mean number of accepted tokens over rounds, from E[X] = sum S_i and
// E[X^2] = sum (2i - 1) S_i.
double standard_error(const specdec::statistics& stats) {
  double mean = 0, square = 0;
  for (std::size_t i = 1; i <= stats.accepted_at.size(); ++i) {
    mean += stats.survival(i);
    square += static_cast<double>(2 * i - 1) * stats.survival(i);
  }
  return std::sqrt(std::max(square - mean * mean, 0.0) / static_cast<double>(std::max<std::uint64_t>(stats.rounds, 1)));
}

picture tokens_picture(const std::vector<series>& all, const options& asked) {
  gamma_picture drawing(asked, "tokens_per_call", "tokens per call of the target");
  bool any_told = false;
  for (const series& one : all) {
    curve counted{"", "1:2:3 with yerrorbars pt {point} ps 0.8 lw 1"}, told{"", std::string(told_style)},
        joined{"", "1:2 with lines lw 2"}, formula{"", std::string(formula_style)};
    const double alpha = one.longest().stats.alpha();
    double highest = 0, end = 0;
    for (const auto& [gamma, found] : one.by_gamma) {
      end = found.tokens_per_call();
      const double half = 1.96 * standard_error(found.stats);
      highest = std::max({highest, end + half});
      counted.lines += fmt::format("{} {:.4f} {:.4f}\n", gamma, end, half);
      joined.lines += fmt::format("{} {:.4f}\n", gamma, end);
    }
    const std::size_t deepest = one.by_gamma.rbegin()->first;
    for (std::size_t gamma = one.by_gamma.begin()->first; gamma <= deepest; ++gamma) {
      if (one.how->fixed_depth) {
        formula.lines += fmt::format("{} {:.4f}\n", gamma, specdec::theory::expected_tokens(alpha, gamma));
        highest = std::max(highest, specdec::theory::expected_tokens(alpha, gamma));
      }
      if (const auto counts = told_by_longest(one, gamma)) {
        told.lines += fmt::format("{} {:.4f}\n", gamma,
                                  static_cast<double>(counts->delivered) / static_cast<double>(counts->rounds()));
      }
    }
    gamma_picture::entry entry{one.how, one.temperature, {counted}, end, highest};
    if (told.lines.empty()) {
      entry.curves.push_back(joined);
    } else {
      entry.curves.push_back(told);
      entry.curves.push_back(formula);
      any_told = true;
    }
    drawing.add(std::move(entry));
  }
  std::vector<legend_entry> kinds{{"counted, with 95 % interval", grey, 7, ""}};
  if (any_told) {
    kinds.push_back({fmt::format("told by the run with γ = {}", asked.gammas.back()), grey, 0, "dt 1"});
    kinds.push_back({"i.i.d. formula with that run’s α", grey, 0, "dt (3,3)"});
  }
  return drawing.drawn(kinds, "");
}

picture speedup_picture(const std::vector<series>& all, const options& asked, std::string_view weights,
                        std::string_view target_size) {
  gamma_picture drawing(asked, "speedup",
                        fmt::format("speed-up over plain decoding ({} target, {})", target_size, weights));
  for (const series& one : all) {
    curve measured{"", std::string(counted_style)}, predicted{"", std::string(told_style)};
    double highest = 1, end = 0;
    for (const auto& [gamma, found] : one.by_gamma) {
      if (!found.timed()) continue;
      const double value = speedup_by_medians(found.counts, found.rounds);
      end = predicted_speedup(told_by_longest(one, gamma).value_or(found.counts), found.parts, found.rounds);
      highest = std::max({highest, value, end});
      measured.lines += fmt::format("{} {:.4f}\n", gamma, value);
      predicted.lines += fmt::format("{} {:.4f}\n", gamma, end);
    }
    if (!measured.lines.empty()) drawing.add({one.how, one.temperature, {predicted, measured}, end, highest});
  }
  return drawing.drawn({{"measured", grey, 7, ""}, {"predicted from the costs of the parts", grey, 0, "dt 1"}},
                       "set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead lc rgb \"#909090\" lw 1 back\n");
}

}  // namespace

std::vector<picture> pictures_of(const cells& all, const options& asked, const std::vector<std::string>& tasks,
                                 std::string_view weights, std::string_view target_size) {
  const std::vector<series> curves = series_of(all, asked, tasks);
  std::vector<picture> pictures{acceptance_picture(all, asked, tasks), tokens_picture(curves, asked),
                                speedup_picture(curves, asked, weights, target_size)};
  std::erase_if(pictures, [](const picture& one) { return one.commands.empty(); });
  return pictures;
}

}  // namespace acceptance
