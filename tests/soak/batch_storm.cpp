#include "batch_storm.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <batch.hpp>
#include <specdec/testing/faulty_sequences.hpp>

#include "assembly.hpp"
#include "storm.hpp"

namespace soak {
namespace {

using specdec::outcome;
using text_session = specdec::session<any_rule>;
using faulty_batch = specdec::testing::faulty_sequences<toy::batch>;

/// A text of the batch, or the fork of one.
struct member {
  member(const workplace& models, const text_plan& of, const any_rule& rule)
      : wanted(of),
        fresh([&models, options = of.options, rule] { return text_session(models.vocab_size(), options, rule); }),
        text(fresh()) {
    text.begin(of.prompt);
  }
  /// A fork has no further turns.
  member(const workplace& models, const text_plan& of, const any_rule& rule, text_session begun)
      : wanted(of),
        fresh([&models, options = begun.options(), rule] { return text_session(models.vocab_size(), options, rule); }),
        text(std::move(begun)),
        turns(of.turns.size()) {}
  member(const member&) = delete;
  member& operator=(const member&) = delete;

  /// Is told of a round; behind that one it is forked. A round that failed is told of, too, and comes again.
  void take(const outcome& out, std::optional<std::uint32_t> fork_at) {
    told.take(out);
    if (out.status == specdec::session_status::failed) return;
    const bool is_a_fork = text.options().stream != wanted.options.stream;
    if (fork_at == out.round && !is_a_fork && fork == nullptr) forked = text.fork(wanted.options.stream + 1);
  }
  /// Begins the next turn; false if there is none left.
  bool go_on() {
    told.end_turn(text);
    if (turns == wanted.turns.size()) return false;
    const turn& next = wanted.turns[turns++];
    if (next.rewinds) text.rewind(text.prompt_size() + text.delivered());
    text.append(next.further);
    return true;
  }

  const text_plan& wanted;
  std::function<text_session()> fresh;
  text_session text;
  transcript told;
  std::size_t turns = 0;
  std::size_t size_joined = 0;  ///< of the text when it joined
  bool is_in = false;
  bool is_done = false;
  std::optional<text_session> forked;  ///< and not yet a member
  member* fork = nullptr;
};

/// Those who want to be in the batch: the texts of a plan, in its order, and behind them their forks.
struct company {
  company(const workplace& all, const plan& planned, const any_rule& by) : models(all), how(planned), rule(by) {
    for (const text_plan& text : how.texts) members.push_back(std::make_unique<member>(models, text, rule));
  }

  /// Makes members of what was forked.
  void adopt_forks() {
    for (std::size_t i = 0; i < how.texts.size(); ++i) {
      member& one = *members[i];
      if (!one.forked) continue;
      members.push_back(std::make_unique<member>(models, one.wanted, rule, *std::move(one.forked)));
      one.forked.reset();
      one.fork = members.back().get();
    }
  }

  const workplace& models;
  const plan& how;
  any_rule rule;
  std::vector<std::unique_ptr<member>> members;
};

/// Runs a company in a batch until all are done. `rise()` draws what will happen to the models, `explains(error)` says
/// whether that may end a round so.
template <class Batch, class Rise, class Explains>
class crowd {
 public:
  crowd(Batch& batch, const faulty_batch& target, company& all, bool may_leave, dice& chance, const Rise& rise,
        const Explains& explains)
      : batch_(batch),
        target_(target),
        all_(all),
        may_leave_(may_leave),
        chance_(chance),
        rise_(rise),
        explains_(explains) {}

  void run() {
    constexpr std::size_t most_rounds = 20'000;
    for (std::size_t round = 0; round < most_rounds; ++round) {
      all_.adopt_forks();
      join_some();
      if (batch_.size() == 0) return;
      one_round();
      for (const auto& one : all_.members) {
        if (one->is_in) look_after(*one);
      }
    }
    throw std::runtime_error("the batch does not come to an end");
  }

 private:
  void join_some() {
    for (const auto& one : all_.members) {
      if (one->is_in || one->is_done || batch_.size() == target_.sequence_count()) continue;
      if (batch_.size() > 0 && chance_.once_in(2)) continue;
      batch_.join(one->text);
      one->is_in = true;
      one->size_joined = one->text.tokens().size();
    }
  }

