#ifndef DOCTOR_PATIENT_HPP
#define DOCTOR_PATIENT_HPP

/// @file
/// The pair that is examined, at work.

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include <measurement/any_context.hpp>
#include <measurement/generator.hpp>
#include <specdec/specdec.hpp>

#include "question.hpp"

namespace doctor {

/// What a patient knows of its vocabulary.
struct vocabulary {
  std::function<std::vector<specdec::token_id>(std::string_view)> encode;
  std::vector<specdec::token_id> end_tokens;
};

/// Target and draft, generating behind one prompt after the other. Neither copied nor moved.
class patient {
 public:
  /// Reads the prompts. Throws std::runtime_error naming the file if that cannot be used, or if no prompt leaves room
  /// in the contexts to measure behind it. Precondition: both have the vocabulary.
  patient(const question& asked, measurement::any_context target, measurement::any_context draft,
          const vocabulary& words);

  patient(const patient&) = delete;
  patient& operator=(const patient&) = delete;

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
  std::vector<std::vector<specdec::token_id>> prompts_;
  std::size_t without_room_ = 0;
  bool varied_;
  measurement::any_context target_, draft_;
  specdec::model_drafter<measurement::any_context> drafter_;
  measurement::generator natural_, endless_;
};

}  // namespace doctor

#endif  // DOCTOR_PATIENT_HPP
