#ifndef GENERATE_ROUND_TRACE_HPP
#define GENERATE_ROUND_TRACE_HPP

/// @file
/// What every round drafted, and what became of it.

#include <string>
#include <string_view>

#include <measurement/generator.hpp>
#include <program/terminal.hpp>
#include <specdec/specdec.hpp>

#include "engine.hpp"

namespace generate {

using program::style;
using program::terminal;

/// Tells of every round in one line.
class round_trace {
 public:
  round_trace(const engine& engine, const terminal& out) : engine_(&engine), out_(&out) {}

  /// @param text the session that committed the round
  void operator()(const specdec::outcome& round, const measurement::text_session& text) const;

  /// Sets the rounds apart from what comes before them, and behind them.
  void heading(std::string_view text) const { out_->write(style::heading, text); }
  void finish() const { out_->write(style::plain, "\n"); }

 private:
  [[nodiscard]] std::string quoted(specdec::token_id token) const;

  const engine* engine_;
  const terminal* out_;
};

}  // namespace generate

#endif  // GENERATE_ROUND_TRACE_HPP
