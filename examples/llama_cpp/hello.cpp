#include <iostream>
#include <specdec/adapters/llama_cpp.hpp>
#include <specdec/specdec.hpp>

int main(int, char** files) {
  namespace llama = specdec::llama_cpp;
  llama::load_backends();
  const auto large = llama::model::load(files[1]), small = llama::model::load(files[2]);
  llama::context target(large), draft(small);

  specdec::speculative_generate(
      target, draft, large.tokenize("Once upon a time"),
      {.gamma = 4, .max_tokens = 64, .sampling = {.temperature = 0.8}, .end_tokens = large.end_tokens()},
      [&](const specdec::outcome& out) {
        for (const auto& token : out.tokens) std::cout << large.piece(token.id) << std::flush;
      });
  std::cout << "\n";
}
