// The program `generate` and Ctrl-C.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "program.hpp"

namespace {

using namespace generate_test;
using nlohmann::json;

/// The program, started and not waited for.
class interrupted_program : public program {
 protected:
  void TearDown() override {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      (void)wait();
    }
    program::TearDown();
  }

  void start(const arguments& given, bool can_write = true) {
    ASSERT_EQ(pipe(pipe_), 0);
    if (!can_write) {
      fcntl(pipe_[1], F_SETFL, O_NONBLOCK);
      while (write(pipe_[1], "x", 1) == 1) continue;
      fcntl(pipe_[1], F_SETFL, 0);
    }
    const std::string errors = file("err").string();
    child_ = fork();
    if (child_ == 0) {
      signal(SIGINT, SIG_DFL);  // whoever runs the tests in the background ignores it
      dup2(pipe_[1], STDOUT_FILENO);
      close(pipe_[0]);
      close(pipe_[1]);
      dup2(open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
      dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
      execute(given);
    }
    close(pipe_[1]);
  }

  /// Reads what the program writes until it has written so much, or ended.
  std::string read_up_to(std::size_t size) {
    std::string text;
    char buffer[256];
    ssize_t got = 1;
    while (text.size() < size && (got = read(pipe_[0], buffer, sizeof buffer)) > 0) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }

  void interrupt() { ASSERT_EQ(kill(child_, SIGINT), 0); }

  /// Waits until the program does, or does not, handle SIGINT.
  void wait_until_caught(bool caught) {
    for (int tries = 0; tries < 2'000; ++tries) {
      std::ifstream status("/proc/" + std::to_string(child_) + "/status");
      for (std::string name, value; status >> name && std::getline(status, value);) {
        if (name != "SigCgt:") continue;
        const bool now = (std::stoull(value, nullptr, 16) >> (SIGINT - 1) & 1) != 0;
        if (now == caught) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "the program never " << (caught ? "took" : "gave back") << " the signal";
  }

  int wait() {
    int status = 0;
    waitpid(child_, &status, 0);
    close(pipe_[0]);
    child_ = -1;
    return status;
  }

  int pipe_[2] = {-1, -1};
  pid_t child_ = -1;
};

// Slow enough to be caught in the middle.
const arguments slow{"-p", "Once upon a time", "-n", "500", "--ignore-eos", "--ballast", "40M"};

TEST_F(interrupted_program, keeps_and_measures_what_was_generated) {
  start(slow);
  std::string text = read_up_to(40);
  interrupt();
  text += read_up_to(static_cast<std::size_t>(-1));
  const int status = wait();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_EQ(text.rfind("Once upon a time", 0), 0U) << text;
  EXPECT_EQ(text.back(), '\n');
  const std::string told = contents(file("err"));
  EXPECT_NE(told.find("; interrupted\n"), std::string::npos) << told;
  EXPECT_NE(told.find("tokens per second"), std::string::npos) << told;
  EXPECT_EQ(told.find("without"), std::string::npos) << "no baseline is begun";
}

TEST_F(interrupted_program, still_answers_in_json) {
  start(with(slow, {"--json", "--samples", "50", "--trace"}));
  while (contents(file("err")).find("round 3 ") == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  interrupt();
  const json told = json::parse(read_up_to(static_cast<std::size_t>(-1)));
  EXPECT_EQ(WEXITSTATUS(wait()), 130);
  ASSERT_EQ(told.at("samples").size(), 1U);
  EXPECT_EQ(told.at("samples")[0].at("stop_reason"), "stopped");
  EXPECT_GE(told.at("samples")[0].at("tokens").size(), 3U);
}

TEST_F(interrupted_program, ends_while_it_measures) {
  arguments given = slow;
  given[3] = "60";
  start(given);
  std::string text;
  while (text.empty() || text.back() != '\n') {
    const std::string more = read_up_to(1);
    ASSERT_FALSE(more.empty());
    text += more;
  }
  interrupt();
  EXPECT_EQ(read_up_to(1), "");
  EXPECT_EQ(WEXITSTATUS(wait()), 130);
  EXPECT_NE(contents(file("err")).find("tokens per second"), std::string::npos);
}

TEST_F(interrupted_program, ends_before_the_first_token) {
  std::string prompt;
  for (int i = 0; i < 450; ++i) prompt += " the";
  start({"-p", prompt, "--ballast", "40M"});
  wait_until_caught(true);
  interrupt();
  EXPECT_EQ(read_up_to(static_cast<std::size_t>(-1)).rfind(prompt, 0), 0U);
  EXPECT_EQ(WEXITSTATUS(wait()), 130);
  EXPECT_NE(contents(file("err")).find("; interrupted\n"), std::string::npos);
}

TEST_F(interrupted_program, the_second_interruption_kills) {
  start(quick, false);
  wait_until_caught(true);
  interrupt();
  wait_until_caught(false);
  interrupt();
  const int status = wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

}  // namespace
