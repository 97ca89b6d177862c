#include "play.hpp"

#include <cstdint>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include <specdec/adapters/background_thread.hpp>

#include "assembly.hpp"
#include "batch_storm.hpp"
#include "storm.hpp"

namespace soak {
namespace {

using measurement::assembled_method;
using specdec::outcome;

/// A text with all that generates it; `Rule` is any, but where the drafter works ahead.
template <class Rule>
struct player {
  using session = specdec::session<Rule>;

  player(const workplace& all, const plan& planned, const text_plan& of, const Rule& by)
      : models(all), how(planned), wanted(of), rule(by), contexts(all, planned.capacity), text(fresh()) {}
  player(const player&) = delete;
  player& operator=(const player&) = delete;

  [[nodiscard]] session fresh() const { return session(models.vocab_size(), wanted.options, rule); }

  /// Begins the text and goes through its turns; `finish(session, take)` runs a session until it ends by itself, and
  /// calls take(out) for every round. `finish_fork` does the same to the fork, with a drafter of its own.
  template <class Finish, class FinishFork>
  void play(const Finish& finish, const FinishFork& finish_fork) {
    const auto take = [&](const outcome& out) {
      told.text.take(out);
      if (how.fork_at == out.round && !fork) fork = text.fork(wanted.options.stream + 1);
    };
    text.begin(wanted.prompt);
    finish(text, take);
    told.text.end_turn(text);
    for (const turn& next : wanted.turns) {
      const std::size_t delivered = text.prompt_size() + text.delivered();
      const std::size_t size = next.rewinds ? delivered : text.tokens().size();
      if (size + next.further.size() > how.capacity) break;
      if (next.rewinds) text.rewind(delivered);
      text.append(next.further);
      finish(text, take);
      told.text.end_turn(text);
    }
    if (!fork) return;
    told.fork.emplace();
    // What it is told first may have waited when it was forked.
    finish_fork(*fork, [&](const outcome& out) { told.fork->take(out); });
    told.fork->end_turn(*fork);
  }