  void one_round() {
    rise_();
    trap sink_throws{chance_.some(12)}, sink_stops{chance_.some(12)};
    const auto sink = [&](text_session& text, const outcome& out) {
      const auto at =
          std::find_if(all_.members.begin(), all_.members.end(), [&](const auto& m) { return &m->text == &text; });
      (*at)->take(out, all_.how.fork_at);
      sink_throws.step();
      return !sink_stops.springs();
    };
    try {
      batch_.round(sink);
    } catch (const std::exception& error) {
      if (!weather::explains(error, sink_throws) && !explains_(error)) throw;
    }
  }

  void look_after(member& one) {
    if (one.text.status() == specdec::session_status::failed && target_.faults() == 0) {
      throw std::runtime_error("a text failed, though the target did not");
    }
    one.text.resume();
    if (!one.text.running()) {
      if (one.go_on()) return;
      one.is_done = true;
      leave(one);
    } else if (may_leave_ && one.text.tokens().size() > one.size_joined && chance_.once_in(8)) {
      // Before it has grown it is still being read, and whoever comes in its place may undo that: it would never end.
      leave(one);
      move_house(one.text, chance_, one.fresh);
      one.text.resume();
    }
  }

  void leave(member& one) {
    batch_.leave(one.text);
    one.is_in = false;
  }

  Batch& batch_;
  const faulty_batch& target_;
  company& all_;
  bool may_leave_;
  dice& chance_;
  const Rise& rise_;
  const Explains& explains_;
};

template <class Drafting, class Rise, class Explains>
void run_crowd(faulty_batch& target, Drafting& drafting, company& all, bool may_leave, dice& chance, const Rise& rise,
               const Explains& explains) {
  const specdec::batch_options options{.prefill_tokens = chance.one_of<std::size_t>({1, 7, 512})};
  specdec::session_batch<faulty_batch, Drafting, any_rule> batch(target, drafting, options);
  crowd(batch, target, all, may_leave, chance, rise, explains).run();
}

}  // namespace

std::vector<generation> play_batch_in_storm(const workplace& models, const plan& how, dice& chance) {
  const std::size_t sequences = chance.between(1, how.texts.size());
  faulty_batch target(toy::batch(models.pair.target.model, sequences));
  std::vector<std::unique_ptr<bench>> benches;
  for (std::size_t i = 0; i < sequences; ++i) benches.push_back(std::make_unique<bench>(models, 1));

  company all(models, how, rule_of(how, assemble(models, how, *benches.front()).rule));
  // Who joins again finds a drafter that has learnt nothing.
  const bool may_leave = !how.by->learns || std::all_of(how.texts.begin(), how.texts.end(),
                                                        [&](const auto& t) { return how.is_plain(t); });

  constexpr std::size_t calls_of_round = 8;
  weather now(chance, false, false);
  // Of its unusable rows nothing is thrown: texts fail.
  const auto target_explains = [&](const std::exception& error) {
    return documented::ending_by(error) != documented::ending::unusable_target &&
           weather::explains(error, target, {.is_target = true});
  };
  if (how.by->name == "rejection" && chance.once_in(2)) {
    faulty_batch draft(toy::batch(models.pair.draft->model, sequences));
    specdec::batch_model_drafter drafter(draft, specdec::constant{how.gamma}, {.top = how.settings.draft_top});
    const auto rise = [&] {
      now.spoil(target, calls_of_round);
      now.spoil(draft, calls_of_round);
    };
    run_crowd(target, drafter, all, may_leave, chance, rise, [&](const std::exception& error) {
      return target_explains(error) || weather::explains(error, draft, {.drafts = true});
    });
  } else {
    const std::function<specdec::any_drafter(std::size_t)> make = [&](std::size_t sequence) {
      return assemble(models, how, *benches[sequence]).drafter;
    };
    specdec::separate_drafters drafter(sequences, make);
    const auto rise = [&] {
      now.spoil(target, calls_of_round);
      for (const auto& one : benches) now.spoil(one->draft, calls_of_round);
    };
    run_crowd(target, drafter, all, may_leave, chance, rise, [&](const std::exception& error) {
      return target_explains(error) || std::any_of(benches.begin(), benches.end(), [&](const auto& one) {
               return weather::explains(error, one->draft, {.drafts = true});
             });
    });
  }

  std::vector<generation> told;
  for (std::size_t i = 0; i < how.texts.size(); ++i) {
    member& one = *all.members[i];
    told.push_back({std::move(one.told), std::nullopt});
    if (one.fork != nullptr) told.back().fork = std::move(one.fork->told);
  }
  return told;
}

}  // namespace soak
