// A session interrupted anywhere, in any way, ends with the text, the log-probabilities and the counts of one that was
// not; nothing is handed on twice or lost. Single faults of models are tried in faults/.

#include <gtest/gtest.h>
#include <stdlib.h>  // NOLINT: mkdtemp is POSIX

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stop_token>

#include "scenarios.hpp"
#include "shell.hpp"
#include "strings_file.hpp"

namespace {

using scenarios::begun;
using scenarios::drafting;
using scenarios::finished;
using scenarios::heard;
using scenarios::models;
using scenarios::run_to_the_end;
using scenarios::setting;
using scenarios::state_of;
using scenarios::trap;
using scenarios::traps;
using scenarios::uninterrupted;
using specdec::outcome;
using specdec::testing::fault;
using specdec::testing::fault_kind;

/// More calls than a round makes: so far apart, faults let every other round through.
constexpr std::size_t apart = 11;

/// Calls `check(setting, drafting, expected)` for all of them.
template <class Check>
void for_all(Check check) {
  for (const setting chosen : scenarios::settings) {
    for (const drafting kind : scenarios::draftings) {
      SCOPED_TRACE("setting " + std::to_string(static_cast<int>(chosen)) + ", drafting " +
                   std::to_string(static_cast<int>(kind)));
      check(chosen, kind, uninterrupted(chosen, kind));
      if (testing::Test::HasFailure()) return;
    }
  }
}

enum class model { target, draft };

/// Lets the model fail at its n-th call, and again every `apart` calls.
struct failing_run {
  setting chosen;
  drafting kind;
  model which;

  finished result = {};
  std::size_t interruptions = 0;

