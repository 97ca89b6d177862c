# What run.sh and full.sh share: stages, run one by one whatever became of those before, and a table of them at the end.
#
# A stage is a function, stage_NAME, that fails if anything in it does; `stages` has a line for each, its name and what it
# shows. It may call
#
#   need PACKAGE...                 installs packages of Debian or Ubuntu
#   preset NAME [TESTS [ARGUMENT...]]  configures and builds a preset of CMakePresets.json and runs the tests of the preset
#                                   TESTS, the same one if there is none, with further arguments for ctest
#   tell TEXT                       says something in the table
#   skip WHY                        ends the stage as one that cannot be run here
#
# Interrupted, it ends with the table of what was done.

jobs=${JOBS:-$(nproc)}
logs=$PWD/build/stages
mkdir -p "$logs"
rows=()
failed=0
skipped=0

tell() { printf '%s\n' "$1" >>"$logs/$stage.told"; }

skip() {
  tell "$1"
  exit 77
}

# Whether apt knows what there is. Images come without its lists, and without a network they stay so.
apt_has_lists() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

need() {
  bash examples/install_packages.sh "$@" && return
  # What this release does not have cannot be tested on it; what it has and does not come is a failure.
  apt_has_lists || return 1
  local package
  for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || skip "apt has no $package"
  done
  return 1
}

# Prints what a quiet step wrote only if it failed.
quietly() {
  local status=0
  "$@" >"$logs/$stage.step" 2>&1 || status=$?
  ((status == 0)) || cat "$logs/$stage.step"
  return "$status"
}

# What every build needs.
packages=(cmake ninja-build g++ git pkg-config libgtest-dev libeigen3-dev libcli11-dev libfmt-dev nlohmann-json3-dev)

# The compiler and the tools of a preset, besides.
packages_of() {
  case $1 in
    quick | clang) echo clang ;;
    sanitize | threads) echo clang libclang-rt-dev ;;
    clang-*) echo "$1" ;;
    libcxx) echo clang-19 libc++-19-dev libc++abi-19-dev ;;
    valgrind) echo valgrind ;;
    aarch64) echo g++-aarch64-linux-gnu qemu-user ;;
  esac
}

# llama.cpp, for presets that build everything. Without it the tests of its adapter are skipped, and say why.
bring_llama_cpp() {
  local folder=$PWD/build/llama.cpp missing
  [[ -e $folder/version ]] || command -v npm >/dev/null || bash examples/install_packages.sh nodejs npm || true
  if missing=$(bash tests/llama_cpp/install.sh "$folder"); then
    llama_options=(-DSPECDEC_LLAMA_ROOT="$folder")
  else
    missing=${missing:-"tests/llama_cpp/install.sh failed, its messages are above"}
    printf 'llama.cpp is not tested: %s\n' "$missing"
    llama_options=(-DSPECDEC_LLAMA_ROOT= -DSPECDEC_LLAMA_MISSING="$missing")
  fi
}

preset() {
  # A part of a preset is built where the whole is.
  local name=$1 whole=${1%-part} tests=${2:-$1} arguments=("${@:3}") status=0 llama_options=()
  bash examples/install_packages.sh "${packages[@]}"
  # shellcheck disable=SC2046
  need $(packages_of "$whole")
  case $name in quick | gcc | clang | sanitize) bring_llama_cpp ;; esac
  quietly cmake --preset "$whole" "${llama_options[@]}"
  tell "$(compiler_of "build/$whole")"
  # All that is wrong is shown, not only the first.
  quietly cmake --build --preset "$name" --parallel "$jobs" -- -k 0
  ctest --preset "$tests" --parallel "$jobs" "${arguments[@]}" 2>&1 | tee "$logs/$stage.tests" || status=$?
  count_tests "build/$whole/Testing/Temporary/LastTest.log"
  return "$status"
}

# The compiler of a configured build, and its version.
compiler_of() {
  sed -nE 's/^set\(CMAKE_CXX_COMPILER_(ID|VERSION) "(.*)"\)$/\2/p' "$1"/CMakeFiles/*/CMakeCXXCompiler.cmake |
    paste -sd ' '
}

# Tells how many tests ran. A whole program may be one test for ctest: then those within it count.
count_tests() {
  local passed within failures absent
  passed=$(grep -c '^Test Passed\.$' "$1" || true)
  within=$(grep -c '^\[       OK \]' "$1" || true)
  failures=$(grep -c '^Test Failed\.$' "$1" || true)
  absent=$(grep -cE '\*\*\*(Skipped|Not Run)' "$logs/$stage.tests" || true)
  tell "$((passed > within ? passed : within)) tests passed"
  ((failures == 0)) || tell "$failures failed"
  ((absent == 0)) || tell "$absent skipped"
}

# The names of all stages.
all_stages() { printf '%s\n' "${stages[@]}" | sed 's/ .*//'; }

# Fails, and says what there is, unless there is a stage of every name.
require_stages() {
  local name
  for name in "$@"; do
    if ! all_stages | grep -qxF -e "$name"; then
      printf 'expected stages of\n' >&2
      printf '  %s\n' "${stages[@]}" >&2
      printf 'got %s\n' "$name" >&2
      return 2
    fi
  done
}

run_stage() {
  stage=$1
  began=$SECONDS
  local status result
  printf '\n== %s: %s\n' "$stage" "$(shown_by "$stage")"
  : >"$logs/$stage.told"
  # Not as a condition: there, bash would go on behind a step that failed.
  set +e
  (
    set -e
    "stage_${stage//[^a-z0-9]/_}"
  ) 2>&1 | tee "$logs/$stage.log"
  status=${PIPESTATUS[0]}
  set -e
  case $status in
    0) result=passed ;;
    77) result=skipped && skipped=$((skipped + 1)) ;;
    *) result=FAILED && failed=$((failed + 1)) ;;
  esac
  enter "$result"
}

# What the stage of this name shows.
shown_by() { printf '%s\n' "${stages[@]}" | sed -n "s/^$1  *//p"; }

# Enters the stage that ran last into the table.
enter() {
  local told
  told=$(paste -sd, "$logs/$stage.told" | sed 's/,/, /g')
  told=$(shown_by "$stage")${told:+: $told}
  rows+=("$(printf '%-14s %-11s %5d s  %s' "$stage" "$1" "$((SECONDS - began))" "$told")")
}

print_table() {
  printf '\n== summary\n'
  printf '%s\n' "${rows[@]}"
  printf '%d passed, %d failed, %d skipped, %d s in all\n' "$(($1 - failed - skipped))" "$failed" "$skipped" "$SECONDS"
}

interrupted() {
  trap - INT TERM
  local passed=${#rows[@]}
  enter interrupted
  print_table "$passed"
  exit 130
}

# Runs the stages of these names and prints the table. Fails if a stage did, or if all were skipped.
run_stages() {
  require_stages "$@" || return 2
  trap interrupted INT TERM
  local name
  for name in "$@"; do run_stage "$name"; done
  trap - INT TERM
  print_table "$#"
  ((failed == 0 && skipped < $#))
}
