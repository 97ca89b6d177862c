// The program `generate` as its user meets it: exit codes, messages, streams.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "program.hpp"
#include "transformer_gguf_writer.hpp"

namespace {

using namespace generate_test;

TEST_F(program, explains_itself) {
  const answer help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* option :
       {"--model",          "-md",       "--prompt",     "--file",    "--predict", "--gamma",       "--temp",
        "--seed",           "--threads", "--weights",    "--ballast", "--json",    "--no-baseline", "--no-color",
        "--reverse-prompt", "--stop",    "--min-tokens", "--samples", "--trace",   "--logprobs",    "--logprobs-of"}) {
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  }
  const answer version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("generate, specdec ", 0), 0U) << version.out;
}

TEST_F(program, refuses_wrong_options) {
  expect_failure({"--gamma", "-1"}, 2, {"--gamma", "'-1'"});
  expect_failure({"--gamma", "65"}, 2, {"--gamma", "'65'"});
  expect_failure({"--gamma", ""}, 2, {"--gamma"});
  expect_failure({"--temp", "-1"}, 2, {"--temp", "'-1'"});
  expect_failure({"--temp", "nan"}, 2, {"--temp", "'nan'"});
  expect_failure({"--temp", ""}, 2, {"--temp", "''"});
  expect_failure({"--temp", "inf"}, 2, {"--temp", "'inf'"});
  expect_failure({"--temp", "1e-7"}, 2, {"--temp", "'1e-7'"});
  expect_failure({"-n", "0"}, 2, {"--predict", "'0'"});
  expect_failure({"-n", "3x"}, 2, {"--predict", "'3x'"});
  expect_failure({"--seed", "18446744073709551616"}, 2, {"--seed"});
  expect_failure({"--threads", "0"}, 2, {"--threads"});
  expect_failure({"--weights", "q8"}, 2, {"--weights", "f32", "'q8'"});
  expect_failure({"--ballast", "12X"}, 2, {"--ballast", "'12X'"});
  expect_failure({"--ballast", "1e300G"}, 2, {"--ballast"});
  expect_failure({"--bogus"}, 2, {"--bogus"});
  expect_failure({"word"}, 2, {"word"});
  expect_failure({"--model"}, 2, {"--model"});
  expect_failure({"-p", "x", "-f", "y"}, 2, {"--prompt", "--file"});
}

