// One text whose drafter works ahead, by one thread or by two.

#include <memory>
#include <optional>
#include <span>
#include <specdec/adapters/background_thread.hpp>
#include <utility>

#include "../heard.hpp"
#include "methods.hpp"
#include "run.hpp"

namespace faults {

namespace {

/// Runs the sides of a round in two threads, or in one.
struct threads {
  std::unique_ptr<specdec::background_thread> second;

  template <class Drafting, class Scoring>
  void run(Drafting&& drafting, Scoring&& scoring) {
    if (second) {
      second->run(drafting, scoring);
    } else {
      specdec::one_after_the_other{}.run(drafting, scoring);
    }
  }
};

/// `overlapped_generate`. `Make` makes a drafter for a cast.
template <class Rule, class Make>
class overlapped : public run {
 public:
  overlapped(const Rule& rule, const Make& make, bool in_two_threads)
      : models_(method{}), drafter_(make(models_)), ahead_(drafter_), text_(vocab_size, options_of({}, false), rule) {
    if (in_two_threads) threads_.second = std::make_unique<specdec::background_thread>();
    text_.begin(prompt);
    sound = text_.tokens().size();
  }

  [[nodiscard]] std::vector<fault_injector*> models() override { return {&models_.target, &models_.draft}; }
  void go_on() override {
    specdec::overlapped_generate(text_, models_.target, ahead_, threads_, [this](const specdec::outcome& out) {
      heard_(out);
      if (models_.target.faults() == 0) {
        sound = text_.tokens().size();
      } else if (behind_fault.empty()) {
        behind_fault = text_.snapshot();
      }
    });
  }
  void resume() override { text_.resume(); }
  [[nodiscard]] std::vector<text_state> texts() const override {
    const auto tokens = text_.tokens();
    return {
        {{tokens.begin(), tokens.end()}, text_.status(), text_.fault(), heard_.tokens + heard_.text + state_of(text_)}};
  }
  void take_up(std::span<const std::byte> snapshot) override { text_.restore(snapshot); }

 private:
  using drafter = std::invoke_result_t<const Make&, cast&>;

  cast models_;
  drafter drafter_;
  specdec::draft_ahead<drafter> ahead_;
  threads threads_;
  specdec::session<Rule> text_;
  heard heard_;
};

template <class Rule, class Make>
void add(std::vector<cell>& cells, const char* name, const Rule& rule, const Make& make, bool own_choice = false) {
  for (const bool two : {false, true}) {
    cells.push_back({.method = name,
                     .driver = two ? "overlapped, two threads" : "overlapped",
                     .begin = [=] { return std::make_unique<overlapped<Rule, Make>>(rule, make, two); },
                     .own_choice = own_choice});
  }
}

}  // namespace

std::vector<cell> texts_overlapped() {
  std::vector<cell> cells;
  const auto four = [](cast& models) { return specdec::model_drafter(models.draft, specdec::constant{4}, {.top = 8}); };
  add(cells, "rejection", specdec::rejection{}, four);
  add(cells, "block verification", specdec::block_verification{}, four);
  add(cells, "greedy", specdec::greedy{}, four, true);
  add(cells, "coupled", specdec::coupled{}, four, true);
  add(cells, "lenient (lossy)", specdec::lenient(0.3), four);
  add(cells, "model, length: fallback", specdec::rejection{}, [](cast& models) {
    return specdec::model_drafter(models.draft, specdec::fallback{.fallback_threshold = 0.3}, {.top = 8});
  });
  add(cells, "cascade over prompt lookup", specdec::rejection{}, [](cast& models) {
    return specdec::cascade_drafter(models.draft, specdec::prompt_lookup{}, specdec::constant{6}, {.top = 8});
  });
  add(cells, "prompt lookup", specdec::rejection{}, [](cast&) { return specdec::prompt_lookup{}; });
  add(cells, "universal", specdec::rejection{}, [](cast& models) {
    return specdec::universal_drafter(models.draft, target_pieces, target_pieces,
                                      specdec::universal_options{.num_assistant_tokens = 6});
  });
  return cells;
}

}  // namespace faults
