#ifndef DOCTOR_PATIENT_HPP
#define DOCTOR_PATIENT_HPP

/// @file
/// The pair that is examined, at work.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <measurement/generator.hpp>
#include <model.hpp>
#include <program/language_model.hpp>
#include <specdec/specdec.hpp>

#include "options.hpp"

namespace doctor {

/// Target and draft with their contexts, generating behind one prompt after the other. Neither copied nor moved.
class patient {
 public:
  /// Loads the models and reads the prompts. Throws std::runtime_error naming the file if one cannot be used, the
  /// draft's vocabulary is not the target's, or no prompt leaves room in the contexts to measure behind it.
  explicit patient(const options& asked);

  patient(const patient&) = delete;
  patient& operator=(const patient&) = delete;

  [[nodiscard]] const program::language_model& target() const noexcept { return target_; }
  [[nodiscard]] const program::language_model& draft() const noexcept { return draft_; }

  /// The prompts that leave room, in an order whose beginnings have of every task alike.
  [[nodiscard]] std::span<const std::vector<specdec::token_id>> prompts() const noexcept { return prompts_; }
  [[nodiscard]] std::size_t prompts_without_room() const noexcept { return without_room_; }
  /// Whether another stream gives another text.
  [[nodiscard]] bool varied() const noexcept { return varied_; }

  void set_gamma(std::size_t gamma) noexcept { drafter_.policy().gamma = gamma; }

  /// Generates texts that end where the target ends them.
  [[nodiscard]] measurement::generator& natural() noexcept { return natural_; }
  /// Generates texts that only their context ends: for timing.
  [[nodiscard]] measurement::generator& endless() noexcept { return endless_; }
  /// How many tokens fit behind a prompt.
  [[nodiscard]] std::size_t room_behind(std::span<const specdec::token_id> prompt) const noexcept;

 private:
  program::language_model target_, draft_;
  std::vector<std::vector<specdec::token_id>> prompts_;
  std::size_t without_room_ = 0;
  bool varied_;
  toy::context target_context_, draft_context_;
  specdec::model_drafter<toy::context> drafter_;
  measurement::generator natural_, endless_;
};

}  // namespace doctor

#endif  // DOCTOR_PATIENT_HPP
