#ifndef SPECDEC_TESTING_CONFORMANCE_PROBE_HPP
#define SPECDEC_TESTING_CONFORMANCE_PROBE_HPP

/// @file
/// A model under examination: every call is written down, and everything that one call can tell is checked at once.

#include <cmath>
#include <cstddef>
#include <exception>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../decode/held_tokens.hpp"
#include "../proposal.hpp"
#include "../types.hpp"
#include "conformance_report.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// A list of tokens in words, cut in the middle if it is long.
[[nodiscard]] inline std::string to_string(std::span<const token_id> tokens) {
  constexpr std::size_t shown_in_full = 12;
  std::string words = "{";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens.size() > shown_in_full && i == shown_in_full - 3) {
      words += ", ...";
      i = tokens.size() - 2;
    }
    words += (i == 0 ? "" : ", ") + std::to_string(tokens[i]);
  }
  words += "}";
  return tokens.size() > shown_in_full ? words + " (" + std::to_string(tokens.size()) + " tokens)" : words;
}

/// The same for a list of nodes.
[[nodiscard]] inline std::string to_string(std::span<const node_id> nodes) {
  const std::vector<token_id> numbers(nodes.begin(), nodes.end());
  std::string words = to_string(std::span<const token_id>(numbers));
  return nodes.size() > 12 ? words.substr(0, words.rfind('(')) + "(" + std::to_string(nodes.size()) + " nodes)" : words;
}

/// Calls a model on behalf of `check_target_model`, and knows what the model's context should be.
///
/// Checked at every call: the vocabulary's size, size() and, where the model has them, tokens() behind it, the number,
/// width and usability of the rows, that they read twice alike, and that nothing is thrown. What fails becomes a
/// finding and ends the current check by throwing `stop`.
template <CausalModel Model>
class conformance_probe {
 public:
  /// Thrown behind a finding that leaves nothing to build on. No model can throw it by accident.
  struct stop {};

  using logits = std::vector<double>;

  conformance_probe(Model& model, double tolerance, conformance_report& report)
      : model_(model), tolerance_(tolerance), report_(report), vocab_size_(model.vocab_size()) {
    if constexpr (KnowsTokens<Model>) assign_text(model.tokens());
    text_.resize(model.size());
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  /// What the model's context should be.
  [[nodiscard]] std::span<const token_id> text() const noexcept { return text_; }
  /// The calls since `begin`.
  [[nodiscard]] const std::vector<std::string>& calls() const noexcept { return calls_; }

  /// Starts a new list of calls.
  void begin() {
    calls_.clear();
    calls_.push_back("behind " + std::to_string(made_) + " earlier calls, on a context of " +
                     std::to_string(text_.size()) + " tokens:");
  }

  [[noreturn]] void fail(requirement broken, defect kind, std::string message) {
    fail(broken, kind, std::move(message), calls_);
  }
  [[noreturn]] void fail(requirement broken, defect kind, std::string message, std::vector<std::string> calls) {
    report_.findings.push_back({broken, kind, std::move(message), std::move(calls)});
    throw stop{};
  }

  /// model.decode(tokens, rows), with the rows copied.
  std::vector<logits> decode(std::span<const token_id> tokens, std::size_t rows) {
    const std::size_t before = text_.size();
    write_down("decode(" + to_string(tokens) + ", " + std::to_string(rows) + ")");
    text_.insert(text_.end(), tokens.begin(), tokens.end());
    std::vector<logits> answer;
    guarded([&] { answer = copied(model_.decode(tokens, rows), rows); },
            [&](const std::string& what) { refused_decode(before, rows, what); });
    require_vocabulary();
    require_grown(before, rows);
    require_tokens();
    longest_ = std::max(longest_, text_.size());
    return answer;
  }

  /// model.decode_tree(tokens, parents, rows), with the rows copied.
  std::vector<logits> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                  std::size_t rows) requires DecodesTrees<Model> {
    const std::size_t before = text_.size();
    write_down("decode_tree(" + to_string(tokens) + ", " + to_string(parents) + ", " + std::to_string(rows) + ")");
    const auto text = tokens.first(tokens.size() - parents.size());
    text_.insert(text_.end(), text.begin(), text.end());
    std::vector<logits> answer;
    guarded([&] { answer = copied(model_.decode_tree(tokens, parents, rows), rows); },
            [&](const std::string& what) {
              fail(requirement::decodes_trees_1, defect::call_refused,
                   "expected " + std::to_string(parents.size()) + " nodes and " + std::to_string(rows) +
                       " rows to be decoded; it threw " + what);
            });
    require_vocabulary();
    if (model_.size() != text_.size()) {
      fail(requirement::decodes_trees, defect::nodes_counted,
           "expected size() " + std::to_string(text_.size()) + " behind decode_tree with " +
               std::to_string(text.size()) + " tokens of text, which was " + std::to_string(before) + "; got " +
               std::to_string(model_.size()));
    }
    require_tokens();
    return answer;
  }

