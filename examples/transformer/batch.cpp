#include "batch.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "forward_pass.hpp"
#include "sequence.hpp"
#include "weights.hpp"

namespace toy {

using specdec::sequence_feed;
using specdec::token_id;

namespace {

// How many tokens pass through the layers together.
constexpr std::size_t pass_tokens = 256;

}  // namespace

struct batch::state {
  state(std::shared_ptr<const weights> shared, std::size_t count, std::size_t capacity)
      : model(std::move(shared)),
        nothing_skipped(model->shape.layers),
        fed(count),
        pass(*model, std::min(pass_tokens, count * capacity), capacity) {
    sequences.reserve(count);
    for (std::size_t i = 0; i < count; ++i) sequences.emplace_back(model->shape, capacity);
    feeds.reserve(count);
  }

  std::shared_ptr<const weights> model;
  specdec::layer_skip nothing_skipped;
  std::vector<sequence> sequences;
  std::vector<bool> fed;    // by the call under way
  std::vector<feed> feeds;  // of the call under way
  forward_pass pass;
};

batch::batch(const toy::model& model, std::size_t sequences, std::size_t capacity) {
  const std::size_t most = model.context_length();
  if (capacity > most)
    throw std::invalid_argument("toy::batch: expected a capacity of at most the model's context length " +
                                std::to_string(most) + ", got " + std::to_string(capacity));
  if (sequences == 0) throw std::invalid_argument("toy::batch: expected at least one sequence, got none");
  state_ = std::make_unique<state>(model.weights_, sequences, capacity == 0 ? most : capacity);
}

batch::~batch() = default;
batch::batch(batch&&) noexcept = default;
batch& batch::operator=(batch&&) noexcept = default;

std::size_t batch::vocab_size() const noexcept { return state_->model->shape.vocabulary; }
std::size_t batch::sequence_count() const noexcept { return state_->sequences.size(); }
std::size_t batch::capacity() const noexcept { return state_->sequences.front().capacity(); }
std::size_t batch::size(std::size_t sequence) const noexcept { return state_->sequences[sequence].size(); }
std::span<const token_id> batch::tokens(std::size_t sequence) const noexcept {
  return state_->sequences[sequence].tokens();
}

specdec::logits_view<float> batch::decode(std::span<const sequence_feed> feeds) {
  state& s = *state_;
  s.feeds.clear();
  std::fill(s.fed.begin(), s.fed.end(), false);
  std::size_t rows = 0;
  for (const sequence_feed& f : feeds) {
    if (f.sequence >= sequence_count() || s.fed[f.sequence])
      throw std::invalid_argument("toy::batch::decode: expected feeds of different sequences in 0.." +
                                  std::to_string(sequence_count() - 1) + ", got " + std::to_string(f.sequence) +
                                  (f.sequence < sequence_count() ? " again" : ""));
    if (f.rows > f.tokens.size())
      throw std::invalid_argument("toy::batch::decode: expected at most as many rows as tokens (" +
                                  std::to_string(f.tokens.size()) + "), got " + std::to_string(f.rows));
    for (const token_id token : f.tokens)
      if (token < 0 || static_cast<std::size_t>(token) >= vocab_size())
        throw std::invalid_argument("toy::batch::decode: expected tokens in 0.." + std::to_string(vocab_size() - 1) +
                                    ", got " + std::to_string(token) + " for sequence " + std::to_string(f.sequence));
    if (const std::size_t room = capacity() - size(f.sequence); f.tokens.size() > room)
      throw std::length_error("toy::batch::decode: expected at most " + std::to_string(room) + " tokens for sequence " +
                              std::to_string(f.sequence) + ", the room left of " + std::to_string(capacity()) +
                              ", got " + std::to_string(f.tokens.size()));
    s.fed[f.sequence] = true;
    s.feeds.push_back({&s.sequences[f.sequence], f.tokens, {}, f.rows});
    rows += f.rows;
  }
  s.pass.reserve_logits(rows);
  s.pass.read(s.feeds, s.nothing_skipped);
  return s.pass.logits(rows);
}

void batch::truncate(std::size_t sequence, std::size_t size) {
  if (const std::size_t there = this->size(sequence); size > there)
    throw std::invalid_argument("toy::batch::truncate: expected at most the " + std::to_string(there) +
                                " tokens of sequence " + std::to_string(sequence) + ", got " + std::to_string(size));
  state_->sequences[sequence].truncate(size);
}

}  // namespace toy
