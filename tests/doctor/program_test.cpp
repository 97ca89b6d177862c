// The program `doctor` as its user meets it: exit codes, messages, answers.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <gguf.hpp>
#include <model.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <tokenizer.hpp>
#include <vector>

#include "program.hpp"
#include "transformer_gguf_writer.hpp"

namespace {

using namespace program_test;
using nlohmann::json;

class doctor_program : public program {
 protected:
  /// A random model of a vocabulary of 267.
  std::string tiny(const std::string& name, std::size_t width, std::size_t context_length = 256) const {
    toy_test::gguf_writer model = toy_test::tiny_model({.vocabulary = 267,
                                                        .width = width,
                                                        .heads = width / 16,
                                                        .key_value_heads = width / 16,
                                                        .context_length = context_length});
    toy_test::tiny_vocabulary(model, true);
    const std::vector<std::byte> bytes = model.bytes();
    write(file(name), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return file(name).string();
  }

  [[nodiscard]] static json parsed(const answer& got) {
    EXPECT_EQ(got.code, 0) << got.err;
    return json::parse(got.out);
  }
};

TEST_F(doctor_program, explains_itself) {
  const answer help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* option :
       {"TARGET", "DRAFT", "--prompts", "--prompt", "--temp", "--top-p", "--draft-temp", "--draft-top", "--ballast",
        "--draft-ballast", "--weights", "--threads", "--seed", "--seconds", "--check", "--json", "--no-color"}) {
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  }
  EXPECT_EQ(run({"-h"}).out, help.out);
  const answer version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("doctor, specdec ", 0), 0U) << version.out;
}

TEST_F(doctor_program, refuses_wrong_options) {
  expect_failure({"--seconds", "0"}, 2, {"--seconds", "'0'"});
  expect_failure({"--seconds", "soon"}, 2, {"--seconds", "'soon'"});
  expect_failure({"--check", "-3"}, 2, {"--check"});
  expect_failure({"--draft-temp", "nan"}, 2, {"--draft-temp", "'nan'"});
  expect_failure({"--draft-temp", "1e-9"}, 2, {"--draft-temp", "'1e-9'"});
  expect_failure({"--temp", "-1"}, 2, {"--temp", "'-1'"});
  expect_failure({"--weights", "q8"}, 2, {"--weights", "'q8'"});
  expect_failure({"--draft-ballast", "12X"}, 2, {"--draft-ballast", "'12X'"});
  expect_failure({"--threads", "0"}, 2, {"--threads", "'0'"});
  expect_failure({"-p", "x", "--prompts", "y"}, 2, {"--prompt", "--prompts"});
  expect_failure({"-p", ""}, 2, {"--prompt"});
  expect_failure({"--bogus"}, 2, {"--bogus"});
  expect_failure({"a.gguf", "b.gguf", "c.gguf"}, 2, {"c.gguf"});
}

TEST_F(doctor_program, refuses_models_that_do_not_go_together) {
  const std::string target = (models / "target.gguf").string();
  expect_failure({file("absent.gguf").string()}, 1, {"absent.gguf"});
  expect_failure({target, file("absent.gguf").string()}, 1, {"absent.gguf"});
  write(file("text.gguf"), "no model");
  expect_failure({target, file("text.gguf").string()}, 1, {"text.gguf"});
  expect_failure({target, tiny("tiny.gguf", 64)}, 1, {"tiny.gguf", "4096", "267"});
}

TEST_F(doctor_program, refuses_prompts_that_cannot_be_had) {
  expect_failure({"--prompts", file("absent.jsonl").string()}, 1, {"absent.jsonl"});
  expect_failure({"--prompts", fs::temp_directory_path().string()}, 1, {"directory"});
  write(file("empty.jsonl"), "\n\n");
  expect_failure({"--prompts", file("empty.jsonl").string()}, 1, {"empty.jsonl", "has none"});
  write(file("bad.jsonl"), "{\"prompt\": \"well\"}\n\n{\"text\": \"x\"}\n");
  expect_failure({"--prompts", file("bad.jsonl").string()}, 1, {"bad.jsonl", "line 3", "prompt"});
  write(file("broken.jsonl"), "{\"prompt\": \n");
  expect_failure({"--prompts", file("broken.jsonl").string()}, 1, {"broken.jsonl", "line 1"});
}