  /// model.keep(path), where the path has these tokens.
  void keep(std::span<const node_id> path, std::span<const token_id> tokens) requires DecodesTrees<Model> {
    write_down("keep(" + to_string(path) + ")");
    guarded([&] { model_.keep(path); },
            [&](const std::string& what) {
              fail(requirement::decodes_trees_2, defect::call_refused,
                   "expected a path of " + std::to_string(path.size()) + " nodes to be kept; it threw " + what);
            });
    text_.insert(text_.end(), tokens.begin(), tokens.end());
    require_vocabulary();
    if (model_.size() != text_.size()) {
      fail(requirement::decodes_trees_2, defect::kept_path_miscounted,
           "expected size() " + std::to_string(text_.size()) + " behind keep of " + std::to_string(path.size()) +
               " nodes, which was " + std::to_string(text_.size() - tokens.size()) + "; got " +
               std::to_string(model_.size()));
    }
    require_tokens();
  }

  /// decode of one token with its row.
  logits step(token_id token) { return decode({&token, 1}, 1).front(); }

  /// One row behind each of the tokens, from calls with one token.
  std::vector<logits> steps(std::span<const token_id> tokens) {
    std::vector<logits> rows;
    for (const token_id token : tokens) rows.push_back(step(token));
    return rows;
  }

  /// model.truncate(n). Precondition: n <= text().size().
  void truncate(std::size_t n) {
    const std::size_t before = text_.size();
    write_down("truncate(" + std::to_string(n) + ")");
    guarded([&] { model_.truncate(n); },
            [&](const std::string& what) {
              fail(requirement::causal_model_4, defect::call_refused,
                   "expected truncate(" + std::to_string(n) + ") of a context of " + std::to_string(before) +
                       " tokens to be done; it threw " + what);
            });
    text_.resize(n);
    require_vocabulary();
    const std::size_t size = model_.size();
    if (size == n) return require_tokens();
    const defect kind = size == before           ? defect::truncate_does_nothing
                        : size == n + 1          ? defect::truncate_keeps_too_many
                        : n > 0 && size + 1 == n ? defect::truncate_keeps_too_few
                                                 : defect::truncate_size_wrong;
    fail(requirement::causal_model_4, kind,
         "expected size() " + std::to_string(n) + " behind truncate(" + std::to_string(n) + "), which was " +
             std::to_string(before) + "; got " + std::to_string(size));
  }

  /// A decode that the model may refuse; true if it did, and then text() is what size() says is left of it. Rows are
  /// not looked at.
  bool refuses(std::span<const token_id> tokens) {
    const std::size_t before = text_.size();
    write_down("decode(" + to_string(tokens) + ", 1), to be refused");
    try {
      (void)model_.decode(tokens, 1);
    } catch (...) {
      const std::size_t size = model_.size();
      if (size < before || size >= before + tokens.size()) {
        fail(requirement::causal_model_5, defect::refused_call_miscounted,
             "expected size() from " + std::to_string(before) + " to " + std::to_string(before + tokens.size() - 1) +
                 " behind a refused call of " + std::to_string(tokens.size()) + " tokens; got " + std::to_string(size));
      }
      text_.insert(text_.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(size - before));
      require_tokens();
      return true;
    }
    text_.resize(model_.size());
    if constexpr (KnowsTokens<Model>) assign_text(model_.tokens());
    return false;
  }

  /// Whether two rows are the same within the tolerance.
  [[nodiscard]] bool same(const logits& a, const logits& b) const {
    for (std::size_t t = 0; t < a.size(); ++t) {
      if (a[t] != b[t] && !(std::abs(a[t] - b[t]) <= tolerance_)) return false;
    }
    return true;
  }

  /// Where two rows differ most, in words.
  [[nodiscard]] std::string difference(const logits& expected, const logits& got) const {
    std::size_t worst = 0;
    double most = -1;
    for (std::size_t t = 0; t < expected.size(); ++t) {
      const double distance = expected[t] == got[t] ? 0 : std::abs(expected[t] - got[t]);
      if (distance > most) {
        most = distance;
        worst = t;
      }
    }
    std::ostringstream words;
    words.precision(std::numeric_limits<double>::max_digits10);
    words << "expected logit " << expected[worst] << " for token " << worst << ", where the rows differ most; got "
          << got[worst] << " (tolerance " << tolerance_ << ")";
    return words.str();
  }

 private:
  template <class Call, class Refused>
  void guarded(Call call, Refused refused) {
    try {
      call();
    } catch (const stop&) {
      throw;
    } catch (const std::exception& error) {
      refused(std::string("\"") + error.what() + "\"");
    } catch (...) {
      refused("something other than a std::exception");
    }
  }

  void write_down(std::string call) {
    ++made_;
    calls_.push_back(std::move(call));
  }

