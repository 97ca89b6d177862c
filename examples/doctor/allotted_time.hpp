#ifndef DOCTOR_ALLOTTED_TIME_HPP
#define DOCTOR_ALLOTTED_TIME_HPP

/// @file
/// Work that goes on until its time is over.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>

#include <program/progress.hpp>

namespace doctor {

/// Begins with its making, and tells a person on standard error how much is left.
class allotted_time {
 public:
  explicit allotted_time(double seconds) : seconds_(seconds), bar_(stderr, seconds) {}

  [[nodiscard]] bool over() const noexcept { return spent() >= seconds_; }

  /// Shows how far it is. @param what is done now
  void show(std::string_view what) {
    const double now = std::min(spent(), seconds_);
    bar_.step(now - shown_, what);
    shown_ = now;
  }

 private:
  [[nodiscard]] double spent() const noexcept {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

  double seconds_;
  double shown_ = 0;
  program::progress_bar bar_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace doctor

#endif  // DOCTOR_ALLOTTED_TIME_HPP
