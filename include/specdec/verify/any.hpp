#ifndef SPECDEC_VERIFY_ANY_HPP
#define SPECDEC_VERIFY_ANY_HPP

/// @file
/// A verification rule that is chosen at run time.

#include <concepts>
#include <type_traits>
#include <utility>

#include "../concepts.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../requirements.hpp"
#include "../sampling/law.hpp"
#include "../types.hpp"
#include "rejection.hpp"
#include "verdict.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Holds any rule for one type of rows and one source of randomness; `any_verifier` and `any_lossy_verifier` are its
/// names. What it costs: one allocation when it is made, one virtual call a round.
///
/// Copies share the rule, which is constant. Never empty: without a rule it holds `rejection`.
template <bool Lossless, LogitsRows Rows, Chance Randomness>
class basic_any_verifier {
 public:
  static constexpr bool lossless = Lossless;

  basic_any_verifier() : basic_any_verifier(rejection{}) {}

  /// Implicit, so that a rule can be passed where an any_verifier is expected.
  template <class Rule>
  requires(!std::same_as<std::remove_cvref_t<Rule>, basic_any_verifier>) basic_any_verifier(Rule&& rule) {
    using held = std::remove_cvref_t<Rule>;
    static_assert(std::constructible_from<held, Rule>, "specdec: an any_verifier owns its rule: std::move it in");
    require_rule<held, Rows, Randomness>();
    if constexpr (std::constructible_from<held, Rule> && Verifier<held, Rows, Randomness>) {
      static_assert(held::lossless || !Lossless,
                    "specdec: any_verifier is lossless and takes no rule that is not; use any_lossy_verifier");
      held_ = shared_owner<interface>(new model_of<held>(std::forward<Rule>(rule)));
    }
  }

  // There is no move: what is moved from would be empty.
  basic_any_verifier(const basic_any_verifier&) noexcept = default;
  basic_any_verifier& operator=(const basic_any_verifier&) noexcept = default;

  /// See `Verifier`.
  [[nodiscard]] verdict operator()(const draft& drafted, const Rows& rows, law& target, Randomness& chance) const {
    return held_->verify(drafted, rows, target, chance);
  }
  /// Whether the rule that it holds does. See `coupled`.
  [[nodiscard]] bool shares_noise() const noexcept { return held_->shares_noise(); }

 private:
  struct interface : counted {
    virtual verdict verify(const draft& drafted, const Rows& rows, law& target, Randomness& chance) const = 0;
    [[nodiscard]] virtual bool shares_noise() const noexcept = 0;
  };

  template <class Rule>
  struct model_of final : interface {
    explicit model_of(auto&& from) : rule(std::forward<decltype(from)>(from)) {}

    verdict verify(const draft& drafted, const Rows& rows, law& target, Randomness& chance) const override {
      return rule(drafted, rows, target, chance);
    }
    [[nodiscard]] bool shares_noise() const noexcept override { return specdec::shares_noise(rule); }

    Rule rule;
  };

  shared_owner<interface> held_;
};

/// Any rule that keeps the target's law; no other is taken. `session<any_verifier<>>` runs with a rule that is chosen
/// at run time. `Rows` is what the target's decode returns.
template <LogitsRows Rows = logits_view<float>, Chance Randomness = philox>
using any_verifier = basic_any_verifier<true, Rows, Randomness>;

/// Any rule, those included that bend the target's law for speed: what it holds counts as lossy, whatever it is.
template <LogitsRows Rows = logits_view<float>, Chance Randomness = philox>
using any_lossy_verifier = basic_any_verifier<false, Rows, Randomness>;

static_assert(Verifier<any_verifier<>> && Verifier<any_lossy_verifier<>>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_VERIFY_ANY_HPP
