// The programs of the study, run as programs.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;
using arguments = std::vector<std::string>;
using json = nlohmann::json;

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::size_t lines_of(const fs::path& path) {
  const std::string text = contents(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

class Program : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "study_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] pid_t start(const char* program, const arguments& given) const {
    const fs::path out = folder_ / "out", err = folder_ / "err";
    const pid_t child = fork();
    if (child == 0) {
      std::vector<char*> argv{const_cast<char*>(program)};
      for (const std::string& argument : given) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      if (freopen(out.c_str(), "w", stdout) == nullptr || freopen(err.c_str(), "w", stderr) == nullptr) _exit(126);
      execv(program, argv.data());
      _exit(127);
    }
    return child;
  }
  /// The exit code; -1 if a signal ended it.
  [[nodiscard]] static int end_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] int run(const char* program, const arguments& given) const { return end_of(start(program, given)); }

  [[nodiscard]] std::string out() const { return contents(folder_ / "out"); }
  [[nodiscard]] std::string err() const { return contents(folder_ / "err"); }

  /// The options of a study of eight cells that takes a second.
  [[nodiscard]] arguments small_study(const std::string& name, const arguments& more = {}) const {
    arguments all{"--methods",      "rejection",  "--gammas",  "2,1", "--temps",  "0,1",
                  "--tasks",        "novel,math", "--prompts", "1",   "--tokens", "24",
                  "--timed-rounds", "2",          "--ballast", "0",   "--output", (folder_ / name).string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  [[nodiscard]] fs::path study_file(const std::string& name) const { return folder_ / name / "acceptance.jsonl"; }

  /// The study's lines without the times.
  [[nodiscard]] std::vector<json> timeless(const std::string& name) const {
    std::vector<json> result;
    std::istringstream lines(contents(study_file(name)));
    for (std::string line; std::getline(lines, line);) {
      json one = json::parse(line);
      if (one.contains("timed")) {
        EXPECT_FALSE(one.at("timed").at("rounds").empty());
        one.erase("timed");
      }
      result.push_back(std::move(one));
    }
    return result;
  }

  /// Starts the study and sends a signal as soon as it has `cells` cells.
  [[nodiscard]] int run_until(const std::string& name, std::size_t cells, int signal) const {
    const pid_t child = start(SPECDEC_ACCEPTANCE, small_study(name));
    for (int i = 0; i < 12'000 && lines_of(study_file(name)) < cells + 1; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(child, signal);
    return end_of(child);
  }

  fs::path folder_;
};

TEST_F(Program, AcceptanceWritesStudyTablesAndPictures) {
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("a")), 0) << err();
  const auto lines = timeless("a");
  ASSERT_EQ(lines.size(), 1U + 8);
  EXPECT_EQ(lines[0].at("settings").at("tokens"), 24);
  EXPECT_EQ(lines[0].at("settings").at("files").count("target.gguf"), 1U);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const json& one = lines[i];
    EXPECT_EQ(one.at("delivered"), 24);
    EXPECT_EQ(one.at("evaluated_at").size(), one.at("gamma").get<std::size_t>());
    EXPECT_LE(one.at("accepted"), one.at("evaluated"));
  }
  EXPECT_EQ(lines[1].at("gamma"), 1) << "ascending";
  EXPECT_EQ(lines_of(folder_ / "a" / "cells.csv"), 1U + 8);
  EXPECT_EQ(lines_of(folder_ / "a" / "positions.csv"), 1U + 4 * 1 + 4 * 2);
  EXPECT_NE(err().find("100 %"), std::string::npos) << err();
  EXPECT_EQ(err().find('\x1b'), std::string::npos) << "a bar is for terminals";
  const bool drawn = std::system("command -v gnuplot >/dev/null 2>&1") == 0;
  EXPECT_EQ(fs::exists(folder_ / "a" / "speedup.svg"), drawn) << out();
}

TEST_F(Program, AcceptanceGoesOnWhereItWasKilled) {
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("whole")), 0) << err();
  EXPECT_EQ(run_until("killed", 3, SIGKILL), -1);
  const std::size_t there = lines_of(study_file("killed"));
  EXPECT_GE(there, 4U);
  EXPECT_LT(there, 9U);
  std::ofstream(study_file("killed"), std::ios::app) << R"({"method":"rejec)";
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("killed")), 0) << err();
  EXPECT_NE(err().find("there already"), std::string::npos) << err();
  EXPECT_EQ(timeless("killed"), timeless("whole"));
}