TEST_F(doctor_program, refuses_prompts_that_leave_no_room) {
  std::string prompt;
  for (int i = 0; i < 600; ++i) prompt += "word ";
  expect_failure({"-p", prompt}, 1, {"room for 68 tokens", "512"});
  expect_failure({tiny("t.gguf", 64), tiny("d.gguf", 32, 40), "-p", "ab"}, 1, {"256", "40", "room for 68"});
}

TEST_F(doctor_program, tells_of_texts_that_end_at_once) {
  const std::string path = tiny("ends.gguf", 64);
  std::string bytes = contents(path);
  const toy::gguf_file before{fs::path(path)};
  const toy::tokenizer tokenizer(before);
  const toy::model model(before, {.format = toy::weight_format::float16});
  toy::context context(model);
  const auto rows = context.decode(tokenizer.encode("ab"), 1);
  std::uint32_t likeliest = 0;
  for (std::uint32_t i = 1; i < model.vocab_size(); ++i) {
    if (rows.row(0)[i] > rows.row(0)[likeliest]) likeliest = i;
  }
  const std::string_view key = "tokenizer.ggml.eos_token_id";
  const std::size_t at = bytes.find(key);
  ASSERT_NE(at, std::string::npos);
  std::memcpy(&bytes[at + key.size() + sizeof(std::uint32_t)], &likeliest, sizeof likeliest);
  write(path, bytes);
  const answer got = run({path, tiny("draft.gguf", 32), "-p", "ab", "--temp", "0", "--seconds", "1"});
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.out, "");
  EXPECT_NE(got.err.find("doctor: the texts end too early to judge the draft: expected 12 guesses at least; got 1"),
            std::string::npos)
      << got.err;
}

TEST_F(doctor_program, answers_in_json) {
  // With less ballast the draft may cost more, in a build that is not optimised.
  const json got =
      parsed(run({"--ballast", "12M", "--json", "--seconds", "2", "--check", "1", "--seed", "5", "--threads", "1"}));
  EXPECT_EQ(got["settings"]["seed"], 5);
  EXPECT_EQ(got["settings"]["draft_temperature"], nullptr);
  EXPECT_EQ(got["words"].size(), 3U);
  const json& forecasts = got["forecasts"];
  ASSERT_EQ(forecasts.size(), 17U);
  double best = 0;
  for (std::size_t gamma = 0; gamma < forecasts.size(); ++gamma) {
    const json& one = forecasts[gamma];
    EXPECT_EQ(one["gamma"], gamma);
    EXPECT_LE(one["low"], one["speedup"]);
    EXPECT_GE(one["high"], one["speedup"]);
    EXPECT_GE(one["tokens_per_round"], 1);
    EXPECT_LE(one["tokens_per_round"], gamma + 1);
    best = std::max(best, one["speedup"].get<double>());
  }
  EXPECT_EQ(forecasts[0]["speedup"], 1);
  EXPECT_EQ(forecasts[got["gamma"].get<std::size_t>()]["speedup"], best);
  EXPECT_EQ(got["gamma"] == 0, got["verdict"] == "do_not");
  const auto survival = got["acceptance"]["survival"].get<std::vector<double>>();
  ASSERT_EQ(survival.size(), 16U);
  EXPECT_TRUE(std::is_sorted(survival.rbegin(), survival.rend()));
  // The bundled draft's acceptance is no secret.
  EXPECT_NEAR(got["acceptance"]["alpha"], 0.64, 0.12);
  EXPECT_GE(got["acceptance"]["texts"], 3);
  const auto calls = got["costs"]["target_call_seconds"].get<std::vector<double>>();
  ASSERT_EQ(calls.size(), 17U);
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  EXPECT_GT(calls.front(), 0);
  EXPECT_EQ(got["check"]["speeds"].size(), 17U);
  EXPECT_GE(got["check"]["texts"], 1);
}

