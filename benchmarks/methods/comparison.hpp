#ifndef METHODS_COMPARISON_HPP
#define METHODS_COMPARISON_HPP

/// @file
/// One method against plain decoding: what was measured.

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <measurement/method.hpp>
#include <measurement/race.hpp>
#include <model.hpp>
#include <study/bundled.hpp>
#include <study/work.hpp>

#include "options.hpp"

namespace methods {

/// A speed-up that was measured for one gamma, when the best was looked for.
struct candidate {
  std::size_t gamma = 0;
  double speedup = 0;
};

/// A line of the table.
struct comparison {
  const measurement::method* method = nullptr;
  toy::weight_format weights = toy::weight_format::float32;
  double temperature = 0;
  std::size_t ballast = 0;  ///< the target's, in parameters; 0 for none
  std::size_t gamma = 0;
  std::vector<candidate> candidates;  ///< empty if gamma was given
  measurement::race_record record;

  /// All of the method's time against all of plain decoding's.
  [[nodiscard]] double speedup() const;
  /// From the medians of whole rounds, which what else runs on the machine hardly moves.
  [[nodiscard]] double typical() const;
  /// From the costs of the parts.
  [[nodiscard]] double predicted() const;
};

/// What plain decoding's text is worth at a temperature, and how fast it is.
struct baseline {
  toy::weight_format weights = toy::weight_format::float32;
  double temperature = 0;
  measurement::quality text;
};

/// Runs the methods on the bundled pair.
class contest {
 public:
  /// Loads the models. Throws std::runtime_error naming a file that cannot be used.
  contest(const options& asked, toy::weight_format weights);

  /// Measures a method; what is there if the user interrupts it. @param tell  called with what is being done
  [[nodiscard]] comparison compare(const measurement::method& method, double temperature,
                                   const std::function<void(const char*)>& tell);
  /// The target's own text.
  [[nodiscard]] baseline plain(double temperature);

 private:
  [[nodiscard]] std::vector<candidate> try_gammas(const measurement::method& method, double temperature);
  [[nodiscard]] ::study::setting setting(const measurement::method& method, double temperature,
                                         std::size_t gamma) const;
  [[nodiscard]] ::study::model_shelf& timed_shelf(const measurement::method& method) noexcept;

  options asked_;
  toy::weight_format weights_;
  ::study::model_shelf small_, large_;
  std::vector<::study::tokens> prompts_;
};

/// The parts of `compare`, in the order in which it tells of them, for showing progress.
inline constexpr std::size_t steps_of_a_comparison = 2;

}  // namespace methods

#endif  // METHODS_COMPARISON_HPP
