#!/usr/bin/env bash
# Fuzzes with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer:
#
#   bash tests/fuzz.sh MINUTES            every target; they share the minutes, on all processors
#   bash tests/fuzz.sh MINUTES TARGET...  only these: the files of tests/fuzz that define one
#
# Needs Debian 12 or Ubuntu 24.04; missing packages are installed (examples/install_packages.sh). What is found stays in
# build/fuzz: in corpus/TARGET the inputs that reach new code, in crashes/TARGET those that end the program, in logs/ what
# was said. The next run begins with both kinds of inputs; none is ever deleted. Ends with a table, interrupted or not, and
# fails if anything was found.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  printf 'fuzz.sh: %s\n' "$1" >&2
  exit 2
}

[[ ${1-} =~ ^[1-9][0-9]*$ ]] || usage "expected a number of minutes from 1 up; got '${1-}'"
minutes=$1
shift
mapfile -t defined < <(grep -l '^std::vector<fuzz::bytes> fuzz::seeds()' tests/fuzz/*.cpp | xargs -n 1 basename -s .cpp)
for target in "$@"; do
  printf '%s\n' "${defined[@]}" | grep -qxF -e "$target" || usage "expected targets among ${defined[*]}; got '$target'"
done
(($# > 0)) || set -- "${defined[@]}"
mapfile -t targets < <(printf '%s\n' "$@" | sort -u)

packages=(cmake ninja-build pkg-config libgtest-dev libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev clang)
bash examples/install_packages.sh "${packages[@]}" >&2
# The fuzzer's runtime is in a package of its own, one for every version.
version=$(clang++ --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
bash examples/install_packages.sh "libclang-rt-$version-dev" >&2

out=$PWD/build/fuzz
programs=$out/build/tests/fuzz
jobs=$(nproc)
mkdir -p "$out"
# Where the other tests have brought llama.cpp, the command line of its program is fuzzed, too.
llama_root=
[[ ! -d build/llama.cpp/include ]] || llama_root=$PWD/build/llama.cpp

build() {
  cmake -S . -B "$out/build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS -DCMAKE_CXX_FLAGS_RELWITHDEBINFO='-O1 -g1' \
    -DSPECDEC_SANITIZE=fuzzer-no-link,address,undefined -DSPECDEC_BASELINE_ONLY=ON -DSPECDEC_BUILD_BENCHMARKS=OFF \
    -DSPECDEC_LLAMA_ROOT="$llama_root" &&
    cmake --build "$out/build" --parallel "$jobs" --target "${targets[@]/#/fuzz_}" "${targets[@]/#/libfuzzer_}"
}
build_progress() {
  while sleep 1; do
    printf '\rBuilding %d targets with Clang %s %s ' "${#targets[@]}" "$version" \
      "$(grep -o '^\[[0-9]*/[0-9]*\]' "$out/build.log" | tail -n 1)" >&2
  done
}
: >"$out/build.log"
build_progress &
progress_pid=$!
trap 'kill "$progress_pid"' EXIT
status=0
build >"$out/build.log" 2>&1 || status=$?
kill "$progress_pid"
trap - EXIT
printf '\n' >&2
if ((status != 0)); then
  tail -n 50 "$out/build.log" >&2
  exit 1
fi

# Where what was found by a target, or said of it, is.
corpus_of() { printf '%s/corpus/%s' "$out" "$1"; }
crashes_of() { printf '%s/crashes/%s' "$out" "$1"; }
log_of() { printf '%s/logs/%s' "$out" "$1"; }

mkdir -p "$out/logs"
for target in "${targets[@]}"; do
  rm -rf "$(log_of "$target")" "$out/seeds/$target"
  mkdir -p "$(corpus_of "$target")" "$(crashes_of "$target")"
  "$programs/fuzz_$target" --seeds "$out/seeds/$target"
done
# What ends the program in this run is written behind this, again where an earlier run has found it already.
touch "$out/begun"

