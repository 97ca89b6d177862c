// Lets every call of every model fail in every way, for every method and driver, and prints what came of it:
//
//   fault_matrix [STRIDE [WORD]]
//
// tries every STRIDE-th call (all, by default) of the methods and drivers whose names have WORD in them. Fails if any
// fault had another end than a documented one, or none struck.

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <system_error>

#include "run.hpp"
#include "trial.hpp"

namespace {

void print(const std::string& method, const std::string& driver, const faults::tally& counts) {
  std::printf("%-42s %-24s %9zu %9zu %9zu %9zu %9zu %9zu %7lld\n", method.c_str(), driver.c_str(), counts.tried,
              counts.resumed, counts.stopped, counts.unseen, counts.valid, counts.otherwise, counts.leaked_bytes);
  std::fflush(stdout);
}

int print_matrix(std::size_t stride, const std::string& word) {
  std::printf("%-42s %-24s %9s %9s %9s %9s %9s %9s %7s\n", "method", "driver", "faults", "resumed", "stopped", "unseen",
              "valid", "otherwise", "leaked");
  faults::tally total;
  std::size_t cells = 0;
  for (const auto& some : {faults::texts_alone(), faults::texts_overlapped(), faults::texts_in_batches()}) {
    for (const faults::cell& of : some) {
      if ((of.method + ", " + of.driver).find(word) == std::string::npos) continue;
      const faults::tally counts = faults::try_faults(of, stride);
      print(of.method, of.driver, counts);
      total += counts;
      ++cells;
    }
  }
  if (cells == 0) {
    std::fprintf(stderr, "fault_matrix: no method or driver has '%s' in its name\n", word.c_str());
    return EXIT_FAILURE;
  }
  print("all " + std::to_string(cells), "", total);
  if (total.tried == 0) std::fputs("fault_matrix: no fault struck; try a smaller STRIDE\n", stderr);
  std::puts(
      "\nfaults:    struck, each in a run of its own of 200 tokens"
      "\nresumed:   the call failed as documented; called again, the run came to the same text"
      "\nstopped:   the fault stayed, and so did the documented error; mended, the run came to the same text"
      "\nunseen:    nobody looked at the row that was spoiled; the same text"
      "\nvalid:     rows changed places, which nobody can see: a text of that length, the same up to that round"
      "\notherwise: anything else"
      "\nleaked:    bytes that were not given back");
  for (const std::string& failure : total.failures) std::printf("%s\n", failure.c_str());
  return total.tried > 0 && total.otherwise == 0 && total.leaked_bytes == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int count, char** arguments) {
  constexpr const char* usage =
      "usage: fault_matrix [STRIDE [WORD]]\n"
      "Lets every STRIDE-th call of every model (every call, by default) fail in every way, for the methods and "
      "drivers\n"
      "whose names have WORD in them, and prints what came of it. Exit code 1 if a fault had an end that is not\n"
      "documented, or none struck; 2 for wrong usage.\n";
  const std::string first = count > 1 ? arguments[1] : "1";
  if (first == "-h" || first == "--help") {
    std::fputs(usage, stdout);
    return EXIT_SUCCESS;
  }
  std::size_t stride = 0;
  const auto [end, problem] = std::from_chars(first.data(), first.data() + first.size(), stride);
  if (count > 3 || problem != std::errc{} || end != first.data() + first.size() || stride == 0) {
    std::fprintf(stderr, "fault_matrix: expected a STRIDE of at least 1, and perhaps a WORD; got '%s'\n%s",
                 first.c_str(), usage);
    return 2;
  }
  try {
    return print_matrix(stride, count > 2 ? arguments[2] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fault_matrix: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
