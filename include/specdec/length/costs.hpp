#ifndef SPECDEC_LENGTH_COSTS_HPP
#define SPECDEC_LENGTH_COSTS_HPP

/// @file
/// What the parts of a round cost: recorded beforehand, or measured as rounds go by.

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../concepts.hpp"
#include "../decode/outcome.hpp"
#include "../failure.hpp"
#include "../mathematics.hpp"
#include "../message.hpp"
#include "../vectors.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A round, and what it took.
struct timed_round {
  std::size_t drafted = 0;    ///< tokens drafted for the text
  std::size_t missed = 0;     ///< tokens that the draft had missed before
  std::size_t sequences = 1;  ///< texts that shared the call of the target
  round_times times = {};
};

/// What rounds cost, in any one unit of time.
///
/// Requirements
///  1. `costs.target(tokens)` is a round's cost but for the drafting, if the target scores so many tokens in its call,
///     of all texts that share it. Positive.
///  2. `costs.draft(sequences)` is the cost of drafting one token for each of so many texts.
///  3. `costs.resumption(missed)` is what drafting costs once if the draft has missed so many tokens, the target having
///     generated them by itself.
///  4. `C::reads_clock` is true if these may depend on measured time.
///
/// Optional: `costs.learn(round)` takes in a `timed_round`.
template <class C>
concept RoundCosts = requires(const C& costs, std::size_t n) {
  { costs.target(n) } -> std::convertible_to<double>;
  { costs.draft(n) } -> std::convertible_to<double>;
  { costs.resumption(n) } -> std::convertible_to<double>;
  { C::reads_clock } -> std::convertible_to<bool>;
};

/// Costs that the user knows, in any one unit of time: recorded, or those of a machine that is to be built. Beyond its
/// end a curve goes on as the line through its last two entries; a single entry holds everywhere.
struct recorded_costs {
  static constexpr bool reads_clock = false;

  std::vector<double> target_call;       ///< target_call[n-1]: the target scores n tokens; at least one entry
  std::vector<double> draft_step = {0};  ///< draft_step[s-1]: a token is drafted for each of s texts; at least one
  double overhead = 0;                   ///< everything else in a round
  double switching = 0;                  ///< to draft again, behind rounds that drafted nothing
  double catching_up = 0;                ///< for each token of the text that the draft has missed meanwhile

  [[nodiscard]] double target(std::size_t tokens) const noexcept { return at(view_of(target_call), tokens) + overhead; }
  [[nodiscard]] double draft(std::size_t sequences) const noexcept { return at(view_of(draft_step), sequences); }
  [[nodiscard]] double resumption(std::size_t missed) const noexcept {
    return missed == 0 ? 0 : switching + product(catching_up, static_cast<double>(missed));
  }

  /// Throws std::invalid_argument if a curve is empty, or a cost is negative, infinite or NaN, or a call free.
  void validate() const {
    if (target_call.empty() || draft_step.empty()) {
      raise<std::invalid_argument>("specdec: recorded costs need at least one target_call and one draft_step; got " +
                                   std::to_string(target_call.size()) + " and " + std::to_string(draft_step.size()));
    }
    for (const double cost : target_call) require(cost, cost > 0, "a target_call must cost more than 0");
    for (const double cost : draft_step) require(cost, cost >= 0, "a draft_step must cost 0 or more");
    for (const double cost : {overhead, switching, catching_up}) {
      require(cost, cost >= 0, "overhead, switching and catching_up must be 0 or more");
    }
  }

 private:
  static void require(double cost, bool holds, const char* what) {
    if (holds && is_finite(cost)) return;
    raise<std::invalid_argument>(std::string("specdec: of recorded costs ") + what + "; got " + number_text(cost));
  }

  [[nodiscard]] static double at(std::span<const double> curve, std::size_t n) noexcept {
    if (n <= curve.size()) return curve[n - 1];
    if (curve.size() == 1) return curve.front();
    const double slope = std::max(curve.back() - curve[curve.size() - 2], 0.0);
    return curve.back() + product(slope, static_cast<double>(n - curve.size()));
  }
};

static_assert(RoundCosts<recorded_costs>);

/// The typical one of the last few times, on a machine that others disturb: their lower median.
class recent_times {
 public:
  void add(double time) noexcept {
    times_[next_] = time;
    next_ = (next_ + 1) % times_.size();
    count_ = std::min(count_ + 1, times_.size());
    std::array<double, kept> sorted = times_;
    std::sort(sorted.data(), sorted.data() + count_);
    typical_ = sorted[(count_ - 1) / 2];
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// 0 if there is none.
  [[nodiscard]] double typical() const noexcept { return typical_; }

 private:
  static constexpr std::size_t kept = 7;

  std::array<double, kept> times_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  double typical_ = 0;
};

/// A cost that never falls as a size grows, known at some sizes and guessed in between: along the line between those
/// beside it, and beyond the last along the line from the first to it. Below the first it is guessed to be in
/// proportion, which is the least that it can be, so that those sizes will be tried. Sizes above 32 are not told apart
/// but in eights, those above 512 not at all.
class cost_by_size {
 public:
  /// Takes in what a size, 1 or more, cost. O(1), about 100 steps.
  void add(std::size_t size, double cost) noexcept {
    cells_[cell_of(size)].add(cost);
    known_ = true;
    draw_curve();
  }

