// Models that do not go back as they should: the kit must find each mistake and call it by its name.

#include "conformance_models.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace conformance_models;

TEST(mutant_model, that_miscounts_its_size) {
  struct stuck : claiming_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) { return right_model::decode(tokens, rows); }
    void truncate(std::size_t n) { right_model::truncate(claimed = n); }
  };
  expect_found(stuck{}, requirement::causal_model_2, defect::size_wrong);
  struct counting_rows : claiming_model {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      claimed += rows;
      return right_model::decode(tokens, rows);
    }
    void truncate(std::size_t n) { right_model::truncate(claimed = n); }
  };
  expect_found(counting_rows{}, requirement::causal_model_2, defect::size_wrong);
}

TEST(mutant_model, that_truncates_wrongly_and_says_so) {
  struct one_more : right_model {
    void truncate(std::size_t n) { context.resize(std::min(n + 1, size())); }
  };
  expect_found(one_more{}, requirement::causal_model_4, defect::truncate_keeps_too_many);
  struct one_fewer : right_model {
    void truncate(std::size_t n) { context.resize(n > 0 ? n - 1 : 0); }
  };
  expect_found(one_fewer{}, requirement::causal_model_4, defect::truncate_keeps_too_few);
  struct nothing : right_model {
    void truncate(std::size_t) {}
  };
  expect_found(nothing{}, requirement::causal_model_4, defect::truncate_does_nothing);
  struct all_at_the_end : right_model {
    void truncate(std::size_t n) { context.resize(n == size() ? 0 : n); }
  };
  expect_found(all_at_the_end{}, requirement::causal_model_4, defect::truncate_size_wrong);
}

TEST(mutant_model, that_truncates_wrongly_and_hides_it) {
  struct one_more : claiming_model {
    void truncate(std::size_t n) {
      claimed = n;
      context.resize(std::min(n + 1, context.size()));
    }
  };
  expect_found(one_more{}, requirement::causal_model_4, defect::truncate_keeps_too_many);
  struct one_fewer : claiming_model {
    void truncate(std::size_t n) {
      claimed = n;
      context.resize(std::min(n > 0 ? n - 1 : 0, context.size()));
    }
  };
  expect_found(one_fewer{}, requirement::causal_model_4, defect::truncate_keeps_too_few);
  struct size_only : claiming_model {
    void truncate(std::size_t n) { claimed = n; }
  };
  expect_found(size_only{}, requirement::causal_model_4, defect::forgotten_tokens_show);
  struct size_only_but_0 : claiming_model {
    void truncate(std::size_t n) {
      claimed = n;
      if (n == 0) context.clear();
    }
  };
  expect_found(size_only_but_0{}, requirement::causal_model_4, defect::forgotten_tokens_show);
  struct spoils_the_end : right_model {
    void truncate(std::size_t n) {
      if (n == size()) context[n / 2] = -7;
      right_model::truncate(n);
    }
  };
  expect_found(spoils_the_end{}, requirement::causal_model_4, defect::truncation_shows);
  struct not_twice : claiming_model {
    std::size_t pending = std::numeric_limits<std::size_t>::max();
    void truncate(std::size_t n) {
      claimed = n;
      pending = pending == std::numeric_limits<std::size_t>::max() ? n : pending;
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      context.resize(std::min(context.size(), pending));
      pending = std::numeric_limits<std::size_t>::max();
      return claiming_model::decode(tokens, rows);
    }
  };
  expect_found(not_twice{}, requirement::causal_model_4, defect::truncation_shows);
}

