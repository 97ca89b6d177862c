#ifndef SPECDEC_ADAPTERS_LLAMA_CPP_SEQUENCE_HPP
#define SPECDEC_ADAPTERS_LLAMA_CPP_SEQUENCE_HPP

/// @file
/// One sequence of a llama_context: its text, what its memory holds of it, and how it goes back.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <llama.h>

#include "../../types.hpp"
#include "../../vectors.hpp"
#include "decoder.hpp"
#include "error.hpp"

namespace specdec::inline SPECDEC_ABI::llama_cpp {

/// How the memory of a model goes back to a shorter text. llama.cpp has no question for it that does not try it out:
/// the caller says.
enum class rollback : std::uint8_t {
  /// Tokens are removed from its end: attention. A window that slides away from tokens is noticed, and the text is read
  /// again where it was lost.
  truncation,
  /// A recurrent or hybrid model in a context with n_rs_seq > 0, which keeps the states behind the last n_rs_seq tokens
  /// of a call. Further back, as `checkpoints`, of which it makes one in 64 tokens. For targets; a draft that reads a
  /// token a call has no such states.
  bounded,
  /// Any model: its state is saved before it reads on. Going back restores the last one before, and what follows it, a
  /// few tokens where the text goes on, is read again together with the next.
  checkpoints,
};

/// What a caller knows of the model's memory.
struct context_options {
  rollback back = rollback::truncation;
  /// How many states are kept; for a draft at least as many as it drafts tokens.
  std::size_t checkpoints = 8;
};

/// The text of one sequence. The memory of the llama_context holds its first tokens, mostly all of them; those it lacks
/// behind a truncation are read before the next.
class sequence {
 public:
  /// Clears what the context holds of it. Throws `error` if the model cannot go back as `options` say.
  sequence(const decoder& reader, llama_seq_id id, context_options options)
      : context_(reader.handle()), id_(id), options_(options), window_(llama_model_n_swa(reader.of().handle())) {
    const model& of = reader.of();
    const bool truncates = !of.recurrent() && !of.hybrid();
    if (options.back == rollback::truncation && !truncates) {
      throw error("specdec::llama_cpp: expected rollback::checkpoints, or bounded, for " + of.description() +
                  ", whose memory cannot be truncated; got rollback::truncation");
    }
    if (options.back == rollback::bounded && llama_n_rs_seq(context_) == 0) {
      throw error("specdec::llama_cpp: for rollback::bounded expected a context with n_rs_seq > 0; " +
                  of.description() + " has 0 there, or does not support it");
    }
    clear_memory();
  }

  [[nodiscard]] llama_seq_id id() const noexcept { return id_; }
  [[nodiscard]] std::size_t size() const noexcept { return tokens_.size(); }
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return view_of(tokens_); }
  /// How many of them are in the memory.
  [[nodiscard]] std::size_t held() const noexcept { return held_; }
  /// Those that are not.
  [[nodiscard]] std::span<const token_id> missing() const noexcept { return tokens().subspan(held_); }

  /// Whether a text of `count` tokens is worth a call of its own before tokens that may be taken back, so that going
  /// back does not read it again.
  [[nodiscard]] bool worth_a_checkpoint(std::size_t count) const noexcept {
    return options_.back != rollback::truncation && missing().size() + count > longest_replay;
  }

  /// To be called before a call: makes room for `count` tokens, and saves the state if it may be wanted back. Throws
  /// `error` if it cannot be saved, and if the memory does not end where it did, since somebody else has used it: then
  /// it is cleared, so that the text may go on.
  void prepare(std::size_t count) {
    if (const auto end = static_cast<std::size_t>(llama_memory_seq_pos_max(memory(), id_) + 1); end != held_) {
      const std::size_t held = held_;
      clear_memory();
      throw error("specdec::llama_cpp: expected sequence " + std::to_string(id_) + " to hold " + std::to_string(held) +
                  " tokens; it holds " + std::to_string(end) + ": somebody else has used it");
    }
    reserve_at_least(tokens_, tokens_.size() + count);
    const std::size_t apart = options_.back == rollback::bounded ? 64 : 1;
    const std::size_t last = saved_count_ == 0 ? 0 : saved_[saved_count_ - 1].size;
    if (options_.back == rollback::truncation || options_.checkpoints == 0 || held_ < last + apart) return;
    save();
  }

