#ifndef SPECDEC_DRAFT_ANY_HPP
#define SPECDEC_DRAFT_ANY_HPP

/// @file
/// A drafter whose kind is chosen at run time.

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include "../concepts.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../random.hpp"
#include "../requirements.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Holds any drafter, for programs that choose one at run time. What it costs: one allocation when it is made, one
/// virtual call a round.
///
/// @code
/// specdec::any_drafter drafter;
/// if (draft_model) drafter = specdec::model_drafter(*draft_model);
/// specdec::speculative_generate(session, target, drafter);
/// @endcode
///
/// Whether its drafts branch is not known before they do: a target that scores no trees is then refused by an
/// exception, std::invalid_argument, and not by the compiler.
///
/// Owns the drafter that is moved in; std::ref(drafter), of `<functional>`, makes it refer instead. Empty, it proposes
/// nothing. Models `Drafter` for one source of randomness, as a virtual function must. Movable; behind a move it is
/// empty.
template <Chance Randomness>
class basic_any_drafter {
 public:
  basic_any_drafter() noexcept = default;

  /// Implicit, so that a drafter can be returned, or put in a container, as an any_drafter.
  template <class Held>
  requires(!std::same_as<std::remove_cvref_t<Held>, basic_any_drafter>) basic_any_drafter(Held&& drafter) {
    using held = std::remove_cvref_t<Held>;
    static_assert(
        std::constructible_from<held, Held>,
        "specdec: an any_drafter owns its drafter: std::move it in, or pass std::ref(drafter) to refer to it");
    require_drafter<unwrapped<held>, Randomness>();
    if constexpr (std::constructible_from<held, Held> && Drafter<unwrapped<held>, Randomness>) {
      held_ = owner<interface>(new model_of<held>(std::forward<Held>(drafter)));
    }
  }

  /// Whether there is a drafter.
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(held_); }

  /// The vocabulary of a drafter that tells its own; nothing of any other.
  [[nodiscard]] std::optional<std::size_t> vocab_size() const { return held_ ? held_->vocab_size() : std::nullopt; }

  /// See `Drafter`. What the drafter throws passes through.
  void propose(const draft_request& request, Randomness& chance, draft& answer) {
    if (held_) held_->propose(request, chance, answer);
  }

  /// See `Observes`. Does nothing if the drafter does not observe.
  void observe(const outcome& out) {
    if (held_) held_->observe(out);
  }

 private:
  struct interface {
    virtual ~interface() = default;
    virtual std::optional<std::size_t> vocab_size() = 0;
    virtual void propose(const draft_request& request, Randomness& chance, draft& answer) = 0;
    virtual void observe(const outcome& out) = 0;
  };

  template <class Held>
  struct model_of final : interface {
    explicit model_of(auto&& from) : drafter(std::forward<decltype(from)>(from)) {}

    unwrapped<Held>& meant() noexcept { return unwrap(drafter); }
    std::optional<std::size_t> vocab_size() override {
      if constexpr (requires { meant().vocab_size(); }) return meant().vocab_size();
      return std::nullopt;
    }
    void propose(const draft_request& request, Randomness& chance, draft& answer) override {
      meant().propose(request, chance, answer);
    }
    void observe(const outcome& out) override { tell(meant(), out); }

    Held drafter;
  };

  owner<interface> held_;
};

/// The one for production randomness.
using any_drafter = basic_any_drafter<philox>;

static_assert(Drafter<any_drafter>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_ANY_HPP
