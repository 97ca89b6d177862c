// A short soak, and what a soak must find.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "ledger.hpp"
#include "play.hpp"

namespace {

using namespace soak;

const workplace& models() {
  static const workplace loaded(SPECDEC_MODELS_DIR);
  return loaded;
}

/// Plays episodes until one of them goes wrong; says how.
std::string first_wrong(const std::vector<method>& methods, std::uint32_t episodes) {
  ledger account(models(), methods, 1);
  for (std::uint32_t number = 0; number < episodes; ++number) {
    if (const auto wrong = account.play(number)) return *wrong;
  }
  return "";
}

/// One of the first episodes must go wrong, and be reported so.
void expect_wrong(const std::vector<method>& methods, std::uint32_t episodes, const char* report) {
  const std::string wrong = first_wrong(methods, episodes);
  EXPECT_NE(wrong.find(report), std::string::npos) << wrong;
}

TEST(soak, some_episodes_of_every_driver_go_well) {
  constexpr std::uint32_t episodes = 16;
  const auto methods = all_methods();
  ledger account(models(), methods, 5);
  for (std::uint32_t number = 0; number < episodes; ++number) {
    const auto wrong = account.play(number);
    ASSERT_FALSE(wrong) << *wrong;
  }
  EXPECT_EQ(account.episodes(), episodes);
  EXPECT_GT(account.compared(), 300U);
  for (std::size_t i = 0; i < driver_count; ++i) {
    const auto runs = static_cast<driver>(i);
    EXPECT_GT(account.episodes(runs), 0U) << to_string(runs);
  }
}

TEST(soak, an_episode_is_a_function_of_its_number) {
  const auto methods = all_methods();
  const episode one = play_episode(models(), methods, 9, 4);
  const episode again = play_episode(models(), methods, 9, 4);
  EXPECT_EQ(one.description, again.description);
  EXPECT_EQ(one.compared, again.compared);
  EXPECT_NE(one.description, play_episode(models(), methods, 9, 5).description);
}

/// Keeps all that is drafted, whatever the target says.
struct gullible {
  static constexpr bool lossless = false;
  template <class Rows>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              specdec::philox& chance) const {
    const auto last = static_cast<specdec::node_id>(drafted.size());
    const auto p = target.at(rows, last);
    if (!p.valid()) return {.kept = last, .fault = p.fault(), .faulty_row = last};
    return {.kept = last, .next = chance.draw(drafted.key_behind(last, specdec::purpose::bonus), p)};
  }
};

/// The method named rejection, changed.
template <class Change>
std::vector<method> rejection_but(const Change& change) {
  std::vector<method> only;
  for (method& one : all_methods()) {
    if (one.name == "rejection") only.push_back(one);
  }
  only.front().make_ahead = {};
  const auto make = only.front().make;
  only.front().make = [make, change](const workplace& all, bench& contexts,
                                     const measurement::method_settings& settings) {
    auto made = make(all, contexts, settings);
    change(made);
    return made;
  };
  return only;
}

TEST(soak, forks_a_text_of_a_batch_where_the_calm_one_was_forked) {
  const auto methods = rejection_but([](auto&) {});
  const text_plan text{.prompt = {300, 301, 302}, .options = {.max_tokens = 8}, .turns = {}};
  plan how;
  how.runs = driver::batch;
  how.by = &methods.front();
  how.gamma = 2;
  how.capacity = 40;
  how.fork_at = 1;
  how.texts = {text};
  const generation calm = play_calmly(models(), how, text);
  ASSERT_TRUE(calm.fork);
  // In some of these the round behind which it is forked fails at first.
  constexpr std::uint32_t storms = 100;
  for (std::uint32_t number = 0; number < storms; ++number) {
    dice chance(7, number);
    const generation stormy = play_in_storm(models(), how, chance).front();
    ASSERT_TRUE(stormy.fork) << number;
    const auto differs = difference(*calm.fork, *stormy.fork, likeness::rounds);
    ASSERT_FALSE(differs) << number << ": " << *differs;
  }
}

TEST(soak, finds_a_rule_that_is_not_what_it_says) {
  const auto methods = rejection_but([](auto& made) { made.rule = gullible{}; });
  expect_wrong(methods, 30, "against plain decoding");
}

/// Drafts one token less every other time it is asked, as if that depended on nothing.
struct forgetful {
  std::shared_ptr<specdec::any_drafter> inner;
  std::shared_ptr<std::size_t> asked = std::make_shared<std::size_t>(0);

  void propose(specdec::draft_request request, specdec::philox& chance, specdec::draft& answer) {
    if (++*asked % 2 == 0) request.max_depth -= std::min<std::size_t>(request.max_depth, 1);
    inner->propose(request, chance, answer);
  }
};

TEST(soak, finds_a_drafter_that_answers_otherwise_when_it_is_asked_again) {
  const auto methods = rejection_but(
      [](auto& made) { made.drafter = forgetful{std::make_shared<specdec::any_drafter>(std::move(made.drafter))}; });
  expect_wrong(methods, 60, "in the storm");
}

