#ifndef SOAK_PLAN_HPP
#define SOAK_PLAN_HPP

/// @file
/// What an episode does, drawn by chance.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <specdec/specdec.hpp>

#include "dice.hpp"
#include "methods.hpp"

namespace soak {

/// Who runs the rounds.
enum class driver { generate, by_hand, overlapped, batch };
inline constexpr std::size_t driver_count = 4;
[[nodiscard]] constexpr const char* to_string(driver one) noexcept {
  constexpr const char* names[driver_count] = {"generate", "by hand", "overlapped", "batch"};
  return names[static_cast<std::size_t>(one)];
}

/// Which rule judges the drafts.
enum class judging { as_published, rejection, coupled, greedy, another };

/// The user's next turn.
struct turn {
  bool rewinds = false;  ///< whether what stopped the last one is taken back first
  tokens further = {};
};

/// A text to generate.
struct text_plan {
  tokens prompt;
  specdec::generate_options options;
  std::vector<turn> turns;
};

/// An episode.
struct plan {
  driver runs = driver::generate;
  const method* by = nullptr;
  judging rule = judging::as_published;
  measurement::method_settings settings;
  std::size_t gamma = 1;
  std::size_t capacity = 0;  ///< of the target
  /// Behind which round the text is forked.
  std::optional<std::uint32_t> fork_at;
  std::vector<text_plan> texts;  ///< more than one in a batch

  /// Whether every text is that of plain decoding: at temperature 0, and where the rule does not ask the draft.
  [[nodiscard]] bool is_plain(const text_plan& text) const;
  /// Whether all that a text depends on is the same in every run.
  [[nodiscard]] bool is_repeatable(const text_plan& text) const { return !by->reads_clock || is_plain(text); }
  /// Whether not only the text is the same however it is interrupted, but every round of it.
  [[nodiscard]] bool has_same_rounds() const {
    const bool joins_without_experience = runs == driver::batch && by->learns;
    return !by->reads_clock && !joins_without_experience;
  }

  /// In one line.
  [[nodiscard]] std::string describe() const;
};

/// Draws an episode.
[[nodiscard]] plan draw_plan(dice& chance, const workplace& models, std::span<const method> methods);

/// The rule of an episode: the method's own, or another.
[[nodiscard]] any_rule rule_of(const plan& how, const any_rule& published);

}  // namespace soak

#endif  // SOAK_PLAN_HPP
