#ifndef SPECDEC_DRAFT_SUFFIX_AUTOMATON_HPP
#define SPECDEC_DRAFT_SUFFIX_AUTOMATON_HPP

/// @file
/// All that was ever said, and how often: an index of texts that grows token by token.
///
/// Sources: Blumer et al. 1985, "The smallest automaton recognizing the subwords of a text" (the construction); Oliaro
/// et al. 2024, "SuffixDecoding" (arXiv:2411.04975), what it is good for: counts of bounded depth, the likeliest next
/// token.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../config.hpp"
#include "../failure.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI {

/// A suffix automaton of texts with counts, cut at a depth: it knows every string of up to `max_depth()` tokens that
/// occurs in them, how often it occurs, and which token follows it most often. All of that is exact, at any time.
///
/// Strings that occur at the same places share a state. Cut at a depth, a repeated passage makes no new states but for
/// its first `max_depth()` tokens; it is only counted.
///
/// Time: the automaton grows by O(1) amortised per token, as every suffix automaton does. Counting visits the states of
/// the text's suffixes: at most max_depth() of them per token, about ten in natural text. So n tokens take O(n).
/// Memory: at most two states of 16 bytes and three edges of 24 bytes per token, and half as much again where room
/// grows by itself; about 50 bytes per token in all, measured on text. See `bytes`.
class suffix_automaton {
 public:
  using state_id = std::uint32_t;

  /// A string that occurs: `length` tokens that end at the places of `state`. No token at all is the empty string.
  struct match {
    state_id state = 0;
    std::size_t length = 0;
  };

  /// As many tokens as one automaton takes.
  static constexpr std::size_t most_tokens = (std::size_t{1} << 24) - 1;
  /// What the counts' width leaves for depths.
  static constexpr std::size_t greatest_depth = 127;

  /// Throws std::invalid_argument if the depth is not from 2 to 127.
  explicit suffix_automaton(std::size_t max_depth = 64) : max_depth_(max_depth) {
    if (max_depth < 2 || max_depth > greatest_depth) {
      raise<std::invalid_argument>("specdec: expected a depth of 2 to " + std::to_string(greatest_depth) +
                                   " tokens for a suffix automaton; got " + std::to_string(max_depth));
    }
    states_.emplace_back();
  }

