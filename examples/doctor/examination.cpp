#include "examination.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <measurement/costs.hpp>
#include <program/interruption.hpp>

#include "replay.hpp"

namespace doctor {
namespace {

using program::interruption;
using tokens = std::span<const specdec::token_id>;

constexpr std::size_t least_texts = 3;
constexpr std::size_t least_judged = 12;

// Enough for many tokens, few enough for many texts in the time. Without noise there are only as many texts as prompts,
// and few prompts need long texts.
std::size_t rounds_per_trace(const patient& pair) {
  constexpr std::size_t usual = 16, enough = 192;
  return pair.varied() ? usual : std::max(usual, enough / pair.prompts().size());
}

round_seconds difference(const specdec::statistics& after, const specdec::statistics& before) {
  return {after.draft_seconds - before.draft_seconds, after.target_seconds - before.target_seconds,
          after.verify_seconds - before.verify_seconds};
}

// A round to run; those that are not timed put the draft, the target and the caches in the state that the next finds
// in a run with its gamma alone.
struct scheduled {
  std::size_t gamma;
  bool timed;
};

std::vector<scheduled> schedule(std::size_t deepest, std::mt19937_64& random) {
  // What every speed-up is over is timed most often, and at any time.
  std::vector<std::size_t> order{0, 0, 0};
  for (std::size_t gamma = 1; gamma <= deepest; ++gamma) order.push_back(gamma);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<scheduled> rounds;
  // Short drafts often follow one that was accepted whole, whose last token the draft has yet to read.
  constexpr std::size_t short_draft = 4;
  for (const std::size_t gamma : order) {
    if (gamma <= short_draft) rounds.push_back({gamma, false});
    rounds.push_back({gamma, true});
    // The draft has missed what came meanwhile.
    if (gamma == 0) rounds.push_back({1, false});
  }
  return rounds;
}

// Runs the rounds behind the prompt that was read, beginning anew where the context would not hold the next. Returns
// the times of every gamma; of fewer rounds if the user interrupts them.
std::vector<std::vector<round_seconds>> run_rounds(patient& pair, std::span<const scheduled> rounds, std::size_t room,
                                                   std::size_t deepest, std::uint32_t stream) {
  std::vector<std::vector<round_seconds>> times(deepest + 1);
  while (!rounds.empty() && !interruption::stop_requested()) {
    std::size_t count = 0;
    for (std::size_t used = 0; count < rounds.size() && used + rounds[count].gamma < room; ++count) {
      used += rounds[count].gamma + 1;
    }
    const std::span<const scheduled> some = rounds.first(std::max<std::size_t>(count, 1));
    rounds = rounds.subspan(some.size());
    std::size_t next = 0;
    specdec::statistics before;
    pair.set_gamma(some.front().gamma);
    pair.endless().run(stream, some.size(), [&](const specdec::outcome& out) {
      const specdec::statistics& after = pair.endless().text().stats();
      const bool whole = out.drafted.size() == some[next].gamma;
      if (some[next].timed && whole) times[some[next].gamma].push_back(difference(after, before));
      before = after;
      if (++next < some.size()) pair.set_gamma(some[next].gamma);
    });
  }
  return times;
}

std::optional<cycle> timed_cycle(patient& pair, std::size_t room, std::size_t deepest, std::uint32_t stream,
                                 std::mt19937_64& random) {
  const auto times = run_rounds(pair, schedule(deepest, random), room, deepest, stream);
  cycle result;
  for (const std::vector<round_seconds>& rounds : times) {
    if (rounds.empty()) return std::nullopt;
    const auto middle = [&](double round_seconds::*part) {
      std::vector<double> values;
      for (const round_seconds& round : rounds) values.push_back(round.*part);
      return measurement::median(values);
    };
    result.push_back({middle(&round_seconds::draft), middle(&round_seconds::target), middle(&round_seconds::verify)});
  }
  return result;
}

trace traced_text(patient& pair, std::size_t deepest, std::uint32_t stream) {
  trace result;
  pair.set_gamma(deepest);
  pair.natural().run(stream, rounds_per_trace(pair), [&](const specdec::outcome& out) {
    const std::size_t judged = std::min(out.accepted, out.committed);
    result.insert(result.end(), judged, fate::accepted);
    if (out.committed > judged && out.end == specdec::round_end::rejected) result.push_back(fate::rejected);
    if (out.committed > judged && out.end == specdec::round_end::all_accepted) result.push_back(fate::unjudged);
  });
  return result;
}

// Whether a drafted token costs more than one of plain generation.
bool draft_is_slower(patient& pair, std::size_t room) {
  constexpr std::size_t gamma = 2;
  std::vector<scheduled> rounds{{0, false}, {0, true}, {0, true}, {0, true}, {gamma, false}};
  rounds.insert(rounds.end(), 3, {gamma, true});
  const auto times = run_rounds(pair, rounds, room, gamma, 0);
  if (times[0].empty() || times[gamma].empty()) return false;
  // Of so few the fastest tells most: whatever else the machine does only adds.
  const auto least = [](const std::vector<round_seconds>& taken, double round_seconds::*part) {
    const auto takes_less = [&](const round_seconds& a, const round_seconds& b) { return a.*part < b.*part; };
    return (*std::min_element(taken.begin(), taken.end(), takes_less)).*part;
  };
  return least(times[gamma], &round_seconds::draft) / gamma > least(times[0], &round_seconds::target);
}

std::size_t judged_in(const recording& found) {
  return static_cast<std::size_t>(acceptance_behind(found.traces, 0).judged);
}

}  // namespace

recording examine(patient& pair, allotted_time& time) {
  constexpr std::size_t deepest_of_slow_draft = 4;
  recording found;
  std::mt19937_64 random(1);
  std::size_t texts = 0;
  bool measured = false;
  for (std::uint32_t pass = 0; !interruption::stop_requested(); ++pass) {
    for (const std::vector<specdec::token_id>& prompt : pair.prompts()) {
      if (interruption::stop_requested() || (time.over() && measured && texts >= least_texts)) break;
      time.show(fmt::format("measuring on text {}", texts + 1));
      const std::size_t room = pair.room_behind(prompt);
      pair.set_gamma(1);
      // Both read it, but the contexts know what they hold.
      pair.natural().read(prompt);
      pair.endless().read(prompt);
      if (texts == 0 && draft_is_slower(pair, room)) found.deepest = deepest_of_slow_draft;
      // Without noise, the same prompt would give the same text, and say nothing new.
      if (pass == 0 || pair.varied()) {
        trace text = traced_text(pair, found.deepest, 2 * pass);
        if (!interruption::stop_requested() && !text.empty()) found.traces.push_back(std::move(text));
      }
      if (auto timed = timed_cycle(pair, room, found.deepest, 2 * pass + 1, random)) {
        found.cycles.push_back(std::move(*timed));
      }
      measured = judged_in(found) >= least_judged && found.cycles.size() >= least_texts;
      ++texts;
    }
    if (time.over() && (measured || pass >= least_texts)) break;
  }
  const std::size_t judged = judged_in(found);
  if (judged < least_judged && !interruption::stop_requested()) {
    throw std::runtime_error(fmt::format(
        "the texts end too early to judge the draft: expected {} guesses at least; got {} (take other prompts)",
        least_judged, judged));
  }
  return found;
}

}  // namespace doctor
