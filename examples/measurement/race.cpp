#include "race.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <utility>

#include <program/interruption.hpp>

#include "costs.hpp"
#include "stopwatch.hpp"

namespace measurement {
namespace {

template <class Samples, class Member>
double median_of(const Samples& samples, Member member) {
  std::vector<double> values;
  for (const auto& one : samples) values.push_back(std::invoke(member, one));
  return median(std::move(values));
}

/// Drafts as another, and writes down what it is asked.
struct noting_drafter {
  specdec::any_drafter drafter;
  specdec::draft_request* asked;

  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    *asked = request;
    drafter.propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) { drafter.observe(out); }
};

generator generator_of(const method& method, const model_pair& models, toy::context& target,
                       const method_settings& settings, std::size_t gamma, const specdec::generate_options& options,
                       specdec::draft_request& asked) {
  assembled_method assembled = method.assemble(models, target, settings);
  assembled.set_gamma(gamma);
  return {target, noting_drafter{std::move(assembled.drafter), &asked}, options, std::move(assembled.rule)};
}

}  // namespace

void tally::add(const specdec::outcome& out) {
  drafted.resize(std::max(drafted.size(), out.drafted.size() + 1));
  ++drafted[out.drafted.size()];
  delivered += out.committed;
}

tally& tally::operator+=(const tally& other) {
  drafted.resize(std::max(drafted.size(), other.drafted.size()));
  for (std::size_t n = 0; n < other.drafted.size(); ++n) drafted[n] += other.drafted[n];
  delivered += other.delivered;
  return *this;
}

std::uint64_t tally::rounds() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t rounds : drafted) sum += rounds;
  return sum;
}

race_record& race_record::operator+=(const race_record& other) {
  rounds.insert(rounds.end(), other.rounds.begin(), other.rounds.end());
  parts.insert(parts.end(), other.parts.begin(), other.parts.end());
  speculative += other.speculative;
  plain += other.plain;
  counts += other.counts;
  text += other.text;
  return *this;
}

void cost_by_length::add(std::size_t drafted, double seconds) {
  samples_.resize(std::max(samples_.size(), drafted + 1));
  samples_[drafted].push_back(seconds);
}

double cost_by_length::at(std::size_t drafted) const {
  const auto known = [&](std::size_t n) { return n < samples_.size() && !samples_[n].empty(); };
  const auto cost = [&](std::size_t n) { return median(samples_[n]); };
  const auto between = [](std::size_t n, std::size_t begin, std::size_t end) {
    return (static_cast<double>(n) - static_cast<double>(begin)) / static_cast<double>(end - begin);
  };
  if (known(drafted)) return cost(drafted);
  const std::size_t longest = samples_.size() - 1;
  std::size_t shortest = 0;
  while (!known(shortest)) ++shortest;
  if (drafted < shortest || drafted > longest) {
    const std::size_t nearest = drafted < shortest ? shortest : longest;
    if (shortest == longest || cost(longest) < cost(shortest)) return cost(nearest);
    const double on_line = std::lerp(cost(shortest), cost(longest), between(drafted, shortest, longest));
    // Some of a round's cost is the same for every length, so half a draft costs more than half.
    return std::max(on_line, drafted < shortest ? cost(shortest) * between(drafted, 0, shortest) : 0.0);
  }
  std::size_t below = drafted, above = drafted;
  while (!known(below)) --below;
  while (!known(above)) ++above;
  return std::lerp(cost(below), cost(above), between(drafted, below, above));
}

double cost_by_length::mean_over(const tally& counts) const {
  double sum = 0;
  for (std::size_t n = 0; n < counts.drafted.size(); ++n) {
    if (counts.drafted[n] > 0) sum += static_cast<double>(counts.drafted[n]) * at(n);
  }
  return sum / static_cast<double>(counts.rounds());
}

double speedup_by_sums(const race_record& record) {
  return record.speculative.tokens_per_second() / record.plain.tokens_per_second();
}

double speedup_by_medians(const tally& counts, std::span<const timed_round> rounds) {
  cost_by_length whole;
  for (const timed_round& round : rounds) whole.add(round.drafted, round.seconds());
  const double tokens = static_cast<double>(counts.delivered) / static_cast<double>(counts.rounds());
  return tokens * median_of(rounds, &timed_round::plain) / whole.mean_over(counts);
}

double predicted_speedup(const tally& counts, std::span<const timed_parts> parts, std::span<const timed_round> rounds) {
  cost_by_length drafting, scoring, verifying;
  for (const timed_parts& part : parts) {
    drafting.add(part.drafted, part.draft);
    scoring.add(part.drafted, part.target);
  }
  for (const timed_round& round : rounds) verifying.add(round.drafted, round.verify);
  const double tokens = static_cast<double>(counts.delivered) / static_cast<double>(counts.rounds());
  const double plain = median_of(parts, &timed_parts::single) + median_of(rounds, &timed_round::plain_verify);
  return tokens * plain / (drafting.mean_over(counts) + scoring.mean_over(counts) + verifying.mean_over(counts));
}