  [[nodiscard]] std::size_t max_depth() const noexcept { return max_depth_; }
  /// How many tokens were appended.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// The memory that is taken, used or not.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sizeof *this + states_.capacity() * sizeof(state) + table_.capacity() * sizeof(edge);
  }

  /// Makes room for so many tokens in all, whatever they are: appending them allocates nothing.
  void reserve(std::size_t tokens) {
    states_.reserve(2 * tokens + 1);
    make_table(3 * tokens + 2);
  }

  /// Forgets everything, but keeps the memory. O(memory).
  void clear() noexcept {
    states_.resize(1);
    states_.front() = {};
    std::fill(table_.begin(), table_.end(), edge{});
    edge_count_ = 0;
    size_ = 0;
    end_text();
  }

  /// The next token begins another text: no string reaches from one into the other.
  void end_text() noexcept {
    last_ = {};
    ++moment_;
  }

  /// Appends a token, not negative, to the text under way. Throws std::length_error, and changes nothing, if there are
  /// `most_tokens`. If room that was not reserved cannot be had, what the allocator throws passes through; behind that
  /// nothing but `clear` and destruction is allowed.
  void append(token_id token) {
    if (size_ == most_tokens) {
      raise<std::length_error>("specdec: a suffix automaton holds " + std::to_string(most_tokens) + " tokens");
    }
    const match before = last_;
    state_id now = child(before.state, token);
    if (now == no_state) {
      now = add_state(before, token);
    } else if (states_[now].length > before.length + 1) {
      // Only where a text begins: strings that are longer than it occurred elsewhere.
      now = split(before.state, token, now);
    }
    count(before, token, now);
    last_ = cut({now, before.length + 1});
    ++size_;
  }

  /// The longest end of the text under way that can be followed: up to max_depth() - 1 tokens.
  [[nodiscard]] match end() const noexcept { return last_; }

  /// The longest end of `behind` and `token` that occurs and can be followed. O(1) amortised along a text.
  [[nodiscard]] match follow(match behind, token_id token) const noexcept {
    for (;;) {
      const state_id next = child(behind.state, token);
      if (next != no_state) return cut({next, behind.length + 1});
      if (behind.state == start) return {};
      behind = shorter(behind);
    }
  }

  /// The longest end of a string that also occurs at other places. Precondition: the string is not empty.
  [[nodiscard]] match shorter(const match& of) const noexcept {
    const state_id link = states_[of.state].link;
    return {link, states_[link].length};
  }

  /// How often a string that is not empty occurs.
  [[nodiscard]] std::size_t occurrences(const match& of) const noexcept { return states_[of.state].count; }

  /// How often it occurs with something behind it: a token, or the end of a text other than the one under way.
  [[nodiscard]] std::size_t continuations(const match& of) const noexcept {
    const state& s = states_[of.state];
    const mark& end = ends_[s.length];
    return s.count - (end.moment == moment_ && end.of == of.state ? 1U : 0U);
  }

  /// The token that follows a string that is not empty most often, of equals the one that did so last; -1 if none does.
  [[nodiscard]] token_id likeliest(const match& behind) const noexcept { return states_[behind.state].likeliest; }
  /// How often it does. Precondition: one does.
  [[nodiscard]] std::size_t occurrences_of_likeliest(const match& behind) const noexcept {
    return states_[states_[behind.state].child].count;
  }

 private:
  static constexpr state_id start = 0;
  static constexpr state_id no_state = std::numeric_limits<state_id>::max();
  static constexpr std::size_t no_slot = std::numeric_limits<std::size_t>::max();

  /// The strings that end at the same places: the longest of them and its ends, down to one token more than what
  /// `link` has. Whoever drafts reads one of these per token, so it is a quarter of a cache line.
  struct state {
    state_id link = no_state;
    token_id likeliest = -1;    ///< the token that follows most often
    state_id child = no_state;  ///< and the state that it leads to
    std::uint32_t count : 24;
    std::uint32_t length : 7;
    std::uint32_t branches : 1;  ///< whether several tokens follow: then all of them are in the table

    state() noexcept : count(0), length(0), branches(0) {}
  };

  /// One of several tokens that follow a state. All of a state's are in a ring.
  struct edge {
    state_id from = no_state;  ///< no_state where the slot is free
    token_id token = 0;
    state_id to = 0;
    std::uint32_t next = 0;
  };

  /// The state of an end of the text under way.
  struct mark {
    state_id of = 0;
    std::uint64_t moment = 0;
  };

  /// The string, or what is left of it if it is too long to be followed.
  [[nodiscard]] match cut(match of) const noexcept {
    if (of.length < max_depth_) return of;
    const state_id link = states_[of.state].link;
    const bool in_link = states_[link].length + 1U == max_depth_;
    return {in_link ? link : of.state, max_depth_ - 1};
  }

  [[nodiscard]] state_id child(state_id from, token_id token) const noexcept {
    const state& s = states_[from];
    if (s.likeliest == token) return s.child;
    if (s.branches == 0) return no_state;
    const std::size_t slot = find(from, token);
    return slot == no_slot ? no_state : table_[slot].to;
  }

  /// A new state for the text that `token` makes of `before`, with edges from all its ends that nothing like it
  /// followed.
  state_id add_state(const match& before, token_id token) {
    reserve_state();
    const auto added = static_cast<state_id>(states_.size());
    state made;
    made.length = static_cast<std::uint32_t>(before.length + 1) & 0x7F;
    made.link = start;
    states_.push_back(made);
    for (state_id at = before.state; at != no_state; at = states_[at].link) {
      if (const state_id known = child(at, token); known != no_state) {
        const state_id link = states_[known].length == states_[at].length + 1U ? known : split(at, token, known);
        states_[added].link = link;
        break;
      }
      add_edge(at, token, added);
    }
    return added;
  }

  /// Takes the strings of up to one token more than `at` has out of `whole`, to which `token` leads from there: from
  /// now on they occur at more places than the longer ones. Returns their state.
  state_id split(state_id at, token_id token, state_id whole) {
    reserve_state();
    const auto taken = static_cast<state_id>(states_.size());
    states_.push_back(states_[whole]);
    states_[taken].length = (states_[at].length + 1U) & 0x7F;
    if (states_[whole].branches != 0) copy_edges(whole, taken);
    states_[whole].link = taken;
    for (; at != no_state && child(at, token) == whole; at = states_[at].link) {
      if (states_[at].likeliest == token) states_[at].child = taken;
      if (states_[at].branches != 0) table_[find(at, token)].to = taken;
    }
    return taken;
  }

  /// Counts one more occurrence of every end of the text, and looks whether `token`, which is its last, has become the
  /// likeliest behind any end of the text `before`.
  void count(const match& before, token_id token, state_id now) noexcept {
    ++moment_;
    const auto take = [this](state_id end) {
      state& s = states_[end];
      s.count = (s.count + 1U) & 0xFFFFFF;
      ends_[s.length] = {end, moment_};
    };
    take(now);
    std::size_t length = before.length;
    for (state_id at = before.state; at != start; at = states_[at].link) {
      length = std::min<std::size_t>(length, states_[at].length);
      while (states_[states_[now].link].length >= length + 1) take(now = states_[now].link);
      state& s = states_[at];
      if (s.likeliest == token || states_[now].count < states_[s.child].count) continue;
      s.likeliest = token;
      s.child = now;
    }
    while ((now = states_[now].link) != start) take(now);
  }

  // --- The table of edges: open addressing, so that a look-up is one cache line -------------------------------------

  /// Where the search for an edge begins.
  [[nodiscard]] std::size_t home(state_id from, token_id token) const noexcept {
    std::uint64_t x = (std::uint64_t{from} << 32 | static_cast<std::uint32_t>(token)) * 0x9E3779B97F4A7C15U;
    x = (x ^ x >> 32) * 0xBF58476D1CE4E5B9U;
    return static_cast<std::size_t>((x >> 32) * table_.size() >> 32);
  }

  [[nodiscard]] std::size_t find(state_id from, token_id token) const noexcept {
    for (std::size_t slot = home(from, token);; slot = slot + 1 == table_.size() ? 0 : slot + 1) {
      if (table_[slot].from == from && table_[slot].token == token) return slot;
      if (table_[slot].from == no_state) return no_slot;
    }
  }

  /// Puts an edge that is not there into the table. Precondition: there is room.
  std::size_t insert(const edge& added) noexcept {
    std::size_t slot = home(added.from, added.token);
    while (table_[slot].from != no_state) slot = slot + 1 == table_.size() ? 0 : slot + 1;
    table_[slot] = added;
    ++edge_count_;
    return slot;
  }

  /// The same, and into the ring of its state, behind the edge in slot `behind`, or as the first.
  std::size_t insert(const edge& added, std::size_t behind) noexcept {
    const std::size_t slot = insert(added);
    if (behind == no_slot) behind = slot;
    table_[slot].next = behind == slot ? static_cast<std::uint32_t>(slot) : table_[behind].next;
    table_[behind].next = static_cast<std::uint32_t>(slot);
    return slot;
  }

  void add_edge(state_id from, token_id token, state_id to) {
    if (states_[from].likeliest < 0) {
      states_[from].likeliest = token;
      states_[from].child = to;
      return;
    }
    make_room(2);
    state& s = states_[from];
    const std::size_t known = s.branches != 0 ? find(from, s.likeliest) : insert({from, s.likeliest, s.child}, no_slot);
    s.branches = 1;
    insert({from, token, to}, known);
  }

  /// Gives `to` all edges that `from` has.
  void copy_edges(state_id from, state_id to) {
    const token_id any = states_[from].likeliest;
    std::size_t slot = find(from, any);
    std::size_t edges = 0;
    do {
      ++edges;
      slot = table_[slot].next;
    } while (table_[slot].token != any);
    make_room(edges);
    slot = find(from, any);
    std::size_t copied = no_slot;
    for (; edges > 0; --edges) {
      copied = insert({to, table_[slot].token, table_[slot].to}, copied);
      slot = table_[slot].next;
    }
  }

  void reserve_state() {
    if (states_.size() == states_.capacity()) states_.reserve(grown(states_.size()));
  }

  void make_room(std::size_t edges) {
    if (slots_for(edge_count_ + edges) > table_.size()) make_table(grown(edge_count_ + edges));
  }

  /// Half as much again, and something to begin with.
  [[nodiscard]] static std::size_t grown(std::size_t size) noexcept { return size + size / 2 + 16; }

  /// At most two slots of three are taken, or searches become long.
  [[nodiscard]] static std::size_t slots_for(std::size_t edges) noexcept { return edges + edges / 2 + 1; }

  /// Makes the table large enough for so many edges.
  void make_table(std::size_t edges) {
    if (slots_for(edges) <= table_.size()) return;
    std::vector<edge> old(slots_for(edges));
    old.swap(table_);
    edge_count_ = 0;
    // Rings are of slots: each edge is told where it went, then each asks where its neighbour did.
    for (edge& e : old) {
      if (e.from != no_state) e.from = static_cast<state_id>(insert(e));
    }
    for (edge& e : table_) {
      if (e.from != no_state) e.next = old[e.next].from;
    }
  }

  std::size_t max_depth_;
  std::size_t size_ = 0;
  match last_;
  std::vector<state> states_;
  std::vector<edge> table_;
  std::size_t edge_count_ = 0;
  std::uint64_t moment_ = 1;                        ///< grows with every token, so that old marks go out of date
  std::array<mark, greatest_depth + 1> ends_ = {};  ///< the states of the text's ends, by the length of their longest
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_SUFFIX_AUTOMATON_HPP