TEST_F(doctor_program, answers_in_words) {
  const answer got = run({"--seconds", "1", "-p", "Once upon a time", "--threads", "1", "--check", "1"});
  EXPECT_EQ(got.code, 0) << got.err;
  // Wherever lines end.
  std::string words;
  std::istringstream all(got.out);
  for (std::string word; all >> word;) words += word + " ";
  EXPECT_NE(words.find("times the speed of plain generation"), std::string::npos) << got.out;
  EXPECT_NE(words.find("What holds it back most is"), std::string::npos) << got.out;
  EXPECT_NE(words.find("% of its speed"), std::string::npos) << got.out;
  EXPECT_EQ(got.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(got.err.find('\x1b'), std::string::npos);
  EXPECT_NE(got.err.find("measuring on text"), std::string::npos) << got.err;
  EXPECT_NE(got.err.find("checking on text"), std::string::npos) << got.err;
  std::istringstream lines(got.out);
  for (std::string line; std::getline(lines, line);) {
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
    EXPECT_LE(columns, 80) << line;
  }
}

TEST_F(doctor_program, refuses_a_draft_that_costs_more_than_the_target) {
  const json got = parsed(run({"--json", "--seconds", "1", "--draft-ballast", "40M", "--threads", "1"}));
  EXPECT_EQ(got["verdict"], "do_not");
  EXPECT_EQ(got["gamma"], 0);
  EXPECT_EQ(got["limited_by"], "draft_cost");
  EXPECT_LT(got["speedup_if"]["every_guess_accepted"], 1);
}

TEST_F(doctor_program, sees_a_draft_that_knows_nothing) {
  const json got = parsed(run({tiny("target.gguf", 64), tiny("draft.gguf", 32), "--json", "--seconds", "1", "-p", "ab",
                               "--temp", "0", "--threads", "1"}));
  EXPECT_LT(got["acceptance"]["alpha"], 0.2);
  EXPECT_EQ(got["verdict"], "do_not");
}

TEST_F(doctor_program, has_a_draft_temperature) {
  const arguments given{"--json", "--seconds", "1", "--threads", "1", "--temp", "0"};
  const json plain = parsed(run(given)), hot = parsed(run(with(given, {"--draft-temp", "20", "--draft-top", "0"})));
  EXPECT_LT(hot["acceptance"]["alpha"], 0.1 * plain["acceptance"]["alpha"].get<double>());
  EXPECT_EQ(hot["settings"]["draft_temperature"], 20);
}

TEST_F(doctor_program, uses_colour_on_a_terminal_only) {
  const arguments given{"--seconds", "1", "-p", "ab", "--threads", "1"};
  const std::string coloured = run_on_terminal(given, nullptr), plain = run_on_terminal(given, "1");
  EXPECT_NE(coloured.find("\x1b[32m"), std::string::npos);
  EXPECT_EQ(plain.find("\x1b[32m"), std::string::npos);
  EXPECT_NE(plain.find("left"), std::string::npos);
}

TEST_F(doctor_program, stops_when_the_user_says_so) {
  for (const arguments& given : {arguments{"--seconds", "20"}, {"--seconds", "1", "--check", "20", "--json"}}) {
    const bool checking = given.size() > 2;
    const std::string out = file("out").string(), errors = file("err").string();
    const pid_t child = fork();
    if (child == 0) {
      signal(SIGINT, SIG_DFL);  // whoever runs the tests in the background ignores it
      if (std::freopen(out.c_str(), "w", stdout) == nullptr || std::freopen(errors.c_str(), "w", stderr) == nullptr) {
        _exit(126);
      }
      execute(given);
    }
    // Not before it listens.
    const std::string awaited = checking ? "checking" : "measuring";
    for (int i = 0; i < 6000 && contents(errors).find(awaited) == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill(child, SIGINT);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
    // The answer was there already, if the check was cut short.
    EXPECT_EQ(contents(out).empty(), !checking);
    EXPECT_EQ(contents(errors).find("interrupted") == std::string::npos, checking);
  }
}

}  // namespace
