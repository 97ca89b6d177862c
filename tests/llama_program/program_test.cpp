// The program `specdec_llama` from outside.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include <gguf.hpp>
#include <widened_file.hpp>

#include "program.hpp"

namespace {

using namespace program_test;
using nlohmann::json;

const std::string target = (models / "target.gguf").string(), draft = (models / "draft.gguf").string();
// One thread: two that wait for each other are slow on a machine with other work.
const arguments quick{"-p", "Once upon a time", "-n", "24", "-t", "1", "--no-baseline"};

class llama_program : public program {
 protected:
  [[nodiscard]] static json parsed(const answer& got) {
    EXPECT_EQ(got.code, 0) << got.err;
    return json::parse(got.out);
  }

  /// The bundled target with ballast.
  [[nodiscard]] std::string wide_target(std::size_t parameters, toy::tensor_type type) const {
    const toy::gguf_file bundled{fs::path(target)};
    std::ofstream out(file("wide.gguf"), std::ios::binary);
    ballast::widened(bundled, parameters, type).write(out);
    return file("wide.gguf").string();
  }
};

TEST_F(llama_program, explains_itself) {
  const answer help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* option : {"--model",   "--target", "-md",      "--draft",   "--ctx-size",    "-ngl",      "--prompt",
                             "--predict", "--stop",   "--temp",   "--top-k",   "--top-p",       "--min-p",   "--seed",
                             "--gamma",   "--method", "--doctor", "--compare", "--prompts",     "--seconds", "--check",
                             "--texts",   "-td",      "--json",   "--trace",   "prompt_lookup", "suffix"}) {
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  }
  for (const char* other : {"draft_verify", "--skip", "universal", "--weights"}) {
    EXPECT_EQ(help.out.find(other), std::string::npos) << other;
  }
  const answer version = run({"--version"});
  EXPECT_EQ(version.out.rfind("specdec_llama, specdec ", 0), 0U) << version.out;
}

TEST_F(llama_program, refuses_wrong_options) {
  expect_failure({"--doctor", "--compare"}, 2, {"--doctor", "--compare"});
  expect_failure({"--method", "universal"}, 2, {"--method", "'universal'", "prompt_lookup"});
  expect_failure({"--method", "nothing"}, 2, {"--method", "'nothing'"});
  expect_failure({"-m", target, "--method", "block"}, 2, {"--model-draft", "block"});
  expect_failure({"-m", target, "--doctor"}, 2, {"--model-draft", "--doctor"});
  expect_failure({"--doctor", "-md", "none"}, 2, {"--doctor", "draft model"});
  expect_failure({"--compare", "--method", "suffix"}, 2, {"--compare", "suffix"});
  expect_failure({"--method", "suffix", "-md", draft}, 2, {"--model-draft", "suffix"});
  expect_failure({"-c", "0"}, 2, {"--ctx-size", "'0'"});
  expect_failure({"-ngl", "some"}, 2, {"--gpu-layers", "'some'"});
  expect_failure({"-t", "0"}, 2, {"--threads", "'0'"});
  expect_failure({"-td", "0"}, 2, {"--threads-draft", "'0'"});
  expect_failure({"--compare", "--texts", "1"}, 2, {"--texts", "'1'"});
  expect_failure({"--doctor", "--seconds", "0"}, 2, {"--seconds", "'0'"});
  expect_failure({"--texts", "5"}, 2, {"--texts", "--compare"});
  expect_failure({"--seconds", "5"}, 2, {"--seconds", "--doctor"});
  expect_failure({"--check"}, 2, {"--check", "--doctor"});
  expect_failure({"--prompts", "none.jsonl"}, 2, {"--prompts", "--doctor"});
  expect_failure({"--compare", "--stop", "x"}, 2, {"--stop", "--compare"});
  expect_failure({"--doctor", "--trace"}, 2, {"--trace", "--doctor"});
  expect_failure({"--doctor", "-n", "9"}, 2, {"--predict", "--doctor"});
  expect_failure({"--doctor", "--gamma", "9"}, 2, {"--gamma", "--doctor"});
  expect_failure({"--compare", "--gamma", "auto"}, 2, {"--gamma", "'auto'"});
  // Of the method that is meant where there is no draft model.
  expect_failure({"-m", target, "--doubt", "-1"}, 2, {"--doubt", "'-1'"});
  expect_failure({"--bogus"}, 2, {"--bogus"});
}

