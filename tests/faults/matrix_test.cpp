// Faults of every kind in some calls of every method and driver; the program `fault_matrix` tries them in all.

#include <gtest/gtest.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../documented.hpp"
#include "run.hpp"
#include "trial.hpp"

namespace {

using faults::cell;
using faults::run;
using specdec::testing::fault_kind;

/// Calls are so far apart that every other run or so has one for a kind of fault.
constexpr std::size_t stride = 311;

void expect_survival(const std::vector<cell>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const cell& of = cells[i];
    SCOPED_TRACE(of.method + ", " + of.driver);
    const auto counts = faults::try_faults(of, stride, i);
    EXPECT_EQ(counts.missing, 0U) << "every kind of fault strikes every model";
    EXPECT_EQ(counts.resumed + counts.stopped + counts.unseen + counts.valid, counts.tried());
    EXPECT_EQ(counts.leaked_bytes, 0);
    for (const std::string& failure : counts.failures) ADD_FAILURE() << failure;
  }
}

TEST(faults, in_some_calls_of_a_text_alone_change_nothing) { expect_survival(faults::texts_alone()); }
TEST(faults, in_some_calls_of_an_overlapped_text_change_nothing) { expect_survival(faults::texts_overlapped()); }
TEST(faults, in_some_calls_of_a_batch_change_nothing) { expect_survival(faults::texts_in_batches()); }

/// A run that is not what it should be, in one way.
class sick : public run {
 public:
  enum class ailment {
    none,
    loses_a_token,
    commits_the_spoiled,
    swallows,
    hushes_up,
    says_something_else,
    leaks,
    never_resumes,
    names_a_model_too_many
  };

  explicit sick(ailment of) : of_(of), sane_(faults::texts_alone().front().begin()) {}
  ~sick() override {
    if (of_ == ailment::leaks && interrupted_) left_behind().push_back(std::make_unique<int>());
  }
  static std::vector<std::unique_ptr<int>>& left_behind() {
    static std::vector<std::unique_ptr<int>> memory;
    return memory;
  }

  std::vector<faults::fault_injector*> models() override {
    auto all = sane_->models();
    if (of_ == ailment::names_a_model_too_many) all.push_back(&uncalled_);
    return all;
  }
  void go_on() override {
    if (interrupted_ && of_ == ailment::never_resumes) throw std::runtime_error("broken for good");
    try {
      sane_->go_on();
    } catch (const std::exception&) {
      interrupted_ = true;
      if (of_ == ailment::swallows) {
        sane_->resume();
        return sane_->go_on();
      }
      if (of_ == ailment::hushes_up) {
        told_of_ = faults::texts_alone().front().begin();
        return told_of_->go_on();
      }
      if (of_ == ailment::says_something_else) throw std::runtime_error("something went wrong");
      throw;
    }
  }
  void resume() override { sane_->resume(); }
  std::vector<faults::text_state> texts() const override {
    auto states = (told_of_ ? told_of_ : sane_)->texts();
    if (interrupted_ && of_ == ailment::loses_a_token && states[0].tokens.size() > 100) states[0].tokens.pop_back();
    if (interrupted_ && of_ == ailment::commits_the_spoiled) states[0].tokens.push_back(3);
    return states;
  }

 private:
  ailment of_;
  std::unique_ptr<run> sane_, told_of_;
  faults::fault_injector uncalled_;
  bool interrupted_ = false;
};

cell with(sick::ailment ailment) {
  return {.method = "rejection", .driver = "sick", .begin = [=] { return std::make_unique<sick>(ailment); }};
}

TEST(faults, are_not_survived_by_what_is_sick) {
  using enum sick::ailment;
  for (const auto ailment : {none, loses_a_token, commits_the_spoiled, swallows, says_something_else, never_resumes}) {
    const auto counts = faults::try_faults(with(ailment), 61);
    EXPECT_GT(counts.tried(), 20U);
    EXPECT_EQ(counts.otherwise > 10, ailment != none) << static_cast<int>(ailment);
    EXPECT_EQ(counts.failures.empty(), ailment == none);
  }
  const auto leaking = faults::try_faults(with(leaks), 10000);
  EXPECT_GT(leaking.leaked_bytes, 0);
  sick::left_behind().clear();
}

TEST(faults, are_told_of_where_more_than_a_row_is_spoiled) {
  const auto counts = faults::try_faults(with(sick::ailment::hushes_up), 61);
  std::size_t to_tell = 0;
  for (std::size_t i = 0; i < faults::all_faults.size(); ++i) {
    const auto kind = faults::all_faults[i];
    if (kind == fault_kind::wrong_rows || documented::may_go_unseen(kind)) continue;
    to_tell += counts.by_kind[i].of_target + counts.by_kind[i].of_drafts;
  }
  EXPECT_EQ(counts.otherwise, to_tell);
  EXPECT_GT(counts.unseen, 0U);
}

TEST(faults, are_missed_where_they_never_strike) {
  EXPECT_EQ(faults::try_faults(with(sick::ailment::none), 10000).missing, 0U);
  const auto counts = faults::try_faults(with(sick::ailment::names_a_model_too_many), 10000);
  EXPECT_EQ(counts.missing, faults::all_faults.size());
  EXPECT_FALSE(counts.failures.empty());
}

TEST(faults, of_wrong_rows_show_where_a_draft_changes_what_should_be_the_targets_own_text) {
  cell of = with(sick::ailment::none);
  of.own_choice = true;
  EXPECT_GT(faults::try_faults(of, 61).otherwise, 2U);
}

}  // namespace
