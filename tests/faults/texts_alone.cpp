// One text, by the loops of the library and by one's own.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../heard.hpp"
#include "methods.hpp"
#include "run.hpp"

namespace faults {

namespace {

using text_session = specdec::session<specdec::any_lossy_verifier<>>;

/// A text that somebody goes on with.
class text_alone : public run {
 public:
  text_alone(const method& of, bool all)
      : of_(&of), all_(all), models_(of), drafter_(of.drafter(models_)), text_(fresh()) {
    text_.begin(prompt);
    sound = text_.tokens().size();
  }

  [[nodiscard]] std::vector<fault_injector*> models() override {
    std::vector<fault_injector*> all{&models_.target, &models_.draft, &models_.draft_of_draft};
    all.resize(1 + of_->drafts);
    return all;
  }
  void resume() override { text_.resume(); }
  [[nodiscard]] std::vector<text_state> texts() const override {
    const auto tokens = text_.tokens();
    return {
        {{tokens.begin(), tokens.end()}, text_.status(), text_.fault(), heard_.tokens + heard_.text + state_of(text_)}};
  }
  void take_up(std::span<const std::byte> snapshot) override { text_.restore(snapshot); }

 protected:
  [[nodiscard]] text_session fresh() const { return {vocab_size, options_of(*of_, all_), of_->rule}; }

  /// What hears every round.
  [[nodiscard]] auto sink() {
    return [this](const specdec::outcome& out) {
      heard_(out);
      std::size_t faults = 0;
      for (const fault_injector* const model : models()) faults += model->faults();
      if (faults == 0) {
        sound = text_.tokens().size();
      } else if (behind_fault.empty()) {
        behind_fault = text_.snapshot();
      }
    };
  }

  const method* of_;
  bool all_;
  cast models_;
  specdec::any_drafter drafter_;
  text_session text_;
  heard heard_;
};

/// `speculative_generate`.
class generated : public text_alone {
 public:
  using text_alone::text_alone;
  void go_on() override {
    if (of_->of_itself) {
      specdec::speculative_generate(text_, models_.recorded_target, drafter_, sink());
    } else {
      specdec::speculative_generate(text_, models_.target, drafter_, sink());
    }
  }
};

/// A loop of one's own: over a target that knows its tokens, with verdicts that are adopted as if they came from
/// elsewhere. Behind every fault the session moves to another, by a snapshot.
class by_hand : public text_alone {
 public:
  explicit by_hand(const method& of) : text_alone(of, false) {}

  void go_on() override {
    auto& target = models_.recorded_target;
    text_.limit(target.capacity());
    const auto hear = sink();
    while (text_.running()) {
      const auto request = text_.request();
      drafted_.begin(request);
      drafter_.propose(request, text_.chance(), drafted_);
      const auto plan = text_.plan(drafted_, target.tokens());
      if (target.size() > plan.held) target.truncate(plan.held);
      const auto rows =
          plan.tree ? target.decode_tree(plan.tokens, plan.parents, plan.rows) : target.decode(plan.tokens, plan.rows);
      const auto verdict = text_.adopt(text_.verify(rows));
      if (plan.tree) target.keep(text_.kept_path());
      const auto out = text_.commit(verdict);
      if (out.status == specdec::session_status::failed) return;
      drafter_.observe(out);
      hear(out);
    }
  }
  void resume() override {
    text_session other = fresh();
    other.restore(text_.snapshot());
    text_ = std::move(other);
    text_alone::resume();
  }

 private:
  specdec::draft drafted_;
};

/// Generation from a prompt by the library's function for it, whose session ends with the call: called again, it begins
/// anew.
class from_a_prompt : public run {
 public:
  /// How a cast generates from the prompt, and tells of it.
  using generator = std::function<specdec::generation(cast&, const specdec::generate_options&,
                                                      const std::function<void(const specdec::outcome&)>&)>;

  from_a_prompt(const method& of, bool all, generator generate)
      : drafts_(of.drafts), options_(options_of(of, all)), models_(of), generate_(std::move(generate)) {
    sound = tokens_.size();
  }

  [[nodiscard]] std::vector<fault_injector*> models() override {
    std::vector<fault_injector*> all{&models_.target, &models_.draft};
    all.resize(1 + drafts_);
    return all;
  }
  void go_on() override {
    tokens_ = prompt;
    heard_ = {};
    specdec::generation made = generate_(models_, options_, [this](const specdec::outcome& out) {
      heard_(out);
      for (const auto& token : out.tokens) tokens_.push_back(token.id);
      if (models_.target.faults() == 0) sound = tokens_.size();
    });
    status_ = made.status;
    made.stats.draft_seconds = made.stats.target_seconds = made.stats.verify_seconds = 0;
    returned_ = made.text + to_json(made.stats);
    for (const auto& token : made.tokens) returned_ += ' ' + std::to_string(token.id);
  }
  void resume() override {}
  [[nodiscard]] std::vector<text_state> texts() const override {
    return {{tokens_, status_, specdec::row_fault::none, heard_.tokens + heard_.text + returned_}};
  }

 private:
  std::size_t drafts_;
  specdec::generate_options options_;
  cast models_;
  generator generate_;
  std::vector<token_id> tokens_ = prompt;
  specdec::session_status status_ = specdec::session_status::running;
  heard heard_;
  std::string returned_;
};

cell cell_of(const method& of, std::string driver, std::function<std::unique_ptr<run>()> begin) {
  return {.method = of.name,
          .driver = std::move(driver),
          .begin = std::move(begin),
          .tells_by_status = false,
          .learns = of.learns,
          .of_itself = of.of_itself,
          .own_choice = of.own_choice,
          .reads_clock = of.reads_clock};
}

void add_from_a_prompt(std::vector<cell>& cells, const method& of, const std::string& driver,
                       const from_a_prompt::generator& generate) {
  for (const bool all : {false, true}) {
    cells.push_back(cell_of(of, driver + (all ? ", all options" : ""),
                            [&of, all, generate] { return std::make_unique<from_a_prompt>(of, all, generate); }));
    cells.back().begins_anew = true;
  }
}

}  // namespace

std::vector<cell> texts_alone() {
  std::vector<cell> cells;
  for (const method& of : methods()) {
    cells.push_back(cell_of(of, "generate", [&of] { return std::make_unique<generated>(of, false); }));
    cells.push_back(cell_of(of, "generate, all options", [&of] { return std::make_unique<generated>(of, true); }));
    cells.push_back(cell_of(of, "session by hand", [&of] { return std::make_unique<by_hand>(of); }));
    cells.back().tells_by_status = true;
  }
  add_from_a_prompt(cells, method_of("no draft"), "autoregressive generate",
                    [](cast& models, const auto& options, const auto& sink) {
                      return specdec::autoregressive_generate(models.target, prompt, options, sink);
                    });
  add_from_a_prompt(cells, method_of("rejection"), "generate from a prompt",
                    [](cast& models, const auto& options, const auto& sink) {
                      return specdec::speculative_generate(models.target, models.draft, prompt, options, sink);
                    });
  return cells;
}

}  // namespace faults
