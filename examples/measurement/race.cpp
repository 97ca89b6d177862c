#include "race.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "costs.hpp"

namespace measurement {
namespace {

using clock = std::chrono::steady_clock;

template <class Work>
double seconds_of(Work&& work) {
  const auto start = clock::now();
  work();
  return std::chrono::duration<double>(clock::now() - start).count();
}

template <class Samples, class Member>
double median_of(const Samples& samples, Member member) {
  std::vector<double> values;
  for (const auto& one : samples) values.push_back(std::invoke(member, one));
  return median(std::move(values));
}

generator generator_of(const method& method, const model_pair& models, toy::context& target,
                       const method_settings& settings, std::size_t gamma, const specdec::generate_options& options) {
  assembled_method assembled = method.assemble(models, target, settings);
  assembled.set_gamma(gamma);
  return {target, std::move(assembled.drafter), options, std::move(assembled.rule)};
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
  if (known(drafted)) return median(samples_[drafted]);
  std::size_t above = drafted;
  while (above < samples_.size() && !known(above)) ++above;
  std::size_t below = std::min(drafted, samples_.size());
  while (below-- > 0 && !known(below)) {
  }
  if (below >= samples_.size()) return median(samples_[above]);
  if (above >= samples_.size()) return median(samples_[below]);
  return std::lerp(median(samples_[below]), median(samples_[above]),
                   static_cast<double>(drafted - below) / static_cast<double>(above - below));
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
    : gamma_(gamma),
      probe_every_(probe_every),
      target_(models.target.model),
      plain_target_(models.target.model),
      twin_target_(models.target.model),
      twin_(method.assemble(models, twin_target_, settings)),
      chance_(options.seed, options.stream),
      speculative_(generator_of(method, models, target_, settings, gamma, options)),
      plain_(plain_target_, {}, options) {
  twin_.set_gamma(gamma);
}

race_record race::run(std::span<const specdec::token_id> prompt, std::uint32_t stream, std::size_t rounds) {
  race_record record;
  chance_ = specdec::philox(speculative_.text().options().seed, stream);
  (void)speculative_.read(prompt);
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
  std::size_t text_before = prompt.size(), text_earlier = 0;
  const auto after_a_round = [&](const specdec::outcome& out) {
    const specdec::statistics& now = speculative_.text().stats();
    const auto [plain, plain_verify] = take_a_plain_round();
    record.rounds.push_back({out.drafted.size(), now.draft_seconds - before.draft_seconds,
                             now.target_seconds - before.target_seconds, now.verify_seconds - before.verify_seconds,
                             plain, plain_verify});
    record.counts.add(out);
    if (probe_every_ > 0 && out.round > 0 && (out.round - 1) % probe_every_ == 0)
      probe(text_before, text_earlier, record);
    twin_.drafter.observe(out);
    before = now;
    text_earlier = text_before;
    text_before = speculative_.text().tokens().size();
  };
  record.speculative = speculative_.run(stream, rounds, after_a_round).stats;
  record.text = quality_of(twin_target_, speculative_.text().tokens(), prompt.size());
  return record;
}

void race::probe(std::size_t before, std::size_t earlier, race_record& record) {
  const std::span<const specdec::token_id> text = speculative_.text().tokens();
  const auto request_at = [&](std::size_t size) {
    // As the session asks: the text's last token is never drafted, nor what finds no room.
    const std::size_t end = text.size() - speculative_.text().generated().size() + speculative_.text().options().max_tokens;
    const std::size_t most = std::min({gamma_, twin_target_.capacity() - size, end - size - 1});
    return specdec::draft_request{.context = text.first(size),
                                  .max_depth = most,
                                  .max_nodes = most,
                                  .target_law = &speculative_.text().target_law(),
                                  .prompt_size = text.size() - speculative_.text().generated().size(),
                                  .round = static_cast<std::uint32_t>(record.rounds.size() - 1)};
  };
  const auto propose = [&](const specdec::draft_request& request) {
    twin_draft_.begin(request);
    twin_.drafter.propose(request, chance_, twin_draft_);
  };
  const auto score = [&](std::span<const specdec::token_id> tokens) {
    if (twin_target_.size() > before - 1) twin_target_.truncate(before - 1);
    (void)twin_target_.decode(tokens, tokens.size());
  };
  // The twin lives through the round before, so that its contexts are as this round found them.
  const auto feed = [&](std::size_t size) {
    const auto held = twin_target_.tokens();
    const auto differ = std::mismatch(held.begin(), held.end(), text.begin(), text.end()).first - held.begin();
    const std::size_t shared = std::min(static_cast<std::size_t>(differ), size);
    if (shared < held.size()) twin_target_.truncate(shared);
    if (shared < size) (void)twin_target_.decode(text.subspan(shared, size - shared), 0);
  };
  feed(earlier - 1);
  propose(request_at(earlier));
  if (twin_target_.size() > earlier - 1) twin_target_.truncate(earlier - 1);
  feed(before - 1);

  timed_parts found;
  found.draft = seconds_of([&] { propose(request_at(before)); });
  found.drafted = twin_draft_.size();
  std::vector<specdec::token_id> tokens{text[before - 1]};
  for (const specdec::token_id token : twin_draft_.tokens()) tokens.push_back(token);
  found.target = seconds_of([&] { score(tokens); });
  found.single = seconds_of([&] { score(std::span(tokens).first(1)); });
  record.parts.push_back(found);
}

}  // namespace measurement