# The last number behind these words in a target's log, or 0.
told() {
  local number
  number=$(grep -o "$2 *[0-9]*" "$(log_of "$1")" 2>/dev/null | tail -n 1 | grep -o '[0-9]*$' || true)
  printf '%s' "${number:-0}"
}
executions() {
  local count
  count=$(told "$1" stat::number_of_executed_units:)
  # While it runs, or if it crashed, the number at the head of its last line.
  ((count > 0)) || count=$(grep -o '^#[0-9]*' "$(log_of "$1")" 2>/dev/null | tail -n 1 | tr -d '#' || true)
  printf '%s' "${count:-0}"
}
crashes() { find "$(crashes_of "$1")" -type f -newer "$out/begun" | wc -l; }
older_crashes() { find "$(crashes_of "$1")" -type f ! -newer "$out/begun" | wc -l; }

declare -A target_of=() status_of=()

progress() {
  local total=0 found=0 target count
  for target in "${targets[@]}"; do
    count=$(executions "$target")
    total=$((total + count))
    count=$(crashes "$target")
    found=$((found + count))
  done
  printf '\r%d of %d targets done, %d executions, %d crashes  ' \
    "${#status_of[@]}" "${#targets[@]}" "$total" "$found" >&2
}

# Prints the table; whether nothing was found.
report() {
  local all=0 all_found=0 older=0 target count found
  printf '\n\n%-18s %14s %12s %10s %8s\n' target executions 'per second' coverage crashes
  for target in "${targets[@]}"; do
    count=$(executions "$target")
    found=$(crashes "$target")
    # Whoever ends badly has found something, even where no input is to blame.
    ((found > 0 || ${status_of[$target]:-0} == 0)) || found=1
    printf '%-18s %14d %12d %10d %8d\n' "$target" "$count" "$(told "$target" stat::average_exec_per_sec:)" \
      "$(told "$target" cov:)" "$found"
    all=$((all + count)) all_found=$((all_found + found))
    count=$(older_crashes "$target")
    older=$((older + count))
  done
  printf '%-18s %14d %12s %10s %8d\n' total "$all" '' '' "$all_found"
  if ((all_found > 0)); then
    printf '\nThe inputs are in %s, the logs in %s.\n' "$out/crashes" "$out/logs"
  fi
  if ((older > 0)); then
    printf '\nInputs that ended a program in earlier runs, but not in this one: %d, in %s.\n' "$older" "$out/crashes"
  fi
  ((all_found == 0))
}

# However this ends, no process is left behind, and what was done is told.
finish() {
  local status=$?
  trap '' INT TERM
  if ((${#target_of[@]} > 0)); then
    kill "${!target_of[@]}" 2>/dev/null || true
    wait "${!target_of[@]}" || true
  fi
  report || ((status != 0)) || status=1
  trap - EXIT
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

seconds=$((minutes * 60 * jobs / ${#targets[@]}))
((seconds > 0)) || seconds=1
printf 'Fuzzing each for %d s, %d at a time\n' "$seconds" "$jobs" >&2
waiting=("${targets[@]}")
while ((${#status_of[@]} < ${#targets[@]})); do
  while ((${#target_of[@]} < jobs && ${#waiting[@]} > 0)); do
    target=${waiting[0]}
    waiting=("${waiting[@]:1}")
    corpora=("$(corpus_of "$target")" "$out/seeds/$target" "$(crashes_of "$target")")
    [[ ! -d tests/fuzz/corpus/$target ]] || corpora+=("tests/fuzz/corpus/$target")
    # No input here needs much memory; a small file that asks for much is a fault. None takes more than milliseconds
    # either, but time is told by the clock, and a busy machine may hold a process back for seconds.
    nice "$programs/libfuzzer_$target" -max_total_time="$seconds" -max_len=4096 -timeout=120 -report_slow_units=120 \
      -rss_limit_mb=2048 -malloc_limit_mb=128 -close_fd_mask=1 -print_final_stats=1 \
      -artifact_prefix="$(crashes_of "$target")/" "${corpora[@]}" </dev/null >"$(log_of "$target")" 2>&1 &
    target_of[$!]=$target
  done
  for pid in "${!target_of[@]}"; do
    kill -0 "$pid" 2>/dev/null && continue
    status=0
    wait "$pid" || status=$?
    status_of[${target_of[$pid]}]=$status
    unset "target_of[$pid]"
  done
  progress
  sleep 1
done