  [[noreturn]] void refused_decode(std::size_t before, std::size_t rows, const std::string& what) {
    const std::string told = "it threw " + what;
    if (rows == 0) {
      fail(requirement::causal_model_3, defect::rows_0_refused, "expected rows = 0 to be legal; " + told);
    }
    if constexpr (HasCapacity<Model>) {
      if (before > 0 && text_.size() > longest_) {
        fail(requirement::has_capacity, defect::capacity_too_large,
             "expected room for " + std::to_string(text_.size()) + " tokens, since capacity() is " +
                 std::to_string(model_.capacity()) + "; " + told);
      }
    }
    fail(requirement::causal_model_3, defect::call_refused,
         "expected " + std::to_string(text_.size() - before) + " tokens and " + std::to_string(rows) +
             " rows to be decoded; " + told);
  }

  void require_vocabulary() {
    const std::size_t now = model_.vocab_size();
    if (now == vocab_size_) return;
    fail(requirement::causal_model_1, defect::vocabulary_changed,
         "expected vocab_size() " + std::to_string(vocab_size_) + ", as before the call; got " + std::to_string(now));
  }

  void require_grown(std::size_t before, std::size_t rows) {
    const std::size_t size = model_.size();
    if (size == text_.size()) return;
    std::string message = "expected size() " + std::to_string(text_.size()) + " behind decode, which was " +
                          std::to_string(before) + "; got " + std::to_string(size);
    if (size == before) {
      message += ": it did not change";
    } else if (size == before + rows) {
      message += ": it grew by the rows, not by the tokens";
    }
    fail(requirement::causal_model_2, defect::size_wrong, std::move(message));
  }

  void assign_text(std::span<const token_id> tokens) { text_.assign(tokens.begin(), tokens.end()); }

  void require_tokens() {
    if constexpr (KnowsTokens<Model>) compare_tokens(model_.tokens());
  }

  void compare_tokens(std::span<const token_id> tokens) {
    if (tokens.size() != text_.size()) {
      fail(requirement::knows_tokens, defect::tokens_miscounted,
           "expected size() = " + std::to_string(text_.size()) + " tokens from tokens(); got " +
               std::to_string(tokens.size()));
    }
    const std::size_t place = shared_prefix(text_, tokens);
    if (place == tokens.size()) return;
    fail(requirement::knows_tokens, defect::tokens_misremembered,
         "expected token " + std::to_string(text_[place]) + " at place " + std::to_string(place) +
             " of tokens(), as it was fed; got " + std::to_string(tokens[place]));
  }

  template <LogitsRows Rows>
  std::vector<logits> copied(const Rows& rows, std::size_t expected) {
    const std::size_t count = rows.size();
    if (count != expected) {
      fail(requirement::causal_model_3, defect::row_count_wrong,
           "expected " + std::to_string(expected) + " rows, as asked for; got " + std::to_string(count));
    }
    std::vector<logits> copies;
    for (std::size_t i = 0; i < count; ++i) copies.push_back(copied_row(rows, i));
    // Backwards: a source with memory for one row must compute each again.
    for (std::size_t i = count; i-- > 0;) {
      if (copied_row(rows, i) != copies[i]) {
        fail(requirement::logits_rows_2, defect::row_changes_when_read,
             "expected row " + std::to_string(i) + " to be what it was when it was asked for first; it was not");
      }
    }
    return copies;
  }

  template <LogitsRows Rows>
  logits copied_row(const Rows& rows, std::size_t i) {
    const auto row = rows.row(i);
    const std::size_t width = row.size();
    if (width != vocab_size_) {
      fail(requirement::causal_model_1, defect::row_width_wrong,
           "expected " + std::to_string(vocab_size_) + " logits in row " + std::to_string(i) +
               ", since vocab_size() says so; got " + std::to_string(width));
    }
    logits copy(width);
    bool possible = false;
    for (std::size_t t = 0; t < width; ++t) {
      copy[t] = static_cast<double>(row[t]);
      const bool infinite = copy[t] == std::numeric_limits<double>::infinity();
      if (std::isnan(copy[t]) || infinite) {
        fail(requirement::logits_rows_2, defect::row_unusable,
             "expected finite logits or -inf; row " + std::to_string(i) + " has " + (infinite ? "+inf" : "NaN") +
                 " for token " + std::to_string(t));
      }
      possible = possible || std::isfinite(copy[t]);
    }
    if (!possible) {
      fail(requirement::logits_rows_2, defect::row_unusable,
           "expected a token that is possible; row " + std::to_string(i) + " has nothing but -inf");
    }
    return copy;
  }

  Model& model_;
  double tolerance_;
  conformance_report& report_;
  std::size_t vocab_size_;
  std::vector<token_id> text_;
  std::size_t longest_ = 0;
  std::size_t made_ = 0;
  std::vector<std::string> calls_;
};

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_CONFORMANCE_PROBE_HPP