  const workplace& models;
  const plan& how;
  const text_plan& wanted;
  Rule rule;
  bench contexts;
  session text;
  std::optional<session> fork;
  generation told;
};

void require_ended(bool running, specdec::session_status status) {
  if (!running) return;
  throw std::runtime_error(fmt::format("the session was left {}", specdec::to_string(status)));
}

/// The loop of a host that runs the rounds itself, and now and then begins one again.
template <class Session, class Sink, class Request>
void run_by_hand(Session& text, faulty_context& target, specdec::any_drafter& drafter, const Sink& sink,
                 const Request& request_to_stop, dice& chance) {
  constexpr std::size_t seldom = 10;
  specdec::prepare_rounds(text, target, drafter);
  specdec::draft drafted;
  while (text.running()) {
    if (request_to_stop.stop_requested()) {
      text.stop();
      return;
    }
    const specdec::draft_request request = text.request();
    drafted.begin(request);
    drafter.propose(request, text.chance(), drafted);
    if (chance.once_in(seldom)) continue;
    const specdec::decode_plan call = specdec::plan_for(text, drafted, target);
    if (chance.once_in(seldom)) continue;
    if (target.size() > call.held) target.truncate(call.held);
    const auto rows = specdec::score(target, call);
    if (chance.once_in(seldom)) continue;
    specdec::verdict judged = text.verify(rows);
    if (chance.once_in(seldom)) judged = text.verify(rows);
    if (call.tree) target.keep(text.kept_path());
    const outcome out = text.commit(judged);
    specdec::deliver_round(text, out, drafter, sink);
  }
}

generation play_as_published(const workplace& models, const plan& how, const text_plan& wanted, dice* chance) {
  bench for_rule(models, 1);
  player<any_rule> one(models, how, wanted, rule_of(how, assemble(models, how, for_rule).rule));
  assembled_method method = assemble(models, how, one.contexts);
  assembled_method of_fork = assemble(models, how, one.contexts);
  const auto calmly = [&](assembled_method& with) {
    return [&](auto& text, const auto& take) {
      specdec::speculative_generate(text, one.contexts.target, with.drafter, take);
      require_ended(text.running(), text.status());
    };
  };
  if (chance == nullptr) {
    one.play(calmly(method), calmly(of_fork));
    return std::move(one.told);
  }
  weather now = weather_of(*chance, how, wanted);
  const auto in_storm = [&](assembled_method& with) {
    return [&](auto& text, const auto& take) {
      const auto advance = [&](const auto& sink, const impatient& request) {
        if (how.runs == driver::by_hand) {
          run_by_hand(text, one.contexts.target, with.drafter, sink, request, *chance);
        } else {
          specdec::speculative_generate(text, one.contexts.target, with.drafter, sink, request);
        }
      };
      const auto fresh = [&] {
        specdec::generate_options options = wanted.options;
        options.stream = text.options().stream;
        return specdec::session<any_rule>(models.vocab_size(), options, one.rule);
      };
      weather_the_storm(text, one.contexts, now, *chance, fresh, advance, take);
    };
  };
  one.play(in_storm(method), in_storm(of_fork));
  return std::move(one.told);
}

ahead_rule ahead_rule_of(const plan& how) {
  switch (how.rule) {
    case judging::coupled:
      return ahead_rule(specdec::coupled{});
    case judging::greedy:
      return ahead_rule(specdec::greedy{});
    case judging::another:
      return ahead_rule(specdec::block_verification{});
    default:
      return ahead_rule(specdec::rejection{});
  }
}

generation play_overlapped(const workplace& models, const plan& how, const text_plan& wanted, dice* chance) {
  player<ahead_rule> one(models, how, wanted, ahead_rule_of(how));
  ahead_drafter drafter = how.by->make_ahead(one.contexts, how.settings, how.gamma);
  if (chance == nullptr) {
    const auto calmly = [&](auto& text, const auto& take) {
      specdec::draft_ahead ahead(drafter);
      specdec::one_after_the_other executor;
      specdec::overlapped_generate(text, one.contexts.target, ahead, executor, take);
      require_ended(text.running(), text.status());
    };
    one.play(calmly, calmly);
    return std::move(one.told);
  }
  weather now = weather_of(*chance, how, wanted);
  specdec::background_thread second;
  const auto in_storm = [&](auto& text, const auto& take) {
    std::optional<specdec::draft_ahead<decltype(drafter)>> ahead;
    const auto advance = [&](const auto& sink, const impatient& request) {
      if (!ahead || chance->once_in(3)) ahead.emplace(drafter);
      specdec::overlapped_generate(text, one.contexts.target, *ahead, second, sink, request);
    };
    const auto fresh = [&] {
      specdec::generate_options options = wanted.options;
      options.stream = text.options().stream;
      return specdec::session<ahead_rule>(models.vocab_size(), options, one.rule);
    };
    weather_the_storm(text, one.contexts, now, *chance, fresh, advance, take);
  };
  one.play(in_storm, in_storm);
  return std::move(one.told);
}

generation play_alone(const workplace& models, const plan& how, const text_plan& wanted, dice* chance) {
  if (how.runs == driver::overlapped) return play_overlapped(models, how, wanted, chance);
  return play_as_published(models, how, wanted, chance);
}

}  // namespace

transcript play_plainly(const workplace& models, const plan& how, const text_plan& wanted) {
  const bool draws_noise = wanted.options.sampling.temperature > 0;
  any_rule rule = specdec::rejection{};
  if (draws_noise) rule = how.rule == judging::greedy ? any_rule(specdec::greedy{}) : any_rule(specdec::coupled{});
  plan alone = how;
  alone.fork_at.reset();
  player<any_rule> one(models, alone, wanted, rule);
  specdec::no_draft nothing;
  const auto calmly = [&](auto& text, const auto& take) {
    specdec::speculative_generate(text, one.contexts.target, nothing, take);
    require_ended(text.running(), text.status());
  };
  one.play(calmly, calmly);
  return std::move(one.told.text);
}

generation play_calmly(const workplace& models, const plan& how, const text_plan& wanted) {
  return play_alone(models, how, wanted, nullptr);
}

std::vector<generation> play_in_storm(const workplace& models, const plan& how, dice& chance) {
  if (how.runs == driver::batch) return play_batch_in_storm(models, how, chance);
  std::vector<generation> all;
  all.push_back(play_alone(models, how, how.texts.front(), &chance));
  return all;
}

}  // namespace soak