TEST(mutant_model, whose_cache_is_not_rolled_back) {
  /// Also attends to what lies in the cache behind the context.
  struct sees_beyond : right_model {
    std::vector<token_id> cache;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        cache.resize(std::max(cache.size(), size() + 1));
        cache[size()] = tokens[i];
        context.push_back(tokens[i]);
        if (i + rows >= tokens.size()) append(law_behind(cache));
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(sees_beyond{}, requirement::causal_model_4, defect::forgotten_tokens_show);
  /// Does not compute again what was computed for a place before.
  struct keeps_places : right_model {
    bool reset_clears = false;
    std::vector<token_id> cache{};
    void truncate(std::size_t n) {
      right_model::truncate(n);
      if (n == 0 && reset_clears) cache.clear();
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        context.push_back(tokens[i]);
        if (cache.size() < size()) cache.push_back(tokens[i]);
        if (i + rows >= tokens.size()) append(law_behind(std::span(cache).first(size())));
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(keeps_places{}, requirement::causal_model_3, defect::tokens_ignored);
  expect_found(keeps_places{{}, true}, requirement::causal_model_3, defect::tokens_ignored);
  /// The same, but the newest place is always computed, so that every row shows its own token.
  struct keeps_earlier_places : keeps_places {
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        context.push_back(tokens[i]);
        if (cache.size() < size()) cache.push_back(tokens[i]);
        std::vector<token_id> seen(cache.begin(), cache.begin() + static_cast<std::ptrdiff_t>(size()));
        seen.back() = tokens[i];
        if (i + rows >= tokens.size()) append(law_behind(seen));
      }
      return {logits.data(), rows, vocab};
    }
  };
  expect_found(keeps_earlier_places{{{}, true}}, requirement::causal_model_4, defect::forgotten_tokens_show);
}

TEST(mutant_model, whose_positions_are_not_rolled_back) {
  struct positioned : right_model {
    token_id offset = 0;
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      logits.clear();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        context.push_back(tokens[i]);
        std::vector<token_id> placed = context;
        placed.push_back(offset);
        if (i + rows >= tokens.size()) append(law_behind(placed));
      }
      return {logits.data(), rows, vocab};
    }
  };
  struct one_off : positioned {
    void truncate(std::size_t n) {
      offset = n < size() ? 1 : offset;
      right_model::truncate(n);
    }
  };
  expect_found(one_off{}, requirement::causal_model_4, defect::truncation_shows);
  struct one_off_from_0 : positioned {
    void truncate(std::size_t n) {
      offset = n == 0 ? 1 : offset;
      right_model::truncate(n);
    }
  };
  expect_found(one_off_from_0{}, requirement::causal_model_4, defect::truncation_shows);
  struct once_at_the_end : positioned {
    void truncate(std::size_t n) {
      offset = n == size() ? 1 : 0;
      right_model::truncate(n);
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      const auto answer = positioned::decode(tokens, rows);
      offset = 0;
      return answer;
    }
  };
  expect_found(once_at_the_end{}, requirement::causal_model_4, defect::truncation_shows);
  struct last_tail : positioned {
    void truncate(std::size_t n) {
      offset = static_cast<token_id>(size() - n);
      right_model::truncate(n);
    }
  };
  expect_found(last_tail{}, requirement::causal_model_4, defect::truncation_shows);
  struct runs_on : positioned {
    void truncate(std::size_t n) {
      offset += static_cast<token_id>(size() - n);
      right_model::truncate(n);
    }
  };
  expect_found(runs_on{}, requirement::causal_model_4, defect::forgotten_tokens_show);
}

TEST(mutant_model, that_cannot_roll_back_into_a_call) {
  struct whole_calls : claiming_model {
    std::vector<std::size_t> ends{};
    void truncate(std::size_t n) {
      claimed = n;
      while (ends.size() > 1 && ends[ends.size() - 2] >= n) ends.pop_back();
      if (n == 0) ends.clear();
      const std::size_t kept = ends.empty() ? 0 : ends.back();
      // What is inside a call is overwritten in its first place only.
      for (std::size_t i = n; i < std::min(kept, context.size()); ++i) context[i] = -1;
      context.resize(n);
      if (kept > n + 1) context.back() = -1;
    }
    logits_view<double> decode(tokens_view tokens, std::size_t rows) {
      ends.push_back(claimed + tokens.size());
      return claiming_model::decode(tokens, rows);
    }
  };
  expect_found(whole_calls{}, requirement::causal_model_3, defect::calls_interact);
}

}  // namespace
