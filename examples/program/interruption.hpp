#ifndef PROGRAM_INTERRUPTION_HPP
#define PROGRAM_INTERRUPTION_HPP

/// @file
/// Ctrl-C.

namespace program {

/// The user's wish to end the text: a `specdec::StopRequest`.
class interruption {
 public:
  /// From now on the first SIGINT is such a wish, and the second kills, as the first would have. A program that was
  /// started with SIGINT ignored goes on ignoring it.
  static void listen();

  [[nodiscard]] static bool stop_requested() noexcept;
};

}  // namespace program

#endif  // PROGRAM_INTERRUPTION_HPP
