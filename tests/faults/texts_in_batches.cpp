// Three texts of 200 tokens together, in a batch.

#include <array>
#include <cstdint>
#include <memory>
#include <specdec/testing/faulty_sequences.hpp>
#include <utility>

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
  explicit text_batch(const method& of) : target_(models_of(pools::target)) {
    texts_.reserve(text_count);
    for (std::size_t i = 0; i < text_count; ++i) {
      specdec::generate_options options = options_of(of, false);
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

/// One model drafts for all, in lockstep.
template <class Policy>
class drafted_together : public text_batch {
 public:
  drafted_together(const method& of, const Policy& policy)
      : text_batch(of),
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
  explicit drafted_apart(const method& of)
      : text_batch(of), of_(&of), drafter_(text_count, maker{this}), batch_(target_, drafter_, chunks) {
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

cell cell_of(const method& of, const char* driver, std::function<std::unique_ptr<run>()> begin) {
  return {.method = of.name,
          .driver = driver,
          .begin = std::move(begin),
          .several = true,
          .tells_by_status = true,
          .learns = of.learns,
          .own_choice = of.own_choice,
          .reads_clock = of.reads_clock};
}

template <class Policy>
void add_together(std::vector<cell>& cells, const method& of, const Policy& policy) {
  cells.push_back(
      cell_of(of, "batch", [&of, policy] { return std::make_unique<drafted_together<Policy>>(of, policy); }));
}

const method& method_of(const std::string& name) {
  for (const method& of : methods()) {
    if (of.name == name) return of;
  }
  throw std::invalid_argument("there is no method of the name " + name);
}

}  // namespace

std::vector<cell> texts_in_batches() {
  std::vector<cell> cells;
  for (const char* rule : {"rejection", "rejection, temperature 0", "block verification", "greedy", "coupled",
                           "lenient (lossy)", "typical acceptance (lossy)"}) {
    add_together(cells, method_of(rule), specdec::constant{4});
  }
  add_together(cells, method_of("length: confidence of heuristic"), specdec::confidence(specdec::heuristic{4}));
  for (const method& of : methods()) {
    const bool bounded = of.capacity < std::numeric_limits<std::size_t>::max();
    // A fault may change which texts share a call.
    if (of.branches || of.of_itself || of.heeds_company || bounded) continue;
    cells.push_back(cell_of(of, "batch, separate drafters", [&of] { return std::make_unique<drafted_apart>(of); }));
  }
  return cells;
}

}  // namespace faults
