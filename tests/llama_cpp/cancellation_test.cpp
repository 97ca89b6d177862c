// A generation one of whose calls is cancelled, each in its turn, goes on to the text that it would have had.

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"

namespace {

using namespace llama_test;
using specdec::node_id;
using tokens = std::vector<token_id>;

/// How long a call may compute: not at all, or until llama.cpp has asked so often.
constexpr int patiences[] = {0, 25};

/// A context of which one call loses patience.
template <class Context>
class hurried {
 public:
  hurried(Context& of, std::size_t call, int patient) : of_(&of), call_(call), patient_(patient) {
    llama_set_abort_callback(of.handle(), patience::exhausted, &waits_);
  }
  hurried(const hurried&) = delete;
  hurried& operator=(const hurried&) = delete;
  ~hurried() { llama_set_abort_callback(of_->handle(), nullptr, nullptr); }

  [[nodiscard]] std::size_t vocab_size() const { return of_->vocab_size(); }
  [[nodiscard]] std::size_t capacity() const { return of_->capacity(); }
  [[nodiscard]] std::size_t calls() const { return calls_; }

  // Of one text.
  [[nodiscard]] std::size_t size() const requires specdec::CausalModel<Context> { return of_->size(); }
  [[nodiscard]] auto tokens() const requires specdec::KnowsTokens<Context> { return of_->tokens(); }
  auto decode(std::span<const token_id> text, std::size_t rows) requires specdec::CausalModel<Context> {
    return watched([&] { return of_->decode(text, rows); });
  }
  void truncate(std::size_t n) requires specdec::CausalModel<Context> { of_->truncate(n); }
  auto decode_tree(std::span<const token_id> text, std::span<const node_id> parents,
                   std::size_t rows) requires specdec::DecodesTrees<Context> {
    return watched([&] { return of_->decode_tree(text, parents, rows); });
  }
  void keep(std::span<const node_id> path) requires specdec::DecodesTrees<Context> { of_->keep(path); }

  // Of several.
  [[nodiscard]] std::size_t sequence_count() const requires specdec::DecodesBatches<Context> {
    return of_->sequence_count();
  }
  [[nodiscard]] std::size_t size(std::size_t sequence) const requires specdec::DecodesBatches<Context> {
    return of_->size(sequence);
  }
  auto decode(std::span<const specdec::sequence_feed> feeds) requires specdec::DecodesBatches<Context> {
    return watched([&] { return of_->decode(feeds); });
  }
  void truncate(std::size_t sequence, std::size_t n) requires specdec::DecodesBatches<Context> {
    of_->truncate(sequence, n);
  }

 private:
  template <class Call>
  auto watched(const Call& call) {
    if (++calls_ == call_) waits_.left = patient_;
    struct patient_again {
      patience* waits;
      ~patient_again() { waits->left = patience::endless; }
    } const restored{&waits_};
    return call();
  }

  Context* of_;
  std::size_t call_;
  int patient_;
  std::size_t calls_ = 0;
  patience waits_;
};

tokens copied(std::span<const token_id> text) { return {text.begin(), text.end()}; }

/// What came of a generation: its text, how often it was cancelled, and how many calls the model made that may be.
struct outcome {
  tokens text;
  std::size_t cancelled = 0;
  std::size_t calls = 0;
};

/// Cancels the calls of either model, one in each run: `generate(in_target, call, patient)`.
template <class Generate>
void expect_same_text(const Generate& generate) {
  const outcome undisturbed = generate(true, 0, 0);
  ASSERT_EQ(undisturbed.cancelled, 0U);
  for (const bool in_target : {true, false}) {
    std::size_t cancelled = 0;
    std::size_t call = 1;
    for (std::size_t last = 1; call <= last; ++call) {
      for (const int patient : patiences) {
        const outcome one = generate(in_target, call, patient);
        ASSERT_EQ(one.text, undisturbed.text) << in_target << ", call " << call << ", patience " << patient;
        ASSERT_LE(one.cancelled, 1U);
        cancelled += one.cancelled;
        last = one.calls;
      }
    }
    EXPECT_GT(call, 5U);
    EXPECT_GT(cancelled, call);
  }
}

/// Runs a step until it is not cancelled any more; returns how often it was.
template <class Step>
std::size_t until_done(const Step& step) {
  for (std::size_t cancelled = 0;; ++cancelled) {
    try {
      step();
      return cancelled;
    } catch (const llama::cancelled&) {
      if (cancelled > 5) throw;
    }
  }
}

const specdec::generate_options options{.max_tokens = 16, .sampling = {0.8}, .seed = 3};

/// Small calls, so that some are cancelled half way.
llama_context_params cut() {
  llama_context_params params = small();
  params.n_ubatch = 4;
  return params;
}

TEST(llama_cpp_cancellation, of_any_call_leaves_the_text_of_a_chain) {
  for (const auto back : {llama::rollback::truncation, llama::rollback::checkpoints}) {
    expect_same_text([&](bool in_target, std::size_t call, int patient) {
      llama::context target_context(in_float32("draft"), cut(), {back, 4});
      llama::context draft_context(in_float32("draft-mini"), cut(), {back, 4});
      hurried target(target_context, in_target ? call : 0, patient);
      hurried draft(draft_context, in_target ? 0 : call, patient);
      specdec::session text(target.vocab_size(), options);
      text.begin(some_text(10));
      specdec::model_drafter drafter(draft, specdec::constant{3});
      const auto cancelled = until_done([&] { specdec::speculative_generate(text, target, drafter); });
      return outcome{copied(text.generated()), cancelled, in_target ? target.calls() : draft.calls()};
    });
  }
}

TEST(llama_cpp_cancellation, of_any_call_leaves_the_text_of_trees) {
  const auto shape = specdec::tree_shape::uniform(std::vector<std::size_t>{2, 2, 1});
  expect_same_text([&](bool in_target, std::size_t call, int patient) {
    const llama_context_params params = llama::for_trees(cut(), 7);
    llama::tree_context target_context(in_float32("draft"), params), draft_context(in_float32("draft-mini"), params);
    hurried target(target_context, in_target ? call : 0, patient);
    hurried draft(draft_context, in_target ? 0 : call, patient);
    specdec::session text(target.vocab_size(), options, specdec::recursive_rejection{});
    text.begin(some_text(10));
    specdec::tree_drafter drafter(draft, shape);
    const auto cancelled = until_done([&] { specdec::speculative_generate(text, target, drafter); });
    return outcome{copied(text.generated()), cancelled, in_target ? target.calls() : draft.calls()};
  });
}

TEST(llama_cpp_cancellation, of_any_call_leaves_the_texts_of_a_batch) {
  expect_same_text([&](bool in_target, std::size_t call, int patient) {
    llama::batch_context target_context(in_float32("draft"), 2, 64, cut());
    llama::batch_context draft_context(in_float32("draft-mini"), 2, 64, cut());
    hurried target(target_context, in_target ? call : 0, patient);
    hurried draft(draft_context, in_target ? 0 : call, patient);
    specdec::batch_model_drafter drafter(draft, specdec::constant{3});
    specdec::session_batch batch(target, drafter);
    specdec::session first(target.vocab_size(), options), second(target.vocab_size(), options);
    first.begin(some_text(10));
    second.begin(some_text(21));
    batch.join(first);
    batch.join(second);
    const auto cancelled = until_done([&] {
      while (batch.running()) batch.round();
    });
    tokens both = copied(first.generated());
    both.insert(both.end(), second.generated().begin(), second.generated().end());
    return outcome{both, cancelled, in_target ? target.calls() : draft.calls()};
  });
}

}  // namespace
