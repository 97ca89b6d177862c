// Sessions, whatever is done with them: rounds of any drafts, verdicts from elsewhere, stops, turns and forks, and
// targets that answer with rows too few, too many, too narrow or too wide. Misuse is refused as documented and changes
// nothing; whatever goes on comes to the text that it would have had.

#include "sessions.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using fuzz::text_session;
using specdec::node_id;
using specdec::row_fault;
using specdec::session_status;

bool same(const specdec::verdict& a, const specdec::verdict& b) {
  return a.kept == b.kept && a.next == b.next && a.fault == b.fault && a.rejected == b.rejected;
}

/// Whether two sessions have come to the same, whatever went wrong on the way.
bool same(text_session& a, text_session& b) {
  return std::equal(a.tokens().begin(), a.tokens().end(), b.tokens().begin(), b.tokens().end()) &&
         a.delivered() == b.delivered() && a.status() == b.status() &&
         specdec::to_json(a.stats()) == specdec::to_json(b.stats()) &&
         (!a.running() || a.request().round == b.request().round);
}

/// A session's target, which answers with other rows than were asked for.
class unreliable_target {
 public:
  unreliable_target(input& in, fuzz::led_session& led) : in_(in), led_(led) {}

  /// A round in which the target answers wrongly before it answers as it should. Beside it goes a session that never
  /// sees the wrong answer.
  void answer_wrongly() {
    text_session& session = led_.session();
    if (!session.running() || !led_.plan()) return;
    const specdec::draft& drafted = led_.drafted();
    const fuzz::rows scored(session.tokens(), drafted);
    text_session undisturbed = session;
    static_cast<void>(undisturbed.plan(drafted, 0));
    const specdec::verdict expected = undisturbed.verify(scored.view());
    static_cast<void>(undisturbed.commit(expected));

    if (in_.below(2) == 0) {
      answer_with_other_count(scored);
    } else {
      answer_with_other_width(scored, expected);
    }
    const specdec::verdict v = session.verify(scored.view());
    require(same(v, expected), "behind a wrong answer the right one is judged as if there had been no other");
    led_.commit(v);
    require(same(session, undisturbed), "and the text goes on as it would have");
  }

 private:
  void answer_with_other_count(const fuzz::rows& scored) {
    text_session& session = led_.session();
    std::size_t count = in_.one_in(8) ? in_.bits<std::size_t>() : in_.below(2 * scored.size());
    if (count == scored.size()) ++count;
    const std::vector<std::byte> before = session.snapshot();
    require(refused<std::invalid_argument>([&] { static_cast<void>(session.verify(scored.view(count))); }),
            "a wrong number of rows is refused");
    require(session.snapshot() == before, "and changes nothing");
    // The same round may be judged again, or begun again.
    if (in_.below(2) == 0) static_cast<void>(session.plan(led_.drafted(), 0));
  }

  void answer_with_other_width(const fuzz::rows& scored, const specdec::verdict& expected) {
    text_session& session = led_.session();
    const auto node = static_cast<node_id>(in_.below(scored.size()));
    std::size_t width = in_.one_in(8) ? in_.bits<std::size_t>() : in_.below(2 * fuzz::small_vocabulary);
    if (width == fuzz::small_vocabulary) ++width;
    const std::size_t size = session.tokens().size();
    const specdec::verdict v = session.verify(scored.view().misshapen(node, width));
    if (v.fault != row_fault::wrong_width) {
      require(same(v, expected), "a row that the verdict does not depend on may have any width");
    } else {
      require(v.faulty_row == node, "the row named is that of another width");
      led_.commit(v);
      require(session.fault() == row_fault::wrong_width, "a session tells what was wrong");
      require(session.faulty_position() == size + led_.drafted().depth(node), "and where");
      session.resume();
      require(session.running(), "and can be asked to try again");
    }
    static_cast<void>(session.plan(led_.drafted(), 0));
  }

  input& in_;
  fuzz::led_session& led_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const fuzz::rule with = fuzz::any_rule(in);
  const specdec::generate_options options = fuzz::usable_options(in);
  fuzz::led_session led(in, options, with);
  unreliable_target target(in, led);
  led.explore([&] { target.answer_wrongly(); });
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(48, 200); }
