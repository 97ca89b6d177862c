// The program of the long run, run as a program.

#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "program.hpp"
#include "tally.hpp"

namespace {

using program_test::answer;
using program_test::arguments;
using json = nlohmann::json;

class Frequencies : public program_test::program {
 protected:
  [[nodiscard]] arguments given(const arguments& more) const {
    return program_test::with({"--output", file("counts.json").string(), "--threads", "2"}, more);
  }
  [[nodiscard]] std::size_t blocks_on_file() const {
    std::size_t blocks = 0;
    for (const auto& [name, one] : frequencies::read_tallies(file("counts.json"), 1)) blocks += one.blocks;
    return blocks;
  }
};

TEST_F(Frequencies, prints_a_page_and_goes_on_from_its_file) {
  const answer first = run(given({"--tokens", "1"}));
  EXPECT_EQ(first.code, 0) << first.err << first.out;
  EXPECT_NE(first.out.find(" 0 alarms"), std::string::npos) << first.out;
  const std::string counts = program_test::contents(file("counts.json"));
  // The same again has nothing to do; a file that was left in the middle is gone on with.
  EXPECT_EQ(run(given({"--tokens", "1"})).out, first.out);
  EXPECT_EQ(program_test::contents(file("counts.json")), counts);
  json left = json::parse(counts);
  auto& cases = left.at("cases");
  for (std::size_t i = 0; i < 5; ++i) cases.erase(cases.begin().key());
  program_test::write(file("counts.json"), left.dump());
  EXPECT_EQ(run(given({"--tokens", "1"})).out, first.out);
  EXPECT_EQ(program_test::contents(file("counts.json")), counts);
}

TEST_F(Frequencies, ends_in_good_order_when_it_is_interrupted) {
  const pid_t child = fork();
  if (child == 0) {
    if (freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
    execute(given({"--tokens", "1000000000"}));
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (blocks_on_file() == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::size_t blocks = blocks_on_file();
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_GT(blocks, 0U);
  EXPECT_GE(blocks_on_file(), blocks);
}

TEST_F(Frequencies, refuses_counts_that_are_not_its_own) {
  ASSERT_EQ(run(given({"--tokens", "1"})).code, 0);
  expect_failure(given({"--seed", "2"}), 1, {"counts.json", "expected seed 2", "has 1"});
  json file_of_counts = json::parse(program_test::contents(file("counts.json")));
  auto damaged = file_of_counts;
  damaged.at("cases").begin()->at("blocks") = 7;
  program_test::write(file("counts.json"), damaged.dump());
  expect_failure(given({}), 1, {"expected 3125 counts with a sum of"});
  damaged.at("cases").begin()->erase("texts");
  program_test::write(file("counts.json"), damaged.dump());
  expect_failure(given({}), 1, {"counts.json", "expected counts of cases"});
  program_test::write(file("counts.json"), "once upon a time");
  expect_failure(given({}), 1, {"counts.json", "expected a file of counts", "damaged"});
  program_test::write(file("counts.json"), "{}");
  expect_failure(given({}), 1, {"counts.json", "expected kind", "none"});
  expect_failure({"--output", file("").string(), "--tokens", "1"}, 1, {"expected a file of counts", "directory"});
  expect_failure({"--output", file("no/such/folder").string(), "--tokens", "1"}, 1, {"cannot be written"});
}

TEST_F(Frequencies, counts_alone_into_a_file) {
  {
    const frequencies::sole_use first(file("counts.json"));
    expect_failure(given({"--tokens", "1"}), 1, {"counts.json", "another run"});
  }
  EXPECT_EQ(run(given({"--tokens", "1"})).code, 0);
  EXPECT_FALSE(std::filesystem::exists(file("counts.json.lock")));
}

TEST_F(Frequencies, refuses_options_that_cannot_be) {
  expect_failure({"--tokens", "0"}, 2, {"--tokens", "'0'"});
  expect_failure({"--seed", "-1"}, 2, {"--seed"});
  expect_failure({"--tokenz", "1"}, 2, {"--tokenz"});
  const answer help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("--mistakes"), std::string::npos);
}

}  // namespace