  [[nodiscard]] bool known() const noexcept { return known_; }
  /// Precondition: known(), size >= 1.
  [[nodiscard]] double at(std::size_t size) const noexcept { return curve_[cell_of(size)]; }

 private:
  static constexpr std::size_t single = 32;
  static constexpr std::size_t width = 8;
  static constexpr std::size_t cell_count = single + (512 - single) / width;
  /// By which share of itself a cost is taken to grow with every further unit of size, as long as one size is known.
  static constexpr double guessed_slope = 0.1;

  static constexpr std::size_t cell_of(std::size_t size) noexcept {
    return size <= single ? size - 1 : std::min(single + (size - single - 1) / width, cell_count - 1);
  }
  static constexpr double size_of(std::size_t cell) noexcept {
    return static_cast<double>(cell < single ? cell + 1 : single + (cell - single) * width + width / 2);
  }

  void draw_curve() noexcept {
    // A larger size costs no less: what was slow by accident is no slower than any larger one was.
    double least = std::numeric_limits<double>::infinity();
    std::size_t first = cell_count;
    std::size_t last = 0;
    for (std::size_t cell = cell_count; cell-- > 0;) {
      if (cells_[cell].count() == 0) continue;
      curve_[cell] = least = std::min(least, cells_[cell].typical());
      first = cell;
      last = std::max(last, cell);
    }
    for (std::size_t cell = 0; cell < first; ++cell) curve_[cell] = curve_[first] * size_of(cell) / size_of(first);
    for (std::size_t begin = first; begin < last;) {
      std::size_t end = begin + 1;
      while (cells_[end].count() == 0) ++end;
      const double slope = (curve_[end] - curve_[begin]) / (size_of(end) - size_of(begin));
      for (std::size_t cell = begin + 1; cell < end; ++cell) {
        curve_[cell] = curve_[begin] + slope * (size_of(cell) - size_of(begin));
      }
      begin = end;
    }
    const double slope = last > first ? (curve_[last] - curve_[first]) / (size_of(last) - size_of(first))
                                      : guessed_slope * curve_[last] / size_of(last);
    for (std::size_t cell = last + 1; cell < cell_count; ++cell) {
      curve_[cell] = curve_[last] + slope * (size_of(cell) - size_of(last));
    }
  }

  std::array<recent_times, cell_count> cells_{};
  std::array<double, cell_count> curve_{};
  bool known_ = false;
};

/// Costs measured as rounds go by, from `outcome::times`. What is not yet known is guessed.
class measured_costs {
 public:
  static constexpr bool reads_clock = true;

  [[nodiscard]] double target(std::size_t tokens) const noexcept {
    return calls_.known() ? calls_.at(tokens) : 1 + guessed_row * static_cast<double>(tokens - 1);
  }
  [[nodiscard]] double draft(std::size_t sequences) const noexcept {
    return steps_.known() ? steps_.at(sequences) : guessed_draft * target(1);
  }
  [[nodiscard]] double resumption(std::size_t missed) const noexcept {
    return missed_.count() < few ? 0 : missed_.typical() * static_cast<double>(missed);
  }

  /// Takes in a round. One that nobody measured, or whose call also read other text, teaches nothing.
  void learn(const timed_round& round) noexcept {
    const bool reads_only_draft = round.sequences > 1 || round.times.scored == round.drafted + 1;
    if (!(round.times.target > 0) || round.times.scored == 0 || !reads_only_draft) return;
    calls_.add(round.times.scored, round.times.target + round.times.verify);
    if (round.drafted == 0) return;
    const auto drafted = static_cast<double>(round.drafted);
    if (round.missed == 0) {
      steps_.add(round.sequences, round.times.draft / drafted);
    } else if (steps_.known()) {
      const double extra = round.times.draft - drafted * steps_.at(round.sequences);
      missed_.add(std::max(extra, 0.0) / static_cast<double>(round.missed));
    }
  }

 private:
  static constexpr double guessed_row = 0.1;
  static constexpr double guessed_draft = 0.125;
  /// Fewer times than this say nothing that one of them could not have said by accident.
  static constexpr std::size_t few = 3;

  cost_by_size calls_;
  cost_by_size steps_;
  recent_times missed_;
};

static_assert(RoundCosts<measured_costs>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_LENGTH_COSTS_HPP
