// What llama-server is told to do.

#include <gtest/gtest.h>

#include <string>

#include <llama_cpp/consultation.hpp>

namespace {

TEST(server_options, are_those_of_the_advice) {
  llama::options asked;
  asked.target = "large.gguf";
  asked.draft = "small.gguf";
  asked.sampling = {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .min_p = 0.05};
  asked.threads = 2;
  asked.draft_threads = 1;
  doctor::advice given;
  given.best = 3;
  EXPECT_EQ(llama::server_options(asked, given),
            "-m large.gguf --spec-type draft-simple -md small.gguf --spec-draft-n-max 3 --spec-draft-n-min 0 "
            "--spec-draft-p-min 0 --temp 0.7 --top-k 40 --top-p 0.9 --min-p 0.05 -t 2 -td 1");
  asked.target = "my model's.gguf";
  asked.sampling.repetition_penalty = 1.3;
  asked.context_size = 8192;
  asked.gpu_layers = 20;
  EXPECT_EQ(
      llama::server_options(asked, given),
      "-m 'my model'\\''s.gguf' --spec-type draft-simple -md small.gguf --spec-draft-n-max 3 --spec-draft-n-min 0 "
      "--spec-draft-p-min 0 --temp 0.7 --top-k 40 --top-p 0.9 --min-p 0.05 --repeat-penalty 1.3 "
      "--frequency-penalty 0 --presence-penalty 0 --repeat-last-n 64 -c 8192 -ngl 20 -ngld 20 -t 2 -td 1");
  asked = {};
  asked.target = "large.gguf";
  asked.sampling = {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .min_p = 0.05};
  asked.threads = 2;
  given.best = 0;
  EXPECT_EQ(llama::server_options(asked, given), "-m large.gguf --temp 0.7 --top-k 40 --top-p 0.9 --min-p 0.05 -t 2");
}

}  // namespace
