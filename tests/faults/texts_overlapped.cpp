// One text whose drafter works ahead, by one thread or by two.

#include <memory>
#include <optional>
#include <span>
#include <specdec/adapters/background_thread.hpp>
#include <string>
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

/// What is not the same for all methods.
struct traits {
  std::size_t drafts = 1;   ///< how many models draft, besides the target
  bool own_choice = false;  ///< the text is the target's choice alone, whatever was drafted
  bool all = false;         ///< with all options
};

/// `overlapped_generate`. `Make` makes a drafter for a cast.
template <class Rule, class Make>
class overlapped : public run {
 public:
  overlapped(const Rule& rule, const Make& make, const traits& of, bool in_two_threads)
      : drafts_(of.drafts),
        models_(method{}),
        drafter_(make(models_)),
        ahead_(drafter_),
        text_(vocab_size, options_of({}, of.all), rule) {
    if (in_two_threads) threads_.second = std::make_unique<specdec::background_thread>();
    text_.begin(prompt);
    sound = text_.tokens().size();
  }

  [[nodiscard]] std::vector<fault_injector*> models() override {
    std::vector<fault_injector*> all{&models_.target, &models_.draft};
    all.resize(1 + drafts_);
    return all;
  }
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

  std::size_t drafts_;
  cast models_;
  drafter drafter_;
  specdec::draft_ahead<drafter> ahead_;
  threads threads_;
  specdec::session<Rule> text_;
  heard heard_;
};

template <class Rule, class Make>
void add(std::vector<cell>& cells, const char* name, const Rule& rule, const Make& make, const traits& of = {}) {
  for (const bool two : {false, true}) {
    const std::string driver = two ? "overlapped, two threads" : "overlapped";
    cells.push_back({.method = name,
                     .driver = driver + (of.all ? ", all options" : ""),
                     .begin = [=] { return std::make_unique<overlapped<Rule, Make>>(rule, make, of, two); },
                     .own_choice = of.own_choice});
  }
}

}  // namespace

std::vector<cell> texts_overlapped() {
  std::vector<cell> cells;
  const auto four = [](cast& models) { return specdec::model_drafter(models.draft, specdec::constant{4}, {.top = 8}); };
  add(cells, "rejection", specdec::rejection{}, four);
  add(cells, "block verification", specdec::block_verification{}, four);
  add(cells, "greedy", specdec::greedy{}, four, {.own_choice = true});
  add(cells, "coupled", specdec::coupled{}, four, {.own_choice = true});
  add(cells, "lenient (lossy)", specdec::lenient(0.3), four);
  add(cells, "model, length: fallback", specdec::rejection{}, [](cast& models) {
    return specdec::model_drafter(models.draft, specdec::fallback{.fallback_threshold = 0.3}, {.top = 8});
  });
  add(cells, "cascade over prompt lookup", specdec::rejection{}, [](cast& models) {
    return specdec::cascade_drafter(models.draft, specdec::prompt_lookup{}, specdec::constant{6}, {.top = 8});
  });
  const auto looked_up = [](cast&) { return specdec::prompt_lookup{}; };
  const auto suffix = [](cast&) { return specdec::suffix_drafter({.max_depth = 16}); };
  const auto counted = [](cast&) { return specdec::ngram_drafter(bigrams()); };
  add(cells, "prompt lookup", specdec::rejection{}, looked_up, {.drafts = 0});
  add(cells, "suffix", specdec::rejection{}, suffix, {.drafts = 0});
  add(cells, "n-grams", specdec::rejection{}, counted, {.drafts = 0});
  add(cells, "universal", specdec::rejection{}, [](cast& models) {
    return specdec::universal_drafter(models.draft, target_pieces, target_pieces,
                                      specdec::universal_options{.num_assistant_tokens = 6});
  });
  add(cells, "rejection", specdec::rejection{}, four, {.all = true});
  add(cells, "coupled", specdec::coupled{}, four, {.own_choice = true, .all = true});
  return cells;
}

}  // namespace faults
