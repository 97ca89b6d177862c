#include "comparison.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <measurement/generator.hpp>
#include <measurement/prompts.hpp>
#include <program/interruption.hpp>
#include <program/progress.hpp>

#include "matching.hpp"

namespace llama {
namespace {

using measurement::any_context;
using program::interruption;
using specdec::token_id;
using tokens = std::span<const token_id>;

constexpr std::size_t default_gamma = 4;

/// One way to generate, a round at a time.
class runner {
 public:
  virtual ~runner() = default;
  virtual void begin(tokens prompt, std::uint32_t stream) = 0;
  /// Goes on for a round, and adds what it did.
  virtual void round(doctor::timed_run& done) = 0;
  [[nodiscard]] virtual tokens text() const = 0;
};

/// specdec's, with a draft or without.
class specdec_runner final : public runner {
 public:
  specdec_runner(any_context target, any_context draft, std::size_t gamma, const options& asked,
                 const specdec::generate_options& how)
      : target_(std::move(target)),
        generator_(target_, gamma > 0 ? drafter_of(std::move(draft), gamma, asked) : specdec::any_drafter(), how) {}

  void begin(tokens prompt, std::uint32_t stream) override {
    (void)generator_.read(prompt);
    stream_ = stream;
    begun_ = false;
    before_ = {};
  }
  void round(doctor::timed_run& done) override {
    const auto count = [&](const specdec::outcome& out) {
      done.tokens += static_cast<double>(out.committed);
      done.rounds += 1;
    };
    if (begun_) {
      (void)generator_.go_on(1, count);
    } else {
      (void)generator_.run(stream_, 1, count);
    }
    begun_ = true;
    const specdec::statistics& now = generator_.text().stats();
    done.seconds += now.seconds() - before_.seconds();
    before_ = now;
  }
  [[nodiscard]] tokens text() const override { return generator_.text().tokens(); }

 private:
  static specdec::any_drafter drafter_of(any_context draft, std::size_t gamma, const options& asked) {
    measurement::assembled_method method =
        measurement::find_method("rejection").assemble_anywhere(std::move(draft), asked.method_settings);
    method.set_gamma(gamma);
    return std::move(method.drafter);
  }

  any_context target_;
  measurement::generator generator_;
  std::uint32_t stream_ = 0;
  bool begun_ = false;
  specdec::statistics before_;
};

/// llama.cpp's rule.
class matching_runner final : public runner {
 public:
  matching_runner(any_context target, any_context draft, std::size_t gamma, const options& asked, tokens never)
      : text_(std::move(target), std::move(draft), gamma, asked.sampling, never), seed_(asked.seed) {}

  void begin(tokens prompt, std::uint32_t stream) override {
    text_.begin(prompt, static_cast<std::uint32_t>(seed_ * 1000003 + stream));
  }
  void round(doctor::timed_run& done) override {
    const auto start = std::chrono::steady_clock::now();
    done.tokens += static_cast<double>(text_.round());
    done.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    done.rounds += 1;
  }
  [[nodiscard]] tokens text() const override { return text_.tokens(); }

 private:
  matching_text text_;
  std::uint64_t seed_;
};

std::vector<std::vector<token_id>> prompts_of(const engine& models, const options& asked, std::size_t capacity,
                                              std::size_t& without_room) {
  std::vector<measurement::prompt> texts;
  if (asked.has_prompt) {
    texts.push_back({"", asked.prompt});
  } else {
    texts = measurement::task_by_task(measurement::read_prompts(asked.prompts));
  }
  std::vector<std::vector<token_id>> prompts;
  // The last rounds of long drafts reach beyond the text.
  const std::size_t needed = std::min(asked.predict, capacity) + measurement::most_drafted + 1;
  for (const measurement::prompt& one : texts) {
    std::vector<token_id> read = models.encode(one.text);
    if (!read.empty() && read.size() + needed <= capacity) {
      prompts.push_back(std::move(read));
    } else {
      ++without_room;
    }
  }
  if (prompts.empty()) {
    throw std::runtime_error(
        fmt::format("expected a prompt with room for {} tokens behind it in contexts of {}; got none (-n, --ctx-size)",
                    needed, capacity));
  }
  return prompts;
}

}  // namespace

comparison compare(const engine& models, const options& asked) {
  comparison found;
  found.gamma = asked.has_gamma ? *asked.gamma : default_gamma;
  found.tokens_per_text = asked.predict;
  any_context judge_p = models.new_target(), judge_q = models.new_draft();
  specdec::generate_options how{.max_tokens = judge_p.capacity(),
                                .sampling = asked.sampling,
                                .end_tokens = models.end_tokens(),
                                .seed = asked.seed};
  how.min_tokens = how.max_tokens;
  how.log_probabilities = specdec::log_probability_of::nothing;
  const tokens never = models.end_tokens();

  specdec_runner plain(models.new_target(), {}, 0, asked, how);
  matching_runner plain_llama(models.new_target(), {}, 0, asked, never);
  matching_runner matching(models.new_target(), models.new_draft(), found.gamma, asked, never);
  specdec_runner rejection(models.new_target(), models.new_draft(), found.gamma, asked, how);
  const std::array<runner*, ways> runners{&plain, &plain_llama, &matching, &rejection};
  const auto prompts =
      prompts_of(models, asked, std::min(judge_p.capacity(), judge_q.capacity()), found.prompts_without_room);

  const auto enough = static_cast<double>(asked.predict);
  program::progress_bar bar(stderr, static_cast<double>(asked.texts));
  for (std::size_t i = 0; i < asked.texts && !interruption::stop_requested(); ++i) {
    const std::vector<token_id>& prompt = prompts[i % prompts.size()];
    bar.show(fmt::format("text {} of {}", i + 1, asked.texts));
    for (runner* one : runners) one->begin(prompt, static_cast<std::uint32_t>(i / prompts.size()));
    std::vector<doctor::timed_run> text(ways);
    for (;;) {
      const auto behind =
          std::min_element(text.begin(), text.end(), [](const auto& a, const auto& b) { return a.tokens < b.tokens; });
      if (behind->tokens >= enough || interruption::stop_requested()) break;
      runners[static_cast<std::size_t>(behind - text.begin())]->round(*behind);
    }
    if (interruption::stop_requested()) break;
    found.runs.push_back(std::move(text));
    found.forced.push_back(force(judge_p, judge_q, plain.text(), prompt.size(), how, asked.method_settings.draft_top));
    bar.step(1, fmt::format("text {} of {}", i + 1, asked.texts));
  }
  return found;
}

}  // namespace llama
