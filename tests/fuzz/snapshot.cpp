// Snapshots of sessions in any state, restored as they are and changed: what is no snapshot is refused and changes
// nothing; whatever is taken can be saved again, and runs to its end.

#include "sessions.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using fuzz::text_session;
using specdec::generate_options;
using specdec::token_id;

/// Makes snapshots that a session did not.
class forger {
 public:
  forger(input& in, fuzz::led_session& led) : in_(in), led_(led) {}

  void forge() {
    switch (in_.below(5)) {
      case 0:
        restore_saved();
        break;
      case 1:
        restore_anything();
        break;
      case 2:
        restore_other_state();
        break;
      default:
        restore_changed();
    }
  }

 private:
  [[nodiscard]] text_session& session() noexcept { return led_.session(); }

  void restore_saved() {
    const std::vector<std::byte> saved = session().snapshot();
    text_session restored = session();
    restored.begin(std::vector<token_id>{0});
    restored.restore(saved);
    require(std::equal(restored.tokens().begin(), restored.tokens().end(), session().tokens().begin(),
                       session().tokens().end()) &&
                restored.delivered() == session().delivered() && restored.prompt_size() == session().prompt_size(),
            "a snapshot holds the text, and what was delivered of it");
    session() = std::move(restored);
  }

  /// Restores bytes that may be no snapshot: they are taken, or refused and change nothing.
  void restore(const std::vector<std::byte>& bytes) {
    const std::vector<std::byte> before = session().snapshot();
    if (refused<std::invalid_argument>([&] { session().restore(bytes); })) {
      require(session().snapshot() == before, "a refused snapshot changes nothing");
      return;
    }
    led_.was_restored();
    // What was taken is what a session can be in: it can be saved, and restored to the same.
    const std::vector<std::byte> taken = session().snapshot();
    text_session again = session();
    again.restore(taken);
    require(again.snapshot() == taken, "what was restored can be saved and restored");
    require(!specdec::to_json(session().stats()).empty(), "and told");
    if (session().status() == specdec::session_status::idle) session().begin(std::vector<token_id>{1});
  }

  static void seal(std::vector<std::byte>& body) {
    std::uint64_t sum = specdec::snapshot_format::checksum(body);
    for (int i = 0; i < 8; ++i, sum >>= 8) body.push_back(static_cast<std::byte>(sum & 0xFF));
  }

  /// A snapshot with some of its bytes changed, and the checksum that fits them.
  void restore_changed() {
    std::vector<std::byte> body = session().snapshot();
    body.resize(body.size() - 8);
    constexpr std::size_t header = 40;  // magic, format, vocabulary, seed, stream and settings
    for (std::size_t changes = in_.between(1, 3); changes > 0; --changes) {
      const bool anywhere = in_.one_in(8);
      const std::size_t at = anywhere ? in_.below(body.size()) : header + in_.below(body.size() - header);
      switch (in_.below(4)) {
        case 0:
          body[at] = static_cast<std::byte>(in_.bits<std::uint8_t>());
          break;
        case 1:
          body[at] ^= static_cast<std::byte>(1U << in_.below(8));
          break;
        case 2: {
          const auto number = in_.bits<std::uint64_t>();
          std::memcpy(&body[at], &number, std::min(sizeof number, body.size() - at));
          break;
        }
        default:
          if (in_.below(2) == 0) {
            body.insert(body.begin() + static_cast<std::ptrdiff_t>(at), std::byte(in_.below(3)));
          } else if (body.size() > header + 8) {
            body.erase(body.begin() + static_cast<std::ptrdiff_t>(at));
          }
      }
    }
    seal(body);
    restore(body);
  }

  /// A snapshot of a state with some of its parts changed, which may then contradict each other.
  void restore_other_state() {
    const generate_options& options = session().options();
    specdec::session_state state = specdec::from_bytes(session().snapshot(), fuzz::small_vocabulary, options);
    for (std::size_t changes = in_.between(1, 2); changes > 0; --changes) {
      switch (in_.below(10)) {
        case 0:
          state.prompt_size += in_.below(5) - 2;
          break;
        case 1:
          state.status = static_cast<specdec::session_status>(in_.below(11));
          break;
        case 2:
          state.fault = static_cast<specdec::row_fault>(in_.below(8));
          break;
        case 3:
          state.stop_index = in_.below(4);
          break;
        case 4:
          state.committed.push_back(static_cast<token_id>(in_.below(fuzz::small_vocabulary + 1)));
          break;
        case 5:
          if (!state.committed.empty()) state.committed.pop_back();
          break;
        case 6: {
          const std::size_t from_end = state.waiting.size() + 1;
          const bool is_there = from_end <= state.committed.size();
          const token_id before = is_there ? state.committed[state.committed.size() - from_end] : 0;
          state.waiting.insert(state.waiting.begin(), {.id = before});
          state.waiting_top.resize(state.waiting.size() * options.top_log_probabilities);
          break;
        }
        case 7:
          if (!state.waiting.empty()) state.waiting.erase(state.waiting.begin());
          break;
        case 8:
          state.waiting_top.resize(in_.below(6));
          break;
        default:
          state.stats.rounds += in_.below(3);
          state.stats.accepted_at.resize(in_.below(4));
      }
    }
    restore(specdec::to_bytes(state, fuzz::small_vocabulary, options));
  }

  /// The header of a snapshot with anything behind it, or any bytes at all.
  void restore_anything() {
    std::vector<std::byte> body = session().snapshot();
    body.resize(in_.below(4) == 0 ? 0 : 40);
    for (const std::uint8_t byte : in_.take(in_.below(64))) body.push_back(static_cast<std::byte>(byte));
    if (in_.below(4) != 0) seal(body);
    restore(body);
  }

  input& in_;
  fuzz::led_session& led_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const fuzz::rule with = fuzz::any_rule(in);
  const generate_options options = fuzz::usable_options(in);
  fuzz::led_session led(in, options, with);
  forger forging(in, led);
  led.explore([&] { forging.forge(); });
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(48, 200); }
