#include "trial.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "../counting_new.hpp"
#include "../documented.hpp"

namespace faults {

namespace {

using documented::ending;
using specdec::session_status;
using specdec::testing::fault;
using specdec::testing::fault_kind;

struct attempt {
  ending how = ending::done;
  std::string message;
};

attempt go_on(const cell& of, run& tried) {
  try {
    tried.go_on();
    for (const text_state& text : tried.texts()) {
      if (text.status != session_status::failed) continue;
      return {of.tells_by_status ? ending::unusable_target : ending::other, "a text failed"};
    }
    return {};
  } catch (const std::exception& error) {
    const ending how = documented::ending_by(error);
    return {of.tells_by_status && how == ending::unusable_target ? ending::other : how, error.what()};
  }
}

/// The status that unusable logits are reported by.
specdec::row_fault reported(fault_kind kind) {
  switch (kind) {
    case fault_kind::nan:
      return specdec::row_fault::nan;
    case fault_kind::positive_infinity:
      return specdec::row_fault::positive_infinity;
    case fault_kind::all_negative_infinity:
      return specdec::row_fault::all_negative_infinity;
    case fault_kind::narrow_rows:
    case fault_kind::wide_rows:
      return specdec::row_fault::wrong_width;
    default:
      return specdec::row_fault::none;
  }
}

bool begins_with(const std::vector<specdec::token_id>& text, const std::vector<specdec::token_id>& beginning) {
  return beginning.size() <= text.size() && std::equal(beginning.begin(), beginning.end(), text.begin());
}

/// One cell under trial.
class trial {
 public:
  trial(const cell& of, tally& counts) : of_(&of), counts_(&counts) {
    // Two at once, as a trial may have: what is made once and for all, and what threads leave to later ones, is there
    // when memory is counted.
    const std::array calm{of.begin(), of.begin()};
    for (const auto& one : calm) {
      const attempt made = go_on(of, *one);
      if (made.how != ending::done) throw std::runtime_error("without a fault: " + made.message);
    }
    expected_ = calm.front()->texts();
    for (const fault_injector* const model : calm.front()->models()) calls_.push_back(model->calls());
  }

  /// How many models there are that may fail.
  [[nodiscard]] std::size_t parts() const noexcept { return calls_.size(); }
  /// How often each is called.
  [[nodiscard]] std::size_t calls(std::size_t part) const { return calls_[part]; }

  /// Lets a model fail. Returns the call that failed, or nothing if none did.
  std::optional<std::size_t> operator()(std::size_t part, const fault& planned) {
    std::size_t struck = 0;
    std::string wrong;
    const auto before = counting_new::live();
    {
      const auto tried = of_->begin();
      fault_injector& model = *tried->models()[part];
      model.arm(planned);
      wrong = planned.kind == fault_kind::wrong_rows ? judge_wrong_rows(*tried, part, struck)
              : planned.persistent                   ? judge_broken(*tried, part, planned, struck)
                                                     : judge_once(*tried, part, planned, struck);
    }
    // A complaint may have memory of its own.
    if (wrong.empty()) counts_->leaked_bytes += std::max(0LL, counting_new::live().bytes - before.bytes);
    if (struck == 0) return std::nullopt;
    if (!wrong.empty()) {
      ++counts_->otherwise;
      complain(planned.kind, " in call " + std::to_string(struck) + " of " + name_of(part) +
                                 (planned.persistent ? ", to stay: " : ": ") + wrong);
    }
    return struck;
  }

  /// Counts a kind that struck a model in none of its calls.
  void miss(std::size_t part, fault_kind kind) {
    ++counts_->missing;
    complain(kind, " in none of the " + std::to_string(calls_[part]) + " calls of " + name_of(part));
  }

 private:
  static std::string name_of(std::size_t part) {
    return part == 0 ? std::string("the target") : "draft " + std::to_string(part);
  }
  void complain(fault_kind kind, const std::string& what) {
    if (counts_->failures.size() < 5) {
      counts_->failures.push_back(of_->method + ", " + of_->driver + ": " + to_string(kind) + what);
    }
  }

  std::string judge_once(run& tried, std::size_t part, const fault& planned, std::size_t& struck) {
    const attempt first = go_on(*of_, tried);
    struck = tried.models()[part]->first_fault();
    if (struck == 0) return {};
    if (first.how == ending::done) {
      if (!documented::may_go_unseen(planned.kind)) return "nobody was told";
      std::string wrong = compared(tried);
      if (wrong.empty()) ++counts_->unseen;
      return wrong;
    }
    if (std::string wrong = stopped_well(tried, part, planned.kind, first); !wrong.empty()) return wrong;
    tried.resume();
    if (const attempt second = go_on(*of_, tried); second.how != ending::done) return "again: " + second.message;
    std::string wrong = compared(tried);
    if (wrong.empty()) ++counts_->resumed;
    return wrong;
  }

