#ifndef SPECDEC_TESTS_COUNTED_TEXTS_HPP
#define SPECDEC_TESTS_COUNTED_TEXTS_HPP

/// @file
/// What an index of texts must know, counted by looking everywhere.

#include <algorithm>
#include <cstddef>
#include <map>
#include <specdec/types.hpp>
#include <utility>
#include <vector>

namespace counting {

using specdec::token_id;
using tokens = std::vector<token_id>;

[[nodiscard]] inline tokens end_of(const tokens& w, std::size_t size) {
  return {w.end() - static_cast<std::ptrdiff_t>(size), w.end()};
}

/// Several texts, the last of them under way.
struct counted_texts {
  std::vector<tokens> texts{{}};

  /// Where a string ends: text, and place behind its last token.
  [[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> ends_of(const tokens& w) const {
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (std::size_t t = 0; t < texts.size(); ++t) {
      for (std::size_t at = 0; at + w.size() <= texts[t].size(); ++at) {
        if (std::equal(w.begin(), w.end(), texts[t].begin() + static_cast<std::ptrdiff_t>(at))) {
          found.emplace_back(t, at + w.size());
        }
      }
    }
    return found;
  }
  [[nodiscard]] std::size_t count(const tokens& w) const { return ends_of(w).size(); }
  [[nodiscard]] std::size_t continuations(const tokens& w) const {
    std::size_t found = 0;
    for (const auto& [text, end] : ends_of(w)) found += text + 1 < texts.size() || end < texts[text].size() ? 1 : 0;
    return found;
  }
  /// What follows most often, of equals what did so last, and how often; -1 and 0 if nothing does.
  [[nodiscard]] std::pair<token_id, std::size_t> likeliest(const tokens& w) const {
    std::map<token_id, std::pair<std::size_t, std::size_t>> followers;  // how often, and the last time
    std::size_t time = 0;
    for (const auto& [text, end] : ends_of(w)) {
      ++time;
      if (end == texts[text].size()) continue;
      auto& [often, last] = followers[texts[text][end]];
      ++often;
      last = time;
    }
    std::pair<token_id, std::size_t> best{-1, 0};
    std::size_t last = 0;
    for (const auto& [token, seen] : followers) {
      if (seen.first > best.second || (seen.first == best.second && seen.second > last)) {
        best = {token, seen.first};
        last = seen.second;
      }
    }
    return best;
  }
  [[nodiscard]] tokens last(std::size_t most) const {
    return end_of(texts.back(), std::min(most, texts.back().size()));
  }
};

}  // namespace counting

#endif  // SPECDEC_TESTS_COUNTED_TEXTS_HPP
