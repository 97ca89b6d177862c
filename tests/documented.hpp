#ifndef SPECDEC_TESTS_DOCUMENTED_HPP
#define SPECDEC_TESTS_DOCUMENTED_HPP

/// @file
/// What the README's table of errors says of models that fail: which of them may end a call how.

#include <exception>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace documented {

using specdec::testing::fault_kind;

/// How a call ended.
enum class ending {
  done,
  injected,         ///< what the model threw, unchanged
  unusable_target,  ///< logits_error, or texts that failed
  unusable_draft,
  other_rows,  ///< more, fewer, narrower or wider than were asked for
  other,
};

/// What an exception that ended a call tells.
[[nodiscard]] inline ending ending_by(const std::exception& error) {
  const std::string_view said = error.what();
  const auto has = [&](std::string_view part) { return said.find(part) != std::string_view::npos; };
  if (dynamic_cast<const specdec::testing::injected_fault*>(&error) != nullptr) return ending::injected;
  if (dynamic_cast<const specdec::logits_error*>(&error) != nullptr) return ending::unusable_target;
  if (dynamic_cast<const std::invalid_argument*>(&error) != nullptr) {
    return has("rows of") || has("row of logits") ? ending::other_rows : ending::other;
  }
  if (dynamic_cast<const std::runtime_error*>(&error) != nullptr) {
    return has("expected usable logits from the draft model") ? ending::unusable_draft : ending::other;
  }
  return ending::other;
}

/// What a model does in a run.
struct duty {
  bool is_target = false;
  bool drafts = false;
};

[[nodiscard]] constexpr bool throws(fault_kind kind) noexcept {
  return kind >= fault_kind::throw_before && kind <= fault_kind::throw_after;
}

/// Whether a fault spoils a single row, at which nobody need look. Of all others somebody is told, but for wrong rows,
/// of which nobody can know.
[[nodiscard]] constexpr bool may_go_unseen(fault_kind kind) noexcept {
  return kind == fault_kind::nan || kind == fault_kind::positive_infinity || kind == fault_kind::all_negative_infinity;
}

/// Whether a fault of that model may end a call so.
[[nodiscard]] constexpr bool may_end(duty of, fault_kind kind, ending how) noexcept {
  if (throws(kind)) return how == ending::injected;
  if (kind == fault_kind::none || kind == fault_kind::wrong_rows) return false;
  if (kind == fault_kind::too_few_rows || kind == fault_kind::too_many_rows) return how == ending::other_rows;
  if (of.is_target && how == ending::unusable_target) return true;
  if (of.drafts && how == ending::unusable_draft) return true;
  // A translated model measures its rows itself.
  const bool of_another_width = kind == fault_kind::narrow_rows || kind == fault_kind::wide_rows;
  return of.drafts && of_another_width && how == ending::other_rows;
}

}  // namespace documented

#endif  // SPECDEC_TESTS_DOCUMENTED_HPP
