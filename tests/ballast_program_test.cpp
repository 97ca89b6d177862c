// The program `ballast` from outside.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include <gguf.hpp>

#include "program.hpp"

namespace {

using namespace program_test;

const std::string target = (models / "target.gguf").string();

class ballast_program : public program {};

TEST_F(ballast_program, explains_itself) {
  const answer help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* option : {"MODEL", "OUT", "--ballast", "--type", "q8_0"}) {
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  }
  EXPECT_EQ(run({"--version"}).out.rfind("ballast, specdec ", 0), 0U);
}

TEST_F(ballast_program, saves_a_model) {
  const std::string wide = file("wide.gguf").string();
  const answer got = run({target, wide, "--ballast", "6M", "--type", "q8_0"});
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_NE(got.out.find("6.1M parameters, feed-forward blocks of 896"), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("units instead of 512"), std::string::npos) << got.out;
  const toy::gguf_file saved{fs::path(wide)};
  EXPECT_GT(saved.get<std::uint64_t>("llama.feed_forward_length"), 512U);
  EXPECT_EQ(saved.find_tensor("token_embd.weight")->type, toy::tensor_type::q8_0);
  EXPECT_FALSE(fs::exists(file("wide.gguf.part")));
}

TEST_F(ballast_program, says_what_is_wrong) {
  expect_failure({target}, 2, {"two files"});
  expect_failure({target, "x", "y"}, 2, {"y"});
  expect_failure({target, "x", "--type", "q4"}, 2, {"--type", "'q4'"});
  expect_failure({target, "x", "--ballast", "much"}, 2, {"--ballast", "'much'"});
  expect_failure({file("absent.gguf").string(), "x"}, 1, {"absent.gguf"});
  expect_failure({target, file("no/folder/x.gguf").string()}, 1, {"x.gguf", "cannot be written"});
  fs::copy_file(target, file("x.gguf.part"));
  expect_failure({file("x.gguf.part").string(), file("x.gguf").string()}, 2, {"x.gguf.part", "another name"});
  EXPECT_TRUE(fs::exists(file("x.gguf.part")));
  write(file("text.gguf"), "no model");
  expect_failure({file("text.gguf").string(), file("x.gguf").string()}, 1, {"text.gguf", "GGUF"});
  EXPECT_FALSE(fs::exists(file("x.gguf")));
}

}  // namespace
