// Three texts of 200 tokens together, in a batch.

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <specdec/testing/faulty_sequences.hpp>
#include <string>
#include <vector>

#include "../heard.hpp"
#include "methods.hpp"
#include "run.hpp"

namespace faults {

namespace {

using several = specdec::separate_sequences<small_model>;
using faulty_several = specdec::testing::faulty_sequences<several>;
using text_session = specdec::session<specdec::any_lossy_verifier<>>;

constexpr std::size_t text_count = 3;
/// They end at different times.
constexpr std::array<std::size_t, text_count> lengths{90, 60, 50};

faulty_several models_of(const small_model::pool& pool) {
  return faulty_several(several(std::vector<small_model>(text_count, small_model(pool, pool))));
}

class text_batch : public run {
 public:
  text_batch(const method& of, bool all) : target_(models_of(pools::target)) {
    texts_.reserve(text_count);
    for (std::size_t i = 0; i < text_count; ++i) {
      specdec::generate_options options = options_of(of, all);
      options.max_tokens = lengths[i];
      options.stream = static_cast<std::uint32_t>(i);
      texts_.emplace_back(vocab_size, options, of.rule);
      // Prompts of different lengths, read in chunks.
      std::vector<token_id> begin = prompt;
      for (std::size_t k = 0; k < 10 * i; ++k) begin.push_back(static_cast<token_id>(k * k % vocab_size));
      texts_.back().begin(begin);
    }
  }

  void resume() override {
    for (auto& text : texts_) text.resume();
  }
  [[nodiscard]] std::vector<text_state> texts() const override {
    std::vector<text_state> states;
    for (std::size_t i = 0; i < text_count; ++i) {
      const auto tokens = texts_[i].tokens();
      states.push_back({{tokens.begin(), tokens.end()},
                        texts_[i].status(),
                        texts_[i].fault(),
                        heard_[i].tokens + heard_[i].text + state_of(texts_[i])});
    }
    return states;
  }

 protected:
  static constexpr specdec::batch_options chunks{.prefill_tokens = 8};

  template <class Batch>
  void join_all(Batch& batch) {
    for (auto& text : texts_) batch.join(text);
  }
  template <class Batch>
  void run_rounds(Batch& batch) {
    while (batch.running()) {
      batch.round([this](text_session& text, const specdec::outcome& out) {
        heard_[static_cast<std::size_t>(&text - texts_.data())](out);
      });
    }
  }

  faulty_several target_;
  std::vector<text_session> texts_;
  std::array<heard, text_count> heard_;
};

/// Nothing drafts.
class undrafted : public text_batch {
 public:
  undrafted(const method& of, bool all) : text_batch(of, all), batch_(target_, chunks) { join_all(batch_); }
  [[nodiscard]] std::vector<fault_injector*> models() override { return {&target_}; }
  void go_on() override { run_rounds(batch_); }

 private:
  specdec::session_batch<faulty_several, specdec::no_batch_draft, specdec::any_lossy_verifier<>> batch_;
};

/// One model drafts for all, in lockstep.
template <class Policy>
class drafted_together : public text_batch {
 public:
  drafted_together(const method& of, bool all, const Policy& policy)
      : text_batch(of, all),
        draft_(models_of(pools::near)),
        drafter_(draft_, policy, {.top = 8}),
        batch_(target_, drafter_, chunks) {
    join_all(batch_);
  }
  [[nodiscard]] std::vector<fault_injector*> models() override { return {&target_, &draft_}; }
  void go_on() override { run_rounds(batch_); }

 private:
  using drafter = specdec::batch_model_drafter<faulty_several, Policy>;

  faulty_several draft_;
  drafter drafter_;
  specdec::session_batch<faulty_several, drafter, specdec::any_lossy_verifier<>> batch_;
};

/// Every text has a drafter of its own, any of which may fail.
class drafted_apart : public text_batch {
 public:
  drafted_apart(const method& of, bool all)
      : text_batch(of, all), of_(&of), drafter_(text_count, maker{this}), batch_(target_, drafter_, chunks) {
    join_all(batch_);
  }
  [[nodiscard]] std::vector<fault_injector*> models() override {
    std::vector<fault_injector*> all{&target_};
    for (const auto& models : casts_) {
      const std::array<fault_injector*, 2> drafts{&models->draft, &models->draft_of_draft};
      all.insert(all.end(), drafts.begin(), drafts.begin() + of_->drafts);
    }
    return all;
  }
  void go_on() override { run_rounds(batch_); }

 private:
  struct maker {
    drafted_apart* self;
    specdec::any_drafter operator()(std::size_t sequence) const {
      auto& models = self->casts_[sequence];
      models = std::make_unique<cast>(*self->of_);
      return self->of_->drafter(*models);
    }
  };
  using drafter = specdec::separate_drafters<maker>;

  const method* of_;
  std::array<std::unique_ptr<cast>, text_count> casts_;
  drafter drafter_;
  specdec::session_batch<faulty_several, drafter, specdec::any_lossy_verifier<>> batch_;
};

/// The texts of `Batch`, which is made of the method, whether all is asked for, and what else there is.
template <class Batch, class... More>
cell cell_of(const method& of, const std::string& driver, bool all, const More&... more) {
  return {.method = of.name,
          .driver = driver + (all ? ", all options" : ""),
          .begin = [&of, all, more...] { return std::make_unique<Batch>(of, all, more...); },
          .several = true,
          .tells_by_status = true,
          .learns = of.learns,
          .own_choice = of.own_choice,
          .reads_clock = of.reads_clock};
}

template <class Policy>
cell together(const std::string& name, const Policy& policy, bool all = false) {
  return cell_of<drafted_together<Policy>>(method_of(name), "batch", all, policy);
}

}  // namespace

std::vector<cell> texts_in_batches() {
  std::vector<cell> cells;
  for (const char* rule : {"rejection", "rejection, temperature 0", "block verification", "greedy", "coupled",
                           "lenient (lossy)", "typical acceptance (lossy)"}) {
    cells.push_back(together(rule, specdec::constant{4}));
  }
  cells.push_back(together("length: confidence of heuristic", specdec::confidence(specdec::heuristic{4})));
  for (const char* rule : {"rejection", "coupled"}) cells.push_back(together(rule, specdec::constant{4}, true));
  for (const bool all : {false, true}) {
    cells.push_back(cell_of<undrafted>(method_of("no draft"), "batch without a drafter", all));
  }
  for (const method& of : methods()) {
    const bool bounded = of.capacity < std::numeric_limits<std::size_t>::max();
    // A fault may change which texts share a call.
    if (of.branches || of.of_itself || of.heeds_company || bounded) continue;
    cells.push_back(cell_of<drafted_apart>(of, "batch, separate drafters", false));
  }
  for (const char* name : {"block verification", "what a mask forces", "translated vocabulary"}) {
    cells.push_back(cell_of<drafted_apart>(method_of(name), "batch, separate drafters", true));
  }
  return cells;
}

}  // namespace faults