  /// Adds what is missing, and further tokens with their last `rows`, to a call.
  void add_to(decoder& reader, std::span<const token_id> further, std::size_t rows) const {
    for (std::size_t i = held_; i < size(); ++i) reader.add(tokens_[i], i, {&id_, 1}, false);
    for (std::size_t i = 0; i < further.size(); ++i) {
      reader.add(further[i], size() + i, {&id_, 1}, i + rows >= further.size());
    }
  }

  /// To be called behind a call that succeeded. `prepare` made room.
  void append(const decoder& reader, std::span<const token_id> further) noexcept {
    append_to(tokens_, further);
    held_ = tokens_.size();
    // States are kept of the last call alone.
    const std::size_t read = reader.read_last(id_);
    reach_ =
        options_.back == rollback::bounded ? std::min<std::size_t>(llama_n_rs_seq(context_), read - (read > 0)) : 0;
  }

  /// To be called behind a call that failed: finds out what of `further` was read, and removes what is half there.
  void recover(std::span<const token_id> further) {
    reach_ = 0;
    if (options_.back != rollback::truncation) {
      // A call that fails leaves a state that belongs to no text.
      held_ = size();
      return restore(size());
    }
    const auto last = static_cast<std::size_t>(llama_memory_seq_pos_max(memory(), id_) + 1);
    held_ = std::min(last, size() + further.size());
    if (last > held_) llama_memory_seq_rm(memory(), id_, static_cast<llama_pos>(held_), -1);
    if (held_ > size()) append_to(tokens_, further.first(held_ - size()));
    clear_if_lost();
  }

  /// Keeps the first n tokens. Throws std::invalid_argument if there are fewer, `error` if the memory cannot be
  /// truncated though the caller said so; nothing has changed then.
  void truncate(std::size_t n) {
    if (n > size()) {
      throw std::invalid_argument("specdec::llama_cpp: expected at most the " + std::to_string(size()) +
                                  " tokens of the context to be kept; got " + std::to_string(n));
    }
    if (n < held_) go_back(n);
    tokens_.resize(n);
  }

 private:
  /// The state behind the first `size` tokens. Its bytes stay where they are when it is no longer of use, for the next.
  struct checkpoint {
    std::size_t size = 0;
    std::vector<std::uint8_t> bytes;
  };

  // The states of attention are removed by position, so only what cannot be is saved.
  static constexpr llama_state_seq_flags flags = LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY;
  // Reading n tokens again costs about n / 2 tokens a round, a call of their own every n / 3 rounds: the least is near
  // the root of six calls' worth of tokens.
  static constexpr std::size_t longest_replay = 16;

  [[nodiscard]] llama_memory_t memory() const noexcept { return llama_get_memory(context_); }

  void clear_memory() noexcept {
    llama_memory_seq_rm(memory(), id_, -1, -1);
    held_ = 0;
    reach_ = 0;
    saved_count_ = 0;
  }

  /// A sliding window forgets the oldest tokens as it goes on, and a text that went back needs them again.
  void clear_if_lost() noexcept {
    if (window_ <= 0 || held_ == 0) return;
    const llama_pos first = llama_memory_seq_pos_min(memory(), id_);
    if (first < 0 || first > std::max<llama_pos>(0, static_cast<llama_pos>(held_) - window_)) clear_memory();
  }

  void go_back(std::size_t n) {
    if (n == 0) return clear_memory();
    const bool in_reach =
        options_.back == rollback::truncation || (options_.back == rollback::bounded && held_ - n <= reach_);
    if (!in_reach) return restore(n);
    if (!llama_memory_seq_rm(memory(), id_, static_cast<llama_pos>(n), -1)) {
      throw error("specdec::llama_cpp: expected a memory that can be truncated to " + std::to_string(n) +
                  " tokens; it cannot, so rollback::checkpoints is the way back");
    }
    held_ = n;
    reach_ = 0;
    forget_states_behind(n);
    if (options_.back == rollback::truncation) clear_if_lost();
  }