  std::string judge_broken(run& tried, std::size_t part, const fault& planned, std::size_t& struck) {
    fault_injector& model = *tried.models()[part];
    attempt last = go_on(*of_, tried);
    struck = model.first_fault();
    if (struck == 0) return {};
    const bool seen = last.how != ending::done;
    if (!seen && !documented::may_go_unseen(planned.kind)) return "nobody was told";
    for (int more = 0; seen && more < 2; ++more) {
      const auto before = tried.texts();
      if (std::string wrong = stopped_well(tried, part, planned.kind, last); !wrong.empty()) return wrong;
      tried.resume();
      last = go_on(*of_, tried);
      if (last.how == ending::done) return "it went on by itself";
      if (of_->several || of_->begins_anew) continue;
      if (tried.texts().front().tokens != before.front().tokens) return "it committed more, though nothing was mended";
    }
    model.arm();
    if (seen) {
      tried.resume();
      if (const attempt mended = go_on(*of_, tried); mended.how != ending::done) return "mended: " + mended.message;
    }
    std::string wrong = compared(tried);
    if (wrong.empty()) ++(seen ? counts_->stopped : counts_->unseen);
    return wrong;
  }

  std::string judge_wrong_rows(run& tried, std::size_t part, std::size_t& struck) {
    const attempt only = go_on(*of_, tried);
    struck = tried.models()[part]->first_fault();
    if (struck == 0) return {};
    if (only.how != ending::done) return only.message;
    const auto texts = tried.texts();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (texts[i].status != expected_[i].status) return std::string("it ended by ") + to_string(texts[i].status);
      if (texts[i].tokens.size() != expected_[i].tokens.size()) return "it has another length";
      const bool same = !of_->reads_clock && of_->own_choice && part > 0;
      if (same && texts[i].tokens != expected_[i].tokens) return "what was drafted changed the text";
    }
    if (part == 0 && !of_->several) {
      std::vector<specdec::token_id> before = texts.front().tokens;
      before.resize(tried.sound);
      if (!begins_with(expected_.front().tokens, before)) return "the text before the fault has changed";
      if (!of_->learns && !tried.behind_fault.empty()) {
        const auto other = of_->begin();
        other->take_up(tried.behind_fault);
        if (const attempt rest = go_on(*of_, *other); rest.how != ending::done) return "taken up: " + rest.message;
        if (other->texts().front().tokens != texts.front().tokens) return "the fault left something behind";
      }
    }
    ++counts_->valid;
    return {};
  }

  /// What is wrong with how a run was stopped, if anything is.
  [[nodiscard]] std::string stopped_well(const run& tried, std::size_t part, fault_kind kind,
                                         const attempt& made) const {
    const documented::duty model{.is_target = part == 0, .drafts = part > 0 || of_->of_itself};
    if (!documented::may_end(model, kind, made.how)) return "not documented: " + made.message;
    const auto texts = tried.texts();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (!begins_with(expected_[i].tokens, texts[i].tokens)) return "what was committed is another text";
      const bool failed = texts[i].status == session_status::failed;
      if (failed && made.how != ending::unusable_target) return "a text failed, though: " + made.message;
      if (failed && texts[i].fault != reported(kind))
        return std::string("a text failed for ") + to_string(texts[i].fault);
      if (!failed && texts[i].status != session_status::running && texts[i].status != expected_[i].status) {
        return std::string("a text ended by ") + to_string(texts[i].status);
      }
    }
    return {};
  }

  /// What is wrong with a run that is over, if anything is.
  [[nodiscard]] std::string compared(const run& done) const {
    const auto texts = done.texts();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (texts[i].tokens != expected_[i].tokens) return "the text is another one";
      if (texts[i].status != expected_[i].status) return std::string("it ended by ") + to_string(texts[i].status);
      if (!of_->reads_clock && texts[i].account != expected_[i].account) return "what was told of the text differs";
    }
    return {};
  }

  const cell* of_;
  tally* counts_;
  std::vector<text_state> expected_;
  std::vector<std::size_t> calls_;
};

}  // namespace

std::size_t tally::tried() const noexcept {
  std::size_t all = 0;
  for (const strikes& some : by_kind) all += some.of_target + some.of_drafts;
  return all;
}

tally& tally::operator+=(const tally& more) {
  for (std::size_t i = 0; i < by_kind.size(); ++i) {
    by_kind[i].of_target += more.by_kind[i].of_target;
    by_kind[i].of_drafts += more.by_kind[i].of_drafts;
  }
  missing += more.missing;
  resumed += more.resumed;
  unseen += more.unseen;
  stopped += more.stopped;
  valid += more.valid;
  otherwise += more.otherwise;
  leaked_bytes += more.leaked_bytes;
  failures.insert(failures.end(), more.failures.begin(), more.failures.end());
  return *this;
}

tally try_faults(const cell& of, std::size_t stride, std::size_t phase) {
  tally counts;
  counts.failures.reserve(16);
  trial lets(of, counts);
  for (std::size_t part = 0; part < lets.parts(); ++part) {
    for (std::size_t i = 0; i < all_faults.size(); ++i) {
      const fault_kind kind = all_faults[i];
      std::size_t& count = part == 0 ? counts.by_kind[i].of_target : counts.by_kind[i].of_drafts;
      const std::size_t before = count;
      const auto strike = [&](std::size_t call, bool stays) {
        const auto struck = lets(part, {kind, call, stays, call % 5});
        if (struck) ++count;
        return struck;
      };
      for (const bool stays : {false, true}) {
        // Of wrong rows nobody is told, so it is all the same whether more are.
        if (stays && kind == fault_kind::wrong_rows) continue;
        phase = (31 * phase + 17) % stride;
        for (std::size_t call = 1 + phase; call <= lets.calls(part);) {
          const auto struck = strike(call, stays);
          if (!struck) break;
          call = *struck + stride;
        }
      }
      if (count == before && !strike(1, false)) lets.miss(part, kind);
    }
  }
  return counts;
}

}  // namespace faults
