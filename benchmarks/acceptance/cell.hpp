#ifndef ACCEPTANCE_CELL_HPP
#define ACCEPTANCE_CELL_HPP

/// @file
/// What the study finds for one method, temperature, gamma and task.

#include <compare>
#include <cstddef>
#include <string>
#include <vector>

#include <measurement/race.hpp>
#include <nlohmann/json_fwd.hpp>
#include <study/work.hpp>

namespace acceptance {

/// Which cell.
struct cell_name {
  std::string method;
  double temperature = 0;
  std::size_t gamma = 0;
  std::string task;

  friend auto operator<=>(const cell_name&, const cell_name&) = default;
};

/// As people read it: "rejection, temperature 1, gamma 4, novel".
[[nodiscard]] std::string to_string(const cell_name& name);

/// What was found. The counts are a function of the settings alone; the times are the machine's.
struct findings : study::counted {
  std::vector<measurement::timed_round> rounds;
  std::vector<measurement::timed_parts> parts;

  findings& operator+=(const findings& other);
  [[nodiscard]] bool timed() const noexcept { return !rounds.empty() && !parts.empty(); }
};

struct cell {
  cell_name name;
  findings found;
};

[[nodiscard]] nlohmann::ordered_json to_json(const cell& one);
/// Throws nlohmann::json::exception if it is no cell.
[[nodiscard]] cell cell_from(const nlohmann::ordered_json& json);

/// A share with its 95 % interval of Wilson's score, which stays within 0 and 1 however few there are.
/// Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
struct share {
  double value = 0, low = 0, high = 1;
};
[[nodiscard]] share share_of(std::uint64_t part, std::uint64_t whole);

}  // namespace acceptance

#endif  // ACCEPTANCE_CELL_HPP
