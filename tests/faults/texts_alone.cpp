// One text, by the loops of the library and by one's own.

#include <memory>
#include <span>
#include <utility>

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

}  // namespace

std::vector<cell> texts_alone() {
  std::vector<cell> cells;
  for (const method& of : methods()) {
    cells.push_back(cell_of(of, "generate", [&of] { return std::make_unique<generated>(of, false); }));
    cells.push_back(cell_of(of, "generate, all options", [&of] { return std::make_unique<generated>(of, true); }));
    cells.push_back(cell_of(of, "session by hand", [&of] { return std::make_unique<by_hand>(of); }));
    cells.back().tells_by_status = true;
  }
  return cells;
}

}  // namespace faults
