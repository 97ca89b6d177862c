// Lets every call of every model fail in every way, for every method and driver, and prints what came of it:
//
//   fault_matrix [STRIDE [WORD [SHARE/SHARES]]]
//
// tries every STRIDE-th call (all, by default) of the methods and drivers whose names have WORD in them; of these only
// its share, where several processes divide them. Fails if any fault had another end than a documented one, or a
// kind of fault never struck one of the models.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "run.hpp"
#include "trial.hpp"

namespace {

void print(const std::string& method, const std::string& driver, const faults::tally& counts) {
  std::printf("%-49s %-37s %9zu %9zu %9zu %9zu %9zu %9zu %7lld\n", method.c_str(), driver.c_str(), counts.tried(),
              counts.resumed, counts.stopped, counts.unseen, counts.valid, counts.otherwise, counts.leaked_bytes);
  std::fflush(stdout);
}

void print_kinds(const faults::tally& counts) {
  std::printf("\n%-49s %9s %9s\n", "faults that struck", "targets", "drafts");
  for (std::size_t i = 0; i < faults::all_faults.size(); ++i) {
    std::printf("%-49s %9zu %9zu\n", to_string(faults::all_faults[i]), counts.by_kind[i].of_target,
                counts.by_kind[i].of_drafts);
  }
  if (counts.missing > 0) std::printf("%zu times a kind struck a model in none of its calls\n", counts.missing);
}

/// One of equal parts.
struct share {
  std::size_t number = 1, of = 1;
};

struct request {
  std::size_t stride = 1;
  std::string word;
  share mine;
};

int print_matrix(const request& asked) {
  std::printf("%-49s %-37s %9s %9s %9s %9s %9s %9s %7s\n", "method", "driver", "faults", "resumed", "stopped", "unseen",
              "valid", "otherwise", "leaked");
  faults::tally total;
  std::size_t named = 0, cells = 0;
  for (const auto& some : {faults::texts_alone(), faults::texts_overlapped(), faults::texts_in_batches()}) {
    for (const faults::cell& of : some) {
      if ((of.method + ", " + of.driver).find(asked.word) == std::string::npos) continue;
      if (named++ % asked.mine.of != asked.mine.number - 1) continue;
      const faults::tally counts = faults::try_faults(of, asked.stride);
      print(of.method, of.driver, counts);
      total += counts;
      ++cells;
    }
  }
  if (cells == 0) {
    std::fprintf(stderr, "fault_matrix: no method or driver of this share has '%s' in its name\n", asked.word.c_str());
    return EXIT_FAILURE;
  }
  print("all " + std::to_string(cells), "", total);
  print_kinds(total);
  std::puts(
      "\nfaults:    struck, each in a run of its own of 200 tokens"
      "\nresumed:   the call failed as documented; called again, the run came to the same text"
      "\nstopped:   the fault stayed, and so did the documented error; mended, the run came to the same text"
      "\nunseen:    nobody looked at the row that was spoiled; the same text"
      "\nvalid:     rows for other places, which nobody can see: a text of that length, the same up to that round"
      "\notherwise: anything else"
      "\nleaked:    bytes that were not given back");
  for (const std::string& failure : total.failures) std::printf("%s\n", failure.c_str());
  return total.missing == 0 && total.otherwise == 0 && total.leaked_bytes == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

constexpr const char* usage =
    "usage: fault_matrix [STRIDE [WORD [SHARE/SHARES]]]\n"
    "Lets every STRIDE-th call of every model (every call, by default) fail in every way, for the methods and drivers\n"
    "whose names have WORD in them (all, by default), and prints what came of it. SHARE/SHARES, 2/4 say, leaves the\n"
    "others' shares to other processes. Exit code 1 if a fault had an end that is not documented, or a kind of fault\n"
    "never struck one of the models; 2 for wrong usage.\n";

/// A number from 1 up that is all of the text, or 0.
std::size_t number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size() ? value : 0;
}

std::optional<request> parse(std::span<const char* const> given) {
  request asked;
  if (given.size() > 3) return std::nullopt;
  if (given.size() > 0) asked.stride = number(given[0]);
  if (given.size() > 1) asked.word = given[1];
  if (given.size() > 2) {
    const std::string_view text = given[2];
    const std::size_t slash = std::min(text.find('/'), text.size());
    asked.mine = {number(text.substr(0, slash)), number(text.substr(std::min(slash + 1, text.size())))};
  }
  const bool usable = asked.stride > 0 && asked.mine.number > 0 && asked.mine.number <= asked.mine.of;
  return usable ? std::optional(asked) : std::nullopt;
}

}  // namespace

int main(int count, char** values) {
  const std::vector<const char*> given(values + 1, values + count);
  if (!given.empty() && (given[0] == std::string_view("-h") || given[0] == std::string_view("--help"))) {
    std::fputs(usage, stdout);
    return EXIT_SUCCESS;
  }
  const std::optional<request> asked = parse(given);
  if (!asked) {
    std::string got;
    for (const char* one : given) got.append(" '").append(one).append("'");
    std::fprintf(stderr,
                 "fault_matrix: expected a STRIDE of at least 1, perhaps a WORD, perhaps a share as 2/4; got%s\n%s",
                 got.c_str(), usage);
    return 2;
  }
  try {
    return print_matrix(*asked);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fault_matrix: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