TEST_F(program, refuses_files_that_hold_no_model) {
  const std::string good = contents(models / "draft.gguf");
  ASSERT_GT(good.size(), 500'000U);
  for (const std::string option : {"-m", "-md", "--model-draft"}) {
    expect_failure({option, file("absent.gguf").string()}, 1, {"absent.gguf"});
    expect_failure({option, fs::temp_directory_path().string()}, 1, {fs::temp_directory_path().string()});
    write(file("empty.gguf"), "");
    expect_failure({option, file("empty.gguf").string()}, 1, {"empty.gguf"});
    for (const std::size_t size : {std::size_t{3}, std::size_t{20}, std::size_t{5'000}, good.size() - 1}) {
      write(file("cut.gguf"), std::string_view(good).substr(0, size));
      expect_failure({option, file("cut.gguf").string()}, 1, {"cut.gguf"});
    }
    std::string corrupt = good;
    corrupt[0] = 'g';
    write(file("magic.gguf"), corrupt);
    expect_failure({option, file("magic.gguf").string()}, 1, {"magic.gguf", "GGUF"});
  }
}

TEST_F(program, refuses_a_draft_of_another_vocabulary) {
  toy_test::gguf_writer tiny = toy_test::tiny_model({.vocabulary = 267});
  toy_test::tiny_vocabulary(tiny, true);
  const std::vector<std::byte> bytes = tiny.bytes();
  write(file("tiny.gguf"), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  expect_failure({"-md", file("tiny.gguf").string()}, 1, {"tiny.gguf", "4096", "267"});

  std::string changed = contents(models / "draft.gguf");
  const std::string piece("\x08\0\0\0\0\0\0\0\xe2\x96\x81there", 16);
  const std::size_t at = changed.find(piece);
  ASSERT_NE(at, std::string::npos);
  changed[at + piece.size() - 1] = 'X';
  write(file("changed.gguf"), changed);
  expect_failure({"-md", file("changed.gguf").string()}, 1, {"changed.gguf", "therX", "there"});
}

TEST_F(program, refuses_a_model_that_scores_tokens_without_text) {
  toy_test::gguf_writer tiny = toy_test::tiny_model({.vocabulary = 300});
  toy_test::tiny_vocabulary(tiny, true);
  const std::vector<std::byte> bytes = tiny.bytes();
  write(file("tiny.gguf"), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  expect_failure({"-m", file("tiny.gguf").string(), "-md", "none"}, 1, {"tiny.gguf", "300", "267"});
}

TEST_F(program, refuses_prompts_that_cannot_be_had) {
  expect_failure({"-f", file("absent.txt").string()}, 1, {"absent.txt"});
  expect_failure({"-f", fs::temp_directory_path().string()}, 1, {"directory"});
  std::string prompt;
  for (int i = 0; i < 600; ++i) prompt += "word ";
  expect_failure({"-p", prompt}, 1, {"prompt", "512"});
}

TEST_F(program, takes_its_prompt_from_anywhere) {
  const std::string expected = run(quick).out;
  EXPECT_EQ(expected.rfind("Once upon a time", 0), 0U) << expected;
  const arguments rest{"-n", "24", "--no-baseline"};
  write(file("prompt.txt"), "Once upon a time\n");
  EXPECT_EQ(run(with(rest, {"-f", file("prompt.txt").string()})).out, expected);
  EXPECT_EQ(run(with(rest, {"-f", "-"}), "Once upon a time\n").out, expected);
  EXPECT_EQ(run(rest, "Once upon a time").out, expected);
  EXPECT_EQ(run(rest).code, 0) << "a prompt of our own";
  EXPECT_EQ(run(with(rest, {"-p", ""})).code, 0) << "the empty prompt: any text at all";
}

TEST_F(program, repeats_a_text_from_its_seed) {
  const std::string one = run(with(quick, {"--seed", "1"})).out;
  EXPECT_EQ(run(with(quick, {"--seed", "1"})).out, one);
  EXPECT_EQ(run(with(quick, {"--seed", "1", "--threads", "1"})).out, one);
  EXPECT_EQ(run(with(quick, {"--seed", "1", "--ballast", "8M"})).out, one);
  EXPECT_NE(run(with(quick, {"--seed", "2"})).out, one);
}

TEST_F(program, greedy_text_does_not_depend_on_the_draft) {
  const std::string plain = run(with(quick, {"--temp", "0", "-md", "none"})).out;
  EXPECT_GT(plain.size(), std::string("Once upon a time\n").size());
  EXPECT_EQ(run(with(quick, {"--temp", "0"})).out, plain);
  EXPECT_EQ(run(with(quick, {"--temp", "0", "--gamma", "0"})).out, plain);
  EXPECT_EQ(run(with(quick, {"--temp", "0", "--gamma", "7", "--draft-top", "0"})).out, plain);
  EXPECT_EQ(run(with(quick, {"--temp", "0", "--gamma", "auto"})).out, plain);
  EXPECT_EQ(run(with(quick, {"--temp", "0", "-md", (models / "draft-mini.gguf").string()})).out, plain);
}

TEST_F(program, keeps_the_text_apart_from_the_report) {
  const answer got = run({"-p", "Once upon a time", "-n", "24"});
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.out.find("tokens per second"), std::string::npos);
  for (const char* line : {"tokens per second", "with speculation", "speed-up", "predicted speed-up", "alpha",
                           "tokens per target call", "where the time went", "24 tokens"}) {
    EXPECT_NE(got.err.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(got.err.find(" \n"), std::string::npos) << "no line ends in spaces";
  std::size_t width = 0;
  for (const char c : got.err) {
    width = c == '\n' ? 0 : width + ((static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0);
    ASSERT_LE(width, 80U);
  }
}

TEST_F(program, colours_only_what_a_terminal_shows) {
  const answer piped = run(quick);
  EXPECT_EQ((piped.out + piped.err).find('\x1b'), std::string::npos);
  const std::string shown = run_on_terminal(quick, nullptr);
  EXPECT_NE(shown.find("\x1b[32m"), std::string::npos);
  EXPECT_EQ(run_on_terminal(quick, "1").find('\x1b'), std::string::npos);
  EXPECT_EQ(run_on_terminal(with(quick, {"--no-color"}), nullptr).find('\x1b'), std::string::npos);
}

TEST_F(program, no_text_commands_the_terminal) {
  const std::string shown = run_on_terminal(with(quick, {"-p",
                                                         "a\x1b[31mb\xc2\x9b"
                                                         "2Jc\xc2\xa0",
                                                         "--no-color"}),
                                            nullptr);
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);
  EXPECT_NE(shown.find("a\xef\xbf\xbd[31mb\xef\xbf\xbd"
                       "2Jc\xc2\xa0"),
            std::string::npos);
}

TEST_F(program, answers_in_json) {
  const arguments asked{"-p", "Once upon a time", "-n", "24", "--gamma", "3"};
  const answer got = run(with(asked, {"--json"}));
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.err, "");
  const auto json = nlohmann::json::parse(got.out);
  EXPECT_EQ(run(asked).out, json.at("prompt").get<std::string>() + json.at("text").get<std::string>() + "\n");

  std::string text;
  std::size_t drafted = 0;
  for (const auto& token : json.at("tokens")) {
    text += token.at("text").get<std::string>();
    EXPECT_LE(token.at("log_probability").get<double>(), 0);
    EXPECT_GE(token.at("id").get<int>(), 0);
    const std::string origin = token.at("origin");
    EXPECT_TRUE(origin == "draft" || origin == "target") << origin;
    drafted += origin == "draft" ? 1 : 0;
  }
  EXPECT_EQ(text, json.at("text").get<std::string>());
  EXPECT_EQ(json.at("tokens").size(), 24U);
  EXPECT_EQ(json.at("stop_reason"), "max_tokens");
  EXPECT_EQ(json.at("settings").at("gamma"), 3);
  EXPECT_EQ(json.at("settings").at("temperature"), 0.8);
  EXPECT_EQ(json.at("statistics").at("accepted"), drafted);
  EXPECT_EQ(json.at("statistics").at("delivered"), 24);
  EXPECT_EQ(json.at("baseline").at("statistics").at("delivered"), 24);
  EXPECT_EQ(json.at("baseline").at("statistics").at("rounds"), 24);
  EXPECT_GT(json.at("speedup").get<double>(), 0);
  EXPECT_GT(json.at("prediction").at("speedup").get<double>(), 0);
  EXPECT_GT(json.at("prompt_reading").at("tokens").get<int>(), 0);

  const auto alone = nlohmann::json::parse(run(with(asked, {"--json", "-md", "none"})).out);
  EXPECT_TRUE(alone.at("baseline").is_null());
  EXPECT_TRUE(alone.at("prediction").is_null());
  EXPECT_TRUE(alone.at("settings").at("draft").is_null());
  EXPECT_EQ(alone.at("statistics").at("proposed"), 0);
}

TEST_F(program, bytes_that_are_no_text_stay_printable) {
  const answer got = run({"-p", "caf\xc3\xa9 \xff", "-n", "8", "--no-baseline", "--json", "--temp", "3"});
  ASSERT_EQ(got.code, 0) << got.err;
  EXPECT_TRUE(nlohmann::json::accept(got.out));
}

TEST_F(program, stops_where_the_context_ends) {
  std::string prompt;
  for (int i = 0; i < 470; ++i) prompt += "the ";
  const answer got = run({"-p", prompt, "-n", "100000", "--ignore-eos", "--json", "--gamma", "4"});
  ASSERT_EQ(got.code, 0) << got.err;
  const auto json = nlohmann::json::parse(got.out);
  EXPECT_EQ(json.at("stop_reason"), "context_full");
  // The last token is chosen, and never read.
  EXPECT_EQ(json.at("prompt_reading").at("tokens").get<std::size_t>() + json.at("tokens").size(), 513U);

  const answer told = run({"-p", prompt, "-n", "100000", "--ignore-eos", "--no-baseline"});
  EXPECT_NE(told.err.find("context is full"), std::string::npos) << told.err;
}

TEST_F(program, works_on_texts_of_one_token) {
  const answer got = run({"-p", "Once", "-n", "1"});
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_NE(got.err.find("1 token,"), std::string::npos) << got.err;
}

TEST_F(program, reports_output_that_is_lost) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  for (const std::string given : {"-p Once -n 4 --no-baseline", "-p Once -n 4 --json", "--help", "--version"}) {
    for (const std::string lost : {">/dev/full", ">&-"}) {
      const std::string command =
          shell::quoted(SPECDEC_PROGRAM) + " " + given + " </dev/null 2>" + shell::quoted(file("err")) + " " + lost;
      const int status = std::system(command.c_str());
      EXPECT_EQ(WEXITSTATUS(status), 1) << command;
      EXPECT_EQ(contents(file("err")).rfind("generate: the output cannot be written: ", 0), 0U) << command;
    }
  }
}

}  // namespace
