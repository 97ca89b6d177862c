#ifndef SPECDEC_TESTS_FAULTS_RUN_HPP
#define SPECDEC_TESTS_FAULTS_RUN_HPP

/// @file
/// A run of 200 tokens by some method and some driver, as those see it who let its models fail.

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>
#include <string>
#include <vector>

namespace faults {

using specdec::testing::fault_injector;

/// How one text of a run stands.
struct text_state {
  std::vector<specdec::token_id> tokens;
  specdec::session_status status = specdec::session_status::idle;
  specdec::row_fault fault = specdec::row_fault::none;
  std::string account;  ///< what was handed on, counted and reported of it
  friend bool operator==(const text_state&, const text_state&) = default;
};

class run {
 public:
  run() = default;
  run(const run&) = delete;
  run& operator=(const run&) = delete;
  virtual ~run() = default;

  /// Those that may fail: the target first, then the drafts.
  [[nodiscard]] virtual std::vector<fault_injector*> models() = 0;
  /// Goes on until no text is running any more, or something is thrown.
  virtual void go_on() = 0;
  /// What is called behind that.
  virtual void resume() = 0;
  [[nodiscard]] virtual std::vector<text_state> texts() const = 0;

  /// Goes on from a text in the middle instead of its own. For runs of one text.
  virtual void take_up(std::span<const std::byte>) {}

  /// What there was of the text when the round that a fault struck was over, to be taken up; empty if none has.
  std::vector<std::byte> behind_fault;
  /// How long the text was before that round.
  std::size_t sound = 0;
};

/// A method and a driver.
struct cell {
  std::string method;
  std::string driver;
  std::function<std::unique_ptr<run>()> begin;
  bool several = false;          ///< texts, of which one may fail and the others go on
  bool tells_by_status = false;  ///< that logits were unusable, and not by an exception
  bool begins_anew = false;      ///< when it goes on, and comes to the same text
  bool learns = false;           ///< from rounds, so that no other run can take up its text
  bool of_itself = false;        ///< the target drafts
  bool own_choice = false;       ///< the text is the target's choice alone, whatever was drafted
  bool reads_clock = false;      ///< so that rounds differ from run to run
};

/// One text alone, by `speculative_generate` with and without all options, and by a loop of one's own; from a prompt,
/// by `autoregressive_generate`, too.
std::vector<cell> texts_alone();
/// One text whose drafter works ahead, after the target or beside it.
std::vector<cell> texts_overlapped();
/// Three texts in a batch.
std::vector<cell> texts_in_batches();

}  // namespace faults

#endif  // SPECDEC_TESTS_FAULTS_RUN_HPP