TEST_F(llama_program, refuses_models_that_cannot_be_used) {
  expect_failure({"-m", file("absent.gguf").string(), "-md", "none"}, 1, {"absent.gguf"});
  expect_failure({"-md", file("absent.gguf").string()}, 1, {"absent.gguf"});
  expect_failure({"-md", (models / "draft-1k.gguf").string()}, 1, {"draft-1k.gguf", "target.gguf", "token 377"});
  expect_failure({"-c", "100000"}, 1, {"--ctx-size", "512", "100000"});
  write(file("text.gguf"), "no model");
  // llama.cpp says why, too.
  const answer got = run({"-m", file("text.gguf").string(), "-md", "none"});
  EXPECT_EQ(got.code, 1);
  EXPECT_EQ(got.out, "");
  EXPECT_NE(got.err.find("specdec_llama: "), std::string::npos) << got.err;
  EXPECT_NE(got.err.find("text.gguf"), std::string::npos) << got.err;
}

TEST_F(llama_program, refuses_a_prompt_that_does_not_fit) {
  std::string prompt;
  for (int i = 0; i < 600; ++i) prompt += "word ";
  expect_failure({"-p", prompt, "-t", "1"}, 1, {"512"});
  expect_failure({"--compare", "-p", prompt, "-t", "1"}, 1, {"room", "512"});
  expect_failure({"--doctor", "-p", prompt, "-t", "1"}, 1, {"room", "512"});
}

TEST_F(llama_program, writes_a_text_and_measures_it) {
  const answer got = run({"-p", "Once upon a time", "-n", "24", "-t", "1", "--seed", "3"});
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(got.out.rfind("Once upon a time", 0), 0U) << got.out;
  EXPECT_GT(got.out.size(), 40U);
  for (const char* words : {"target.gguf, 4.3M parameters", "draft.gguf, 1.1M", "with speculation", "24 tokens",
                            "a target call costs", "F16"}) {
    EXPECT_NE(got.err.find(words), std::string::npos) << words << " in " << got.err;
  }
}

TEST_F(llama_program, tells_all_in_json) {
  const json got = parsed(run(with(quick, {"--json", "--gamma", "3", "--seed", "4", "--logprobs", "2"})));
  EXPECT_EQ(got["prompt"], "Once upon a time");
  EXPECT_EQ(got["tokens"].size(), 24U);
  EXPECT_EQ(got["settings"]["engine"], "llama.cpp");
  EXPECT_EQ(got["settings"]["gamma"], 3);
  EXPECT_EQ(got["settings"]["threads"], 1);
  EXPECT_EQ(got["settings"]["target"]["parameters"], 4328640);
  EXPECT_EQ(got["statistics"]["delivered"], 24);
  std::string text;
  bool drafted = false;
  for (const json& token : got["tokens"]) {
    text += token["text"];
    drafted = drafted || token["origin"] == "draft";
    EXPECT_EQ(token["likeliest"].size(), 2U);
    EXPECT_LE(token["log_probability"], 0);
  }
  EXPECT_EQ(got["text"], text);
  EXPECT_TRUE(drafted);
  // The seed decides.
  const arguments given = with(quick, {"--json", "--gamma", "3", "--seed", "9"});
  EXPECT_EQ(parsed(run(given))["text"], parsed(run(given))["text"]);
  EXPECT_NE(parsed(run(given))["text"], got["text"]);
}

TEST_F(llama_program, drafts_by_many_methods) {
  for (const char* method : {"autoregressive", "block", "coupled", "typical", "assisted", "cost_model", "tree",
                             "dynamic_tree", "cascade", "suffix", "prompt_lookup"}) {
    const json got = parsed(run(with(quick, {"--json", "--method", method})));
    EXPECT_EQ(got["settings"]["method"], method);
    EXPECT_EQ(got["tokens"].size(), 24U) << method;
  }
}

TEST_F(llama_program, one_model_drafts_from_its_text) {
  const std::string repeating = "a b c d e f g h a b c d e f g h a b c d e f g h a b";
  const json got =
      parsed(run({"-m", target, "-p", repeating, "-n", "24", "-t", "1", "--temp", "0", "--json", "--no-baseline"}));
  EXPECT_EQ(got["settings"]["method"], "suffix");
  EXPECT_EQ(got["settings"]["draft"], nullptr);
  EXPECT_GT(got["statistics"]["accepted"], 0);
}