/// Complains of its model in other words than are documented.
struct misleading {
  std::shared_ptr<specdec::any_drafter> inner;

  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    try {
      inner->propose(request, chance, answer);
    } catch (const std::exception&) {
      throw std::runtime_error("something went wrong");
    }
  }
};

TEST(soak, finds_an_exception_that_is_not_documented) {
  const auto methods = rejection_but(
      [](auto& made) { made.drafter = misleading{std::make_shared<specdec::any_drafter>(std::move(made.drafter))}; });
  expect_wrong(methods, 60, "an exception that nothing explains: something went wrong");
}

/// ThreadSanitizer tells of the end of what C allocates aligned, not of its beginning.
bool counts_all_memory() {
  const counting_new::heap before = counting_new::live();
  void* volatile block = std::aligned_alloc(64, 64);
  std::free(block);
  return counting_new::live() == before;
}

TEST(soak, finds_memory_that_is_left_behind) {
  if (!counts_all_memory()) GTEST_SKIP() << "not all memory is counted";
  std::vector<std::unique_ptr<int>> left;
  left.reserve(100'000);
  const auto methods = rejection_but([&left](auto&) { left.push_back(std::make_unique<int>(1)); });
  expect_wrong(methods, 3, "left behind every time");
}

TEST(soak, finds_a_container_that_grows) {
  if (!counts_all_memory()) GTEST_SKIP() << "not all memory is counted";
  std::vector<char> grown;
  const auto methods = rejection_but([&grown](auto&) { grown = std::vector<char>(grown.size() + 4096); });
  expect_wrong(methods, 3, "left behind every time");
}

/// Remembers every text that it ever drafted behind.
struct retentive {
  std::shared_ptr<specdec::any_drafter> inner;
  std::set<std::vector<token_id>>* seen;

  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    seen->emplace(request.context.begin(), request.context.end());
    inner->propose(request, chance, answer);
  }
};

TEST(soak, finds_a_cache_that_keeps_what_is_new_in_every_episode) {
  if (!counts_all_memory()) GTEST_SKIP() << "not all memory is counted";
  constexpr std::uint32_t episodes = 12;
  const auto grows = [](const std::vector<method>& methods) {
    ledger account(models(), methods, 1, kept_trend(episodes));
    for (std::uint32_t number = 0; number < episodes; ++number) {
      const auto wrong = account.play(number);
      EXPECT_FALSE(wrong) << *wrong;
    }
    return account.grows();
  };
  std::set<std::vector<token_id>> seen;
  EXPECT_TRUE(grows(rejection_but([&seen](auto& made) {
    made.drafter = retentive{std::make_shared<specdec::any_drafter>(std::move(made.drafter)), &seen};
  })));
  EXPECT_FALSE(grows(rejection_but([](auto&) {})));
}

TEST(soak, tells_first_times_from_growth) {
  constexpr std::size_t episodes = kept_trend::least_episodes;
  const auto grows = [](const auto& left_by, std::size_t count = kept_trend::least_episodes) {
    kept_trend kept;
    for (std::size_t i = 0; i < count; ++i) kept.enter(left_by(i));
    return kept.grows();
  };
  EXPECT_FALSE(grows([](std::size_t) { return 0; }));
  // Much, but early.
  EXPECT_FALSE(grows([](std::size_t i) { return i < 2 * episodes / 3 ? 100'000 : 0; }));
  // Late, but seldom and little.
  EXPECT_FALSE(grows([](std::size_t i) { return i + 3 >= episodes ? 1000 : 0; }));
  EXPECT_TRUE(grows([](std::size_t i) { return i + 4 >= episodes ? 16 : 0; }));
  EXPECT_TRUE(grows([](std::size_t i) { return i % 40 == 0 ? 16 : 0; }));
  // A container of 400 bytes for each episode, which doubles when it must.
  EXPECT_TRUE(
      grows([](std::size_t i) { return std::has_single_bit(i) && i > 8 ? static_cast<long long>(400 * i) : 0; }, 600));
  EXPECT_FALSE(grows([](std::size_t) { return 16; }, episodes - 1));
}

TEST(soak, tells_growth_from_unrest) {
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  resident_trend still, growing, warming;
  for (std::size_t i = 0; i < 90; ++i) {
    still.sample(100 * mebibyte + i * 7919 % 13 * mebibyte / 4);
    growing.sample(100 * mebibyte + i * mebibyte / 4);
    warming.sample((i < 25 ? 100 + 2 * i : 150) * mebibyte);
    if (i == 58) {
      EXPECT_FALSE(growing.is_known());
      EXPECT_FALSE(growing.grows());
    }
  }
  EXPECT_FALSE(still.grows());
  EXPECT_TRUE(growing.grows());
  EXPECT_FALSE(warming.grows());
  EXPECT_GT(resident_bytes(), mebibyte);
}

}  // namespace