  void operator()(fault_kind fails, std::size_t n) {
    const fault first{fails, n};
    auto text = begun(chosen);
    models with(chosen, kind, which == model::target ? first : fault{}, which == model::draft ? first : fault{});
    auto& faulty = which == model::target ? with.target : with.draft;
    heard all;
    interruptions = run_to_the_end(text, with, std::ref(all), {}, [&] { models::rearm(faulty, {fails, apart}); });
    result = {all, state_of(text)};
  }
};

/// Every call of both models fails in each of these ways: some in one run, all over the runs.
void expect_to_survive(const std::vector<fault_kind>& kinds) {
  for_all([&](setting chosen, drafting kind, const finished& expected) {
    for (const model which : {model::target, model::draft}) {
      if (which == model::draft && kind == drafting::point_mass) continue;
      failing_run run{chosen, kind, which};
      for (const fault_kind fails : kinds) {
        for (std::size_t n = 1; n <= apart; ++n) {
          run(fails, n);
          ASSERT_GT(run.interruptions, 3U);
          ASSERT_EQ(run.result, expected) << to_string(fails) << " from call " << n;
        }
      }
    }
  });
}

const std::vector<fault_kind> throwing{fault_kind::throw_before, fault_kind::throw_midway, fault_kind::throw_after};
const std::vector<fault_kind> unusable{fault_kind::nan, fault_kind::narrow_rows, fault_kind::wide_rows,
                                       fault_kind::too_few_rows, fault_kind::too_many_rows};

TEST(interruption, by_a_model_that_throws_now_and_again_changes_nothing) { expect_to_survive(throwing); }

TEST(interruption, by_unusable_logits_now_and_again_changes_nothing) { expect_to_survive(unusable); }

TEST(interruption, by_a_sink_that_stops_changes_nothing) {
  for_all([](setting chosen, drafting kind, const finished& expected) {
    for (const std::size_t period : {1U, 2U, 3U}) {
      auto text = begun(chosen);
      models with(chosen, kind);
      heard all;
      trap stops{period, period};
      const auto sink = [&](const outcome& out) {
        all(out);
        return !stops.springs();
      };
      EXPECT_GT(run_to_the_end(text, with, sink), 10U);
      ASSERT_EQ((finished{all, state_of(text)}), expected) << period;
    }
  });
}

TEST(interruption, by_a_sink_that_throws_changes_nothing_and_its_round_is_delivered) {
  for_all([](setting chosen, drafting kind, const finished& expected) {
    for (const std::size_t period : {1U, 2U, 3U}) {
      auto text = begun(chosen);
      models with(chosen, kind);
      heard all;
      trap throws{period, period};
      const auto sink = [&](const outcome& out) {
        all(out);
        throws.step();
      };
      EXPECT_GT(run_to_the_end(text, with, sink), 10U);
      ASSERT_EQ((finished{all, state_of(text)}), expected) << period;
    }
  });
}

/// Asks for an end when its trap springs.
struct impatient {
  trap* asked;
  bool stop_requested() const noexcept { return asked->springs(); }
};

TEST(interruption, by_a_request_to_stop_changes_nothing) {
  for_all([](setting chosen, drafting kind, const finished& expected) {
    // A round asks twice.
    for (const std::size_t n : {1U, 2U, 3U}) {
      auto text = begun(chosen);
      models with(chosen, kind);
      heard all;
      trap asked{n, 3};
      EXPECT_GT(run_to_the_end(text, with, std::ref(all), impatient{&asked}), 10U);
      ASSERT_EQ((finished{all, state_of(text)}), expected) << n;
    }
  });
}

TEST(interruption, by_any_single_request_to_stop_changes_nothing) {
  const finished expected = uninterrupted(setting::plain, drafting::dense);
  std::size_t n = 1;
  for (;; ++n) {
    auto text = begun(setting::plain);
    models with(setting::plain, drafting::dense);
    heard all;
    trap asked{n};
    if (run_to_the_end(text, with, std::ref(all), impatient{&asked}) == 0) break;
    ASSERT_EQ((finished{all, state_of(text)}), expected) << n;
  }
  EXPECT_GT(n, 100U);
}

TEST(interruption, by_a_stop_token_changes_nothing) {
  for_all([](setting chosen, drafting kind, const finished& expected) {
    auto text = begun(chosen);
    models with(chosen, kind);
    heard all;
    while (text.running()) {
      std::stop_source source;
      std::size_t rounds = 0;
      const auto sink = [&](const outcome& out) {
        all(out);
        if (++rounds == 2) source.request_stop();
      };
      speculative_generate(text, with.target, with.drafter, sink, source.get_token());
      ASSERT_LE(rounds, 2U);
      text.resume();
    }
    ASSERT_EQ((finished{all, state_of(text)}), expected);
  });
}

/// A run in which one of the user's hooks throws.
finished trapped(traps& hooks, drafting kind) {
  auto text = begun(setting::bounded, &hooks);
  models with(setting::bounded, kind);
  heard all;
  run_to_the_end(text, with, std::ref(all));
  return {all, state_of(text)};
}

TEST(interruption, by_a_detokenize_hook_that_throws_changes_nothing) {
  for (const drafting kind : {drafting::dense, drafting::point_mass}) {
    const finished expected = uninterrupted(setting::bounded, kind);
    for (std::size_t n = 1;; ++n) {
      traps hooks;
      hooks.detokenize.at = n;
      const finished result = trapped(hooks, kind);
      if (hooks.detokenize.sprung == 0) break;
      ASSERT_EQ(result, expected) << n;
    }
  }
}

TEST(interruption, by_a_mask_that_throws_and_breaks_changes_nothing) {
  const finished expected = uninterrupted(setting::bounded, drafting::point_mass);
  std::size_t n = 1;
  for (;; ++n) {
    traps hooks;
    hooks.mask.at = n;
    const finished result = trapped(hooks, drafting::point_mass);
    if (hooks.mask.sprung == 0) break;
    ASSERT_EQ(result, expected) << n;
  }
  EXPECT_GT(n, 500U);
}

TEST(interruption, by_a_mask_that_throws_again_and_again_changes_nothing) {
  // A broken mask is led along the whole text again, so there must be more steps between two faults than that takes.
  constexpr std::size_t period = 450;
  const finished expected = uninterrupted(setting::bounded, drafting::dense);
  for (std::size_t n = 1; n <= period; ++n) {
    traps hooks;
    hooks.mask.at = n;
    hooks.mask.period = period;
    ASSERT_EQ(trapped(hooks, drafting::dense), expected) << n;
    ASSERT_GT(hooks.mask.sprung, 1U);
  }
}

/// A run that is interrupted in every way there is, as chance has it.
class misfortune {
 public:
  explicit misfortune(std::uint64_t seed) : chance_(seed) {}