race::race(const method& method, const model_pair& models, const method_settings& settings, std::size_t gamma,
           const specdec::generate_options& options, std::size_t probe_every)
    : probe_every_(probe_every),
      target_(models.target.model),
      plain_target_(models.target.model),
      twin_target_(models.target.model),
      twin_(method.assemble(models, twin_target_, settings)),
      speculative_(generator_of(method, models, target_, settings, gamma, options, asked_)),
      plain_(plain_target_, {}, options) {
  twin_.set_gamma(gamma);
}

race_record race::run(std::span<const specdec::token_id> prompt, std::uint32_t stream, std::size_t rounds) {
  race_record record;
  const auto tell_twin = [&](const specdec::outcome& out) {
    draft_again(speculative_.text());
    twin_.drafter.observe(out);
  };
  (void)speculative_.read(prompt, tell_twin);
  (void)plain_.read(prompt);
  const auto take_a_plain_round = [&] {
    // The first behind the prompt: however long the method's text is, plain decoding never runs out of its own.
    const bool first = record.rounds.empty() || plain_.text().status() != specdec::session_status::stopped;
    const specdec::statistics earlier = first ? specdec::statistics{} : plain_.text().stats();
    if (first) {
      (void)plain_.run(stream, 1);
    } else {
      (void)plain_.go_on(1);
    }
    const specdec::statistics& now = plain_.text().stats();
    const double target = now.target_seconds - earlier.target_seconds;
    const double all = now.seconds() - earlier.seconds();
    record.plain.rounds += 1;
    record.plain.delivered += 1;
    record.plain.target_seconds += target;
    record.plain.verify_seconds += all - target;
    return std::pair(all, all - target);
  };

  specdec::statistics before;
  const auto after_a_round = [&](const specdec::outcome& out) {
    const specdec::statistics& now = speculative_.text().stats();
    // Before the plain round, so that the next draft finds the caches as the target leaves them.
    if (probe_every_ > 0 && out.round > 0 && (out.round - 1) % probe_every_ == 0) {
      record.parts.push_back(time_parts(speculative_.text()));
    } else {
      draft_again(speculative_.text());
    }
    twin_.drafter.observe(out);
    const auto [plain, plain_verify] = take_a_plain_round();
    record.rounds.push_back({out.drafted.size(), now.draft_seconds - before.draft_seconds,
                             now.target_seconds - before.target_seconds, now.verify_seconds - before.verify_seconds,
                             plain, plain_verify});
    record.counts.add(out);
    before = now;
  };
  record.speculative = speculative_.run(stream, rounds, after_a_round).stats;
  record.text = quality_of(std::ref(twin_target_), speculative_.text().tokens(), prompt.size());
  return record;
}

void race::rehearse(std::span<const specdec::token_id> prompt, toy::context* stand_in) {
  text_session text = speculative_.text();
  text.begin(prompt);
  const auto tell_twin = [&](const specdec::outcome& out) {
    draft_again(text);
    twin_.drafter.observe(out);
  };
  toy::context& target = stand_in == nullptr ? target_ : *stand_in;
  specdec::speculative_generate(text, target, speculative_.drafter(), tell_twin, program::interruption{});
}

std::span<const specdec::token_id> race::before_round(const text_session& text) const {
  return text.tokens().first(asked_.context.size());
}

void race::draft_again(const text_session& text) {
  specdec::draft_request request = asked_;
  request.context = before_round(text);
  specdec::philox chance(text.options().seed, text.options().stream);
  twin_draft_.begin(request);
  twin_.drafter.propose(request, chance, twin_draft_);
}

void race::feed_twin(const text_session& text) {
  const auto held = twin_target_.tokens();
  const auto before = before_round(text);
  const auto settled = before.first(before.size() - 1);
  const std::size_t shared = specdec::shared_prefix(settled, held);
  if (shared < held.size()) twin_target_.truncate(shared);
  if (shared < settled.size()) (void)twin_target_.decode(settled.subspan(shared), 0);
}

timed_parts race::time_parts(const text_session& text) {
  feed_twin(text);
  timed_parts found;
  found.draft = seconds_of([&] { draft_again(text); });
  found.drafted = twin_draft_.size();
  const auto before = before_round(text);
  std::vector<specdec::token_id> tokens{before.back()};
  for (const specdec::token_id token : twin_draft_.tokens()) tokens.push_back(token);
  const auto score = [&](std::span<const specdec::token_id> fed) {
    if (twin_target_.size() >= before.size()) twin_target_.truncate(before.size() - 1);
    (void)twin_target_.decode(fed, fed.size());
  };
  found.target = seconds_of([&] { score(tokens); });
  found.single = seconds_of([&] { score(std::span(tokens).first(1)); });
  return found;
}

}  // namespace measurement
