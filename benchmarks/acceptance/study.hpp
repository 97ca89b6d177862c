#ifndef ACCEPTANCE_STUDY_HPP
#define ACCEPTANCE_STUDY_HPP

/// @file
/// The study at work: from a cell's name to its findings.

#include <cstddef>
#include <optional>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <study/bundled.hpp>

#include "cell.hpp"
#include "options.hpp"

namespace acceptance {

/// What every cell's findings depend on besides its name: cells of other settings cannot stand beside them.
[[nodiscard]] nlohmann::ordered_json settings_of(const options& asked);

/// Measures cells.
class study {
 public:
  /// Loads the target. Throws std::runtime_error naming a file that cannot be used, `program::usage_error` for a task
  /// that no prompt has.
  explicit study(const options& asked);

  /// All cells that were asked for, in the order in which they are measured.
  [[nodiscard]] std::vector<cell_name> names() const;

  /// Measures a cell; nothing if the user interrupts it.
  [[nodiscard]] std::optional<findings> measure(const cell_name& name);

 private:
  options asked_;
  ::study::model_shelf small_, large_;
  ::study::prompts_by_task prompts_;
};

}  // namespace acceptance

#endif  // ACCEPTANCE_STUDY_HPP
