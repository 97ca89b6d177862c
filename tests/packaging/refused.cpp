// Compiles as it is. Each REFUSED_ macro makes one mistake a user may make.

#include <cstddef>
#include <span>
#include <specdec/specdec.hpp>
#include <vector>

struct model {
  std::size_t vocab_size() const;
#ifndef REFUSED_SIZE
  std::size_t size() const;
#endif
#ifdef REFUSED_LOGITS
  std::vector<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows);
#else
  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows);
#endif
#ifndef REFUSED_TRUNCATE
  void truncate(std::size_t n);
#endif
};

struct drafter {
#ifndef REFUSED_DRAFT
  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& draft);
#endif
};

struct sink {
#ifdef REFUSED_SINK
  int operator()(const specdec::outcome& out) const;
#else
  bool operator()(const specdec::outcome& out) const;
#endif
};

specdec::generation generate(model& target, drafter& draft, const std::vector<specdec::token_id>& prompt) {
  return specdec::speculative_generate(target, draft, prompt, {}, sink{});
}
