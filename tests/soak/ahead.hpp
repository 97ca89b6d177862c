#ifndef SOAK_AHEAD_HPP
#define SOAK_AHEAD_HPP

/// @file
/// Drafters and rules chosen at run time for the driver that drafts ahead: it asks them with other sources of
/// randomness than the session's, which `any_drafter` and `any_verifier` do not know.

#include <utility>
#include <variant>

#include <model.hpp>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>

namespace soak {

using faulty_context = specdec::testing::faulty_model<toy::context>;

/// One of the drafters that may work ahead: of chains, learning nothing, with a context of their own.
class ahead_drafter {
 public:
  template <class Drafter>
  explicit ahead_drafter(Drafter drafter) : held_(std::move(drafter)) {}

  template <specdec::Chance C>
  void propose(const specdec::draft_request& request, C& chance, specdec::draft& answer) {
    std::visit([&](auto& held) { held.propose(request, chance, answer); }, held_);
  }

 private:
  using chain = specdec::model_drafter<faulty_context>;

  std::variant<chain, specdec::model_drafter<faulty_context, specdec::fallback>, specdec::prompt_lookup,
               specdec::suffix_drafter, specdec::cascade_drafter<faulty_context, specdec::suffix_drafter>,
               specdec::cascade_drafter<faulty_context, specdec::model_drafter<toy::context>>,
               specdec::first_of<specdec::forced_tokens, specdec::suffix_drafter, chain>>
      held_;
};

/// One of the rules that judge chains and keep the target's law.
class ahead_rule {
 public:
  static constexpr bool lossless = true;

  template <class Rule>
  explicit ahead_rule(Rule rule) : held_(std::move(rule)) {}

  template <class Rows, class Chance>
  [[nodiscard]] specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                                            Chance& chance) const {
    return std::visit([&](const auto& held) { return held(drafted, rows, target, chance); }, held_);
  }
  [[nodiscard]] bool shares_noise() const noexcept { return std::holds_alternative<specdec::coupled>(held_); }

 private:
  std::variant<specdec::rejection, specdec::block_verification, specdec::coupled, specdec::greedy> held_;
};

}  // namespace soak

#endif  // SOAK_AHEAD_HPP