TEST_F(llama_program, takes_a_model_with_ballast) {
  const std::string wide = wide_target(8'000'000, toy::tensor_type::q8_0);
  const json got = parsed(run(with(quick, {"-m", wide, "-md", draft, "--gamma", "3", "--json"})));
  EXPECT_GE(got["settings"]["target"]["parameters"], 7'900'000);
  EXPECT_EQ(got["settings"]["target_format"], "llama ?B Q8_0");
  // As good a draft for it as for the model itself.
  EXPECT_GT(got["statistics"]["accepted"], 4);
}

TEST_F(llama_program, compares_the_rules) {
  const arguments given{"--compare", "--texts", "3", "-n", "32", "-t", "1", "--gamma", "3"};
  const json got = parsed(run(with(given, {"--json"})));
  ASSERT_EQ(got["ways"].size(), 4U);
  EXPECT_EQ(got["settings"]["gamma"], 3);
  EXPECT_EQ(got["ways"][0]["tokens_per_call"]["value"], 1);
  EXPECT_EQ(got["ways"][1]["tokens_per_call"]["value"], 1);
  for (const json& one : got["ways"]) {
    for (const char* figure : {"tokens_per_call", "tokens_per_second", "speedup"}) {
      EXPECT_GT(one[figure]["low"], 0) << one;
      EXPECT_LE(one[figure]["low"], one[figure]["high"]) << one;
    }
  }
  for (const std::size_t i : {2U, 3U}) {
    EXPECT_GT(got["ways"][i]["tokens_per_call"]["value"], 1.2);
    EXPECT_LE(got["ways"][i]["tokens_per_call"]["value"], 4);
  }
  EXPECT_GE(got["acceptance"]["positions"], 96);
  EXPECT_GT(got["acceptance"]["sum_min_p_q"]["value"], got["acceptance"]["p_of_argmax_q"]["value"]);
  EXPECT_LT(got["acceptance"]["sum_min_p_q"]["high"], 1);

  const answer table = run(with(given, {"-p", "Once upon a time"}));
  EXPECT_EQ(table.code, 0) << table.err;
  for (const char* words : {"plain decoding", "llama.cpp's rule", "specdec, rejection", "sum min(p, q)"}) {
    EXPECT_NE(table.out.find(words), std::string::npos) << words << " in " << table.out;
  }
}

TEST_F(llama_program, advises) {
  // Else the draft may cost more, in a build that is not optimised.
  const std::string wide = wide_target(24'000'000, toy::tensor_type::float16);
  const json got = parsed(run({"-m", wide, "-md", draft, "--doctor", "--seconds", "2", "-t", "1", "--json"}));
  EXPECT_EQ(got["forecasts"].size(), 17U);
  EXPECT_EQ(got["settings"]["engine"], "llama.cpp");
  EXPECT_NEAR(got["acceptance"]["alpha"], 0.64, 0.12);
  const std::string options = got["llama_server"]["options"];
  EXPECT_NE(options.find("-m " + wide.substr(0, 1)), std::string::npos) << options;
  const bool drafts = got["llama_server"]["advice"]["gamma"] != 0;
  EXPECT_EQ(options.find("--spec-draft-n-max") != std::string::npos, drafts) << options;
  // Its rule accepts less.
  EXPECT_LT(got["llama_server"]["advice"]["acceptance"]["alpha"], got["acceptance"]["alpha"]);
}

TEST_F(llama_program, stops_when_the_user_says_so) {
  const std::string out = file("out").string(), errors = file("err").string();
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_DFL);  // whoever runs the tests in the background ignores it
    if (std::freopen(out.c_str(), "w", stdout) == nullptr || std::freopen(errors.c_str(), "w", stderr) == nullptr) {
      _exit(126);
    }
    execute({"--compare", "--texts", "20", "-n", "100", "-t", "1"});
  }
  // Not before it listens, and has something to say.
  for (int i = 0; i < 6000 && contents(errors).find("text ") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_NE(contents(out).find("specdec, rejection"), std::string::npos);
}

}  // namespace