  finished operator()(setting chosen, drafting kind) {
    specdec::session text = begun(chosen);
    heard all;
    for (std::size_t attempts = 0; text.running(); ++attempts) {
      if (attempts > 5000) throw std::runtime_error("the session does not come to an end");
      // One by one: arguments of one call would be drawn in an order of the compiler's.
      const fault of_target = some_fault();
      const fault of_draft = some_fault();
      models with(chosen, kind, of_target, of_draft);
      trap sink_throws{some(8)}, sink_stops{some(8)}, asked{some(16)};
      const auto sink = [&](const outcome& out) {
        all(out);
        sink_throws.step();
        return !sink_stops.springs();
      };
      try {
        speculative_generate(text, with.target, with.drafter, sink, impatient{&asked});
      } catch (const std::exception&) {
        // Whatever it was, the session goes on.
      }
      move_house(text, chosen);
      text.forget_target();
      text.resume();
    }
    return {all, state_of(text)};
  }

 private:
  /// 0 to most-1.
  std::size_t some(std::size_t most) {
    const double u = chance_.uniform({.round = ++drawn_});
    return static_cast<std::size_t>(u * static_cast<double>(most));
  }
  /// Of all kinds but wrong rows, which nobody could notice.
  fault some_fault() {
    constexpr auto kinds = static_cast<std::size_t>(fault_kind::wrong_rows);
    return {static_cast<fault_kind>(some(kinds)), 1 + some(30), false, some(5)};
  }

  void move_house(specdec::session<>& text, setting chosen) {
    switch (some(4)) {
      case 0: {
        specdec::session other(scenarios::vocab_size, scenarios::options_of(chosen));
        other.restore(text.snapshot());
        text = other;
        break;
      }
      case 1: {
        specdec::session other = text;
        text = std::move(other);
        break;
      }
      case 2:
        text.restore(text.snapshot());
        break;
      default:
        break;
    }
  }

  specdec::philox chance_;
  std::uint32_t drawn_ = 0;
};

TEST(interruption, in_all_ways_by_turns_changes_nothing) {
  for_all([](setting chosen, drafting kind, const finished& expected) {
    for (std::uint64_t seed = 0; seed < (chosen == setting::shaped ? 2U : 40U); ++seed) {
      ASSERT_EQ(misfortune(seed)(chosen, kind), expected) << seed;
    }
  });
}

TEST(interruption, by_the_end_of_the_process_changes_nothing) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "interruption_XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  for_all([&](setting chosen, drafting kind, const finished& expected) {
    std::vector<heard> before(1);
    auto text = begun(chosen);
    std::vector<std::string> snapshots;
    const auto keep = [&] {
      const auto bytes = text.snapshot();
      snapshots.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    keep();
    models with(chosen, kind);
    run_to_the_end(text, with, [&](const outcome& out) {
      before.push_back(before.back());
      before.back()(out);
      keep();
    });
    strings_file::write(folder + "/snapshots", snapshots);
    const std::string command = shell::quoted(SPECDEC_RESUME_PROGRAM) + " " + std::to_string(static_cast<int>(chosen)) +
                                " " + std::to_string(static_cast<int>(kind)) + " " +
                                shell::quoted(folder + "/snapshots") + " " + shell::quoted(folder + "/answers");
    ASSERT_EQ(std::system(command.c_str()), 0);
    const auto answers = strings_file::read(folder + "/answers");
    ASSERT_EQ(answers.size(), 3 * snapshots.size());
    for (std::size_t round = 0; round < snapshots.size(); ++round) {
      heard all = before[round];
      all += {answers[3 * round], answers[3 * round + 1]};
      ASSERT_EQ((finished{all, answers[3 * round + 2]}), expected) << "behind round " << round;
    }
  });
  fs::remove_all(folder);
}

}  // namespace