TEST_F(Program, AcceptanceEndsInOrderWhenInterrupted) {
  EXPECT_EQ(run_until("stopped", 2, SIGINT), 130) << err();
  const std::size_t there = lines_of(study_file("stopped"));
  EXPECT_LT(there, 9U);
  EXPECT_EQ(lines_of(folder_ / "stopped" / "cells.csv"), there);
  EXPECT_NE(err().find("goes on from here"), std::string::npos) << err();
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("stopped")), 0) << err();
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("whole")), 0) << err();
  EXPECT_EQ(timeless("stopped"), timeless("whole"));
}

TEST_F(Program, AcceptanceAddsCellsAndRefusesOtherSettings) {
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("a", {"--methods", "prompt_lookup", "--temps", "0"})), 0) << err();
  ASSERT_EQ(run(SPECDEC_ACCEPTANCE, small_study("a")), 0) << err();
  EXPECT_EQ(lines_of(study_file("a")), 1U + 4 + 8);
  const std::string before = contents(study_file("a"));
  EXPECT_EQ(run(SPECDEC_ACCEPTANCE, small_study("a", {"--tokens", "12"})), 1);
  EXPECT_NE(err().find("tokens 12; it has 24"), std::string::npos) << err();
  EXPECT_EQ(contents(study_file("a")), before);
  EXPECT_EQ(run(SPECDEC_ACCEPTANCE, {"--plot-only", "--output", (folder_ / "none").string()}), 1);
  EXPECT_EQ(run(SPECDEC_ACCEPTANCE, {"--plot-only", "--output", (folder_ / "a").string()}), 0) << err();
  EXPECT_EQ(contents(study_file("a")), before);
}

TEST_F(Program, SayWhatTheyExpect) {
  const auto expect_refusal = [&](const char* program, const arguments& given, const std::string& word) {
    EXPECT_EQ(run(program, given), 2) << err();
    EXPECT_NE(err().find(word), std::string::npos) << err();
    EXPECT_EQ(out(), "");
  };
  expect_refusal(SPECDEC_ACCEPTANCE, {"--gammas", "1,x"}, "--gammas: expected numbers of tokens");
  expect_refusal(SPECDEC_ACCEPTANCE, {"--gammas", "1,2,1"}, "'1' twice");
  expect_refusal(SPECDEC_ACCEPTANCE, {"--methods", "best"}, "expected one of");
  expect_refusal(SPECDEC_ACCEPTANCE, {"--methods", "autoregressive"}, "methods that draft");
  expect_refusal(SPECDEC_ACCEPTANCE, {"--tasks", "poem", "--timed-rounds", "0", "--output", (folder_ / "a").string()},
                 "novel, tale");
  expect_refusal(SPECDEC_METHODS, {"--weights", "f8"}, "--weights: expected f32 or f16");
  expect_refusal(SPECDEC_METHODS, {"--gamma", "0"}, "1 to 64");
  for (const char* program : {SPECDEC_ACCEPTANCE, SPECDEC_METHODS}) {
    EXPECT_EQ(run(program, {"--help"}), 0);
    EXPECT_NE(out().find("rejection"), std::string::npos);
  }
}

TEST_F(Program, MethodsComparesEachWithPlainDecoding) {
  const arguments quick{"--methods", "rejection,big_little,early_exit,draft_verify",
                        "--weights", "f32",
                        "--temps",   "0",
                        "--prompts", "1",
                        "--tokens",  "16",
                        "--gamma",   "3",
                        "--ballast", "6M"};
  arguments with_json = quick;
  with_json.push_back("--json");
  ASSERT_EQ(run(SPECDEC_METHODS, with_json), 0) << err();
  const json all = json::parse(out());
  ASSERT_EQ(all.at("methods").size(), 4U);
  const double perplexity = all.at("plain").at(0).at("target_perplexity");
  EXPECT_EQ(all.at("plain").at(0).at("target_agreement"), 1.0);
  for (const json& one : all.at("methods")) {
    EXPECT_EQ(one.at("gamma"), 3);
    EXPECT_GT(one.at("speedup"), 0.0);
    EXPECT_GT(one.at("speedup_predicted"), 0.0);
    EXPECT_GE(one.at("tokens_per_call"), 1.0);
    if (one.at("lossless")) {
      EXPECT_NEAR(one.at("target_perplexity"), perplexity, 1e-9) << one.at("method");
    }
    const bool drafts_itself = one.at("method") == "early_exit" || one.at("method") == "draft_verify";
    EXPECT_EQ(one.contains("skips"), drafts_itself);
    EXPECT_EQ(one.at("ballast"), drafts_itself ? 0 : 6'000'000);
  }
  ASSERT_EQ(run(SPECDEC_METHODS, quick), 0) << err();
  std::istringstream lines(out());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110U) << line;
}

}  // namespace