  /// Makes room in the memory, at most: tokens up to n that are lost by it are missing.
  void restore(std::size_t n) {
    forget_states_behind(n);
    if (saved_count_ == 0) return clear_memory();
    const checkpoint& from = saved_[saved_count_ - 1];
    reach_ = 0;
    if (llama_state_seq_set_data_ext(context_, from.bytes.data(), from.bytes.size(), id_, flags) == 0 ||
        !llama_memory_seq_rm(memory(), id_, static_cast<llama_pos>(from.size), -1)) {
      return clear_memory();
    }
    held_ = from.size;
  }

  void forget_states_behind(std::size_t n) noexcept {
    while (saved_count_ > 0 && saved_[saved_count_ - 1].size > n) --saved_count_;
  }

  void save() {
    if (saved_count_ == options_.checkpoints) forget_closest();
    if (saved_count_ == saved_.size()) saved_.emplace_back();
    checkpoint& to = saved_[saved_count_];
    to.bytes.resize(llama_state_seq_get_size_ext(context_, id_, flags));
    if (llama_state_seq_get_data_ext(context_, to.bytes.data(), to.bytes.size(), id_, flags) != to.bytes.size()) {
      throw error("specdec::llama_cpp: expected a state of " + std::to_string(to.bytes.size()) +
                  " bytes to be saved; llama.cpp could not");
    }
    to.size = held_;
    ++saved_count_;
  }

  /// Forgets the state whose loss costs least: close to its neighbours, measured by how far back it is. So the last
  /// tokens have many states and a long text behind them has a few.
  void forget_closest() noexcept {
    std::size_t least = 0;
    double least_loss = 0;
    for (std::size_t i = 0; i < saved_count_; ++i) {
      const std::size_t before = i == 0 ? 0 : saved_[i - 1].size;
      const std::size_t behind = i + 1 == saved_count_ ? held_ : saved_[i + 1].size;
      const double loss = static_cast<double>(behind - before) / static_cast<double>(held_ - saved_[i].size + 1);
      if (i == 0 || loss < least_loss) {
        least = i;
        least_loss = loss;
      }
    }
    for (std::size_t i = least; i + 1 < saved_count_; ++i) std::swap(saved_[i], saved_[i + 1]);
    --saved_count_;
  }

  llama_context* context_;
  llama_seq_id id_;
  context_options options_;
  std::int32_t window_;  ///< how far a sliding window sees, 0 if there is none
  std::vector<token_id> tokens_;
  std::size_t held_ = 0;
  std::size_t reach_ = 0;  ///< how many of the last tokens a bounded memory can take back
  std::vector<checkpoint> saved_;
  std::size_t saved_count_ = 0;
};

/// Reads what is missing of a sequence and appends tokens to it, by one call for it alone. See `read`.
inline logits_view<float> read_together(decoder& reader, sequence& to, std::span<const token_id> tokens,
                                        std::size_t rows) {
  to.prepare(tokens.size());
  try {
    reader.begin(to.missing().size() + tokens.size());
    to.add_to(reader, tokens, rows);
    const logits_view<float> answer = reader.finish();
    to.append(reader, tokens);
    return answer;
  } catch (...) {
    to.recover(tokens);
    throw;
  }
}

/// Appends tokens to a sequence and returns the logits behind the last `rows` of them. Precondition:
/// `reader.require_call` found no fault.
inline logits_view<float> read(decoder& reader, sequence& to, std::span<const token_id> tokens, std::size_t rows) {
  if (tokens.empty()) return {};
  if (const std::size_t text = tokens.size() - rows; rows > 0 && to.worth_a_checkpoint(text)) {
    read_together(reader, to, tokens.first(text), 0);
    tokens = tokens.last(rows);
  }
  return read_together(reader, to, tokens, rows);
}

}  // namespace specdec::inline SPECDEC_ABI::llama_cpp

#endif  // SPECDEC_ADAPTERS_LLAMA_CPP_SEQUENCE_HPP
