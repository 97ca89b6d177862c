#ifndef SOAK_STORM_HPP
#define SOAK_STORM_HPP

/// @file
/// What happens to a generation in a storm.

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>

#include "dice.hpp"
#include "documented.hpp"
#include "methods.hpp"
#include "plan.hpp"
#include "scenarios.hpp"

namespace soak {

using scenarios::trap;
using specdec::testing::fault;
using specdec::testing::fault_kind;

/// Asks for an end when its trap springs.
struct impatient {
  trap* asked;
  [[nodiscard]] bool stop_requested() const noexcept { return asked->springs(); }
};

/// What one attempt to generate has against it.
class weather {
 public:
  /// @param target_drafts whether it drafts, too
  weather(dice& chance, bool may_be_infinite, bool target_drafts)
      : chance_(&chance), may_be_infinite_(may_be_infinite), target_drafts_(target_drafts) {}

  /// Draws what will happen, to models too.
  void rise(bench& models) {
    sink_throws = {chance_->some(10)};
    sink_stops = {chance_->some(10)};
    asked = {chance_->some(20)};
    spoil(models.target);
    spoil(models.draft);
  }
  /// Lets a model fail at one of its next calls, or not.
  void spoil(specdec::testing::fault_injector& model, std::size_t calls = 40) { model.arm(draw_fault(calls)); }

  /// Whether what happened may end a call by that exception.
  [[nodiscard]] bool explains(const std::exception& error, const bench& models) const {
    return explains(error, sink_throws) ||
           explains(error, models.target, {.is_target = true, .drafts = target_drafts_}) ||
           explains(error, models.draft, {.drafts = true});
  }
  [[nodiscard]] static bool explains(const std::exception& error, const trap& in_sink) {
    return in_sink.sprung > 0 && documented::ending_by(error) == documented::ending::injected;
  }
  [[nodiscard]] static bool explains(const std::exception& error, const specdec::testing::fault_injector& model,
                                     documented::duty of) {
    return model.faults() > 0 && documented::may_end(of, model.planned().kind, documented::ending_by(error));
  }

  trap sink_throws, sink_stops, asked;

 private:
  fault draw_fault(std::size_t calls) {
    fault drawn{fault_kind::none, 1 + chance_->some(calls), false, chance_->some(5)};
    if (chance_->once_in(2)) {
      // Wrong rows nobody could notice.
      drawn.kind =
          chance_->one_of({fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after, fault_kind::nan,
                           fault_kind::positive_infinity, fault_kind::all_negative_infinity, fault_kind::narrow_rows,
                           fault_kind::wide_rows, fault_kind::too_few_rows, fault_kind::too_many_rows});
    }
    // An infinite logit of a token that cannot come is no fault.
    if (drawn.kind == fault_kind::positive_infinity && !may_be_infinite_) drawn.kind = fault_kind::throw_after;
    return drawn;
  }

  dice* chance_;
  bool may_be_infinite_;
  bool target_drafts_;
};

/// The weather of a text.
[[nodiscard]] inline weather weather_of(dice& chance, const plan& how, const text_plan& text) {
  const bool all_may_come =
      text.options.mask.empty() && text.options.sampling.bias.empty() && text.options.min_tokens == 0;
  return {chance, all_may_come, how.by->uses_target};
}

/// Somebody else uses a context: it keeps some of its text, or none and another.
inline void disturb(toy::context& context, dice& chance) {
  if (!chance.once_in(3)) return;
  if (chance.once_in(3)) {
    context.truncate(0);
    const token_id other[] = {static_cast<token_id>(300 + chance.some(1000)), 301, 302};
    (void)context.decode(other, 1);
  } else {
    context.truncate(chance.some(context.size() + 1));
  }
}

/// The session goes on in another: through bytes, as a copy, or as itself.
template <class Session, class Fresh>
void move_house(Session& text, dice& chance, const Fresh& fresh) {
  switch (chance.some(5)) {
    case 0: {
      Session other = fresh();
      other.restore(text.snapshot());
      text = std::move(other);
      break;
    }
    case 1: {
      Session other = text;
      text = other;
      break;
    }
    case 2:
      text.restore(text.snapshot());
      break;
    default:
      break;
  }
}

/// Runs a session until it ends by itself, however often it is interrupted. `advance(sink, request)` runs it until it
/// ends or something happens; `take(out)` is told of every round. Throws what nothing explains.
template <class Session, class Fresh, class Advance, class Take>
void weather_the_storm(Session& text, bench& models, weather& now, dice& chance, const Fresh& fresh,
                       const Advance& advance, const Take& take) {
  constexpr std::size_t most_attempts = 3000;
  for (std::size_t attempt = 0; attempt < most_attempts; ++attempt) {
    now.rise(models);
    const auto sink = [&](const specdec::outcome& out) {
      take(out);
      now.sink_throws.step();
      return !now.sink_stops.springs();
    };
    bool threw = false;
    try {
      advance(sink, impatient{&now.asked});
    } catch (const std::exception& error) {
      if (!now.explains(error, models)) throw;
      threw = true;
    }
    move_house(text, chance, fresh);
    disturb(models.target.model(), chance);
    disturb(models.draft.model(), chance);
    text.resume();
    if (!threw && !text.running()) return;
  }
  throw std::runtime_error("the session does not come to an end");
}

}  // namespace soak

#endif  // SOAK_STORM_HPP
