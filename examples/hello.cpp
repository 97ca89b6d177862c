#include <algorithm>
#include <cmath>
#include <iostream>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <vector>

// A model of your own takes four functions. This one has counted which letters follow the last `Order` letters.
template <std::size_t Order>
class letters {
 public:
  std::size_t vocab_size() const { return 128; }
  std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }

  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    logits_.assign(rows * vocab_size(), 1e-9F);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context_ += static_cast<char>(tokens[i]);
      if (i + rows < tokens.size()) continue;
      const std::string last = context_.substr(context_.size() - std::min(Order, context_.size()));
      float* row = &logits_[(i + rows - tokens.size()) * vocab_size()];
      for (auto at = text_.find(last); at < text_.size() - last.size(); at = text_.find(last, at + 1))
        row[static_cast<std::size_t>(text_[at + last.size()])] += 1.0F;
    }
    for (float& x : logits_) x = std::log(x);
    return {logits_.data(), rows, vocab_size()};
  }

 private:
  const std::string text_ =
      "she sells sea shells by the sea shore. the shells she sells are sea shells, i am sure. so if she sells "
      "shells on the sea shore, then i am sure she sells sea shore shells. she sells ";
  std::string context_;
  std::vector<float> logits_;
};

int main() {
  letters<4> target;
  letters<2> draft;
  const std::vector<specdec::token_id> prompt{'s', 'h', 'e', ' '};

  const auto result = specdec::speculative_generate(target, draft, prompt, {.gamma = 4, .max_tokens = 90, .seed = 1});

  std::cout << "she ";
  for (const auto& token : result.tokens) std::cout << static_cast<char>(token.id);
  std::cout << "\n" << result.stats.mean_acceptance_length() << " letters per call of the target\n";
}
